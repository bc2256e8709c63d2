"""How far a result can be trusted: doubt per voxel, expected overlap per side, and flags.

The score of a side is the Dice coefficient with a manual outline that results with such probability maps
and such an image had, in trials with scans damaged on purpose (`training/quality.py` makes them and fits
the coefficients). They are a plain logistic regression on a few named features, and stand in the model's
card under "quality"; a model without them gives no score. All arrays are (z, y, x) on the grid of a
region (`regions.py`): x to the right, y anterior, z superior, right sides mirrored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .errors import ModelError
from .flags import Flag
from .frame import LONG_AXIS_DIP_DEG
from .localization import Localization
from .regions import Region, coverage, cut

#: Fewer voxels than this have no shape to speak of: the score is 0.
MIN_VOXELS = 30
#: The surroundings that are compared with the inside reach this far, in voxels.
NEAR = 5
#: Standardised features are clipped here, so that nothing unheard of decides alone.
CLIP = 4.0

_LONG_AXIS = np.array([-np.sin(np.deg2rad(LONG_AXIS_DIP_DEG)), np.cos(np.deg2rad(LONG_AXIS_DIP_DEG)), 0.0])


def entropy(p: np.ndarray) -> np.ndarray:
    """Doubt of a two-sided probability: 0 where it is 0 or 1, 1 where it is 0.5; float32, any shape.

    The entropy in bits.
    """
    p = np.clip(np.asarray(p, np.float32), 1e-7, 1 - 1e-7)
    return np.where((p > 2e-7) & (p < 1 - 2e-7), -(p * np.log2(p) + (1 - p) * np.log2(1 - p)), 0).astype(
        np.float32
    )


def uncertainty_image(probability: sitk.Image) -> sitk.Image:
    """Doubt per voxel, float32 0..1, on the grid of a probability map of the whole hippocampus."""
    image = sitk.GetImageFromArray(entropy(sitk.GetArrayViewFromImage(probability)))
    image.CopyInformation(probability)
    return image


def side_features(image: np.ndarray, maps: np.ndarray, inside: np.ndarray) -> dict[str, float] | None:
    """What can be told of one side's result without knowing the truth.

    Args:
        image: (z, y, x) float, the scan on the region's grid.
        maps: (2, z, y, x) float32, probabilities of the anterior and the posterior part.
        inside: (z, y, x) bool, where the region lies within the scan's field of view.

    Returns:
        Name -> value, all finite; None where hardly a voxel was found.
    """
    p = maps.sum(axis=0)
    mask = p > 0.5
    count = int(mask.sum())
    if count < MIN_VOXELS:
        return None
    box = tuple(
        slice(max(int(np.flatnonzero(a)[0]) - NEAR - 2, 0), int(np.flatnonzero(a)[-1]) + NEAR + 3)
        for a in (mask.any(axis=tuple(k for k in range(3) if k != axis)) for axis in range(3))
    )
    found = _of_probabilities(p, mask, count)
    found |= _of_shape(maps[(slice(None), *box)], mask[box], count)
    found |= _of_image(np.asarray(image[box], np.float32), mask[box], inside[box])
    return {
        name: float(np.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0)) for name, value in found.items()
    }


def _of_probabilities(p: np.ndarray, mask: np.ndarray, count: int) -> dict[str, float]:
    doubt = entropy(p)
    core = ndimage.binary_erosion(mask, iterations=2)
    around = ndimage.binary_dilation(mask, iterations=2)
    surface = count - int(ndimage.binary_erosion(mask).sum())
    return {
        # The Dice that would be expected if every probability were true.
        "expected_overlap": 2 * float(p[mask].sum()) / (float(p.sum()) + count),
        "doubt_per_surface": float(doubt.sum()) / max(surface, 1),
        "doubt_in_core": float(doubt[core].mean()) if core.any() else 1.0,
        "doubt_outside": float(np.log1p(doubt[~around].sum())),
        "soft_volume": float(np.log(p.sum() / count)),
        "uncertain_share": float(((p > 0.2) & (p < 0.8)).sum()) / count,
    }


def _of_shape(maps: np.ndarray, mask: np.ndarray, count: int) -> dict[str, float]:
    points = np.argwhere(mask).astype(float)
    centred = points - points.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / count)
    spread = np.sqrt(np.maximum(values, 0.05))
    anterior = maps[0] > maps[1]
    front, back = mask & anterior, mask & ~anterior
    n_front, n_back = int(front.sum()), int(back.sum())
    ahead = 0.0
    if n_front and n_back:
        ahead = float((np.argwhere(front).mean(axis=0) - np.argwhere(back).mean(axis=0)) @ _LONG_AXIS)
    along = centred @ vectors[:, -1]
    surface = count - int(ndimage.binary_erosion(mask).sum())
    return {
        "volume": float(np.log(count)),
        "length": float(np.ptp(np.percentile(along, (1, 99)))),
        "slenderness": float(np.log(spread[2] / spread[1])),
        "flatness": float(np.log(spread[1] / spread[0])),
        "tilt": float(abs(vectors[:, -1] @ _LONG_AXIS)),
        "roughness": surface / count ** (2 / 3),
        "anterior_share": n_front / count,
        "anterior_ahead": ahead,
        "parts_doubt": float(np.minimum(maps[0], maps[1])[mask].mean()),
    }


def _of_image(image: np.ndarray, mask: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Grey values in the outline and about it; sizes are shares of their local range."""
    near = ndimage.binary_dilation(mask, iterations=NEAR) & inside
    shell = near & ~ndimage.binary_dilation(mask)
    own = image[mask & inside]
    if own.size < MIN_VOXELS or shell.sum() < MIN_VOXELS:
        return dict.fromkeys(_IMAGE, 0.0) | {"outside_share": 1.0}
    low, high = np.percentile(image[near], (2, 98))
    scale = max(float(high - low), 1e-6 * max(abs(float(high)), 1e-6))
    image = np.clip((image - low) / scale, -0.5, 1.5)
    own, about = image[mask & inside], image[shell]
    middle = float(np.median(own))
    slopes = np.sqrt(sum(np.gradient(image, axis=k) ** 2 for k in range(3)))
    edge = mask & ~ndimage.binary_erosion(mask) & inside
    rest = image - ndimage.uniform_filter(image, 3)
    rim = ndimage.binary_dilation(mask, iterations=2)
    values = image[near]
    spread = max(float(values.std()), 1e-3)
    return {
        "level": middle,
        "rank": float((about < middle).mean()),
        "brighter": float(np.percentile(about, 85)) - middle,
        "darker": middle - float(np.percentile(about, 10)),
        "own_spread": float(own.std()),
        "grain": float(np.median(np.abs(rest[near]))),
        "sharpness": float(slopes[near].mean()),
        "edge": float(slopes[edge].mean() / max(float(slopes[near].mean()), 1e-6)) if edge.any() else 0.0,
        "skewness": float((((values - values.mean()) / spread) ** 3).mean()),
        "bright_share": float((values > middle + 0.2).mean()),
        "dark_share": float((values < middle - 0.2).mean()),
        "above": _direction(image, mask, inside, +1),
        "below": _direction(image, mask, inside, -1),
        "outside_share": float((rim & ~inside).sum() / rim.sum()),
    }


def _direction(image, mask, inside, sense: int) -> float:
    """Mean grey value some voxels above (or below) the outline, relative to inside it."""
    moved = np.zeros_like(mask)
    if sense > 0:
        moved[4:] = mask[:-4]
    else:
        moved[:-4] = mask[4:]
    moved &= ~ndimage.binary_dilation(mask) & inside
    return float(image[moved].mean() - image[mask & inside].mean()) if moved.any() else 0.0


_IMAGE = (
    "level rank brighter darker own_spread grain sharpness edge skewness bright_share dark_share above below "
    "outside_share"
).split()
