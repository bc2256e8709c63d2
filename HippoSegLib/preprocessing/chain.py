"""From a region of the head to the channels the network sees.

The steps are those of the method (Khan et al., IEEE Access 2025, doi 10.1109/access.2025.3577266;
parameters as in Mathematics 2025, 13(20), 3309): min-max normalisation, contrast-limited adaptive
histogram equalisation in 3D (CLAHE) and selective coefficient enhancement in a 3D wavelet
transform (SCE-3DWT). They work on the region of one hippocampus, not on the head, after it has been
brought to canonical axes and, for a right side, mirrored: CLAHE is not flip-invariant.

All arrays are (z, y, x); background is the value 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError

#: CLAHE kernel in voxels (z, y, x): scikit-image's default, an eighth, for the model's region (48, 56, 40).
CLAHE_KERNEL = (6, 7, 5)


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
    if not 0 <= lower < upper <= 100:
        raise InputError(
            f"Min-max percentiles {lower} and {upper} are impossible.", "Use 0 <= lower < upper <= 100."
        )
    array = _as_float(array)
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
    """
    from skimage.exposure import equalize_adapthist

    array = _as_float(array)
    if not 0 <= clip_limit <= 1:
        raise InputError(f"CLAHE clip limit {clip_limit} is impossible.", "Use a value from 0 to 1.")
    if kernel_size is not None and (
        len(kernel_size) != array.ndim or any(int(k) != k or k < 1 for k in kernel_size)
    ):
        raise InputError(
            f"CLAHE kernel {list(kernel_size)} is impossible.",
            "Give three sizes in voxels (z, y, x), 1 or more.",
        )
    low, high = float(array.min()), float(array.max())
    if high <= low:
        return array.copy()
    unit = ((array.astype(np.float64) - low) / (high - low)).astype(np.float32)
    kernel = None if kernel_size is None else tuple(int(k) for k in kernel_size)
    result = equalize_adapthist(unit, kernel_size=kernel, clip_limit=clip_limit).astype(np.float32)
    result[array == 0] = 0
    return result


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

    array = _as_float(array)
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


def _as_float(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array, dtype=np.float32)
    if array.ndim != 3 or array.size == 0:
        raise InputError(
            f"Preprocessing needs a 3D image, not one of shape {array.shape}.", "Give one 3D region."
        )
    if not np.isfinite(array).all():
        raise InputError("The region has NaN or infinite voxels.", "Replace them before preprocessing.")
    return array


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


#: Name of a step on a card -> (function, its default parameters, its name in words).
STEPS = {
    "min_max": (min_max, {"lower": 0.5, "upper": 99.5}, "min-max"),
    "clahe_3d": (clahe_3d, {"clip_limit": 0.03, "kernel_size": list(CLAHE_KERNEL)}, "CLAHE"),
    "sce_dwt_3d": (
        sce_dwt_3d,
        {"wavelet": "coif5", "levels": 2, "factor": 0.8, "threshold": 0.1, "mode": "symmetric"},
        "SCE-3DWT",
    ),
}


def step(name: str, **parameters) -> dict:
    """Return one step for :class:`Preprocessing`, its defaults filled in.

    Raises:
        InputError: Unknown step or parameter.
    """
    if name not in STEPS:
        raise InputError(f"Preprocessing step {name!r} is not known.", f"Use one of {', '.join(STEPS)}.")
    defaults = STEPS[name][1]
    unknown = set(parameters) - set(defaults)
    if unknown:
        raise InputError(
            f"Preprocessing step {name!r} has no parameter {sorted(unknown)[0]!r}.",
            f"It has {', '.join(defaults)}.",
        )
    # Through JSON, so that a step made in code equals the one read from a card.
    return {"step": name, **json.loads(json.dumps({**defaults, **parameters}))}


@dataclass(frozen=True)
class Preprocessing:
    """What turns a region into network channels: a list of steps per channel.

    Attributes:
        channels: For each channel its steps in order, each ``{"step": name, parameter: value, …}``;
            without steps, a channel is the image as it is.
    """

    channels: tuple[tuple[dict, ...], ...] = field(
        default_factory=lambda: (
            (step("min_max"),),
            (step("min_max"), step("clahe_3d"), step("sce_dwt_3d")),
        )
    )

    def __post_init__(self):
        if not self.channels:
            raise InputError("Preprocessing without channels.", "Give at least one channel.")
        filled = tuple(
            tuple(step(one["step"], **{k: v for k, v in one.items() if k != "step"}) for one in steps)
            for steps in self.channels
        )
        object.__setattr__(self, "channels", filled)

    @classmethod
    def named(cls, name: str) -> Preprocessing:
        """Return ``plain`` (min-max), ``method`` (min-max, CLAHE, SCE-3DWT) or ``both`` as two channels."""
        both = cls().channels
        choices = {"plain": both[:1], "method": both[1:], "both": both}
        if name not in choices:
            raise InputError(f"Preprocessing {name!r} is not known.", "Use 'plain', 'method' or 'both'.")
        return cls(choices[name])

    @classmethod
    def from_dict(cls, card: Mapping) -> Preprocessing:
        """Read the form :meth:`to_dict` writes; raises InputError where it cannot be read."""
        try:
            return cls(tuple(tuple(dict(one) for one in steps) for steps in card["channels"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "The preprocessing description cannot be read.", "Use the form of a model's card."
            ) from error

    def to_dict(self) -> dict:
        """Return the description as plain JSON values, for a model's card."""
        return {"channels": [[dict(one) for one in steps] for steps in self.channels]}

    def changed(self, changes: Preprocessing | Mapping) -> Preprocessing:
        """Return this with a caller's changes.

        Args:
            changes: Another description or its form on a card, which replaces this one; or
                ``{step: False}`` to leave a step out of every channel and ``{step: {parameter: value}}``
                to set its parameters wherever it occurs.

        Raises:
            InputError: Unknown step or parameter, or a step that no channel has.
        """
        if isinstance(changes, Preprocessing):
            return changes
        if "channels" in changes:
            return Preprocessing.from_dict(changes)
        present = {one["step"] for steps in self.channels for one in steps}
        for name, change in changes.items():
            if name not in STEPS or not (change is False or isinstance(change, Mapping)):
                raise InputError(
                    f"Preprocessing change {name!r} cannot be understood.",
                    f"Name one of {', '.join(STEPS)}, with false or new parameters.",
                )
            if name not in present and change is not False:
                raise InputError(
                    f"This preprocessing has no step {name!r} to change.",
                    "Choose a model trained with it (see `hipposeg info`), or give the channels in full.",
                )
        return Preprocessing(
            tuple(
                tuple(
                    {**one, **changes.get(one["step"], {})}
                    for one in steps
                    if changes.get(one["step"]) is not False
                )
                for steps in self.channels
            )
        )

    def differs_from(self, other: Preprocessing) -> list[str]:
        """Say in words how this differs from ``other`` (a model's own); empty where it does not."""
        words = []
        if len(self.channels) != len(other.channels):
            words.append(f"{len(self.channels)} channels instead of {len(other.channels)}")
        for number, (mine, theirs) in enumerate(zip(self.channels, other.channels, strict=False), start=1):
            names, wanted = ([STEPS[one["step"]][2] for one in steps] for steps in (mine, theirs))
            if names != wanted:
                mine_words, their_words = (" + ".join(n) or "no step" for n in (names, wanted))
                words.append(f"channel {number}: {mine_words} instead of {their_words}")
                continue
            for name, a, b in zip(names, mine, theirs, strict=True):
                words += [
                    f"channel {number}: {name} {key.replace('_', ' ')} {a[key]} instead of {b[key]}"
                    for key in a
                    if a[key] != b[key]
                ]
        return words


def channels(array: np.ndarray, preprocessing: Preprocessing | Mapping | None = None) -> np.ndarray:
    """Compute the network's input from the region of one hippocampus.

    Args:
        array: (z, y, x) region at the model's spacing, canonical axes, right sides mirrored.
        preprocessing: A description or its form on a card; ``None`` is the default.

    Returns:
        float32 (c, z, y, x).

    Raises:
        InputError: The region is not a finite 3D image, or a parameter is impossible.
    """
    if preprocessing is None:
        preprocessing = Preprocessing()
    elif not isinstance(preprocessing, Preprocessing):
        preprocessing = Preprocessing.from_dict(preprocessing)
    done: dict[str, np.ndarray] = {}  # channels share their first steps
    result = []
    for steps in preprocessing.channels:
        current = _as_float(array)
        for count, one in enumerate(steps, start=1):
            key = json.dumps(steps[:count], sort_keys=True)
            if key not in done:
                parameters = {k: v for k, v in one.items() if k != "step"}
                done[key] = STEPS[one["step"]][0](current, **parameters)
            current = done[key]
        result.append(current)
    return np.stack(result)
