"""Labelled crops of one hippocampus, and their split by subject."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, TrainingError
from .protocols import MSD, LabelProtocol

#: Label values of the data and classes of the network: background, anterior, posterior.
CLASSES = 3

#: Label of a voxel known to be hippocampus, of a part that is not known: no class of the network.
WHOLE_ONLY = 3
#: Label of a voxel known to be hippocampus that MSD's protocol leaves out.
BEYOND_ONLY = 4


@dataclass(frozen=True)
class Case:
    """One labelled crop, with the geometry of a left hippocampus.

    Attributes:
        name: Case id, such as ``hippocampus_001``.
        subject: Subject id; both sides of one person share it.
        image: float32 (z, y, x) at 1 mm, x to the right, y anterior, z superior, shifted so that its
            minimum is 0, the value crops are padded with.
        label: uint8, same shape: 0 background, 1 anterior, 2 posterior; in fine-tuning also
            ``WHOLE_ONLY``, and where two protocols are learned ``BEYOND_ONLY``.
        protocol: What the label's values say; only a network that knows several protocols needs it.
    """

    name: str
    subject: str
    image: np.ndarray
    label: np.ndarray
    protocol: LabelProtocol = MSD


def make_case(
    name: str, subject: str, image: sitk.Image | np.ndarray, label: sitk.Image | np.ndarray
) -> Case:
    """Check one pair and bring it to the form of :class:`Case`.

    Images are re-stored with x to the right, y anterior, z superior by their direction cosines;
    arrays are taken as they are.

    Raises:
        TrainingError: The pair is not 3D, not of one shape, not finite or constant, the image is not
            stored at 1 mm, or the label has other values than 0, 1 and 2, or none above 0.
    """
    arrays = []
    for what, volume in (("image", image), ("label", label)):
        if isinstance(volume, sitk.Image):
            if volume.GetDimension() != 3 or volume.GetNumberOfComponentsPerPixel() != 1:
                raise TrainingError(
                    f"The {what} of case {name} is not a 3D volume.", "Give 3D crops of one hippocampus."
                )
            if max(abs(s - 1) for s in volume.GetSpacing()) > 0.05:
                raise TrainingError(
                    f"The {what} of case {name} is not at 1 mm.", "Resample the crops to 1 mm first."
                )
            volume = sitk.GetArrayFromImage(sitk.DICOMOrient(volume, "RAS"))
        arrays.append(np.asarray(volume))
    values, labels = arrays
    if values.ndim != 3 or values.shape != labels.shape:
        raise TrainingError(
            f"Image and label of case {name} have shapes {values.shape} and {labels.shape}.",
            "Give 3D pairs of one shape.",
        )
    if not np.isfinite(values).all() or values.min() == values.max():
        raise TrainingError(
            f"The image of case {name} is constant or not finite.", "Repair or leave out the case."
        )
    present = set(np.unique(labels).tolist())
    if not present <= {0, 1, 2} or present == {0}:
        raise TrainingError(
            f"The label of case {name} does not mark a hippocampus with 1 (anterior) and 2 (posterior).",
            "Relabel or leave out the case.",
        )
    image = values.astype(np.float32)
    return Case(name, str(subject), image - image.min(), np.ascontiguousarray(labels, np.uint8))


def subject_of(name: str) -> str:
    """Return the subject of a case of the Medical Segmentation Decathlon's Task04.

    Ids 2k-1 and 2k are the two sides of one subject. A name of another form is its own subject,
    except that an ending in left/right (or lh/rh, l/r) after a separator is taken off.
    """
    match = re.fullmatch(r"hippocampus_(\d+)", name)
    if match:
        return f"subject_{(int(match[1]) + 1) // 2:03d}"
    return re.sub(r"[._-](left|right|lh|rh|l|r)$", "", name, flags=re.IGNORECASE)


def load_cases(folder: str | Path) -> list[Case]:
    """Read ``folder/images/*`` with the labels of the same names in ``folder/labels``, sorted by name.

    Raises:
        InputError: The folder has no images, a label is missing, or a file cannot be read.
        TrainingError: See :func:`make_case`.
    """
    folder = Path(folder)
    paths = sorted(
        p for p in (folder / "images").glob("*") if p.name.endswith((".nii.gz", ".nii", ".nrrd", ".mha"))
    )
    paths = [p for p in paths if not p.name.startswith(".")]
    if not paths:
        raise InputError(
            f"{folder} has no images to train on.",
            "Give a folder with images/ and labels/, files of the same names.",
        )
    cases = []
    for path in paths:
        label_path = folder / "labels" / path.name
        if not label_path.exists():
            raise InputError(
                f"{path.name} has no label.", f"Put a label of the same name into {folder / 'labels'}."
            )
        try:
            image, label = sitk.ReadImage(str(path)), sitk.ReadImage(str(label_path))
        except RuntimeError as error:
            raise InputError(
                f"{path.name} or its label cannot be read.", "Replace the damaged file."
            ) from error
        name = path.name.split(".")[0]
        cases.append(make_case(name, subject_of(name), image, label))
    return cases


def split_by_subject(subjects: Sequence[str], folds: int, seed: int = 0) -> list[list[int]]:
    """Deal cases into folds so that all cases of one subject are in one fold.

    Args:
        subjects: Subject id per case.
        folds: Number of folds, 2 or more.
        seed: Same seed, same folds, whatever the order of the cases.

    Returns:
        For each fold the sorted indices of its cases; folds differ by at most one subject.

    Raises:
        TrainingError: Fewer subjects than folds.
    """
    unique = sorted(set(map(str, subjects)))
    if folds < 2 or len(unique) < folds:
        raise TrainingError(
            f"{len(unique)} subjects cannot be split into {folds} folds.",
            "Use at least 2 folds and a subject for each.",
        )
    order = np.random.default_rng(seed).permutation(len(unique))
    fold_of = {unique[k]: position % folds for position, k in enumerate(order)}
    return [[i for i, s in enumerate(subjects) if fold_of[str(s)] == fold] for fold in range(folds)]


def hold_out(subjects: Sequence[str], fraction: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """Split case indices into (training, validation) by subject, about ``fraction`` of the subjects held out.

    Raises:
        TrainingError: There are fewer than two subjects, or the fraction is not between 0 and 1.
    """
    unique = sorted(set(map(str, subjects)))
    if not 0 < fraction < 1:
        raise TrainingError(
            f"A validation fraction of {fraction} is impossible.", "Use a value between 0 and 1."
        )
    if len(unique) < 2:
        raise TrainingError(
            "All cases are of one subject, so none can be held out for validation.",
            "Add cases of other subjects, or give validation cases.",
        )
    count = min(max(1, round(fraction * len(unique))), len(unique) - 1)
    order = np.random.default_rng(seed).permutation(len(unique))
    held = {unique[k] for k in order[:count]}
    train = [i for i, s in enumerate(subjects) if str(s) not in held]
    return train, [i for i, s in enumerate(subjects) if str(s) in held]


def fit(array: np.ndarray, shape: Iterable[int], value: float = 0) -> np.ndarray:
    """Crop or pad ``array`` (z, y, x) about its centre to ``shape``, padding with ``value``."""
    shape = tuple(shape)
    result = np.full(shape, value, dtype=array.dtype)
    source, target = [], []
    for have, want in zip(array.shape, shape, strict=True):
        size = min(have, want)
        source.append(slice((have - size) // 2, (have - size) // 2 + size))
        target.append(slice((want - size) // 2, (want - size) // 2 + size))
    result[tuple(target)] = array[tuple(source)]
    return result
