"""Selective coefficient enhancement in a 3D wavelet transform (SCE-3DWT), by PyWavelets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from .volume import as_volume


def sce_dwt_3d(
    array: np.ndarray,
    wavelet: str = "coif5",
    levels: int = 2,
    factor: float | Mapping = 0.8,
    threshold: float = 0.1,
    mode: str = "symmetric",
) -> np.ndarray:
    """Selective coefficient enhancement in a multilevel 3D wavelet transform.

    Values under ``threshold`` become 0; the volume is decomposed; the approximation is kept and the
    detail sub-bands are multiplied; the volume is reconstructed, cropped to the input's shape, and
    values under ``threshold`` become 0 again. With factor 1 and threshold 0 it is the identity.

    Args:
        array: (z, y, x), finite, usually in [0, 1].
        wavelet: A discrete wavelet of PyWavelets.
        levels: Levels of decomposition, 1 or more.
        factor: One number for all detail sub-bands (below 1 damps, above 1 enhances); or one per
            kind, ``{"ddd": f, "mixed": g}`` (detail along all three axes / along one or two); or one
            of either form per level, ``{1: …, 2: …}`` with 1 the finest. What a mapping leaves
            out is not changed.
        threshold: Background threshold, 0 or more; 0 blanks nothing.
        mode: Signal extension at the borders (PyWavelets).

    Returns:
        (z, y, x) float32 of the input's shape, also for odd sizes; voxels that were 0 are 0.

    Raises:
        InputError: NaN or infinite voxels, or a parameter PyWavelets does not know.
    """
    import warnings

    import pywt

    array = as_volume(array)
    if int(levels) != levels or levels < 1 or threshold < 0:
        raise InputError(
            f"SCE-3DWT cannot use {levels} levels with threshold {threshold}.",
            "Use 1 or more whole levels and a threshold of 0 or more.",
        )
    if wavelet not in pywt.wavelist(kind="discrete") or mode not in pywt.Modes.modes:
        raise InputError(
            f"Wavelet {wavelet!r} with extension {mode!r} is not known.",
            "Use a discrete wavelet and an extension of PyWavelets, such as 'coif5' and 'symmetric'.",
        )
    factors = [_band_factors(factor, level) for level in range(int(levels), 0, -1)]
    background = array < threshold if threshold > 0 else array == 0
    source = np.where(background, np.float32(0), array)
    with warnings.catch_warnings():
        # PyWavelets warns that the paper's two levels are deep for a region of this size; it works.
        warnings.filterwarnings("ignore", message="Level value of", category=UserWarning)
        coefficients = pywt.wavedecn(source, wavelet, mode=mode, level=int(levels))
    for bands, (pure, mixed) in zip(coefficients[1:], factors, strict=True):
        for name in bands:
            bands[name] *= np.float32(pure if "a" not in name else mixed)
    result = pywt.waverecn(coefficients, wavelet, mode=mode)
    result = np.ascontiguousarray(result[tuple(slice(n) for n in array.shape)], dtype=np.float32)
    result[background] = 0
    if threshold > 0:
        result[result < threshold] = 0
    return result


def _band_factors(factor: float | Mapping, level: int) -> tuple[float, float]:
    """Return the factors (pure detail, mixed) of one level; level 1 is the finest."""
    if isinstance(factor, Mapping) and not set(factor) & {"ddd", "mixed"}:
        by_level = {int(key): value for key, value in factor.items()}  # JSON keys are strings
        factor = by_level.get(level, 1.0)
    if isinstance(factor, Mapping):
        unknown = set(factor) - {"ddd", "mixed"}
        if unknown:
            raise InputError(
                f"SCE-3DWT does not know the sub-band kinds {sorted(map(str, unknown))}.",
                "Use 'ddd' (pure detail) and 'mixed', or levels numbered from 1.",
            )
        return float(factor.get("ddd", 1.0)), float(factor.get("mixed", 1.0))
    return float(factor), float(factor)
