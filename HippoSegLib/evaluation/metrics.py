"""How well one mask agrees with another: overlap, surface distance, volume.

Definitions follow "Metrics reloaded" (Maier-Hein et al., Nature Methods 2024): HD95 is the larger of the
two directed 95th percentiles, ASSD the mean over the surface voxels of both masks together. The surface
of a mask is those of its voxels that have a face neighbour outside it; what lies beyond the image counts
as outside. Distances run between voxel centres, in mm.

Where a value is not defined (a distance to an empty mask, the Dice of two empty ones) it is NaN, never a
flattering number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

#: What `compare` returns, in order; units are in the names, the rest are 0..1.
METRICS = (
    "dice",
    "jaccard",
    "hd95_mm",
    "assd_mm",
    "sensitivity",
    "precision",
    "volume_similarity",
    "volume_mm3",
    "reference_mm3",
    "bias_mm3",
)


def compare(found: np.ndarray, reference: np.ndarray, spacing_zyx: Sequence[float]) -> dict[str, float]:
    """All of `METRICS` for one structure.

    Args:
        found: (z, y, x) bool, the mask to be judged.
        reference: (z, y, x) bool, the truth.
        spacing_zyx: Voxel size in mm, in the order of the arrays' axes.

    Returns:
        `volume_similarity` is 1 − |V − V_ref| / (V + V_ref) (Taha and Hanbury 2015), `bias_mm3` is
        V − V_ref. Undefined values are NaN: everything but the volumes where both masks are empty;
        distances and precision where nothing was found; distances and sensitivity where there is
        nothing to find. An empty mask against one that is not has Dice, Jaccard and volume similarity 0.

    Raises:
        ValueError: The masks differ in shape, or are not 3D bool arrays.
    """
    if found.shape != reference.shape or found.ndim != 3:
        raise ValueError(f"masks of shapes {found.shape} and {reference.shape}")
    if found.dtype != bool or reference.dtype != bool:
        raise ValueError("masks must be bool")
    both = int(np.count_nonzero(found & reference))
    n_found, n_reference = int(np.count_nonzero(found)), int(np.count_nonzero(reference))
    hd95, assd = surface_distances(found, reference, spacing_zyx)
    voxel = float(np.prod(spacing_zyx))
    total = n_found + n_reference
    values = (
        _ratio(2 * both, total),
        _ratio(both, total - both),
        hd95,
        assd,
        _ratio(both, n_reference),
        _ratio(both, n_found),
        1 - _ratio(abs(n_found - n_reference), total),
        n_found * voxel,
        n_reference * voxel,
        (n_found - n_reference) * voxel,
    )
    return dict(zip(METRICS, values, strict=True))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice coefficient of two bool arrays of one shape; NaN where both are empty."""
    return _ratio(2 * int(np.count_nonzero(a & b)), int(np.count_nonzero(a)) + int(np.count_nonzero(b)))


def surface_distances(a: np.ndarray, b: np.ndarray, spacing_zyx: Sequence[float]) -> tuple[float, float]:
    """HD95 and ASSD of two (z, y, x) bool masks, mm; NaN where one of them is empty."""
    points_a, points_b = surface_points(a, spacing_zyx), surface_points(b, spacing_zyx)
    if not len(points_a) or not len(points_b):
        return math.nan, math.nan
    a_to_b = cKDTree(points_b).query(points_a)[0]
    b_to_a = cKDTree(points_a).query(points_b)[0]
    hd95 = max(np.percentile(a_to_b, 95), np.percentile(b_to_a, 95))
    return float(hd95), float(np.concatenate([a_to_b, b_to_a]).mean())


def surface_points(mask: np.ndarray, spacing_zyx: Sequence[float]) -> np.ndarray:
    """(n, 3) mm (z, y, x) of the centres of a mask's surface voxels, from the array's first voxel."""
    box = ndimage.find_objects(mask.astype(np.uint8))
    if not box:
        return np.empty((0, 3))
    part = mask[box[0]]
    surface = np.argwhere(part & ~ndimage.binary_erosion(part))
    return (surface + [s.start for s in box[0]]) * np.asarray(spacing_zyx, float)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
