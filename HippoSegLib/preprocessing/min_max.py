"""Min-max normalisation, each image by itself."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .volume import as_volume, is_number


def min_max(array: np.ndarray, lower: float = 0.5, upper: float = 99.5) -> np.ndarray:
    """Scale an image to [0, 1], each image by itself.

    Args:
        array: (z, y, x), any real dtype, finite.
        lower, upper: Percentiles that become 0 and 1, taken over the voxels above the image's
            minimum, so that neither a blanked background nor a bright vessel sets the scale; what
            lies outside is clipped. ``lower=0, upper=100`` is the plain min-max of the paper.

    Returns:
        (z, y, x) float32 in [0, 1]; the image's minimum becomes 0. A constant image becomes all 0.

    Raises:
        InputError: The image has NaN or infinite voxels, or the percentiles are impossible.
    """
    check_min_max(lower, upper)
    array = as_volume(array)
    bottom, top = float(array.min()), float(array.max())
    if (lower, upper) != (0, 100) and top > bottom:
        low, high = np.percentile(array[array > bottom], (lower, upper))
        if high > low:
            bottom, top = float(low), float(high)
    if top <= bottom:
        return np.zeros_like(array)
    # The range is divided first: (1e38 - -1e38) would overflow float32.
    scaled = (array.astype(np.float64) - bottom) / (top - bottom)
    return np.clip(scaled, 0.0, 1.0).astype(np.float32)


def check_min_max(lower: float, upper: float) -> None:
    """Raise InputError unless the percentiles are 0 <= lower < upper <= 100."""
    if not (is_number(lower) and is_number(upper) and 0 <= lower < upper <= 100):
        raise InputError(
            f"Min-max percentiles {lower} and {upper} are impossible.", "Use 0 <= lower < upper <= 100."
        )
