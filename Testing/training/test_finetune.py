"""``fine_tune``: that it learns a site's protocol, judges honestly, refuses, resumes and never overwrites."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from sitefixture import QUICK, SHAPE, body, load, make_base, wider, write_case, write_site

from HippoSegLib.cli import main
from HippoSegLib.errors import Cancelled, InputError, OutputError, TrainingError
from HippoSegLib.finetuning import RunOptions, Site, fine_tune
from HippoSegLib.finetuning.prepare import prepare
from HippoSegLib.finetuning.settings import FineTuneSettings, scaled
from HippoSegLib.models import user_models as usermodels
from HippoSegLib.models.card_parts import SegmenterCard
from HippoSegLib.models.weights import read_weights
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training.augmentation import Augmentation, sample
from HippoSegLib.training.cases import Case, make_case
from HippoSegLib.training.plot import read_log

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("site"), 8)


@pytest.fixture(autouse=True)
def models_of_this_test(tmp_path, monkeypatch):
    monkeypatch.setenv("HIPPOSEG_MODELS", str(tmp_path / "models"))


def tune(site, base_folder, output, **options):
    """Fine-tune on a folder of crops; `options` are fields of `Site` and `RunOptions`, or arguments."""
    given = {
        "settings": QUICK,
        "region": True,
        "label_map": "msd",
        "threads": 1,
        "device": "cpu",
        **options,
    }
    where, run = (
        {f.name: given.pop(f.name) for f in fields(kind) if f.name in given} for kind in (Site, RunOptions)
    )
    return fine_tune(Site(site, **where), output, base=load(base_folder), run=RunOptions(**run), **given)


def weights(folder):
    return read_weights(folder / "segmenter.npz")


def overlap(a, b) -> float:
    """Dice of two masks."""
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def fine_tuning(folder) -> dict:
    """What the card says of the fine-tuning."""
    return json.loads((folder / "card.json").read_text())["segmenter"]["fine_tuning"]


def equal(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True))


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


# --- going on after an end of any kind


RESUMED = FineTuneSettings(num_epochs=2, decoder_epochs=1, folds=2, learning_rate=0.01)


@pytest.fixture(scope="module")
def small_site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("small"), 6)


@pytest.fixture(scope="module")
def uninterrupted(small_site, base_folder, tmp_path_factory):
    """A model made in one go, and how often cancelling was polled."""
    polls: list[int] = []
    folder = tmp_path_factory.mktemp("whole") / "m"
    tune(small_site, base_folder, folder, settings=RESUMED, cancel=lambda: bool(polls.append(0)))
    return folder, len(polls)


@pytest.mark.no_cover
@pytest.mark.parametrize("stage", [0.1, 0.4, 0.6, 0.95] if "HIPPOSEG_KILLS" in os.environ else [0.4, 0.95])
def test_cancelled_anywhere_and_given_again_it_ends_the_same(
    small_site, base_folder, tmp_path, uninterrupted, no_pictures, stage
):
    """While reading, in a decoder epoch, in the second fold, in the final model.

    The short form has the second and the last: kills at all stages follow.
    """
    whole, polls = uninterrupted
    left = [int(stage * polls)]

    def cancel():
        left[0] -= 1
        return left[0] < 0

    with pytest.raises(Cancelled):
        tune(small_site, base_folder, tmp_path / "parted", settings=RESUMED, cancel=cancel)
    assert not (tmp_path / "parted").exists()
    tune(small_site, base_folder, tmp_path / "parted", settings=RESUMED)
    assert equal(whole, tmp_path / "parted")
    a, b = (fine_tuning(folder) for folder in (whole, tmp_path / "parted"))
    assert a["comparison"] == b["comparison"] and a["curves"] == b["curves"]


#: Stage -> how the words of progress begin there, at which the process is killed.
STAGES = {
    "reading": "Reading case 5",
    "first fold": "Cross-validation 1 of 2, epoch 1 of 2:",
    "between two steps of an epoch": None,
    "second fold": "Cross-validation 2 of 2, epoch 1 ",
    "final model": "Final model, epoch 2 ",
    "writing": None,
}

#: For each line of its input a forked process fine-tunes, and ends itself as a power cut would: without a
#: chance to clean up. PyTorch is imported once for all of them, and used in none but the forked ones.
KILLED = """
import json, os, signal, sys
sys.path[:0] = [{tests!r}, {root!r}]
import HippoSegLib.finetuning.result as writing
from HippoSegLib.finetuning import RunOptions, Site, fine_tune
from HippoSegLib.finetuning.settings import FineTuneSettings
from sitefixture import load

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def run(site, base, output, words, polls):
    left = [polls]

    def progress(said, fraction):
        if words and said.startswith(words):
            die()

    def cancel():
        left[0] -= 1
        if left[0] == 0:
            die()
        return False

    if words == "writing":
        writing.scores_csv = die  # the weights are written by then, the folder has not its name yet
    fine_tune(Site(site, region=True, label_map="msd"), output, base=load(base),
              settings=FineTuneSettings(**{settings!r}),
              run=RunOptions(threads=1, device="cpu", progress=progress, cancel=cancel))

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        try:
            run(*json.loads(line))
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
CHANGED = {"num_epochs": 2, "decoder_epochs": 1, "folds": 2, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def killed():
    """Runs a fine-tuning that ends itself; returns its exit code."""
    assert FineTuneSettings(**CHANGED) == RESUMED
    program = KILLED.format(tests=str(Path(__file__).parent), root=str(ROOT), settings=CHANGED)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:

        def run(*arguments) -> int:
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_any_stage_and_given_again_it_ends_the_same(
    small_site, base_folder, tmp_path, uninterrupted, killed, no_pictures, stage
):
    whole, polls = uninterrupted
    output = tmp_path / "sites" / "parted"
    ended = killed(
        str(small_site),
        str(base_folder),
        str(output),
        STAGES[stage] or stage,
        polls // 2 if "steps" in stage else -1,
    )
    assert ended == -signal.SIGKILL and not output.exists()
    done = len(list((tmp_path / "sites" / "parted.run").glob("*/state.pt")))
    assert done == {"reading": 0, "writing": 3, "final model": 3, "second fold": 2}.get(stage, 1)
    tune(small_site, base_folder, output, settings=RESUMED)
    assert equal(whole, output)
    a, b = (fine_tuning(folder) for folder in (whole, output))
    assert a["comparison"] == b["comparison"]
    assert [path.name for path in (tmp_path / "sites").iterdir()] == ["parted"]


def test_a_run_of_other_settings_is_not_continued(site, base_folder, tmp_path):
    quick = FineTuneSettings(num_epochs=2, decoder_epochs=0, folds=2)
    left = [8 + 4 + 1]  # eight cases read, the first fold done

    def cancel():
        left[0] -= 1
        return left[0] < 0

    with pytest.raises(Cancelled):
        tune(site, base_folder, tmp_path / "m", settings=quick, cancel=cancel)
    other = FineTuneSettings(num_epochs=2, decoder_epochs=0, folds=2, learning_rate=0.002)
    with pytest.raises(TrainingError, match="other settings"):
        tune(site, base_folder, tmp_path / "m", settings=other)


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
