"""Grey values as both networks of the localiser want them, in training and in use."""

from __future__ import annotations

import numpy as np


def normalise(array: np.ndarray) -> np.ndarray:
    """Scale so that 0 stays 0 and the 99th percentile of what is above it becomes 1, clipped to 0..1.5.

    Args:
        array: (z, y, x), background at 0.

    Returns:
        float32 of the same shape; an empty image stays empty.
    """
    array = np.clip(array, 0, None)
    positive = array[array > 0]
    top = float(np.percentile(positive, 99)) if positive.size else 1.0
    return np.clip(array / top, 0, 1.5).astype(np.float32)
