"""Cases of the second teacher: complete labels of heads and crops on their own grids, brought to 1 mm.

Real heads and crops carry hippodeep's labels (`data_splits`): of the whole hippocampus, not of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .background_context import CONTEXT_SHAPE, cut_region
from .cases import WHOLE_ONLY, Case, subject_of
from .data_splits import SECOND_TEACHER, UNLABELLED_HEADS, real_head, weak_name
from .protocols import FULL


def labelled_case(name: str, image: sitk.Image, weak: sitk.Image, side: str) -> Case:
    """Cut the surroundings of one hippocampus out of an image of any grid.

    Args:
        name: Of the case; the subject is read from it.
        image: T1, float32.
        weak: The hippocampus of one side, of any range: half the maximum is its outline.
        side: A right one is mirrored.

    Returns:
        A case of `CONTEXT_SHAPE` about the hippocampus, 0 outside the image, with the protocol ``FULL``.
    """
    array = sitk.GetArrayViewFromImage(weak)
    top = float(array.max())
    z, y, x = np.argwhere(array > top / 2).mean(axis=0)
    centre = weak.TransformContinuousIndexToPhysicalPoint((float(x), float(y), float(z)))
    lowest = float(sitk.GetArrayViewFromImage(image).min())
    values = cut_region(image - lowest, centre, CONTEXT_SHAPE)
    label = cut_region(sitk.Cast(weak, sitk.sitkFloat32), centre, CONTEXT_SHAPE) > top / 2
    if side == "right":
        values, label = values[:, :, ::-1], label[:, :, ::-1]
    label = np.where(label, WHOLE_ONLY, 0).astype(np.uint8)
    return Case(name, subject_of(name), np.ascontiguousarray(values), np.ascontiguousarray(label), FULL)


def second_teacher(data: Path) -> list[Case]:
    """Read every crop of the second teacher below the data folder, sorted by name.

    Raises:
        InputError: There is none, or one cannot be read.
    """
    folder = data / SECOND_TEACHER
    paths = sorted((folder / "images").glob("*.nii.gz"))
    if not paths:
        raise InputError(f"{folder} has no crops.", "Name the folder that holds the training data.")
    return [
        _read(path, folder / "labels" / path.name, path.name.split(".")[0], "right" in path.name)
        for path in paths
    ]


def weak_heads(data: Path, heads: Sequence[tuple[str, str]]) -> list[Case]:
    """Read both sides of unlabelled heads (dataset, subject) with their weak labels.

    Raises:
        InputError: One cannot be read.
    """
    cases = []
    for dataset, subject in heads:
        path, stem = real_head(data / UNLABELLED_HEADS, dataset, subject)
        for side in ("left", "right"):
            label = Path(f"{stem}_{side}.nii.gz")
            cases.append(_read(path, label, f"{weak_name(dataset, subject)}_{side}", side == "right"))
    return cases


def _read(image: Path, label: Path, name: str, right: bool) -> Case:
    try:
        scan, weak = sitk.ReadImage(str(image), sitk.sitkFloat32), sitk.ReadImage(str(label))
    except RuntimeError as error:
        raise InputError(f"{image.name} or its label cannot be read.", "Replace the damaged file.") from error
    return labelled_case(name, scan, weak, "right" if right else "left")
