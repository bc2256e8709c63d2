"""What results are as messages: plain values, and labels cut to what is labelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


def crop_labels(labels: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Cut labels (z, y, x) to the box around what is not 0.

    Returns:
        The box's content and the (x, y, z) index of its first voxel; an empty (0, 0, 0) array and
        zeros where nothing is labelled.
    """
    if not labels.any():
        return np.zeros((0, 0, 0), labels.dtype), [0, 0, 0]
    box = []
    for axis in range(3):
        filled = np.flatnonzero(labels.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return np.ascontiguousarray(labels[tuple(box)]), [box[2].start, box[1].start, box[0].start]


def plain(value: Any) -> Any:
    """Return ``value`` with only the types JSON has; NaN and infinity become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
