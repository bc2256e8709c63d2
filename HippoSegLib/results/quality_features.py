"""What can be told of one side's result without knowing the truth, as plain numbers.

All arrays are (z, y, x) on the grid of a region (`regions.py`): x to the right, y anterior, z superior,
right sides mirrored.
"""

from __future__ import annotations

import numpy as np

from ..geometry import masks
from ..geometry.filters import mean_of_three
from ..geometry.pose import LONG_AXIS_DIP_DEG

#: Fewer voxels than this have no shape to speak of.
MIN_VOXELS = 30
#: The surroundings that are compared with the inside reach this far, in voxels.
NEAR = 5
#: What `_of_image` tells, 0 where the image tells nothing.
IMAGE_FEATURES = (
    *("rank", "brighter", "grain", "edge", "above", "below"),
    *("mixed", "purer_elsewhere", "edge_elsewhere"),
)
#: So many voxels away an outline is tried for comparison.
ELSEWHERE = 4
#: Edge of the blocks in which an image is compared with how a T1 looks, mm.
BLOCK_MM = 8.0
#: Least blocks in view for such a comparison.
MIN_BLOCKS = 20

_DIP = np.deg2rad(LONG_AXIS_DIP_DEG)
#: (z, y, x) direction of the long axis towards anterior.
_LONG_AXIS = np.array([-np.sin(_DIP), np.cos(_DIP), 0.0])


def entropy(p: np.ndarray) -> np.ndarray:
    """Doubt of a two-sided probability, in bits: 0 where it is 0 or 1, 1 where it is 0.5; float32."""
    p = np.clip(np.asarray(p, np.float32), 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return np.nan_to_num(bits, nan=0.0).clip(0, 1)


def side_features(image: np.ndarray, maps: np.ndarray, inside: np.ndarray) -> dict[str, float] | None:
    """Describe one side's result.

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
    box = tuple(slice(max(s.start - NEAR - 2, 0), s.stop + NEAR + 2) for s in masks.bounding_box(mask))
    surface = count - int(masks.eroded(mask[box]).sum())
    of_all_maps = (slice(None), *box)
    found = _of_probabilities(p, mask, count, surface)
    found |= _of_shape(maps[of_all_maps], mask[box], count, surface)
    found |= _of_image(np.asarray(image[box], np.float32), mask[box], inside[box])
    return {name: float(np.nan_to_num(value, posinf=0.0, neginf=0.0)) for name, value in found.items()}


def long_axis_length(mask: np.ndarray) -> float:
    """Extent of a mask (z, y, x) along its longest axis, in voxels, but for a percent at each end."""
    centred = np.argwhere(mask).astype(float)
    centred -= centred.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return float(np.ptp(np.percentile(centred @ vectors[:, -1], (1, 99))))


def _of_probabilities(p: np.ndarray, mask: np.ndarray, count: int, surface: int) -> dict[str, float]:
    doubt = entropy(p)
    core = masks.eroded(mask, 2)
    around = masks.dilated(mask, 2)
    return {
        # The Dice to be expected if every probability were true.
        "expected_overlap": 2 * float(p[mask].sum()) / (float(p.sum()) + count),
        "doubt_per_surface": float(doubt.sum()) / max(surface, 1),
        "doubt_in_core": float(doubt[core].mean()) if core.any() else 1.0,
        "doubt_outside": float(np.log1p(doubt[~around].sum())),
        "soft_volume": float(np.log(p.sum() / count)),
        "uncertain_share": float(((p > 0.2) & (p < 0.8)).sum()) / count,
    }


def _of_shape(maps: np.ndarray, mask: np.ndarray, count: int, surface: int) -> dict[str, float]:
    points = np.argwhere(mask).astype(float)
    centred = points - points.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / count)
    spread = np.sqrt(np.maximum(values, 0.05))
    front = (maps[0] > maps[1])[mask]
    ahead = 0.0
    if front.any() and not front.all():
        ahead = float((points[front].mean(axis=0) - points[~front].mean(axis=0)) @ _LONG_AXIS)
    return {
        "volume": float(np.log(count)),
        "length": float(np.ptp(np.percentile(centred @ vectors[:, -1], (1, 99)))),
        "slenderness": float(np.log(spread[2] / spread[1])),
        "flatness": float(np.log(spread[1] / spread[0])),
        "tilt": float(abs(vectors[:, -1] @ _LONG_AXIS)),
        "roughness": surface / count ** (2 / 3),
        "anterior_share": float(front.mean()),
        "anterior_ahead": ahead,
        "parts_doubt": float(np.minimum(maps[0], maps[1])[mask].mean()),
    }


def _of_image(image: np.ndarray, mask: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Grey values in and about the outline, as shares of their range there."""
    near = masks.dilated(mask, NEAR) & inside
    outer = masks.dilated(mask)
    shell = near & ~outer
    rim = masks.dilated(mask, 2)
    found = dict.fromkeys(IMAGE_FEATURES, 0.0)
    found["outside_share"] = float((rim & ~inside).sum() / rim.sum())
    own = mask & inside
    if min(own.sum(), shell.sum()) < MIN_VOXELS:
        return found
    low, high = np.percentile(image[near], (2, 98))
    scale = float(high - low)
    if scale <= 1e-6 * max(abs(float(high)), abs(float(low)), 1e-30):
        return found
    image = np.clip((image - low) / scale, -0.5, 1.5)
    middle, about = float(np.median(image[own])), image[shell]
    slopes = np.sqrt(sum(np.gradient(image, axis=k) ** 2 for k in range(3)))
    edge = own & ~masks.eroded(mask)
    rest = image - mean_of_three(image)
    found |= {
        "rank": float((about < middle).mean()),
        "brighter": float(np.percentile(about, 85)) - middle,
        "grain": float(np.median(np.abs(rest[near]))),
        "edge": float(slopes[edge].mean()) / max(float(slopes[near].mean()), 1e-6),
    }
    for name, moved in (("above", _moved(mask, 4)), ("below", _moved(mask, -4))):
        moved = moved & ~outer & inside
        if moved.any():
            found[name] = float(image[moved].mean() - image[own].mean())
    return found | _of_place(image, slopes, mask, inside)


def _of_place(
    image: np.ndarray, slopes: np.ndarray, mask: np.ndarray, inside: np.ndarray
) -> dict[str, float]:
    """Whether the outline would fit as well a few voxels away: a hippocampus is of one tissue and ends at
    edges, and a plausible outline that lies elsewhere does not."""
    rim = mask & ~masks.eroded(mask)
    spreads, edges = [], []
    if not (rim & inside).any():
        return {}
    mixed, edge = _spread(image[mask & inside]), float(slopes[rim & inside].mean())
    for axis in range(3):
        for steps in (-ELSEWHERE, ELSEWHERE):
            own, border = (_moved(one, steps, axis) & inside for one in (mask, rim))
            if min(own.sum(), border.sum()) >= MIN_VOXELS:
                spreads.append(_spread(image[own]))
                edges.append(float(slopes[border].mean()))
    if not spreads:
        return {}
    return {
        "mixed": mixed,
        "purer_elsewhere": mixed - min(spreads),
        "edge_elsewhere": max(edges) / max(edge, 1e-6),
    }


def _spread(values: np.ndarray) -> float:
    low, high = np.percentile(values, (15, 85))
    return float(high - low)


def _moved(mask: np.ndarray, steps: int, axis: int = 0) -> np.ndarray:
    """The mask moved along an axis, by default up, by so many voxels; what leaves the array is lost."""
    result = np.zeros_like(mask)
    to, from_ = [slice(None)] * mask.ndim, [slice(None)] * mask.ndim
    if steps > 0:
        to[axis], from_[axis] = slice(steps, None), slice(None, -steps)
    else:
        to[axis], from_[axis] = slice(None, steps), slice(-steps, None)
    result[tuple(to)] = mask[tuple(from_)]
    return result


def block_ranks(image: np.ndarray, inside: np.ndarray, spacing: float = 1.0) -> np.ndarray:
    """How bright each block of a region is among its blocks.

    Args:
        image: (z, y, x) the scan on the region's grid. inside: bool, its field of view.
        spacing: mm of the grid.

    Returns:
        (z, y, x) float64 of blocks of `BLOCK_MM` about the region's middle: ranks from -0.5 to 0.5, NaN in
        blocks that are mostly out of view or dark, and everywhere where too few are left.
    """
    edge = max(1, round(BLOCK_MM / spacing))
    counts = [n // edge for n in image.shape]
    starts = [(n - k * edge) // 2 for n, k in zip(image.shape, counts, strict=True)]
    middle = tuple(slice(a, a + k * edge) for a, k in zip(starts, counts, strict=True))
    split = [n for k in counts for n in (k, edge)]
    seen = (inside & (image != 0))[middle].reshape(split)
    share = seen.mean(axis=(1, 3, 5))
    values = (np.asarray(image[middle], np.float64).reshape(split) * seen).mean(axis=(1, 3, 5))
    known = share > 0.5
    ranks = np.full(counts, np.nan)
    if known.sum() >= MIN_BLOCKS:
        order = np.argsort(np.argsort(values[known] / share[known]))
        ranks[known] = order / (known.sum() - 1) - 0.5
    return ranks


def likeness(ranks: np.ndarray, pattern: np.ndarray) -> float:
    """Correlation of `block_ranks` with the mean ones of T1 images, -1..1; 0 where too little is in view.

    Of two sizes, the blocks about the middle are compared.
    """
    shape = np.minimum(ranks.shape, pattern.shape)
    a, b = (
        x[tuple(slice((n - k) // 2, (n - k) // 2 + k) for n, k in zip(x.shape, shape, strict=True))]
        for x in (ranks, pattern)
    )
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < MIN_BLOCKS or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return 0.0
    return float(np.corrcoef(a[both], b[both])[0, 1])
