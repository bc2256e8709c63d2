"""From ROIs back to the scan's own grid: probability maps and the label map.

Arrays are (z, y, x); world coordinates are LPS mm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk

from ..labels import PART, WHOLE
from .orientation import StoredAxes
from .roi import Roi, index_box


def native_labels(
    head: sitk.Image,
    rois: Mapping[str, Roi],
    maps: Mapping[str, np.ndarray],
    parts: bool = False,
    stored: StoredAxes | None = None,
) -> sitk.Image:
    """The label map on the head's grid, or on the one it was stored on, uint16; the more probable side wins
    a voxel.

    Args:
        head: Gives the grid.
        rois: side -> ROI.
        maps: side -> (2, z, y, x) float32, probabilities of anterior and posterior on the ROI's grid.
        parts: Label anterior and posterior apart (`labels.PART`), else the whole (`labels.WHOLE`).
        stored: The way back from the head's grid; the label map is then as the scan was stored.
    """
    # Written through a view of turned axes, the label map is never held twice.
    grid = stored.image if stored else head
    array = np.zeros(grid.GetSize()[::-1], np.uint16)
    labels = stored.turned(array) if stored else array
    brought = _brought_back(head, rois, maps)
    for side, (where, (anterior, posterior)) in brought.items():
        whole = anterior + posterior
        mask = whole > 0.5
        for other, (there, theirs) in brought.items():
            if other != side:
                mask &= whole >= _seen_from(where, whole.shape, there, theirs.sum(axis=0))
        value: int | np.ndarray = WHOLE[side]
        if parts:
            value = np.where(anterior >= posterior, PART[side]["anterior"], PART[side]["posterior"])
        labels[where] = np.where(mask, value, labels[where])
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(grid)
    return image


def native_probabilities(
    head: sitk.Image, rois: Mapping[str, Roi], maps: Mapping[str, np.ndarray]
) -> dict[str, sitk.Image]:
    """side -> float32 probability of the whole hippocampus on the head's grid; arguments as above."""
    brought, kept = _brought_back(head, rois, maps), {}
    for side in rois:
        full = np.zeros(head.GetSize()[::-1], np.float32)
        if side in brought:
            full[brought[side][0]] = brought[side][1].sum(axis=0)
        kept[side] = sitk.GetImageFromArray(full)
        kept[side].CopyInformation(head)
    return kept


def _brought_back(
    head: sitk.Image, rois: Mapping[str, Roi], maps: Mapping[str, np.ndarray]
) -> dict[str, tuple[tuple[slice, ...], np.ndarray]]:
    brought = {side: to_image_grid(maps[side], roi, head) for side, roi in rois.items()}
    return {side: found for side, found in brought.items() if found is not None}


def _seen_from(where, shape, there, array: np.ndarray) -> np.ndarray:
    """The values of `array`, which fills the box `there`, in the box `where`; 0 where they do not meet."""
    result = np.zeros(shape, array.dtype)
    inner, outer = [], []
    for mine, theirs in zip(where, there, strict=True):
        start, stop = max(mine.start, theirs.start), min(mine.stop, theirs.stop)
        if start >= stop:
            return result
        inner.append(slice(start - mine.start, stop - mine.start))
        outer.append(slice(start - theirs.start, stop - theirs.start))
    result[tuple(inner)] = array[tuple(outer)]
    return result


def to_image_grid(
    probabilities: np.ndarray, roi: Roi, image: sitk.Image
) -> tuple[tuple[slice, ...], np.ndarray] | None:
    """Bring maps from a ROI onto the image's own grid.

    A voxel of the image larger than the ROI's gets the average over its extent, not the value at
    its centre, so that volumes do not depend on the image's resolution more than they must.

    Args:
        probabilities: (c, z, y, x) float32 on the ROI's grid.

    Returns:
        The slices (z, y, x) of the image's array that the ROI touches and (c, z, y, x) float32
        maps there; None if ROI and image do not meet.
    """
    box = index_box(image, roi, margin=0)
    if box is None:
        return None
    start, size = box
    repeat = [max(1, math.ceil(s / roi.spacing - 0.25)) for s in image.GetSpacing()]
    part = sitk.RegionOfInterest(image, size, start)
    spacing = np.array(part.GetSpacing())
    fine = spacing / repeat
    direction = np.array(part.GetDirection()).reshape(3, 3)
    # The first of `repeat` fine voxels lies half a fine step inside the coarse voxel's edge.
    origin = np.array(part.GetOrigin()) + direction @ ((fine - spacing) / 2)
    maps = []
    for array in probabilities:
        resampled = sitk.Resample(
            roi.image(array),
            [n * r for n, r in zip(size, repeat, strict=True)],
            sitk.Transform(),
            sitk.sitkLinear,
            origin.tolist(),
            fine.tolist(),
            direction.ravel().tolist(),
            0.0,
            sitk.sitkFloat32,
        )
        if max(repeat) > 1:
            resampled = sitk.BinShrink(resampled, repeat)
        maps.append(sitk.GetArrayFromImage(resampled))
    slices = tuple(slice(a, a + n) for a, n in zip(reversed(start), reversed(size), strict=True))
    return slices, np.stack(maps)
