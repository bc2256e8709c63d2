"""Whole heads as material for the localisation network: label maps, and real heads with weak labels.

Arrays are (z, y, x) with x to the right, y anterior, z superior ("RAS" storage), so that an index
maps to LPS world mm by a diagonal matrix of the world axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..geometry.pose import WORLD_RAS, HeadPose, pose_from_hippocampi
from ..localization.coarse import GRID

LEFT, RIGHT = 17, 53
#: The first id of everything outside the skull's inner surface (skull, skin, eyes, ...).
EXTRACRANIAL_FROM = 502


@dataclass(frozen=True)
class LabelHead:
    """A whole-head label map: `labels` (z, y, x) uint8 indices into `ids`; `index_to_world` is the
    (3, 4) affine from (x, y, z) index to LPS mm; `pose` its hippocampal frame."""

    labels: np.ndarray
    ids: np.ndarray
    index_to_world: np.ndarray
    pose: HeadPose


@dataclass(frozen=True)
class WeakHead:
    """A real head with hippodeep's masks, on a 2 mm grid: `channels` (4, z, y, x) float32 holds the
    image in 0..1, then fractions of intracranial, left and right hippocampus, all averaged over
    a coarse voxel; the rest as in `LabelHead`."""

    channels: np.ndarray
    index_to_world: np.ndarray
    pose: HeadPose


def ras_image(image: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Array (z, y, x) stored towards right, anterior, superior, and its (3, 4) index-to-LPS affine."""
    image = sitk.DICOMOrient(image, "RAS")
    matrix = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    return sitk.GetArrayFromImage(image), np.column_stack([matrix, image.GetOrigin()])


def world_points(mask: np.ndarray, index_to_world: np.ndarray) -> np.ndarray:
    """LPS mm (n, 3) of the voxels of a (z, y, x) mask."""
    index = np.argwhere(mask)[:, ::-1]
    return index @ index_to_world[:, :3].T + index_to_world[:, 3]


def read_label_head(path: Path, ids: np.ndarray) -> LabelHead:
    """Read a head label map with FreeSurfer ids; `ids` lists, sorted, every id in use."""
    array, affine = ras_image(sitk.ReadImage(str(path)))
    index = np.searchsorted(ids, np.round(array).astype(np.int32)).astype(np.uint8)
    left, right = (world_points(index == np.searchsorted(ids, side), affine) for side in (LEFT, RIGHT))
    return LabelHead(index, ids, affine, pose_from_hippocampi(left, right, WORLD_RAS[:, 1]))


def read_weak_head(image_path: Path, weak_stem: Path) -> WeakHead:
    """Read a real head and its weak labels `<weak_stem>_{brain,left,right}.nii.gz` onto 2 mm."""
    image = sitk.ReadImage(str(image_path), sitk.sitkFloat32)
    masks = [
        sitk.ReadImage(f"{weak_stem}_{name}.nii.gz", sitk.sitkFloat32) for name in ("brain", "left", "right")
    ]
    # Probabilities come as 0-255 or 0-1: half the maximum is the threshold.
    masks = [sitk.Cast(m > 0.5 * float(sitk.GetArrayViewFromImage(m).max()), sitk.sitkFloat32) for m in masks]
    image = sitk.DICOMOrient(image, "RAS")
    size = [int(np.ceil(n * s / 2)) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    stack = []
    for volume in (image, *masks):
        volume = sitk.DICOMOrient(volume, "RAS")
        smooth = sitk.SmoothingRecursiveGaussian(
            volume, 0.4 * GRID.spacing
        )  # about the box of a coarse voxel
        stack.append(
            sitk.Resample(
                smooth,
                size,
                sitk.Transform(),
                sitk.sitkLinear,
                image.GetOrigin(),
                [2.0] * 3,
                image.GetDirection(),
            )
        )
    affine = ras_image(stack[0])[1]
    channels = np.stack([sitk.GetArrayFromImage(s) for s in stack])
    channels[0] = np.clip(channels[0] / np.percentile(channels[0][channels[1] > 0.5], 99.9), 0, 2)
    left, right = (world_points(channels[c] > 0.5, affine) for c in (2, 3))
    return WeakHead(channels.clip(0), affine, pose_from_hippocampi(left, right, WORLD_RAS[:, 1]))
