"""The region of one hippocampus: cut out of the head, and its result laid back on the head's grid.

A region is a small isotropic grid in the head's own axes: x to the right, y anterior, z superior
for the left hippocampus; x to the left for the right one, so that the network always sees a left
hippocampus. The mirror lies in the grid's direction matrix (a left-handed one), so that the same
resampling cuts out and lays back, and geometry says everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Region:
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


def region_about(centre, axes: np.ndarray, side: str, size_zyx, spacing: float = 1.0) -> Region:
    """Region whose middle is `centre` (LPS mm), along `axes` (columns right, anterior, superior in LPS)."""
    direction = np.array(axes, float)
    if side == "right":
        direction[:, 0] *= -1
    size = tuple(int(n) for n in reversed(tuple(size_zyx)))
    origin = np.asarray(centre, float) - direction @ ((np.array(size) - 1) / 2 * spacing)
    return Region(side, size, float(spacing), tuple(origin.tolist()), tuple(direction.ravel().tolist()))


def _index_box(image: sitk.Image, region: Region, margin: float) -> tuple[list[int], list[int]] | None:
    """Start and size (x, y, z) of the part of `image` around the region, or None if they do not meet."""
    size = np.array(region.size)
    corners = [region.point((np.array(c) * size) - 0.5) for c in np.ndindex(2, 2, 2)]
    index = np.array([image.TransformPhysicalPointToContinuousIndex(c.tolist()) for c in corners])
    start = np.maximum(np.floor(index.min(axis=0) - margin), 0).astype(int)
    stop = np.minimum(np.ceil(index.max(axis=0) + margin) + 1, image.GetSize()).astype(int)
    if (stop <= start).any():
        return None
    return start.tolist(), (stop - start).tolist()


def cut(image: sitk.Image, region: Region) -> np.ndarray:
    """The image on the region's grid, trilinear; voxels finer than the region's are averaged first.

    Returns:
        (z, y, x) float32; 0 outside the image's field of view.
    """
    box = _index_box(image, region, margin=3)
    if box is None:
        return np.zeros(region.size[::-1], np.float32)
    part = sitk.Cast(sitk.RegionOfInterest(image, box[1], box[0]), sitk.sitkFloat32)
    factors = [
        max(1, min(math.floor(region.spacing / s + 0.25), n))
        for s, n in zip(part.GetSpacing(), part.GetSize(), strict=True)
    ]
    if max(factors) > 1:
        part = sitk.BinShrink(part, factors)
    return sitk.GetArrayFromImage(_resample(part, region))


def _resample(image: sitk.Image, region: Region) -> sitk.Image:
    return sitk.Resample(
        image,
        list(region.size),
        sitk.Transform(),
        sitk.sitkLinear,
        list(region.origin),
        [region.spacing] * 3,
        list(region.direction),
        0.0,
        sitk.sitkFloat32,
    )


def coverage(image: sitk.Image, region: Region) -> np.ndarray:
    """(z, y, x) bool: which voxels of the region lie within the image's field of view."""
    affine = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    inverse = np.linalg.inv(affine)
    step = inverse @ region.matrix
    start = inverse @ (np.array(region.origin) - np.array(image.GetOrigin()))
    x, y, z = (np.arange(n, dtype=np.float32) for n in region.size)
    inside = np.ones(region.size[::-1], bool)
    for axis, n in enumerate(image.GetSize()):
        index = (
            start[axis]
            + step[axis, 0] * x
            + (step[axis, 1] * y)[:, None]
            + (step[axis, 2] * z)[:, None, None]
        )
        inside &= (index >= -0.5) & (index <= n - 0.5)
    return inside


def lay_back(
    probabilities: np.ndarray, region: Region, image: sitk.Image
) -> tuple[tuple[slice, ...], np.ndarray] | None:
    """Bring maps from the region onto the image's own grid.

    A voxel of the image larger than the region's gets the average over its extent, not the value at
    its centre, so that volumes do not depend on the image's resolution more than they must.

    Args:
        probabilities: (c, z, y, x) float32 on the region's grid.

    Returns:
        The slices (z, y, x) of the image's array that the region touches and (c, z, y, x) float32
        maps there; None if region and image do not meet.
    """
    box = _index_box(image, region, margin=0)
    if box is None:
        return None
    start, size = box
    repeat = [max(1, math.ceil(s / region.spacing - 0.25)) for s in image.GetSpacing()]
    part = sitk.RegionOfInterest(image, size, start)
    spacing = np.array(part.GetSpacing())
    fine = spacing / repeat
    direction = np.array(part.GetDirection()).reshape(3, 3)
    # The first of `repeat` fine voxels lies half a fine step inside the coarse voxel's edge.
    origin = np.array(part.GetOrigin()) + direction @ ((fine - spacing) / 2)
    maps = []
    for array in probabilities:
        resampled = sitk.Resample(
            region.image(array),
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
