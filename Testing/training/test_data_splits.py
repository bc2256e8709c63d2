"""Who trains and who only tests, held apart: in the lists, in what trainings open, in the model's card."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.training import background_context, data_splits
from HippoSegLib.training.cases import load_cases, subject_of
from HippoSegLib.training.localizer import HeadSource
from HippoSegLib.training.refiner import LookSource

CARDS = sorted((Path(__file__).resolve().parents[2] / "Resources" / "Models").glob("*/card.json"))

# What the data's own description allows, written down here a second time.
MAY_TRAIN = [f"ds000011/sub-{i:02d}" for i in (1, 2, 3, 4, 5, 6, 7)]
MAY_TRAIN += [f"ds002748_stripped/sub-{i:02d}" for i in (1, 2, 3, 4, 5)]
ONLY_TEST = [f"ds000011/sub-{i:02d}" for i in (8, 9, 10)]
ONLY_TEST += [f"ds002748_stripped/sub-{i:02d}" for i in (6, 7, 8)]
MAPS_KEPT_APART = ("05", "12", "18", "20")
SHORT = {"ds000011": "ds11", "ds002748_stripped": "ds2748"}

#: Below the data folder, forbidden to every training.
FORBIDDEN = [f"heads_unlabelled/{head}_T1w.nii.gz" for head in ONLY_TEST]
FORBIDDEN += [
    f"heads_unlabelled/weak_labels/{SHORT[head.split('/')[0]]}_{head.split('/')[1]}_T1w_{what}.nii.gz"
    for head in ONLY_TEST
    for what in ("left", "right", "brain")
]
FORBIDDEN += [f"heads_unlabelled/weak_labels/{name}_left.nii.gz" for name in ("myconnectome_T1", "lowres_T1")]
FORBIDDEN += [f"head_label_maps/training_seg_{name}.nii.gz" for name in MAPS_KEPT_APART]
FORBIDDEN += [
    "heads_labelled_evaluation_only/1000_SS.nii.gz",
    "heads_labelled_evaluation_only/1000_glm.nii.gz",
]
FORBIDDEN += ["heads_labelled_evaluation_only/peer_hippodeep.csv"]
FORBIDDEN += ["sample_heads/myconnectome_T1.nii.gz", "dicom_head/series/1.dcm"]


def _write(path: Path, array: np.ndarray, spacing: float = 8.0) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([spacing] * 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def data_copy(tmp_path_factory) -> Path:
    """The data folder's structure with tiny made-up scans; what is forbidden is there, and no image."""
    data = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    shape = (20, 24, 20)
    masks = {name: np.zeros(shape, np.uint8) for name in ("brain", "left", "right")}
    masks["brain"][3:17, 3:21, 3:17] = 1
    masks["left"][8:10, 9:14, 12:14] = 1
    masks["right"][8:10, 9:14, 6:8] = 1
    head = (100 * masks["brain"] + rng.normal(20, 5, shape)).astype(np.float32)
    for name in MAY_TRAIN:
        dataset, subject = name.split("/")
        _write(data / "heads_unlabelled" / f"{name}_T1w.nii.gz", head)
        for what, mask in masks.items():
            weak = f"{SHORT[dataset]}_{subject}_T1w_{what}.nii.gz"
            _write(data / "heads_unlabelled" / "weak_labels" / weak, mask)
    labels = np.where(masks["left"], 17, np.where(masks["right"], 53, np.where(masks["brain"], 2, 0)))
    for i in range(1, 21):
        _write(data / "head_label_maps" / f"training_seg_{i:02d}.nii.gz", labels.astype(np.int32))
    priors = data / "head_label_maps" / "labels_classes_priors"
    priors.mkdir()
    np.save(priors / "generation_labels.npy", np.array([0, 2, 17, 53]))
    np.save(priors / "generation_classes_contrast_specific.npy", np.array([0, 1, 2, 2]))
    for name in ("means", "stds"):
        np.save(priors / f"prior_{name}_t1.npy", np.full((2, 3), 10.0))
    for i in (1, 2):
        crop = rng.normal(500, 60, (9, 9, 9)).astype(np.float32)
        _write(data / "msd_hippocampus" / "images" / f"hippocampus_{i:03d}.nii.gz", crop, 1.0)
        label = np.zeros((9, 9, 9), np.uint8)
        label[3:6, 3:6, 3:6] = 1
        _write(data / "msd_hippocampus" / "labels" / f"hippocampus_{i:03d}.nii.gz", label, 1.0)
    for name in FORBIDDEN:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"whoever reads this fails")
    return data


def read_by_trainings(data: Path, monkeypatch) -> set[str]:
    """What everything that feeds a training opens, by Python or by SimpleITK, relative to the data."""
    opened, read_image = set(), sitk.ReadImage

    def note(path) -> None:
        path = Path(str(path))
        if path.is_absolute() and data in path.parents and path.suffix:
            opened.add(path.relative_to(data).as_posix())

    def reading(path, *more):
        for one in path if isinstance(path, (list, tuple)) else [path]:
            note(one)
        return read_image(path, *more)

    watching = True

    def hook(event, arguments):
        if watching and event == "open" and isinstance(arguments[0], (str, bytes)):
            note(arguments[0] if isinstance(arguments[0], str) else arguments[0].decode())

    sys.addaudithook(hook)  # cannot be taken off again: it is told to look away
    monkeypatch.setattr(sitk, "ReadImage", reading)
    source = HeadSource(data)
    assert len(source.label_heads) == 15 and len(source.real_heads) == len(MAY_TRAIN)
    looks = LookSource(data)
    assert len(looks.labelled) == 2 * 15 and len(looks.real) == 2 * len(MAY_TRAIN)
    assert len(background_context.load_contexts(data / "heads_unlabelled", (9, 9, 9))) == 2 * len(MAY_TRAIN)
    assert len(load_cases(data / "msd_hippocampus")) == 2
    watching = False
    return opened


def expected(data: Path) -> set[str]:
    """Every image of the copy that is not forbidden, and the priors."""
    files = {p.relative_to(data).as_posix() for p in data.rglob("*") if p.is_file()}
    return files - set(FORBIDDEN) - {"head_label_maps/training_seg_07.nii.gz"}


def test_trainings_open_what_may_train_and_nothing_else(data_copy, monkeypatch):
    opened = read_by_trainings(data_copy, monkeypatch)
    assert opened == expected(data_copy)
    assert all(data_splits.may_train(path) for path in opened)


def test_trainings_run_where_the_test_scans_are_absent(data_copy, tmp_path, monkeypatch):
    data = shutil.copytree(data_copy, tmp_path / "data")
    for name in FORBIDDEN:
        (data / name).unlink()
    assert read_by_trainings(data, monkeypatch) == expected(data)


def test_what_only_tests_may_not_train():
    for name in FORBIDDEN:
        assert not data_splits.may_train(name), name
    for name in (
        "",
        "/data/msd_hippocampus/images/hippocampus_001.nii.gz",
        "msd_hippocampus/../sample_heads/a",
    ):
        assert not data_splits.may_train(name), name


def test_the_lists_do_not_overlap():
    assert {"/".join(key) for key in data_splits.TRAIN_REAL_HEADS} == set(MAY_TRAIN)
    assert {"/".join(key) for key in data_splits.TEST_REAL_HEADS} == set(ONLY_TEST)
    lists = (data_splits.TRAIN_LABEL_MAPS, data_splits.TEST_LABEL_MAPS, data_splits.EXCLUDED_LABEL_MAPS)
    assert sorted(sum(lists, ())) == [f"{i:02d}" for i in range(1, 21)]
    assert data_splits.TEST_LABEL_MAPS == MAPS_KEPT_APART
    assert {"heads_labelled_evaluation_only", "sample_heads", "dicom_head"} <= set(data_splits.TEST_FOLDERS)


def test_every_real_scan_has_one_role(data_dir):
    present = {
        f"{p.parent.name}/{p.name.removesuffix('_T1w.nii.gz')}"
        for p in (data_dir / "heads_unlabelled").glob("ds*/*.nii.gz")
    }
    assert present == set(MAY_TRAIN) | set(ONLY_TEST)
    folders = {p.name for p in data_dir.iterdir() if p.is_dir()}
    train = {
        data_splits.CROPS,
        data_splits.SECOND_TEACHER,
        data_splits.LABEL_MAPS,
        data_splits.UNLABELLED_HEADS,
    }
    assert folders - train - {"templates"} == set(data_splits.TEST_FOLDERS)


def trained_on(card) -> list[tuple[str, list[str]]]:
    """Every (source, names) of a ``trained_on`` anywhere in a card."""
    if not isinstance(card, dict):
        return []
    found = [pair for value in card.values() for pair in trained_on(value)]
    return found + list(card.get("trained_on", {}).items())


@pytest.mark.parametrize("path", CARDS, ids=lambda p: p.parent.name)
def test_the_shipped_card_obeys(path):
    card = json.loads(path.read_text(encoding="utf-8"))
    segmenter, localizer = card["segmenter"]["training"], card["localizer"]
    train, held = (segmenter[name] for name in ("train_cases", "validation_cases"))
    teachers = [name for name in train if not re.fullmatch(r"hippocampus_\d{3}", name)]
    assert train and all(re.fullmatch(r"hippocampus_\d{3}", name) for name in held)
    assert not {subject_of(name) for name in train} & {subject_of(name) for name in held}
    allowed = {
        f"{SHORT[d]}_{s}_{side}" for d, s in (n.split("/") for n in MAY_TRAIN) for side in ("left", "right")
    }
    # The second teacher's: its own heads, and the weak labels of the heads that may train.
    own = {f"ds2748_sub-{number:02d}_{side}" for number in range(9, 41) for side in ("left", "right")}
    drawn = {name for name in teachers if name.startswith("labelmap_")}
    maps = {name.split("_")[1] for name in drawn}
    assert maps <= {f"{number:02d}" for number in range(1, 21)} - {*MAPS_KEPT_APART, "07"}
    assert set(teachers) - drawn <= allowed | own
    contexts = segmenter.get("background_context", segmenter.get("hosts"))  # the older name
    assert contexts and set(contexts) <= allowed
    stated = list(trained_on(card))
    assert stated and any(source.startswith("head_label_maps") for source, _ in stated)
    for source, names in stated:
        folder = source.split()[0]
        assert folder in ("head_label_maps", "heads_unlabelled", "msd_hippocampus"), source
        if folder == "head_label_maps":
            assert names and not set(names) & {*MAPS_KEPT_APART, "07"}
        elif folder == "heads_unlabelled":
            assert names and set(names) <= set(MAY_TRAIN)
    assert set(localizer["synthetic_heads_from_unseen_label_maps"]["label_maps"]) <= set(MAPS_KEPT_APART)
