"""Which scans train, which teach through weak labels, and which only ever test: the one list of it.

Nothing is judged on what it learned from. Everything here is named relative to the data folder; every
list another module or a test needs comes from here, and a benchmark measures on what is named as test.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TypeVar

AnyPath = TypeVar("AnyPath", Path, PurePosixPath)

#: Labelled crops of one hippocampus. All may train; which of them are held out is a matter of the fold,
#: always by subject (`cases.split_by_subject`), and a model's card names its own.
CROPS = "msd_hippocampus"

#: Whole-head label maps, from which heads are synthesised: files `training_seg_<name>.nii.gz`.
LABEL_MAPS = "head_label_maps"
TEST_LABEL_MAPS = ("05", "12", "18", "20")
#: Its left hippocampus is truncated, which would tilt its frame.
EXCLUDED_LABEL_MAPS = ("07",)
TRAIN_LABEL_MAPS = tuple(
    f"{i:02d}" for i in range(1, 21) if f"{i:02d}" not in TEST_LABEL_MAPS + EXCLUDED_LABEL_MAPS
)

#: Crops of one hippocampus each, of other heads, with hippodeep's labels, which are complete. All may train;
#: which of them are held out is a matter of the fold, always by subject.
SECOND_TEACHER = "second_teacher"

#: Real heads (dataset, subject) without truth, each with hippodeep's output as its weak label.
UNLABELLED_HEADS = "heads_unlabelled"
TRAIN_REAL_HEADS = tuple(("ds000011", f"sub-{i:02d}") for i in range(1, 8)) + tuple(
    ("ds002748_stripped", f"sub-{i:02d}") for i in range(1, 6)
)
TEST_REAL_HEADS = tuple(("ds000011", f"sub-{i:02d}") for i in range(8, 11)) + tuple(
    ("ds002748_stripped", f"sub-{i:02d}") for i in range(6, 9)
)
#: Weak labels of a dataset begin with this.
WEAK_PREFIX = {"ds000011": "ds11", "ds002748_stripped": "ds2748"}

#: What both networks of the localiser learn from, as the model's card says it.
LOCALISER_SOURCES = {
    "head_label_maps (Apache-2.0)": list(TRAIN_LABEL_MAPS),
    "heads_unlabelled (PDDL, CC0) with weak labels by hippodeep (MIT)": [
        "/".join(key) for key in TRAIN_REAL_HEADS
    ],
}

#: The independent manual labels. They are measured against: nothing is trained, chosen or tuned by them.
LABELLED_HEADS = "heads_labelled_evaluation_only"
#: Folders of which nothing trains.
TEST_FOLDERS = (LABELLED_HEADS, "sample_heads", "dicom_head")


def weak_name(dataset: str, subject: str) -> str:
    """What the weak labels of a real head call it, such as ``ds11_sub-01``."""
    return f"{WEAK_PREFIX[dataset]}_{subject}"


def real_head(heads: AnyPath, dataset: str, subject: str) -> tuple[AnyPath, AnyPath]:
    """Where a real head lies below the folder ``heads_unlabelled``.

    Returns:
        Its image, and the stem of its weak labels (``<stem>_left.nii.gz``, ``_right``, ``_brain``).
    """
    weak = heads / "weak_labels" / f"{weak_name(dataset, subject)}_T1w"
    return heads / dataset / f"{subject}_T1w.nii.gz", weak


def may_train(path: str | PurePosixPath) -> bool:
    """Whether a training may learn from a file, named relative to the data folder.

    The intensity priors of the label maps are no scans; they serve training and test alike.
    """
    path = PurePosixPath(path)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return False
    if path.parts[0] in (CROPS, SECOND_TEACHER) or path.parts[:2] == (LABEL_MAPS, "labels_classes_priors"):
        return True
    allowed = {PurePosixPath(LABEL_MAPS, f"training_seg_{name}.nii.gz") for name in TRAIN_LABEL_MAPS}
    for key in TRAIN_REAL_HEADS:
        image, weak = real_head(PurePosixPath(UNLABELLED_HEADS), *key)
        allowed |= {image} | {weak.with_name(f"{weak.name}_{k}.nii.gz") for k in ("left", "right", "brain")}
    return path in allowed
