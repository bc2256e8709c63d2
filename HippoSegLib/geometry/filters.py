"""Smoothing of small arrays (z, y, x), as `scipy.ndimage` does it; see `masks` for why not by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_of_three(image: np.ndarray) -> np.ndarray:
    """Means over 3 voxels along each axis, float32."""
    return filtered(image, [1 / 3] * 3)


def gaussian(image: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian means, float32, with a standard deviation in voxels; what is 4 of them away counts nothing."""
    radius = int(4 * deviation + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    return filtered(image, weights / weights.sum())


def filtered(image: np.ndarray, weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weighted sums of an odd number of neighbours along each axis, float32; edges are mirrored."""
    radius = len(weights) // 2
    for axis in range(image.ndim):
        pad = [(radius, radius) if a == axis else (0, 0) for a in range(image.ndim)]
        padded = np.moveaxis(np.pad(image, pad, "symmetric").astype(np.float64), axis, 0)
        length = image.shape[axis]
        total = sum(weight * padded[k : k + length] for k, weight in enumerate(weights))
        image = np.moveaxis(np.asarray(total), 0, axis).astype(np.float32)
    return image
