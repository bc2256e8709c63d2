"""What every step of the preprocessing takes: a finite 3D volume, and parameters that can be."""

from __future__ import annotations

from numbers import Real
from typing import Any, TypeGuard

import numpy as np

from ..errors import InputError


def as_volume(array: np.ndarray) -> np.ndarray:
    """The array as float32 (z, y, x); every step begins with it.

    Raises:
        InputError: It is not a 3D image, or has NaN or infinite voxels.
    """
    array = np.asarray(array, dtype=np.float32)
    if array.ndim != 3 or array.size == 0:
        raise InputError(
            f"Preprocessing needs a 3D image, not one of shape {array.shape}.", "Give one 3D region."
        )
    if not np.isfinite(array).all():
        raise InputError("The region has NaN or infinite voxels.", "Replace them before preprocessing.")
    return array


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a parameter is a number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)
