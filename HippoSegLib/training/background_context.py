"""Real anatomy for the surroundings of the training crops.

The labelled crops are tight boxes around one hippocampus; what the network meets in a head lies in
the middle of a brain. So crops are pasted into regions of unlabelled heads, cut around where a weak
label says the hippocampus is. Only the place is taken from the weak label, never its outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .data_splits import TRAIN_REAL_HEADS, real_head, weak_name

#: Size (z, y, x) in voxels of 1 mm: the model's region with room for shifts and rotations.
CONTEXT_SHAPE = (80, 88, 72)


@dataclass(frozen=True)
class BackgroundContext:
    """Surroundings of one hippocampus.

    Attributes:
        name: Head and side.
        image: float32 (z, y, x), ``CONTEXT_SHAPE`` at 1 mm, axes as :class:`~.cases.Case`, right sides
            mirrored, the centre of mass of the weak label in the middle; 0 outside the head's image.
    """

    name: str
    image: np.ndarray


def cut_region(
    image: sitk.Image, center: tuple[float, float, float], shape: tuple[int, int, int]
) -> np.ndarray:
    """Resample a box of 1 mm voxels about ``center`` (LPS mm), along the image's own axes in RAS order.

    Returns:
        float32 ``shape`` (z, y, x), x to the right, y anterior, z superior; 0 outside the image.
    """
    oriented = sitk.DICOMOrient(image, "RAS")
    direction = np.array(oriented.GetDirection()).reshape(3, 3)
    half = (np.array(shape[::-1]) - 1) / 2
    grid = sitk.Image([int(n) for n in shape[::-1]], sitk.sitkFloat32)
    grid.SetDirection(oriented.GetDirection())
    grid.SetOrigin((np.array(center) - direction @ half).tolist())
    out = sitk.Resample(sitk.Cast(oriented, sitk.sitkFloat32), grid, sitk.Transform(), sitk.sitkLinear, 0.0)
    return sitk.GetArrayFromImage(out)


def load_contexts(folder: str | Path, shape: tuple[int, int, int] = CONTEXT_SHAPE) -> list[BackgroundContext]:
    """Cut both sides out of the unlabelled heads that may train (``data_splits.TRAIN_REAL_HEADS``).

    Args:
        folder: ``heads_unlabelled`` with ``weak_labels`` inside.

    Raises:
        InputError: No such head is there, or one cannot be read.
    """
    folder, contexts = Path(folder), []
    for dataset, subject in TRAIN_REAL_HEADS:
        path, stem = real_head(folder, dataset, subject)
        if not path.exists():
            continue
        try:
            head = sitk.ReadImage(str(path), sitk.sitkFloat32)
            for side in ("left", "right"):
                weak = sitk.ReadImage(f"{stem}_{side}.nii.gz")
                region = cut_region(head, _center(weak), shape)
                if side == "right":
                    region = region[:, :, ::-1]
                name = f"{weak_name(dataset, subject)}_{side}"
                contexts.append(BackgroundContext(name, np.ascontiguousarray(region)))
        except RuntimeError as error:
            raise InputError(
                f"{path.name} of {dataset} or its weak labels cannot be read.", "Replace it."
            ) from error
    if not contexts:
        raise InputError(
            f"{folder} has none of the heads that may train.",
            "Leave them out, or name their folder.",
            "no_background",
        )
    return contexts


def _center(weak: sitk.Image) -> tuple[float, float, float]:
    """Return the centre of mass (LPS mm) of a weak label, thresholded at half its maximum."""
    array = sitk.GetArrayFromImage(weak)
    z, y, x = np.argwhere(array > array.max() / 2).mean(axis=0)
    return weak.TransformContinuousIndexToPhysicalPoint((float(x), float(y), float(z)))
