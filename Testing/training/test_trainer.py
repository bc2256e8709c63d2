"""``train_3d_unet``: what it refuses, that it learns, resumes, accumulates and notices divergence."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from crops import SHAPE, crop, crops, training_arguments

from HippoSegLib.errors import Cancelled, DeviceError, TrainingError
from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.preprocessing.chain import Preprocessing, channels
from HippoSegLib.training import train_3d_unet
from HippoSegLib.training.augmentation import Augmentation
from HippoSegLib.training.evaluation import dice_of_parts, predict
from HippoSegLib.training.losses import dice_and_cross_entropy
from HippoSegLib.training.plot import plot_log, read_log
from HippoSegLib.training.runstate import read_run

GENTLE = Augmentation(shift=2, rotation=5, scale=(0.95, 1.05), elastic_probability=0, reslice_probability=0)

#: A network and region small enough for a test of seconds.
SMALL = {
    "region_shape": SHAPE,
    "widths": (4, 8),
    "preprocessing": Preprocessing.named("plain"),
    "augmentation": GENTLE,
    "device": "cpu",
    "mixed_precision": False,
}


def train(count=6, learning_rate=0.01, batch_size=3, num_epochs=3, **options):
    options.setdefault("validation", crops(2, first=100))
    return train_3d_unet(
        *crops(count), learning_rate, batch_size, num_epochs, **training_arguments(**{**SMALL, **options})
    )


def same(a: UNet3D, b: UNet3D) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


# --- the interface of the method


def test_defaults_are_the_methods():
    import inspect

    parameters = inspect.signature(train_3d_unet).parameters
    positional = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [(p.name, p.default) for p in positional[2:]] == [
        ("learning_rate", 0.001),
        ("batch_size", 16),
        ("num_epochs", 50),
    ]
    assert [p.name for p in positional[:2]] == ["images", "labels"]


@pytest.mark.no_cover
def test_it_learns_what_it_has_not_seen():
    model = train(8, learning_rate=0.03, num_epochs=20, batch_size=2, validate_every=20)
    assert model.history[-1]["train_loss"] < 0.4 * model.history[0]["train_loss"]
    image, label = crop(777)
    found = predict(model, channels(image - image.min(), SMALL["preprocessing"])).argmax(axis=0)
    scores = dice_of_parts(found, label)
    assert scores["whole"] > 0.8 and scores["anterior"] > 0.6 and scores["posterior"] > 0.6


def test_history_has_a_row_per_epoch():
    rows = train(num_epochs=5, validate_every=2).history
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["val_whole"] != "" for row in rows] == [False, True, False, True, True]
    rates = [row["learning_rate"] for row in rows]
    assert max(rates) <= 0.01 and rates[-1] < rates[1]
    assert all(row["seconds"] > 0 and np.isfinite(row["train_loss"]) for row in rows)


@pytest.mark.no_cover
def test_seed_makes_the_run():
    one, two, other = (train(4, num_epochs=2, seed=seed, dropout=0.5) for seed in (5, 5, 6))
    assert same(one, two) and not same(one, other)


# --- what it refuses


IMAGES, LABELS = crops(4)


@pytest.mark.parametrize(
    "options",
    [
        {},  # neither validation cases nor subjects
        {"validation": ([], [])},
        {"validation": (IMAGES[:2], LABELS[:1])},
        {"subject_ids": ["a"] * 4},  # nobody to hold out
        {"subject_ids": ["a", "b"]},
        {"subject_ids": ["a", "b", "c", "d"], "validation_fraction": 1.5},
        {"subject_ids": ["a", "b", "c", "d"], "names": ["one"]},
        {"validation": crops(1, 50), "region_shape": (24, 24, 23)},
        {"validation": crops(1, 50), "num_epochs": 0},
        {"validation": crops(1, 50), "learning_rate": 0},
        {"validation": crops(1, 50), "batch_size": 0},
        {"validation": crops(1, 50), "keep": "first"},
        {"validation": crops(1, 50), "init_from": "no such file"},
        {"validation": crops(1, 50), "init_from": UNet3D(1, 3, (8, 8))},
    ],
)
def test_impossible_trainings_are_refused(options):
    with pytest.raises(TrainingError) as error:
        train_3d_unet(IMAGES, LABELS, **training_arguments(**{**SMALL, **options}))
    assert error.value.cause and error.value.remedy


def test_a_subject_on_both_sides_is_refused():
    from HippoSegLib.training.cases import make_case

    held = [make_case("h", "ann", *crop(9))]
    with pytest.raises(TrainingError, match="both in training and in validation"):
        subjects = ["eve", "ann", "bob", "bob"]
        train_3d_unet(IMAGES, LABELS, **training_arguments(validation=held, subject_ids=subjects, **SMALL))


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(DeviceError):
        train(device="cuda:77")


def test_both_sides_of_a_subject_stay_together(tmp_path):
    subjects = [f"s{i // 2}" for i in range(10)]
    names = [f"{s}_{side}" for s, side in zip(subjects, "lr" * 5, strict=True)]
    train_3d_unet(
        *crops(10),
        0.01,
        8,
        1,
        **training_arguments(
            subject_ids=subjects, names=names, validation_fraction=0.4, run_dir=tmp_path, **SMALL
        ),
    )
    settings, _ = read_run(tmp_path)
    held, trained = ({name[:2] for name in settings[k]} for k in ("validation_cases", "train_cases"))
    assert len(held) == 2 and len(settings["validation_cases"]) == 4 and not held & trained


# --- gradients of a batch that does not fit


@pytest.mark.no_cover
def test_accumulated_micro_batches_equal_the_batch():
    whole, parts = (train(4, batch_size=4, micro_batch=n, dropout=0.0, num_epochs=2) for n in (4, 1))
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-3)
    other = train(4, batch_size=2, dropout=0.0, num_epochs=2)
    assert not torch.allclose(whole.head.weight, other.head.weight, atol=2e-4)


# --- killed and resumed


@pytest.mark.no_cover
def test_a_cancelled_run_resumes_to_the_same_end(tmp_path):
    options = {"num_epochs": 4, "dropout": 0.3, "micro_batch": 1}
    straight = train(**options)
    polled = 0

    def stop():
        nonlocal polled
        polled += 1
        return polled > 15  # in the middle of the third epoch of six samples

    with pytest.raises(Cancelled):
        train(**options, run_dir=tmp_path, cancel=stop)
    assert len(read_run(tmp_path)[1]["history"]) == 2
    resumed = train(**options, run_dir=tmp_path)
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3, 4]
    assert same(resumed, straight)


_KILLED = """
import sys; sys.path[:0] = [{here!r}, {root!r}]
import torch; torch.set_num_threads(1)
from test_trainer import train
train(3, num_epochs=12, dropout=0.3, run_dir={run!r}, validate_every=6)
"""


@pytest.mark.no_cover
def test_a_killed_run_resumes_to_exactly_the_same_end(tmp_path):
    here = Path(__file__).resolve().parent
    code = _KILLED.format(here=str(here), root=str(here.parents[1]), run=str(tmp_path / "run"))
    process = subprocess.Popen([sys.executable, "-c", code])
    state = tmp_path / "run" / "state.pt"
    end = time.monotonic() + 120
    while not state.exists() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()
    done = len(read_run(tmp_path / "run")[1]["history"])
    assert 1 <= done < 12
    options = {"count": 3, "num_epochs": 12, "dropout": 0.3, "validate_every": 6}
    resumed = train(**options, run_dir=tmp_path / "run")
    straight = train(**options)
    assert same(resumed, straight)
    for a, b in zip(resumed.history, straight.history, strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {
            k: v for k, v in b.items() if k != "seconds"
        }


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = train(run_dir=tmp_path)
    before = (tmp_path / "state.pt").stat().st_mtime_ns
    assert same(first, train(run_dir=tmp_path))
    assert (tmp_path / "state.pt").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", [{"seed": 1}, {"learning_rate": 0.02}, {"count": 5}, {"widths": (4, 4)}])
def test_a_folder_of_another_run_is_refused(tmp_path, change):
    train(num_epochs=1, run_dir=tmp_path)
    with pytest.raises(TrainingError, match="other settings"):
        train(**{"num_epochs": 1, "run_dir": tmp_path, **change})


def test_other_data_or_a_damaged_state_are_refused(tmp_path):
    train(num_epochs=1, run_dir=tmp_path)
    with pytest.raises(TrainingError, match="data_crc32"):
        train(num_epochs=1, run_dir=tmp_path, validation=crops(2, first=200))
    with pytest.raises(TrainingError, match="already holds"):
        train(num_epochs=1, run_dir=tmp_path, resume=False)
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot be read"):
        train(num_epochs=1, run_dir=tmp_path)


# --- diverging


def test_a_hopeless_learning_rate_is_given_up(tmp_path):
    with pytest.raises(TrainingError, match="diverged 4 times") as error:
        train(2, learning_rate=1e6, batch_size=1, num_epochs=12, run_dir=tmp_path)
    assert "smaller learning rate" in error.value.remedy


def test_a_learning_rate_too_large_is_lowered_and_logged(tmp_path):
    calls = []

    def breaks_once(logits, target):
        calls.append(1)
        return dice_and_cross_entropy(logits, target) * (float("nan") if len(calls) == 8 else 1)

    said = []
    model = train(
        num_epochs=4,
        run_dir=tmp_path,
        progress=lambda words, fraction: said.append(words),
        loss=breaks_once,
    )
    notes = [row["note"] for row in read_log(tmp_path / "log.csv")]
    assert sum("lowered to 0.00333" in note for note in notes) == 1 and notes[0] == ""
    assert any("diverged" in words for words in said)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert [row["epoch"] for row in model.history] == [1, 2, 3, 4]
    assert model.history[-1]["learning_rate"] < 0.01 / 3


def test_a_loss_that_climbs_is_noticed():
    calls = []

    def climbs(logits, target):
        calls.append(1)
        return dice_and_cross_entropy(logits, target) * (1 if len(calls) < 12 else 4)

    with pytest.raises(TrainingError, match="diverged"):
        train(2, batch_size=1, num_epochs=20, validate_every=20, loss=climbs)


# --- log, weights, devices


def test_log_is_a_table_that_can_be_plotted(tmp_path):
    train(num_epochs=3, validate_every=2, run_dir=tmp_path)
    with (tmp_path / "log.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert header == [
        *("epoch", "learning_rate", "train_loss"),
        *("val_whole", "val_anterior", "val_posterior", "seconds", "note"),
    ]
    rows = read_log(tmp_path / "log.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3] and rows[0]["val_whole"] is None
    plot_log(tmp_path, tmp_path / "curves.png")
    from PIL import Image

    picture = np.asarray(Image.open(tmp_path / "curves.png").convert("L"))
    assert picture.shape[1] > 600 and 0.01 < (picture < 200).mean() < 0.5


def test_best_or_last_weights(tmp_path):
    options = {"count": 4, "num_epochs": 4, "learning_rate": 0.05, "run_dir": tmp_path}
    best, last = train(keep="best", **options), train(keep="last", **options)
    scores = [row["val_whole"] for row in best.history]
    _, state = read_run(tmp_path)
    assert state["best"]["whole"] == max(scores) and state["best"]["epoch"] == np.argmax(scores) + 1
    assert all(torch.equal(v, state["best"]["weights"][k]) for k, v in best.state_dict().items())
    assert all(torch.equal(v, state["ema"][k]) for k, v in last.state_dict().items())
    assert not best.training and best.dropout.p == 0.1


@pytest.mark.no_cover
def test_training_starts_from_given_weights(tmp_path):
    first = train(learning_rate=0.03, batch_size=1, num_epochs=6, validate_every=6)
    torch.save({k: v.half() for k, v in first.state_dict().items()}, tmp_path / "weights.pt")
    fresh, tuned, handed = (
        train(3, learning_rate=1e-6, num_epochs=1, init_from=source)
        for source in (None, tmp_path / "weights.pt", first)
    )
    assert tuned.history[0]["train_loss"] < 0.7 * fresh.history[0]["train_loss"]
    assert handed.history[0]["train_loss"] == pytest.approx(tuned.history[0]["train_loss"], rel=0.01)


@pytest.mark.no_cover
def test_mixed_precision_learns_the_same():
    full, mixed = (train(4, num_epochs=3, dropout=0.0, mixed_precision=m) for m in (False, True))
    assert all(value.dtype == torch.float32 for value in mixed.state_dict().values())
    assert mixed.history[-1]["train_loss"] == pytest.approx(full.history[-1]["train_loss"], rel=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_is_used_when_there_is_one():
    devices = []
    model = train(
        device="auto", loss=lambda a, b: devices.append(a.device.type) or dice_and_cross_entropy(a, b)
    )
    assert set(devices) == {"cuda"} and model.head.weight.device.type == "cpu"
