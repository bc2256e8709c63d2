"""The hippocampal frame: one definition of right, anterior and superior for every head.

Origin: midway between the two hippocampal centres. x: from the left to the right centre.
y: the mean long axis of both hippocampi, turned in the sagittal plane so that the long axis
dips by `LONG_AXIS_DIP_DEG` towards anterior, as it does on average in the crops of the Medical
Segmentation Decathlon. z: x cross y, superior. Sides therefore come from the head itself, never
from voxel order or the sign of a world coordinate.

World coordinates are LPS millimetres, as in SimpleITK; matrices hold the frame's right, anterior
and superior unit vectors as columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Mean dip of the hippocampal long axis in the 221 MSD Task04 crops, degrees.
LONG_AXIS_DIP_DEG = 24.0

#: Columns: right, anterior, superior of the world axes themselves, in LPS.
WORLD_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class HeadPose:
    """A rigid frame of the head.

    Attributes:
        axes: (3, 3) float64; columns are right, anterior, superior in LPS world coordinates.
        origin: (3,) float64 mm, LPS; midway between the hippocampi.
    """

    axes: np.ndarray
    origin: np.ndarray

    def to_head(self, points: np.ndarray) -> np.ndarray:
        """Map LPS world points (..., 3) mm to frame coordinates (right, anterior, superior) mm."""
        return (np.asarray(points, float) - self.origin) @ self.axes

    def to_world(self, coordinates: np.ndarray) -> np.ndarray:
        """Map frame coordinates (..., 3) mm to LPS world points mm."""
        return np.asarray(coordinates, float) @ self.axes.T + self.origin


@dataclass(frozen=True)
class Affine:
    """``matrix @ point + offset``: (3, 3) float64 and (3,) float64 mm."""

    matrix: np.ndarray
    offset: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., 3) mm."""
        return np.asarray(points, float) @ self.matrix.T + self.offset

    def after(self, first: Affine) -> Affine:
        """The map that applies `first`, then this one."""
        return Affine(self.matrix @ first.matrix, self.matrix @ first.offset + self.offset)

    @property
    def volume(self) -> float:
        """By how much it enlarges volumes."""
        return float(abs(np.linalg.det(self.matrix)))


def _centre_and_long_axis(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre = points.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((points - centre).T))
    return centre, vectors[:, -1]


def pose_from_hippocampi(left: np.ndarray, right: np.ndarray, anterior: np.ndarray) -> HeadPose:
    """Frame of a head whose two hippocampi are known.

    Args:
        left, right: (n, 3) LPS world points mm of each hippocampus's voxels.
        anterior: (3,) a rough anterior direction (within 90 degrees), to orient the long axes.
    """
    left_centre, left_axis = _centre_and_long_axis(left)
    right_centre, right_axis = _centre_and_long_axis(right)
    x = right_centre - left_centre
    x /= np.linalg.norm(x)
    long_axis = sum(axis * np.sign(axis @ anterior) for axis in (left_axis, right_axis))
    long_axis -= (long_axis @ x) * x
    long_axis /= np.linalg.norm(long_axis)
    dorsal = np.cross(x, long_axis)
    dip = np.deg2rad(LONG_AXIS_DIP_DEG)
    # The long axis points `dip` below anterior: anterior is the long axis turned back upwards.
    y = np.cos(dip) * long_axis + np.sin(dip) * dorsal
    return HeadPose(np.stack([x, y, np.cross(x, y)], axis=1), (left_centre + right_centre) / 2)


def fit_pose(world: np.ndarray, coordinates: np.ndarray, weights: np.ndarray) -> tuple[HeadPose, float]:
    """Weighted least-squares rigid frame (with scale) that explains `coordinates` at `world`.

    Umeyama's closed form (IEEE TPAMI 1991), reflections excluded.

    Args:
        world: (n, 3) LPS mm. coordinates: (n, 3) frame mm. weights: (n,) non-negative.

    Returns:
        The frame and the weighted root-mean-square residual in mm.
    """
    w = weights / weights.sum()
    world_mean, coordinate_mean = w @ world, w @ coordinates
    a, b = coordinates - coordinate_mean, world - world_mean
    u, s, vt = np.linalg.svd((b * w[:, None]).T @ a)
    # Right-anterior-superior is right-handed in LPS world coordinates too: determinant +1.
    sign = np.sign(np.linalg.det(u @ vt))
    d = np.array([1.0, 1.0, sign])
    axes = u @ np.diag(d) @ vt
    scale = (s * d).sum() / (w @ (a**2).sum(axis=1))
    residual = b - scale * a @ axes.T
    rms = float(np.sqrt(w @ (residual**2).sum(axis=1)))
    return HeadPose(axes, world_mean - scale * axes @ coordinate_mean), rms


def fit_affine(world: np.ndarray, coordinates: np.ndarray, weights: np.ndarray) -> Affine:
    """Weighted least-squares affine map from `coordinates` to `world`; arguments as in :func:`fit_pose`."""
    w = weights / weights.sum()
    world_mean, coordinate_mean = w @ world, w @ coordinates
    a, b = coordinates - coordinate_mean, world - world_mean
    weighted = (a * w[:, None]).T
    # A flat cloud leaves a direction open: it is then not stretched, which the small term sees to.
    ridge = 1e-6 * np.trace(weighted @ a) * np.eye(3)
    matrix = np.linalg.solve(weighted @ a + ridge, weighted @ b + ridge).T
    return Affine(matrix, world_mean - matrix @ coordinate_mean)


def stretch(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Polar decomposition of a (3, 3) matrix that does not mirror: `matrix` = rotation @ stretch.

    Returns:
        (3, 3) rotation and (3, 3) symmetric positive stretch.
    """
    u, s, vt = np.linalg.svd(matrix)
    return u @ vt, vt.T @ np.diag(s) @ vt
