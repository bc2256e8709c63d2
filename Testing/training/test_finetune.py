"""``fine_tune``: that it learns a site's protocol, judges honestly, refuses, resumes and never overwrites."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from finetuned import fine_tuning, overlap, tune
from sitefixture import SHAPE, body, load, wider, write_case, write_site

from HippoSegLib.cli import main
from HippoSegLib.errors import InputError, OutputError, TrainingError
from HippoSegLib.finetuning import Site
from HippoSegLib.finetuning.prepare import prepare
from HippoSegLib.finetuning.settings import FineTuneSettings, scaled
from HippoSegLib.models import user_models as usermodels
from HippoSegLib.models.card_parts import SegmenterCard
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training.augmentation import Augmentation, sample
from HippoSegLib.training.cases import Case, make_case
from HippoSegLib.training.plot import read_log

pytestmark = pytest.mark.usefixtures("models_of_this_test")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("site"), 8)


# --- what it gives


@pytest.mark.no_cover
def test_a_site_with_another_protocol_gets_a_better_model(site, base_folder, tmp_path):
    told = []
    output = tmp_path / "models" / "mine"
    originals = [make_case(f"o{i}", f"o{i}", *body(800 + i)) for i in range(3)]
    result = tune(
        site, base_folder, output, original=originals, progress=lambda words, part: told.append((words, part))
    )
    comparison = result.comparison
    assert comparison["better"] and comparison["gain"] > 0.03 and comparison["chance"] <= 0.05
    assert result.is_default and usermodels.default_model() == output
    # Unseen bodies of the site, judged here without any of the code that judged above.
    from HippoSegLib.preprocessing.chain import Preprocessing, channels

    new, old = load(output), load(base_folder)
    gains = []
    for seed in range(700, 704):
        image, label = body(seed)
        inputs = torch.from_numpy(channels(image - image.min(), Preprocessing.named("plain")))[None]
        truth = wider(label) > 0
        found = [model.module()(inputs).argmax(1)[0].numpy() > 0 for model in (old, new)]
        gains.append(overlap(found[1], truth) - overlap(found[0], truth))
    assert min(gains) > 0.03
    fractions = [part for _, part in told if "epoch" in _]
    assert fractions == sorted(fractions) and fractions[-1] > 0.95
    assert any("left" in words for words, _ in told)
    assert not (tmp_path / "models" / "mine.run").exists()

    # The card names no case and tells the whole story.
    text = (output / "card.json").read_text()
    assert "sub-0" not in text and "sub-0" not in (output / "validation.csv").read_text()
    part = json.loads(text)["segmenter"]["fine_tuning"]
    assert len(part["train_cases_sha256"]) == 8 and part["base"]["sha256"] == old.sha256
    assert (
        part["comparison"]["volume"]["before"]["bias_mm3"] < part["comparison"]["volume"]["after"]["bias_mm3"]
    )
    assert len(part["curves"]["fold_0"]) == 6 and part["settings"]["num_epochs"] == 6
    assert json.loads(text)["segmenter"]["preprocessing"] == old.card.segmenter.preprocessing.to_dict()
    assert {"curves.png", "before_after.png", "bland_altman.png"} <= {p.name for p in output.iterdir()}

    # What it cost on the base's own kind of cases is there too.
    assert part["original_cases"] == result.original and result.original["gain"] < -0.02

    with pytest.raises(OutputError, match="never overwritten"):
        tune(site, base_folder, output)


def test_folds_part_subjects_and_judge_only_what_was_not_learned(base_folder, tmp_path, no_pictures):
    site = write_site(tmp_path / "site", 12, subjects=6)
    run_dir = tmp_path / "run"
    seen = {}

    def note(name, history):
        seen[name] = json.loads((run_dir / name / "settings.json").read_text())

    result = tune(
        site,
        base_folder,
        tmp_path / "m",
        run_dir=run_dir,
        epoch_done=note,
        settings=FineTuneSettings(num_epochs=1, folds=3, decoder_epochs=0),
    )
    subjects = {}
    for case in prepare(Site(site, label_map="msd", region=True), load(base_folder)):
        subjects[case.sha256] = case.subject
    judged = []
    for fold in range(3):
        train, held = (seen[f"fold_{fold}"][key] for key in ("train_sha256", "validation_sha256"))
        assert not {subjects[s] for s in train} & {subjects[s] for s in held}
        assert len(train) + len(held) == 12
        judged += held
    assert sorted(judged) == sorted(subjects) and len(result.after) == 12
    assert seen["final"]["validation_sha256"] == [] and len(seen["final"]["train_sha256"]) == 12
    assert result.comparison["subjects"] == 6


def test_a_larger_site_is_split_once_and_a_given_validation_set_is_used(
    site, base_folder, tmp_path, no_pictures
):
    quick = FineTuneSettings(num_epochs=2, decoder_epochs=0, small_site=6, learning_rate=0.01, anchor=0)
    result = tune(site, base_folder, tmp_path / "m", settings=quick)
    assert result.comparison["subjects"] == 2
    card = fine_tuning(tmp_path / "m")
    assert list(card["curves"]) == ["training"] and "chosen on them" in card["judged_by"]
    given = write_site(tmp_path / "val", 3, first=600)
    for i, path in enumerate(sorted((given / "images").iterdir())):
        for kind in ("images", "labels"):
            (given / kind / path.name).rename(given / kind / f"sub-9{i}_left.nii.gz")
    result = tune(site, base_folder, tmp_path / "n", settings=quick, validation=given)
    assert result.comparison["subjects"] == 3 and len(result.before) == 3


@pytest.mark.no_cover
def test_labels_shuffled_between_cases_give_no_gain_and_no_default(base_folder, tmp_path, no_pictures):
    pairs = [body(200 + i) for i in range(8)]
    for i in range(8):
        write_case(tmp_path / "site", f"s{i}_left", pairs[i][0], wider(pairs[(i + 3) % 8][1]))
    output = tmp_path / "models" / "m"
    with pytest.raises(TrainingError, match="belong to other scans"):
        tune(tmp_path / "site", base_folder, output)
    result = tune(tmp_path / "site", base_folder, output, anyway=True)
    assert not result.comparison["better"] and not result.is_default and usermodels.default_model() is None
    assert "not to be trusted" in result.comparison["words"] or "not shown" in result.comparison["words"]


@pytest.mark.no_cover
def test_labels_of_the_whole_alone_leave_the_parts_what_they_are(base_folder, tmp_path, no_pictures):
    site = write_site(tmp_path / "site", 8, change=lambda label: (wider(label) > 0).astype(np.uint8))
    result = tune(site, base_folder, tmp_path / "m", label_map="whole=1")
    assert result.comparison["gain"] > 0.03 and "anterior" not in result.comparison
    from HippoSegLib.preprocessing.chain import Preprocessing, channels

    new, old = load(tmp_path / "m"), load(base_folder)
    for seed in range(700, 704):
        image, label = body(seed)
        inputs = torch.from_numpy(channels(image - image.min(), Preprocessing.named("plain")))[None]
        truth = wider(label)
        scores = []
        for model in (old, new):
            found = model.module()(inputs).argmax(1)[0].numpy()
            scores.append([overlap(found == p, truth == p) for p in (1, 2)])
        assert np.min(np.subtract(scores[1], scores[0])) > -0.02


# --- settings and the command


def test_presets_and_impossible_settings():
    method = FineTuneSettings.preset("method")
    assert (method.learning_rate, method.batch_size, method.num_epochs) == (0.001, 16, 50)
    for bad in (
        {"learning_rate": 5.0},
        {"folds": 1},
        {"augmentation": 2.0},
        {"epochs": 3},
        {"encoder_rate": -1},
    ):
        with pytest.raises(TrainingError):
            FineTuneSettings.preset("default", **bad).of_training(
                SegmenterCard((4, 8), SHAPE, 1.0, Preprocessing(((),)))
            )
    with pytest.raises(TrainingError, match="preset"):
        FineTuneSettings.preset("best")
    none = scaled(Augmentation(), 0)
    image, label = body(1)
    a = sample(Case("c", "c", image, label), SHAPE, np.random.default_rng(0), none)[1]
    assert np.mean(a == label) > 0.97


def run(*words, base_folder):
    return main(["finetune", *map(str, words), "--region", "--base", str(base_folder), "--threads", "1"])


def test_the_command_checks_learns_and_refuses(site, base_folder, tmp_path, capsys):
    assert run(site, "--check-only", "-o", tmp_path / "check", base_folder=base_folder) == 0
    assert {p.name for p in (tmp_path / "check").iterdir()} == {"site_check.csv", "site_check_1.png"}
    output = tmp_path / "models" / "mine"
    code = run(site, "-o", output, "--epochs", "1", "--folds", "2", base_folder=base_folder)
    assert code == 0
    text = capsys.readouterr().out
    assert "sub-00_ses-0_left" in text and "Judged by cross-validation in 2 folds" in text
    assert run(site, "-o", output, base_folder=base_folder) == OutputError.exit_code
    assert "never overwritten" in capsys.readouterr().err
    assert run(site, base_folder=base_folder) == InputError.exit_code
    few = write_site(tmp_path / "few", 3)
    assert run(few, "-o", tmp_path / "x", base_folder=base_folder) == TrainingError.exit_code
    assert "3 subjects are too few" in capsys.readouterr().err
    assert run(few, "-o", tmp_path / "x", "--learning-rate", "7", base_folder=base_folder) == 8
    settings = tmp_path / "settings.json"
    settings.write_text('{"nonsense": 1}')
    assert run(few, "-o", tmp_path / "x", "--settings", settings, base_folder=base_folder) == 8


def test_curves_and_tensorboard_are_kept_while_it_runs(site, base_folder, tmp_path):
    from HippoSegLib.commands.finetune import _Curves

    run_dir = tmp_path / "run"
    run_dir.mkdir()
    curves = _Curves(run_dir)
    history = [
        {
            "epoch": i + 1,
            "learning_rate": 0.1,
            "train_loss": 1 / (i + 1),
            "val_whole": 0.1 * i,
            "val_anterior": "",
            "val_posterior": "",
            "note": "",
        }
        for i in range(3)
    ]
    for i in range(3):
        curves("fold_0", history[: i + 1])
    assert (run_dir / "curves.png").read_bytes()[:4] == b"\x89PNG"
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run_dir / "tensorboard" / "fold_0"))
    events.Reload()
    assert [(e.step, round(e.value, 4)) for e in events.Scalars("loss")] == [(1, 1.0), (2, 0.5), (3, 0.3333)]
    assert [e.step for e in events.Scalars("dice/whole")] == [1, 2, 3]


def test_an_interrupted_default_is_none(tmp_path):
    assert usermodels.default_model() is None
    folder = usermodels.user_models_folder() / "gone"
    usermodels.make_default(folder)
    assert usermodels.default_model() is None  # it has no card
    (usermodels.user_models_folder() / "default.txt").write_text("../elsewhere")
    assert usermodels.default_model() is None


def test_log_of_a_run_can_be_read(site, base_folder, tmp_path, no_pictures):
    logs = []
    quick = FineTuneSettings(num_epochs=1, folds=2, decoder_epochs=0)
    tune(
        site,
        base_folder,
        tmp_path / "m",
        settings=quick,
        run_dir=tmp_path / "run",
        epoch_done=lambda name, history: logs.append(read_log(tmp_path / "run" / name / "log.csv")),
    )
    assert len(logs) == 3 and logs[0][0]["val_whole"] > 0 and logs[2][0]["val_whole"] is None
