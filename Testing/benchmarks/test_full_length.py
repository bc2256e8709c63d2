"""The comparison at full length: which arm a model is of, what is scored, what may not differ."""

import json
from types import SimpleNamespace

import ablation
import ablation_table
import full_length
import pytest
import torch
from test_ablation import results

from HippoSegLib.models.unet3d import UNet3D

TRAINING = {
    "learning_rate": 1e-3,
    "batch_size": 4,
    "num_epochs": 9,
    "epochs_done": 9,
    "seed": 0,
    "dropout": 0.1,
    "ema_decay": 0.998,
    "seconds": 60.0,
}


def write_model(folder, name, fold=2, **changes):
    folder.mkdir()
    model = UNet3D(2 if name == "both" else 1, 3)
    torch.save(model.state_dict(), folder / "segmenter.pt")
    command = f"hipposeg train crops -o model --folds 5 --fold {fold} --preprocessing {name} --epochs 9"
    card = {"training": {**TRAINING, **changes, "command": command}}
    (folder / "card.json").write_text(json.dumps(card))
    return model


@pytest.fixture
def material(monkeypatch):
    """Ten cases, a crop to be scored and a labelled head that must not be."""
    monkeypatch.setattr(
        ablation, "score", lambda model, settings, tests: {"model": model, "rows": [t["set"] for t in tests]}
    )
    tests = [{"set": "crops"}, {"set": "labelled"}, {"set": "other scanner"}]
    return SimpleNamespace(fold=lambda fold: ([None] * 10, tests))


@pytest.mark.parametrize(("name", "arm"), [("plain", "none"), ("both", "plain, CLAHE + SCE")])
def test_a_model_is_scored_with_its_preprocessing(name, arm, material, tmp_path):
    model = write_model(tmp_path / "model", name)
    one = full_length.scored(tmp_path / "model", material)
    assert one["arm"] == arm and one["fold"] == 2 and one["steps"] == 27
    assert len(one["settings"]["preprocessing"]["channels"]) == model.in_channels
    assert one["rows"] == ["crops", "other scanner"]
    assert torch.equal(one["model"].head.weight, model.head.weight) and not one["model"].training


def test_models_of_a_fold_differ_in_their_preprocessing_alone(material, tmp_path):
    write_model(tmp_path / "a", "plain")
    write_model(tmp_path / "b", "both")
    write_model(tmp_path / "c", "both", num_epochs=12)
    write_model(tmp_path / "d", "both", fold=3, num_epochs=12)
    a, b, c, d = (full_length.scored(tmp_path / name, material) for name in "abcd")
    full_length.check([a, b, d])
    with pytest.raises(ValueError, match="more than their preprocessing"):
        full_length.check([a, c])


def test_the_report_tells_the_commands_and_no_labelled_heads():
    made = results()
    for one in made:
        one["arm"] = {"none": "none", "better": "plain, CLAHE + SCE"}.get(one["arm"], "same")
    words = full_length.report_words(["hipposeg train …"])
    text = ablation_table.text(made, list(full_length.ARMS.values()), words)
    assert "- `hipposeg train …`" in text and "seed 0 for every fold" in " ".join(text.split())
    assert "abelled heads" not in text
