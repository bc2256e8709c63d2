"""The last epochs' variants: what they change, what they start from, what their report leaves out."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import ablation
import ablation_table
import last_epochs
import numpy as np
import pytest
import torch
from test_ablation import results

from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.training.augmentation import Augmentation
from HippoSegLib.training.cases import Case
from HippoSegLib.training.loop import Loop

COMMAND = "hipposeg train crops -o model --folds {} --fold 3 --epochs 5"


def write_model(folder, folds=5):
    folder.mkdir()
    model = UNet3D(2, 3)
    torch.save({name: value.half() for name, value in model.state_dict().items()}, folder / "segmenter.pt")
    (folder / "card.json").write_text(json.dumps({"training": {"command": COMMAND.format(folds)}}))
    return model


def test_milder_draws_the_six_degradations_less_often_and_changes_nothing_else():
    usual, half = asdict(Augmentation()), asdict(last_epochs.milder(0.5))
    changed = {name for name in usual if usual[name] != half[name]}
    assert changed == {f"{n}_probability" for n in ("gamma", "bias", "reslice", "blur", "noise", "window")}
    assert all(half[name] == usual[name] / 2 for name in changed)
    assert last_epochs.milder(1) == Augmentation()


def test_a_fold_of_five_is_told_from_other_models(tmp_path):
    model = write_model(tmp_path / "model")
    fold, command, weights = last_epochs.fold_of(tmp_path / "model")
    assert fold == 3 and command == COMMAND.format(5)
    assert torch.equal(weights["head.weight"], model.head.weight.detach().half())
    write_model(tmp_path / "other", folds=111)
    with pytest.raises(SystemExit, match="not one of five folds"):
        last_epochs.fold_of(tmp_path / "other")


@pytest.mark.parametrize("name", ["no further", "as before"])
def test_a_variant_starts_from_the_folds_weights(name, monkeypatch, tmp_path):
    """With no step taken, each scores the fold's own network, and never the labelled heads."""
    weights = {key: value.half() for key, value in UNet3D(2, 3).state_dict().items()}
    kinds = [{"set": kind} for kind in ("crops", "other scanner", "labelled")]
    material = SimpleNamespace(fold=lambda fold: ([None] * 4, kinds), hosts=[])
    scored = {}
    monkeypatch.setattr(Loop, "run", lambda self, *rest: None)
    monkeypatch.setattr(
        ablation, "score", lambda model, settings, tests: scored.update(model=model, tests=tests) or {}
    )
    last_epochs.run_variant(name, 2, weights, material, 3, tmp_path / "one.json", [weights])
    assert [test["set"] for test in scored["tests"]] == ["crops", "other scanner"]
    assert not scored["model"].training
    for key, value in scored["model"].state_dict().items():
        np.testing.assert_array_equal(value, weights[key].float())


def test_a_result_of_another_base_or_budget_is_not_taken():
    wanted = last_epochs.described("half", 8, "made so")
    assert json.loads(json.dumps(wanted)) == wanted
    for other in (
        last_epochs.described("half", 9, "made so"),
        last_epochs.described("half", 8, "made otherwise"),
        last_epochs.described("no further", 8, "made so"),
    ):
        assert other != wanted


def test_a_label_far_off_is_brought_back_its_parts_with_it():
    label = np.zeros((12, 14, 10), np.uint8)
    label[4:8, 6:10, 3:7], label[4:8, 3:6, 3:7] = 1, 2
    off = np.roll(label, (1, -1, 0), axis=(0, 1, 2))
    np.testing.assert_array_equal(last_epochs.moved_label(off, (1, -1, 0)), label)
    assert last_epochs.moved_label(off, (0.25, 0, -0.25)) is off


def test_cases_without_a_known_offset_keep_their_labels():
    label = np.ones((4, 4, 4), np.uint8)
    (case,) = last_epochs.with_labels_moved([Case("unknown", "s", label.astype(np.float32), label)])
    assert case.label is label


def test_the_report_has_no_part_for_labelled_heads():
    made = results()
    for one in made:
        one["arm"] = {"none": "as before", "better": "half", "same": "labels moved"}[one["arm"]]
    words = last_epochs.report_words(8, ["as before", "half", "labels moved"], ["hipposeg train …"])
    text = ablation_table.text(made, ["as before", "half", "labels moved"], words)
    assert "abelled heads" not in text and "other scanners" in text
    assert "- `half`: degradations are half as often." in text and "- `hipposeg train …`" in text
