"""Training samples: a labelled crop, moved, bent, set into surroundings, and degraded.

A sample is a function of its random generator alone, so that a resumed training sees what an
uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch.nn import functional

from ..preprocessing.min_max import min_max
from .background_context import BackgroundContext
from .cases import CLASSES, Case

_SEAM = 2  # voxels of edge replication around a crop, over which it fades into its surroundings


@dataclass(frozen=True)
class Augmentation:
    """How strongly samples are varied. Probabilities 0..1, lengths in mm (= voxels), angles in degrees.

    The degradations are those that made the network hold on low resolution, noise and poor
    contrast: gamma, bias field, re-slicing along one axis, blur, noise.
    """

    shift: float = 6.0
    rotation: float = 18.0
    scale: tuple[float, float] = (0.85, 1.2)
    stretch: float = 0.05  # further scaling of each axis by itself, at most
    elastic: float = 2.0  # standard deviation of the displacement at the nodes of a coarse grid
    elastic_probability: float = 0.5
    context_probability: float = 0.5
    gamma: float = 0.35  # standard deviation of log gamma
    gamma_probability: float = 0.6
    bias: float = 0.3  # standard deviation of the log field
    bias_probability: float = 0.4
    reslice: tuple[float, float] = (1.3, 3.5)
    reslice_probability: float = 0.35
    blur: tuple[float, float] = (0.4, 1.1)  # standard deviation
    blur_probability: float = 0.2
    noise: float = 0.08  # largest standard deviation, of the image's range
    noise_probability: float = 0.4
    window_probability: float = 0.3  # of clipping the brightest voxels

    def to_dict(self) -> dict:
        """Return the settings as plain values, for a model's card."""
        return asdict(self)


def sample(
    case: Case,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    augmentation: Augmentation,
    contexts: Sequence[BackgroundContext] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one training sample.

    Args:
        case: Labelled crop.
        shape: Region of the network (z, y, x).
        rng: The only source of randomness.
        augmentation: Strengths.
        contexts: Background context to choose from; without any, what lies outside the crop is 0.

    Returns:
        Image float32 (z, y, x) in [0, 1] before the preprocessing, label uint8 (z, y, x).
    """
    offsets = _offsets(shape, rng, augmentation)
    center = np.argwhere(case.label > 0).mean(axis=0)
    image, label, cover = _sample_crop(case, offsets, center)
    if contexts and rng.random() < augmentation.context_probability:
        context = contexts[int(rng.integers(len(contexts)))]
        image = _set_into(image, cover, _sample_context(context, offsets))
        known = image > 0
    else:
        known = cover > 0.5
        image = np.where(known, image, 0)
    return degrade(image, known, rng, augmentation), label


def degrade(
    image: np.ndarray, known: np.ndarray, rng: np.random.Generator, augmentation: Augmentation
) -> np.ndarray:
    """Worsen an image (z, y, x) as scanners do; voxels outside ``known`` (bool, same shape) stay 0."""
    a = augmentation
    image = min_max(np.where(known, image, 0), 0, 99.8)
    if rng.random() < a.window_probability:
        top = float(np.percentile(image[known], rng.uniform(95, 99.8))) if known.any() else 1.0
        image = np.minimum(image, top) / max(top, 1e-3)
    if rng.random() < a.gamma_probability:
        gamma = float(np.exp(rng.normal(0, a.gamma)))
        # Either end of the grey scale is stretched, so that contrast changes in both.
        image = image**gamma if rng.random() < 0.5 else 1 - (1 - image) ** gamma
    if rng.random() < a.bias_probability:
        field = _upsample(rng.normal(0, a.bias, (1, 3, 3, 3)).astype(np.float32), image.shape)[0]
        image = image * np.exp(field)
    if rng.random() < a.reslice_probability:
        image = _reslice(image, int(rng.integers(3)), float(rng.uniform(*a.reslice)), float(rng.random()))
    if rng.random() < a.blur_probability:
        from scipy.ndimage import gaussian_filter

        image = gaussian_filter(image, rng.uniform(*a.blur, size=3), truncate=3)
    if rng.random() < a.noise_probability:
        level = float(rng.uniform(0.01, a.noise))
        image = image + level * rng.standard_normal(image.shape, dtype=np.float32)
        if rng.random() < 0.5:  # magnitude images: Rician
            image = np.hypot(image, level * rng.standard_normal(image.shape, dtype=np.float32))
    image = np.clip(image, 0, None)
    return np.where(known, image, 0).astype(np.float32)


def _offsets(shape: tuple[int, int, int], rng: np.random.Generator, a: Augmentation) -> torch.Tensor:
    """Return where each voxel of the patch looks, in mm from the middle of the hippocampus: (z, y, x, 3)."""
    angles = np.deg2rad(rng.uniform(-a.rotation, a.rotation, 3))
    scales = rng.uniform(*a.scale) * rng.uniform(1 - a.stretch, 1 + a.stretch, 3)
    matrix = np.diag(1 / scales)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
        matrix = turn @ matrix
    shift = rng.uniform(-a.shift, a.shift, 3)
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    offsets = (grid - torch.from_numpy(shift.astype(np.float32))) @ torch.from_numpy(
        matrix.T.astype(np.float32)
    )
    if rng.random() < a.elastic_probability:
        nodes = rng.normal(0, rng.uniform(0, a.elastic), (3, 5, 6, 5)).astype(np.float32)
        offsets = offsets + torch.from_numpy(_upsample(nodes, shape)).permute(1, 2, 3, 0)
    return offsets


def _look_up(volume: torch.Tensor, offsets: torch.Tensor, center: np.ndarray) -> torch.Tensor:
    """Interpolate ``volume`` (c, z, y, x) linearly at ``center`` + ``offsets``; 0 outside."""
    size = torch.tensor(volume.shape[1:], dtype=torch.float32)
    position = (offsets + torch.from_numpy(center.astype(np.float32))) * 2 / (size - 1) - 1
    return functional.grid_sample(volume[None], position.flip(-1)[None], align_corners=True)[0]


def _sample_crop(case: Case, offsets: torch.Tensor, center: np.ndarray) -> tuple[np.ndarray, ...]:
    image = torch.from_numpy(np.pad(case.image, _SEAM, mode="edge"))
    label = torch.from_numpy(np.pad(case.label, _SEAM))
    kinds = max(CLASSES, int(label.max()) + 1)  # one more where parts are unknown
    classes = functional.one_hot(label.long(), kinds)[..., 1:].permute(3, 0, 1, 2)
    # 1 in the crop, falling to 0 over the replicated rim.
    ramps = [
        torch.clamp(torch.minimum(torch.arange(n), torch.arange(n).flip(0)) / (_SEAM + 1), max=1)
        for n in image.shape
    ]
    cover = ramps[0][:, None, None] * ramps[1][None, :, None] * ramps[2][None, None, :]
    stack = torch.cat((torch.stack((image, cover)), classes.to(image.dtype)))
    out = _look_up(stack, offsets, center + _SEAM).numpy()
    shares = out[2:]
    found = np.where(shares.sum(axis=0) > 0.5, shares.argmax(axis=0) + 1, 0).astype(np.uint8)
    return out[0], found, out[1]


def _sample_context(context: BackgroundContext, offsets: torch.Tensor) -> np.ndarray:
    center = (np.array(context.image.shape) - 1) / 2
    return _look_up(torch.from_numpy(context.image)[None], offsets, center)[0].numpy()


def _set_into(image: np.ndarray, cover: np.ndarray, context: np.ndarray) -> np.ndarray:
    """Paste the crop over the surroundings, their grey values matched where both show the same."""
    both = (cover > 0.9) & (context > 0)
    if both.sum() < 1000:
        return np.where(cover > 0.5, image, 0)
    mean, std = context[both].mean(), context[both].std()
    matched = (context - mean) * (image[both].std() / max(float(std), 1e-6)) + image[both].mean()
    matched = np.where(context > 0, np.maximum(matched, 0), 0)
    return cover * image + (1 - cover) * matched


def _upsample(nodes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Spread a coarse grid (c, …) smoothly over ``shape``: (c, z, y, x)."""
    tensor = torch.from_numpy(nodes)[None]
    # Linear to half resolution, then again: smooth enough, and many times faster than splines.
    half = tuple((n + 3) // 4 for n in shape)
    tensor = functional.interpolate(tensor, size=half, mode="trilinear", align_corners=True)
    tensor = functional.avg_pool3d(functional.pad(tensor, (1,) * 6, mode="replicate"), 3, stride=1)
    return functional.interpolate(tensor, size=shape, mode="trilinear", align_corners=True)[0].numpy()


def _reslice(image: np.ndarray, axis: int, thickness: float, phase: float) -> np.ndarray:
    """Average into slices of ``thickness`` voxels along ``axis`` and interpolate back linearly."""
    size = image.shape[axis]
    starts = np.arange(-phase * thickness, size, thickness)
    # The integral of the image along the axis, so that slices of any thickness are exact averages.
    total = np.concatenate(
        (np.zeros_like(np.take(image, [0], axis)), np.cumsum(image, axis=axis, dtype=np.float64)), axis=axis
    )

    def integral(position):
        position = np.clip(position, 0, size)
        low = np.minimum(position.astype(int), size - 1)
        part = (position - low).reshape([-1 if k == axis else 1 for k in range(3)])
        return np.take(total, low, axis) * (1 - part) + np.take(total, low + 1, axis) * part

    ends = np.minimum(starts + thickness, size)
    width = np.maximum(ends - np.maximum(starts, 0), 1e-3).reshape([-1 if k == axis else 1 for k in range(3)])
    slices = (integral(ends) - integral(starts)) / width
    where = np.clip((np.arange(size) + 0.5 - starts[0]) / thickness - 0.5, 0, len(starts) - 1)
    low = np.minimum(where.astype(int), max(len(starts) - 2, 0))
    part = (where - low).reshape([-1 if k == axis else 1 for k in range(3)])
    high = np.minimum(low + 1, len(starts) - 1)
    return (np.take(slices, low, axis) * (1 - part) + np.take(slices, high, axis) * part).astype(np.float32)
