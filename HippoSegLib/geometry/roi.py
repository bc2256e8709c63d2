"""The region of interest (ROI) of one hippocampus, and the crop of the head on it.

A ROI is a small isotropic grid in the head's own axes: x to the right, y anterior, z superior
for the left hippocampus; x to the left for the right one, so that the network always sees a left
hippocampus. The mirror lies in the grid's direction matrix (a left-handed one), so that the same
resampling crops and brings back, and geometry says everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Roi:
    """Grid of one hippocampus: `size` in voxels (x, y, z), `spacing` mm; the rest as in SimpleITK."""

    side: str
    size: tuple[int, int, int]
    spacing: float
    origin: tuple[float, float, float]
    direction: tuple[float, ...]

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) LPS mm per voxel step, columns x, y, z."""
        return np.array(self.direction).reshape(3, 3) * self.spacing

    def point(self, index_xyz) -> np.ndarray:
        """LPS mm of a continuous index (x, y, z)."""
        return self.matrix @ np.asarray(index_xyz, float) + np.array(self.origin)

    def image(self, array: np.ndarray) -> sitk.Image:
        """A (z, y, x) array as an image on this grid."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing([self.spacing] * 3)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image


def roi_about(centre, axes: np.ndarray, side: str, size_zyx, spacing: float = 1.0) -> Roi:
    """Region whose middle is `centre` (LPS mm), along `axes` (columns right, anterior, superior in LPS)."""
    direction = np.array(axes, float)
    if side == "right":
        direction[:, 0] *= -1
    depth, height, width = (int(n) for n in size_zyx)
    size = (width, height, depth)
    origin = np.asarray(centre, float) - direction @ ((np.array(size) - 1) / 2 * spacing)
    return Roi(side, size, float(spacing), tuple(origin.tolist()), tuple(direction.ravel().tolist()))


def index_box(image: sitk.Image, roi: Roi, margin: float) -> tuple[list[int], list[int]] | None:
    """Start and size (x, y, z) of the part of `image` around the ROI, or None if they do not meet."""
    size = np.array(roi.size)
    corners = [roi.point((np.array(c) * size) - 0.5) for c in np.ndindex(2, 2, 2)]
    index = np.array([image.TransformPhysicalPointToContinuousIndex(c.tolist()) for c in corners])
    start = np.maximum(np.floor(index.min(axis=0) - margin), 0).astype(int)
    stop = np.minimum(np.ceil(index.max(axis=0) + margin) + 1, image.GetSize()).astype(int)
    if (stop <= start).any():
        return None
    return start.tolist(), (stop - start).tolist()


def crop(image: sitk.Image, roi: Roi) -> np.ndarray:
    """The image on the ROI's grid, trilinear; voxels finer than the ROI's are averaged first.

    Returns:
        (z, y, x) float32; 0 outside the image's field of view.
    """
    box = index_box(image, roi, margin=3)
    if box is None:
        return np.zeros(roi.size[::-1], np.float32)
    part = sitk.Cast(sitk.RegionOfInterest(image, box[1], box[0]), sitk.sitkFloat32)
    factors = [
        max(1, min(math.floor(roi.spacing / s + 0.25), n))
        for s, n in zip(part.GetSpacing(), part.GetSize(), strict=True)
    ]
    if max(factors) > 1:
        part = sitk.BinShrink(part, factors)
    return sitk.GetArrayFromImage(_resample(part, roi))


def _resample(image: sitk.Image, roi: Roi) -> sitk.Image:
    return sitk.Resample(
        image,
        list(roi.size),
        sitk.Transform(),
        sitk.sitkLinear,
        list(roi.origin),
        [roi.spacing] * 3,
        list(roi.direction),
        0.0,
        sitk.sitkFloat32,
    )


def coverage(image: sitk.Image, roi: Roi) -> np.ndarray:
    """(z, y, x) bool: which voxels of the ROI lie within the image's field of view."""
    affine = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    inverse = np.linalg.inv(affine)
    step = inverse @ roi.matrix
    start = inverse @ (np.array(roi.origin) - np.array(image.GetOrigin()))
    x, y, z = (np.arange(n, dtype=np.float32) for n in roi.size)
    inside = np.ones(roi.size[::-1], bool)
    for axis, n in enumerate(image.GetSize()):
        index = (
            start[axis]
            + step[axis, 0] * x
            + (step[axis, 1] * y)[:, None]
            + (step[axis, 2] * z)[:, None, None]
        )
        inside &= (index >= -0.5) & (index <= n - 0.5)
    return inside


def whole_image_roi(
    head: sitk.Image, side: str, spacing: float, least_size_zyx: Sequence[int], divisor: int
) -> Roi:
    """ROI over a whole crop, along the image's own axes, in sizes that a network can halve.

    Where the crop has the ROI's spacing already, voxels fall on voxels and nothing is interpolated.

    Args:
        head: The crop, in canonical axes.
        spacing: Of the ROI, mm.
        least_size_zyx: Least size of the ROI in voxels (z, y, x).
        divisor: Sizes are multiples of it.
    """
    scale = spacing / np.array(head.GetSpacing())
    extent = np.array(head.GetSize()) / scale
    size = np.maximum(np.ceil(np.round(extent, 3) / divisor) * divisor, np.array(least_size_zyx)[::-1])
    first = -np.floor((size - extent) / 2)
    last = first + size - 1
    corners = [head.TransformContinuousIndexToPhysicalPoint((c * scale).tolist()) for c in (first, last)]
    axes = np.array(head.GetDirection()).reshape(3, 3)
    return roi_about(np.mean(corners, axis=0), axes, side, size[::-1], spacing)
