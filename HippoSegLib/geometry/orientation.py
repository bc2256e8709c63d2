"""Turning the stored axes of an image, without interpolation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class StoredAxes:
    """The grid that an image was stored on, beside the one its axes were turned to; called, it restores.

    Attributes:
        image: The image as it was stored; only its geometry is used.
        order: For each turned axis x, y, z: which stored axis it is.
        flips: For each turned axis: whether it runs against the stored one.
    """

    image: sitk.Image
    order: tuple[int, ...]
    flips: tuple[bool, ...]

    def turned(self, array: np.ndarray) -> np.ndarray:
        """View (z, y, x) on the turned grid of an array on the stored one."""
        view = array.transpose(_array_order(self.order))
        return view[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips[::-1])]

    def as_stored(self, array: np.ndarray) -> sitk.Image:
        """Image of an array (z, y, x) on the stored grid.

        Raises:
            ValueError: It has another size.
        """
        if array.shape != self.image.GetSize()[::-1]:
            raise ValueError("the array is not on the grid of the stored image")
        image = sitk.GetImageFromArray(array)
        image.CopyInformation(self.image)
        return image

    def __call__(self, image: sitk.Image) -> sitk.Image:
        """Bring an image on the turned grid back to the stored one, exactly."""
        back = tuple(self.order.index(axis) for axis in range(3))
        view = sitk.GetArrayViewFromImage(image)
        view = view[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips[::-1])]
        return self.as_stored(_contiguous(view.transpose(_array_order(back))))


def canonical_axes(image: sitk.Image) -> tuple[sitk.Image, StoredAxes]:
    """Turn the stored axes, without interpolation, so that they run to Right, Anterior, Superior.

    The permutation and flips that bring the array axes x, y, z closest to those directions (best
    assignment over all three, from the direction cosines alone), hence independent of how the file
    was stored, for oblique images too.

    Args:
        image: 3D image, any pixel type, any orientation.

    Returns:
        The turned image (the same world geometry; the same object where nothing is to be done), and the
        way back: called with an image on the turned grid, it gives the one on the stored grid.
    """
    order, flips = _turn(np.reshape(image.GetDirection(), (3, 3)))
    stored = StoredAxes(image, order, flips)
    if order == (0, 1, 2) and not any(flips):
        return image, stored
    turned = sitk.GetImageFromArray(_contiguous(stored.turned(sitk.GetArrayViewFromImage(image))))
    size, spacing = image.GetSize(), image.GetSpacing()
    direction = np.reshape(image.GetDirection(), (3, 3))[:, order] * np.where(flips, -1.0, 1.0)
    corner = [0] * 3
    for axis, flip in zip(order, flips, strict=True):
        corner[axis] = size[axis] - 1 if flip else 0
    turned.SetSpacing([spacing[axis] for axis in order])
    turned.SetDirection(direction.ravel().tolist())
    turned.SetOrigin(image.TransformIndexToPhysicalPoint(corner))
    return turned, stored


def _turn(direction: np.ndarray) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """For each turned axis x, y, z: which stored axis it is, and whether it is flipped."""
    ras = np.diag([-1.0, -1.0, 1.0]) @ direction

    def turned(order):
        columns = ras[:, order]
        return columns * np.where(np.diag(columns) < 0, -1.0, 1.0)

    def merit(order):
        # The trace; at a tie (45 degrees) the turned matrix itself decides, whatever was stored.
        matrix = turned(order)
        return round(float(np.trace(matrix)), 4), tuple(np.round(matrix, 3).ravel() + 0.0)

    order = max(itertools.permutations(range(3)), key=merit)
    return order, tuple(bool(v < 0) for v in np.diag(ras[:, order]))


def _array_order(order: tuple[int, ...]) -> tuple[int, ...]:
    """The transposition of an array (z, y, x) that permutes image axes (x, y, z) by ``order``."""
    return tuple(2 - axis for axis in reversed(order))


def _contiguous(view: np.ndarray, block: int = 32) -> np.ndarray:
    """A contiguous copy; a transposed one is made block by block, which the cache likes better."""
    fast = int(np.argmin(np.abs(view.strides)))
    if fast == 2:
        return np.ascontiguousarray(view)
    out = np.empty(view.shape, view.dtype)
    for i in range(0, view.shape[fast], block):
        for j in range(0, view.shape[2], block):
            part = [slice(None)] * 3
            part[fast], part[2] = slice(i, i + block), slice(j, j + block)
            out[tuple(part)] = view[tuple(part)]
    return out
