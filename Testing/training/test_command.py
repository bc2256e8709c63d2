"""``hipposeg train`` from a folder of crops to a model that loads, and the export of a run."""

import argparse
import csv
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from crops import training_arguments, write_folder

from HippoSegLib import cli
from HippoSegLib.errors import InputError, OutputError, TrainingError
from HippoSegLib.models.card import read_card
from HippoSegLib.models.store import load_model
from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.models.user_models import user_models
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training import export
from HippoSegLib.training.cases import load_cases, split_by_subject
from HippoSegLib.training.command import add_arguments, run
from HippoSegLib.training.evaluation import Evaluator, summary


def arguments(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model folder of a very short training on six made-up crops of three subjects."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("command")
    write_folder(folder / "crops", range(1, 7), shape=(40, 52, 36))
    words = (folder / "crops", "-o", folder / "model", "--folds", 3, "--fold", 1, "--epochs", 1)
    options = ("--batch-size", 4, "--seed", 2, "--preprocessing", "plain", "--device", "cpu", "--threads", 1)
    assert run(arguments(*words, *options)) == 0
    return folder


def test_card_says_what_was_trained_on_what(trained):
    part = read_card(trained / "model").segmenter
    cases = load_cases(trained / "crops")
    held = tuple(cases[i].name for i in split_by_subject([c.subject for c in cases], 3, 2)[1])
    assert part.training.validation_cases == held and len(held) == 2
    assert sorted(part.training.train_cases + held) == [c.name for c in cases]
    assert part.training.extra["seed"] == 2 and part.training.epochs_done == 1
    assert part.roi_size == (48, 56, 40) and part.spacing_mm == 1.0
    assert [one["step"] for one in part.preprocessing.channels[0]] == ["min_max"]
    assert part.training.command.startswith("hipposeg train crops -o model --folds 3 --fold 1 --seed 2")
    # No places of this machine.
    assert str(trained) not in (trained / "model" / "card.json").read_text(encoding="utf-8")


def test_the_cards_command_can_be_given_again(trained):
    command = read_card(trained / "model").segmenter.training.command
    again = arguments(*command.split()[2:])
    assert (again.fold, again.seed, again.epochs, again.preprocessing) == (1, 2, 1, "plain")


def test_weights_are_small_and_load_without_code(trained):
    path = trained / "model" / "segmenter.pt"
    weights = torch.load(path, weights_only=True)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    card = read_card(trained / "model")
    assert card.files["segmenter.pt"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sum(value.numel() for value in weights.values()) == card.segmenter.parameters <= 2_000_000
    assert path.stat().st_size < 8_000_000


def test_figures_are_those_of_the_written_weights(trained):
    part = read_card(trained / "model").segmenter
    model = UNet3D(1, 3, part.widths).eval()
    weights = torch.load(trained / "model" / "segmenter.pt", weights_only=True)
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    cases = [c for c in load_cases(trained / "crops") if c.name in part.training.validation_cases]
    rows = Evaluator(cases, part.roi_size, Preprocessing.named("plain"))(model)
    assert part.metrics == {"held_out_dice": summary(rows), "cases": 2}
    with (trained / "model" / "held_out.csv").open(newline="") as file:
        for row, written in zip(rows, csv.DictReader(file), strict=True):
            assert written["case"] == row["case"]
            assert float(written["whole"]) == pytest.approx(row["whole"], abs=1e-5)


def test_the_model_loads_where_inference_loads_it(trained):
    model = load_model(trained / "model")
    with torch.inference_mode():
        assert model.module()(torch.zeros(1, 1, 48, 56, 40)).shape == (1, 3, 48, 56, 40)


def crop_options(trained):
    """Options of a command that takes one of the made-up crops with the trained model."""
    return "--model", trained / "model", "--region", "--side", "left", "--threads", 1, "--device", "cpu"


def call(*words) -> int:
    return cli.main([str(word) for word in words])


def test_segment_takes_the_model_for_crops(trained, tmp_path, capsys):
    crop = trained / "crops" / "images" / "hippocampus_001.nii.gz"
    words = ("segment", crop, "-o", tmp_path, "--no-picture", "-q", *crop_options(trained))
    assert call(*words) == 0, capsys.readouterr().err
    records = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.json")]
    assert any(load_model(trained / "model").sha256 in text for text in records)


def test_segment_says_that_it_finds_no_hippocampus_in_a_head(trained, tmp_path, sample_path, capsys):
    words = ("segment", sample_path, "-o", tmp_path, "-q", "--model", trained / "model", "--device", "cpu")
    assert call(*words) == InputError.exit_code
    told = capsys.readouterr().err
    assert "Model 'model' segments the crop of one hippocampus" in told and "--region" in told


def test_evaluate_takes_the_model_and_knows_its_cases(trained, tmp_path, capsys):
    images, labels = trained / "crops" / "images", trained / "crops" / "labels"
    name = read_card(trained / "model").segmenter.training.train_cases[0] + ".nii.gz"
    words = ("evaluate", "--scans", images / name, "--labels", labels / name)
    words += ("--label-map", "msd", "-o", tmp_path / "out", "--no-pictures", "-q", *crop_options(trained))
    code = call(*words)
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "names of cases that the model was trained on" in told.out


def test_info_prints_the_card_and_lists_one_s_own_models(trained, monkeypatch, capsys):
    assert call("info", trained / "model") == 0
    told = capsys.readouterr().out
    assert "crops of one hippocampus" in told and "hipposeg train crops -o model" in told
    monkeypatch.setenv("HIPPOSEG_MODELS", str(trained))
    assert call("info") == 0
    told = capsys.readouterr().out
    assert (
        "Your models\n  model " in told and read_card(trained / "model").files["segmenter.pt"].sha256 in told
    )
    assert [folder.name for folder in user_models()] == ["model"]


def test_finetune_begins_with_the_model(trained, tmp_path, capsys):
    words = ("finetune", trained / "crops", "--region", "--side", "left", "--label-map", "msd")
    words += ("--base", trained / "model", "--check-only", "-o", tmp_path / "check", "-q", "--device", "cpu")
    call(*words)
    table = (tmp_path / "check" / "site_check.csv").read_text(encoding="utf-8")
    # Four of the six cases are those that the base learned from.
    assert table.count("learned from a case of this name") == 4


def test_a_model_is_not_overwritten(trained):
    words = (trained / "crops", "-o", trained / "model", "--folds", 3)
    with pytest.raises(OutputError, match="already holds a model"):
        run(arguments(*words))
    with pytest.raises(OutputError, match="already holds a model"):
        export.main([str(trained / "model" / "run"), "-o", str(trained / "model")])


def test_export_of_a_run(trained, tmp_path, capsys):
    run_dir = trained / "model" / "run"
    assert export.main([str(run_dir), "-o", str(tmp_path / "out"), "--data", str(trained / "crops")]) == 0
    assert "epoch 1 of 1" in capsys.readouterr().out
    one, two = (read_card(folder) for folder in (trained / "model", tmp_path / "out"))
    assert one == replace(two, name="model")
    assert (tmp_path / "out" / "segmenter.pt").exists() and not list((tmp_path / "out").glob("*.part"))
    with pytest.raises(TrainingError, match="no training run"):
        export.main([str(tmp_path), "-o", str(tmp_path / "other")])


def test_impossible_commands(trained, tmp_path):
    with pytest.raises(TrainingError, match="no fold 5 of 5"):
        run(arguments(trained / "crops", "-o", tmp_path / "m", "--fold", 5))
    with pytest.raises(TrainingError, match="cannot be split into 5 folds"):
        run(arguments(trained / "crops", "-o", tmp_path / "m"))
    with pytest.raises(InputError, match="no images"):
        run(arguments(tmp_path, "-o", tmp_path / "m"))
    with pytest.raises(InputError, match="none of the heads"):
        run(arguments(trained / "crops", "-o", tmp_path / "m", "--folds", 3, "--background", tmp_path))
    assert not (tmp_path / "m" / "segmenter.pt").exists()


@pytest.mark.slow
@pytest.mark.no_cover
def test_real_crops_are_learned(data_dir, tmp_path):
    """A few seconds of training on real crops is far from chance on subjects it has not seen."""
    from HippoSegLib.training import train_3d_unet
    from HippoSegLib.training.settings import REGION_SHAPE

    cases = load_cases(data_dir / "msd_hippocampus")
    held = split_by_subject([c.subject for c in cases], 20)[0][:4]
    train = [c for i, c in enumerate(cases) if i not in held][::16]
    train = [c for c in train if c.subject not in {cases[i].subject for i in held}]
    model = train_3d_unet(
        [c.image for c in train],
        [c.label for c in train],
        0.01,
        1,
        3,
        **training_arguments(
            validation=[cases[i] for i in held],
            subject_ids=[c.subject for c in train],
            validate_every=3,
            widths=(6, 12, 24),
            device="cpu",
        ),
    )
    assert model.history[-1]["val_whole"] > 0.5
    assert np.isfinite(model.history[-1]["train_loss"]) and REGION_SHAPE == (48, 56, 40)
