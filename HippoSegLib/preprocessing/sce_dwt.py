"""Selective coefficient enhancement in a 3D wavelet transform (SCE-3DWT), by PyWavelets."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from ..dependencies import require
from ..errors import InputError
from .volume import as_volume, is_number

_ORDERS = ("1.1", "1.3", "1.5", "2.2", "2.4", "2.6", "2.8", "3.1", "3.3", "3.5", "3.7", "3.9", "4.4", "5.5")
#: Discrete wavelets and signal extensions that PyWavelets has had since 1.0; a card is checked without it.
WAVELETS = frozenset(
    ["haar", "dmey"]
    + [f"db{n}" for n in range(1, 39)]
    + [f"sym{n}" for n in range(2, 21)]
    + [f"coif{n}" for n in range(1, 18)]
    + [kind + order for kind in ("bior", "rbio") for order in (*_ORDERS, "6.8")]
)
EXTENSIONS = frozenset(
    ("zero", "constant", "symmetric", "periodic", "smooth")
    + ("periodization", "reflect", "antisymmetric", "antireflect")
)
#: Beyond these, time or memory would be absurd, or the result no image any more.
MAX_LEVELS, MAX_FACTOR, MAX_THRESHOLD = 8, 1e3, 1e9


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
        DependencyError: PyWavelets is missing or does not load.
    """
    pywt = require("pywt")
    array = as_volume(array)
    check_sce_dwt(wavelet, levels, factor, threshold, mode)
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
        return float(factor.get("ddd", 1.0)), float(factor.get("mixed", 1.0))
    return float(factor), float(factor)


def check_sce_dwt(wavelet: str, levels: int, factor: float | Mapping, threshold: float, mode: str) -> None:
    """Raise InputError unless SCE-3DWT can work with these."""
    if not (
        is_number(levels)
        and 1 <= levels <= MAX_LEVELS
        and int(levels) == levels
        and is_number(threshold)
        and 0 <= threshold <= MAX_THRESHOLD
    ):
        raise InputError(
            f"SCE-3DWT cannot use {levels} levels with threshold {threshold}.",
            f"Use 1 to {MAX_LEVELS} whole levels and a threshold of 0 or more.",
        )
    if not (
        isinstance(wavelet, str) and isinstance(mode, str) and wavelet in WAVELETS and mode in EXTENSIONS
    ):
        raise InputError(
            f"Wavelet {wavelet!r} with extension {mode!r} is not known.",
            "Use a discrete wavelet and an extension of PyWavelets, such as 'coif5' and 'symmetric'.",
        )
    if not (_is_factor(factor) or _is_factor_by_kind(factor) or _is_factor_by_level(factor)):
        raise InputError(
            f"SCE-3DWT cannot use the factor {factor!r}.",
            f"Use a number up to {MAX_FACTOR:g}; or one each for 'ddd' (pure detail) and 'mixed'; or either "
            "per level, numbered from 1.",
        )


def _is_factor(value: object) -> bool:
    return is_number(value) and abs(value) <= MAX_FACTOR


def _is_factor_by_kind(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        name in ("ddd", "mixed") and _is_factor(one) for name, one in value.items()
    )


def _is_factor_by_level(value: object) -> bool:
    # JSON has no numbers as names.
    return isinstance(value, Mapping) and all(
        str(level).isdecimal() and (_is_factor(one) or _is_factor_by_kind(one))
        for level, one in value.items()
    )
