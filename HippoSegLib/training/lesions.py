"""What people have beside the hippocampus, imitated: tumours, resections, contrast agent, a cut-off brain.

A kind takes image (z, y, x) float32 at 1 mm, scaled to 0..1, 0 where nothing is known, and the bool outline
of a left hippocampus (x to the right, y forward, z up), and gives both as they are then. `strength` 0..1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ..geometry.pose import LONG_AXIS_DIP_DEG

Pair = tuple[np.ndarray, np.ndarray]
#: The mid-plane lies so far to the right of a left hippocampus, mm.
_TO_MIDPLANE = 24.5


def tumour(image: np.ndarray, truth: np.ndarray, strength: float, rng: np.random.Generator) -> Pair:
    """A mass of 8 to 22 mm radius beside the hippocampus, which pushes all tissue away from it.

    Its core is dark or grey, its rim may enhance, white matter about it may be swollen (darker).
    """
    radius = 8 + 14 * strength
    place = _beside(truth, rng, radius + rng.uniform(-2, 8))
    grid, distance = _about(image.shape, place)
    # The volume of the tissue is kept: what lay at distance s from the middle lies at (s^3 + r^3)^(1/3).
    source = np.cbrt(np.clip(distance**3 - radius**3, 0, None))
    share = source / np.maximum(distance, 1e-3)
    points = [c + share * (g - c) for g, c in zip(grid, place, strict=True)]
    pushed = ndimage.map_coordinates(image, points, order=1, mode="nearest")
    moved = ndimage.map_coordinates(truth.astype(np.float32), points, order=1, mode="constant") > 0.5
    inside = distance < radius
    _, white = _levels(image, truth)
    core = rng.uniform(0.15, 0.8) * white
    texture = ndimage.gaussian_filter(rng.normal(0, 1, image.shape), 2.0)
    filled = core * (1 + 0.5 * texture / max(float(texture.std()), 1e-6) * rng.uniform(0, 0.6))
    if rng.random() < 0.5:
        filled = np.where(distance > radius - rng.uniform(1.5, 4), rng.uniform(1.0, 1.5) * white, filled)
    swelling = np.exp(-np.clip(distance - radius, 0, None) / rng.uniform(3, 12)) * rng.uniform(0, 0.45)
    result = np.where(inside, filled, pushed * (1 - swelling))
    return np.clip(result, 0, None), moved & ~inside


def resection(image: np.ndarray, truth: np.ndarray, strength: float, rng: np.random.Generator) -> Pair:
    """A cavity filled with fluid, 8 to 22 mm in radius, that takes up to most of the hippocampus."""
    radius = 8 + 14 * strength
    place = _beside(truth, rng, radius * rng.uniform(0.2, 1.1))
    _, distance = _about(image.shape, place)
    fluid, white = _levels(image, truth)
    soft = 1 / (1 + np.exp((distance - radius) / 0.7))
    cavity = np.clip(fluid + rng.normal(0, 0.02 * white, image.shape), 0, None)
    return image * (1 - soft) + cavity * soft, truth & (distance > radius)


def contrast_agent(image: np.ndarray, truth: np.ndarray, strength: float, rng: np.random.Generator) -> Pair:
    """Bright vessels and plexus about the hippocampus."""
    _, white = _levels(image, truth)
    vessels = np.zeros(image.shape, np.float32)
    for _ in range(2 + int(6 * strength)):
        point = _beside(truth, rng, rng.uniform(0, 14))
        step = rng.normal(size=3)
        for _ in range(int(rng.integers(20, 60))):
            step = 0.8 * step / np.linalg.norm(step) + 0.3 * rng.normal(size=3)
            point = point + step
            index = tuple(np.rint(point).astype(int))
            if all(0 <= i < n for i, n in zip(index, image.shape, strict=True)):
                vessels[index] = 1
    width = rng.uniform(0.7, 1.4)
    vessels = ndimage.gaussian_filter(vessels, width)
    vessels = np.clip(vessels / max(float(np.percentile(vessels[vessels > 0], 80)), 1e-6), 0, 1)
    bright = rng.uniform(1.1, 1.7) * white
    return image + vessels * np.clip(bright - image, 0, None), truth


def no_cerebellum(image: np.ndarray, truth: np.ndarray, strength: float, rng: np.random.Generator) -> Pair:
    """Brain stem and cerebellum are cut off below and beside the hippocampus, as some pipelines do."""
    middle = np.argwhere(truth).mean(axis=0)
    z, y, x = (g - c for g, c in zip(np.indices(image.shape, dtype=np.float32), middle, strict=True))
    dip = np.tan(np.deg2rad(LONG_AXIS_DIP_DEG))
    below = z < -0.5 * dip * y - rng.uniform(8, 14) + 4 * strength
    stem = (x > _TO_MIDPLANE - rng.uniform(8, 14)) & (z < rng.uniform(0, 6)) & (y < rng.uniform(5, 12))
    gone = (below & (y < rng.uniform(0, 12))) | stem
    return np.where(gone & ~truth, 0, image), truth


def _levels(image: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Grey values of fluid and white matter about the hippocampus."""
    near = image[ndimage.binary_dilation(truth, iterations=4) & (image > 0)]
    fluid, white = np.percentile(near, (4, 92))
    return float(fluid), float(white)


def _beside(truth: np.ndarray, rng: np.random.Generator, distance: float) -> np.ndarray:
    """A point (z, y, x) so far from the hippocampus's surface, in any direction, in voxels."""
    rim = np.argwhere(truth & ~ndimage.binary_erosion(truth))
    start = rim[rng.integers(len(rim))].astype(float)
    middle = np.argwhere(truth).mean(axis=0)
    direction = start - middle + rng.normal(0, 3, 3)
    direction[1] *= 0.3  # mostly beside its long axis, not before or behind it
    return start + distance * direction / max(float(np.linalg.norm(direction)), 1e-6)


def _about(shape: tuple[int, ...], place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (3, z, y, x) and each voxel's distance from a place."""
    grid = np.indices(shape, dtype=np.float32)
    return grid, np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, place, strict=True)))


#: Kinds that change what is there, and may change the outline.
LESIONS: dict[str, Callable[..., Pair]] = {
    f.__name__: f for f in (tumour, resection, contrast_agent, no_cerebellum)
}
