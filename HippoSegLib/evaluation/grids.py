"""Bringing a segmentation onto the grid of the reference, and refusing pairs that do not share a world.

The comparison takes place on the reference's own grid, so that the reference is never interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..labels import PART, PARTS, SIDES
from .labelmap import LabelMap

#: Grids whose corners differ by less than this part of a voxel are the same.
_SAME = 0.01
#: Grids of the same size and voxel size whose middles are further apart than this do not belong together, mm.
_APART_MM = 2.0
#: At least this part of one side's reference must lie within the scan's field of view.
_WITHIN = 0.5


def same_grid(a: sitk.Image, b: sitk.Image) -> bool:
    """Whether the voxels of two images lie at the same places, in the same order."""
    if a.GetSize() != b.GetSize():
        return False
    distance = np.linalg.norm(_corners(a) - _corners(b), axis=1).max()
    return bool(distance <= _SAME * min(a.GetSpacing()))


def _corners(image: sitk.Image) -> np.ndarray:
    """(8, 3) LPS mm of the centres of the corner voxels."""
    last = np.array(image.GetSize()) - 1
    return np.array(
        [image.TransformIndexToPhysicalPoint((np.array(c) * last).tolist()) for c in np.ndindex(2, 2, 2)]
    )


def refuse_other_world(
    image: sitk.Image, reference: sitk.Image, masks: Mapping[str, np.ndarray], what: str, label: str
) -> None:
    """Refuse a reference that does not lie on the image in world space.

    Args:
        image: The scan, or the result that stands in its place.
        reference: The label image.
        masks: Structure -> (z, y, x) bool on the reference's grid.
        what: "scan" or "result", for the message.
        label: File name of the label image, for the message.

    Raises:
        InputError: The two have the same voxels but lie apart (a header that was lost or changed), or most
            of every structure lies outside the image's field of view.
    """
    remedy = f"Give the labels that were drawn on this {what}, saved with its geometry."
    alike = image.GetSize() == reference.GetSize() and np.allclose(
        image.GetSpacing(), reference.GetSpacing(), rtol=0.01
    )
    apart = np.linalg.norm(_corners(image).mean(axis=0) - _corners(reference).mean(axis=0))
    if alike and apart > _APART_MM:
        raise InputError(
            f"'{label}' has the {what}'s voxels but lies {apart:.0f} mm away from it in world space.", remedy
        )
    parts = [_part_within(image, reference, mask) for mask in masks.values() if mask.any()]
    if parts and max(parts) < _WITHIN:
        raise InputError(f"The hippocampus in '{label}' lies outside the {what} in world space.", remedy)


def _part_within(image: sitk.Image, reference: sitk.Image, mask: np.ndarray) -> float:
    """Which part of a mask on the reference's grid lies within the image's field of view."""
    index = np.argwhere(mask)[:, ::-1]
    world = index @ _matrix(reference).T + np.array(reference.GetOrigin())
    there = (world - np.array(image.GetOrigin())) @ np.linalg.inv(_matrix(image)).T
    inside = (there >= -0.5) & (there <= np.array(image.GetSize()) - 0.5)
    return float(inside.all(axis=1).mean())


def _matrix(image: sitk.Image) -> np.ndarray:
    return np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())


def _onto(image: sitk.Image, reference: sitk.Image) -> np.ndarray:
    """(z, y, x) float32 of an image, linear, on the reference's grid; 0 outside the image."""
    resampled = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    return sitk.GetArrayFromImage(resampled)


def masks_of_probabilities(
    labels: sitk.Image, probabilities: Mapping[str, sitk.Image], reference: sitk.Image
) -> dict[str, np.ndarray]:
    """Masks on the reference's grid from probabilities on another: linear interpolation, more than 0.5.

    Args:
        labels: Label image with HippoSeg's values, with parts where those are wanted.
        probabilities: side -> probability of the whole hippocampus, on the grid of `labels`.
        reference: Its grid is the target.

    Returns:
        Structure -> (z, y, x) bool. Between sides the more probable wins; a voxel's part is that of the
        labels around it with the larger interpolated share.
    """
    maps = {side: _onto(p, reference) for side, p in probabilities.items()}
    masks = {}
    for side, p in maps.items():
        others = [q for name, q in maps.items() if name != side]
        masks[side] = (p > 0.5) & np.logical_and.reduce([p > q for q in others], axis=0)
    array = sitk.GetArrayViewFromImage(labels)
    for side in SIDES:
        if side not in masks or not np.isin(array, list(PART[side].values())).any():
            continue
        anterior, posterior = (
            _onto(_image_like(array == PART[side][part], labels), reference) for part in PARTS
        )
        masks[f"{side}-anterior"] = masks[side] & (anterior >= posterior)
        masks[f"{side}-posterior"] = masks[side] & (anterior < posterior)
    return masks


def masks_of_labels(labels: sitk.Image, meaning: LabelMap, reference: sitk.Image) -> dict[str, np.ndarray]:
    """Structure -> (z, y, x) bool on the reference's grid, from a label image.

    On the same grid the voxels are taken as they are; from another one each structure's mask is
    interpolated linearly and cut at 0.5.
    """
    array = sitk.GetArrayViewFromImage(labels)
    masks = {name: meaning.mask(array, name) for name in meaning.structures}
    if same_grid(labels, reference):
        return masks
    return {name: _onto(_image_like(mask, labels), reference) > 0.5 for name, mask in masks.items()}


def _image_like(mask: np.ndarray, grid: sitk.Image) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.astype(np.float32))
    image.CopyInformation(grid)
    return image
