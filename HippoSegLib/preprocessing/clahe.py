"""Contrast-limited adaptive histogram equalisation in 3D (CLAHE), by scikit-image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..dependencies import require
from ..errors import InputError
from .volume import as_volume, is_number

#: CLAHE kernel in voxels (z, y, x): scikit-image's default, an eighth, for the model's region (48, 56, 40).
CLAHE_KERNEL = (6, 7, 5)
#: A larger kernel is beyond any ROI.
MAX_KERNEL = 1024


def clahe_3d(
    array: np.ndarray, clip_limit: float = 0.03, kernel_size: Sequence[int] | None = CLAHE_KERNEL
) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation of the volume (scikit-image, 256 bins).

    Background voxels (0) enter the tile histograms, as in the paper, and are 0 again afterwards.

    Args:
        array: (z, y, x), finite. A range other than [0, 1] is scaled to it first, which is what
            scikit-image does inside and refuses to do for floats outside [-1, 1].
        clip_limit: 0..1, higher means more contrast.
        kernel_size: Tile size in voxels (z, y, x). ``None`` takes an eighth of the shape, so that
            the result depends on the size of the region; a model's card names it explicitly.

    Returns:
        (z, y, x) float32 in [0, 1]. A constant image has no contrast to raise: it comes back as it
        is (scikit-image alone would turn it into all ones).

    Raises:
        InputError: NaN or infinite voxels, a kernel that is not three positive sizes, or a clip
            limit outside [0, 1].
        DependencyError: scikit-image is missing or does not load.
    """
    exposure = require("skimage.exposure")
    array = as_volume(array)
    check_clahe(clip_limit, kernel_size)
    low, high = float(array.min()), float(array.max())
    if high <= low:
        return array.copy()
    unit = ((array.astype(np.float64) - low) / (high - low)).astype(np.float32)
    kernel = None if kernel_size is None else tuple(int(k) for k in kernel_size)
    result = exposure.equalize_adapthist(unit, kernel_size=kernel, clip_limit=clip_limit).astype(np.float32)
    result[array == 0] = 0
    return result


def check_clahe(clip_limit: float, kernel_size: Sequence[int] | None) -> None:
    """Raise InputError unless the clip limit is 0..1 and the kernel three sizes in voxels, or None."""
    if not (is_number(clip_limit) and 0 <= clip_limit <= 1):
        raise InputError(f"CLAHE clip limit {clip_limit} is impossible.", "Use a value from 0 to 1.")
    if kernel_size is None:
        return
    sizes = list(kernel_size) if isinstance(kernel_size, Iterable) else []
    if len(sizes) != 3 or not all(is_number(k) and 1 <= k <= MAX_KERNEL and int(k) == k for k in sizes):
        raise InputError(
            f"CLAHE kernel {sizes or kernel_size} is impossible.",
            f"Give three sizes in voxels (z, y, x), from 1 to {MAX_KERNEL}.",
        )
