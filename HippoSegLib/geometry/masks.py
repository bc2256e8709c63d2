"""Masks, arrays (z, y, x) of bool: their components, surface and centre.

As `scipy.ndimage` has them, which is not used for it: loading that takes longer than reading a head.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Parts that are connected by faces: an array of their numbers, from 1, and how many there are."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    numbers = sitk.GetArrayFromImage(sitk.ConnectedComponent(image))
    return numbers, int(numbers.max(initial=0))


def dilated(mask: np.ndarray, steps: int = 1) -> np.ndarray:
    """The mask with its neighbours by a face, `steps` times."""
    for _ in range(steps):
        grown = mask.copy()
        for axis in range(mask.ndim):
            here, there = np.moveaxis(grown, axis, 0), np.moveaxis(mask, axis, 0)
            here[1:] |= there[:-1]
            here[:-1] |= there[1:]
        mask = grown
    return mask


def within_a_voxel(mask: np.ndarray) -> np.ndarray:
    """The mask with its neighbours by a face, an edge or a corner."""
    for axis in range(mask.ndim):
        grown = mask.copy()
        here, there = np.moveaxis(grown, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] |= there[:-1]
        here[:-1] |= there[1:]
        mask = grown
    return mask


def eroded(mask: np.ndarray, steps: int = 1) -> np.ndarray:
    """The mask without voxels that have a neighbour by a face outside it or the array, `steps` times."""
    for _ in range(steps):
        left = mask.copy()
        for axis in range(mask.ndim):
            here, there = np.moveaxis(left, axis, 0), np.moveaxis(mask, axis, 0)
            here[1:] &= there[:-1]
            here[:-1] &= there[1:]
            here[[0, -1]] = False
        mask = left
    return mask


def centre(mask: np.ndarray) -> np.ndarray:
    """Index (z, y, x) of the centre of a mask that is not empty."""
    found: np.ndarray = np.argwhere(mask).mean(axis=0)
    return found


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box about a mask that is not empty."""
    box = []
    for axis in range(mask.ndim):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)
