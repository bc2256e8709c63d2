"""The coarse network: pose of the head, rough position of both hippocampi, intracranial volume.

A small network sees the whole head at 6.5 mm and predicts, per voxel, outside / intracranial / left / right
hippocampus and the voxel's coordinates in the head's own axes (`geometry/pose.py`). A rigid fit to the
coordinates gives the pose (registration by regression, Gopinath et al. 2024), the classes give the centres
and the intracranial volume. Left and right are thus read from anatomy in world coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk

from ..errors import NotFoundError
from ..geometry import masks
from ..geometry.pose import WORLD_RAS, Affine, HeadPose, fit_affine, fit_pose
from ..labels import SIDES
from ..models.engines import Network
from .normalisation import normalise


@dataclass(frozen=True)
class CoarseGrid:
    """What the localisation network sees: `size` voxels of `spacing` mm along each axis; its coordinates
    come in units of `unit_mm`. A model's card states it."""

    size: int = 40
    spacing: float = 6.5
    unit_mm: float = 50.0

    def axis(self) -> np.ndarray:
        """mm of the voxel centres along one axis, about the grid's centre."""
        return (np.arange(self.size) - (self.size - 1) / 2) * self.spacing

    def points(self, centre: np.ndarray) -> np.ndarray:
        """LPS mm (n, n, n, 3) of the voxels of the grid about `centre`, indexed (z, y, x)."""
        z, y, x = np.meshgrid(self.axis(), self.axis(), self.axis(), indexing="ij")
        return np.stack([x, y, z], axis=-1) @ WORLD_RAS.T + centre


GRID = CoarseGrid()
#: Mean distance of a hippocampus from the mid-plane, mm (half of 49 mm in the training heads).
HALF_DISTANCE = 24.5
#: Soft volume under which the coarse network does not claim to see a hippocampus, mm³.
MIN_MASS_MM3 = 600.0
#: Below this much visible intracranial volume, or above this residual, it is no head we can read.
MIN_INTRACRANIAL_MM3 = 150e3
MAX_RESIDUAL_MM = 12.0
#: Where the coarse network sees no hippocampus, the pose must fit so well: in noise, which the refinement
#: network alone may take for one, the residual is 9 to 10 mm.
MAX_RESIDUAL_UNSEEN_MM = 8.0
#: A larger cut surface than this makes the intracranial volume meaningless (a cut neck is smaller).
MAX_CUT_AREA_MM2 = 1500.0

_REMEDY = "If it is a head, give a point inside each hippocampus."


def no_hippocampus() -> NotFoundError:
    """The error where neither hippocampus is seen."""
    return NotFoundError("No hippocampus was found in this image.", _REMEDY, "no_hippocampus")


@dataclass(frozen=True)
class Localization:
    """What the coarse network found.

    Attributes:
        pose: Pose of the head.
        centres: side -> (3,) LPS mm, for the sides the network sees.
        masses: side -> soft hippocampal volume in the coarse grid, mm³ (a rough volume).
        intracranial_mm3: Intracranial volume within the field of view, mm³.
        residual_mm: Root-mean-square residual of the pose fit: low in heads, high elsewhere.
        intracranial: (n, n, n) bool, the intracranial space on the coarse grid.
        intracranial_centre: (3,) LPS mm, its centre.
        intracranial_cut: The field of view cuts through the intracranial space: its volume says little.
        cut_mm2: Area of that cut.
        head_to_world: From mm in the mean head (the pose's axes) to LPS mm, stretches included; None where
            the head was not understood.
        thinned: The head as :func:`shrink` leaves it, for those who look at it again.
    """

    pose: HeadPose
    centres: Mapping[str, np.ndarray]
    masses: Mapping[str, float]
    intracranial_mm3: float
    residual_mm: float
    intracranial: np.ndarray | None = None
    intracranial_centre: np.ndarray | None = None
    intracranial_cut: bool = False
    cut_mm2: float = 0.0
    head_to_world: Affine | None = None
    thinned: sitk.Image | None = field(default=None, repr=False, compare=False)


def expected_centre(pose: HeadPose, side: str) -> np.ndarray:
    """Where the pose alone puts the hippocampus of `side`: (3,) LPS mm."""
    x = HALF_DISTANCE * (-1 if side == "left" else 1)
    return pose.to_world(np.array([x, 0.0, 0.0]))


def coarse_image(image: sitk.Image, centre: np.ndarray, grid: CoarseGrid = GRID) -> np.ndarray:
    """The head on the coarse grid about `centre` (LPS mm): (n, n, n) float32, scaled to 0..1.5.

    `image` is already thinned by :func:`shrink`; outside its field of view the grid is 0.
    """
    origin = centre + WORLD_RAS @ np.full(3, grid.axis()[0])
    resampled = sitk.Resample(
        image,
        [grid.size] * 3,
        sitk.Transform(),
        sitk.sitkLinear,
        origin.tolist(),
        [grid.spacing] * 3,
        WORLD_RAS.ravel().tolist(),
        0.0,
        sitk.sitkFloat32,
    )
    return normalise(sitk.GetArrayFromImage(resampled))


def shrink(image: sitk.Image, grid: CoarseGrid = GRID) -> sitk.Image:
    """Average blocks of voxels to at most the coarse spacing, float32; again, it changes nothing."""
    factors = [
        max(1, min(int(grid.spacing // s), n))
        for s, n in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
    return sitk.Cast(sitk.BinShrink(image, factors), sitk.sitkFloat32)


def _field_of_view_centre(small: sitk.Image, grid: CoarseGrid) -> np.ndarray:
    """Centre of the field of view; along axes longer than the grid, centre of the foreground."""
    size = np.array(small.GetSize())
    points = [
        small.TransformContinuousIndexToPhysicalPoint(((np.array(c) * size) - 0.5).tolist())
        for c in np.ndindex(2, 2, 2)
    ]
    corners = np.array(points)
    centre = corners.mean(axis=0)
    array = sitk.GetArrayViewFromImage(small)
    index = np.argwhere(array > 0.25 * np.percentile(array, 99))[:, ::-1]
    if len(index):
        matrix = np.array(small.GetDirection()).reshape(3, 3) * np.array(small.GetSpacing())
        foreground = matrix @ index.mean(axis=0) + np.array(small.GetOrigin())
        too_long = np.ptp(corners, axis=0) > grid.size * grid.spacing + 1
        centre = np.where(too_long, foreground, centre)
    return centre


def _cut_area(small: sitk.Image, points: np.ndarray, spacing: float, intracranial: np.ndarray) -> float:
    """Area in mm² over which the intracranial space ends at the edge of the field of view."""
    matrix = np.array(small.GetDirection()).reshape(3, 3) * np.array(small.GetSpacing())
    index = (points - np.array(small.GetOrigin())) @ np.linalg.inv(matrix).T
    inside = ((index >= -0.5) & (index <= np.array(small.GetSize()) - 0.5)).all(axis=-1)
    edge = masks.dilated(~inside) & inside
    return float((edge & intracranial).sum() * spacing**2)


def interpret(output: np.ndarray, centre: np.ndarray, grid: CoarseGrid = GRID) -> Localization:
    """Turn the network's answer into positions.

    Args:
        output: (7, n, n, n) float32: four class logits, three coordinates in units of
            `grid.unit_mm`.
        centre: (3,) LPS mm of the grid's centre.

    Raises:
        NotFoundError: Hardly any intracranial voxels, or coordinates that fit no rigid pose.
    """
    logits = output[:4] - output[:4].max(axis=0)
    p = np.exp(logits)
    p /= p.sum(axis=0)
    intracranial = p[1:].sum(axis=0)
    components, n = masks.components(intracranial > 0.5)
    voxel = grid.spacing**3
    if n:
        sizes = np.bincount(components.ravel())[1:]
        head = components == 1 + int(np.argmax(sizes))
    if not n or sizes.max() * voxel < MIN_INTRACRANIAL_MM3:
        raise NotFoundError("No head with a brain was recognised in this image.", _REMEDY, "no_head")
    points = grid.points(centre)
    world, coordinates = points[head], output[4:].reshape(3, *head.shape)[:, head].T * grid.unit_mm
    # The deep brain, near the hippocampi, decides the pose there; the far cortex less.
    weights = np.exp(-((coordinates**2).sum(axis=1)) / (2 * 50.0**2)) + 1e-3
    pose, _ = fit_pose(world, coordinates, weights)
    error = np.linalg.norm(pose.to_head(world) - coordinates, axis=1)
    weights = weights * (error < max(2.5 * np.median(error), 4.0))
    pose, residual = fit_pose(world, coordinates, weights)
    near = masks.dilated(head, 2)
    centres, masses = {}, {}
    for c, side in enumerate(SIDES, start=2):
        # What the classes see counts where the pose can agree with it.
        distance2 = ((points - expected_centre(pose, side)) ** 2).sum(axis=-1)
        weight = p[c] * np.exp(-distance2 / (2 * 15.0**2))
        masses[side] = float((p[c] * (distance2 < 40.0**2)).sum() * voxel)
        if masses[side] >= MIN_MASS_MM3:
            seen = weight * (p[c] > 0.2)
            total = seen.sum()
            if total > 0:
                centres[side] = (seen[..., None] * points).sum(axis=(0, 1, 2)) / total
    volume = float((intracranial * near).sum() * voxel)
    affine = fit_affine(world, coordinates, weights)
    return Localization(
        pose, centres, masses, volume, residual, head, world.mean(axis=0), head_to_world=affine
    )


def _best_start(
    locate_from: Callable[[np.ndarray], Localization], start: np.ndarray
) -> tuple[Localization, np.ndarray]:
    """What is found about `start` (LPS mm), or about another centre where that is no head, and that centre.

    Raises:
        NotFoundError: No centre shows a brain.
    """
    best: tuple[Localization, np.ndarray] | None = None
    failure: NotFoundError | None = None
    # A head cut on one side lies off the middle of its field of view; most are cut at the top or the face.
    for step in ([0, 0, 0], [0, 0, 60], [0, 40, 0], [0, 0, -60]):
        centre = start + np.array(step, float)
        try:
            found = locate_from(centre)
            for _ in range(2):
                # A head that a long field of view pushed to the grid's edge is centred on the grid.
                middle = found.intracranial_centre
                if middle is None or np.abs(middle - centre).max() < 48:
                    break
                centre = middle
                found = locate_from(centre)
        except NotFoundError as error:
            failure = error
            continue
        if best is None or found.residual_mm < best[0].residual_mm:
            best = found, centre
        if best[0].residual_mm <= MAX_RESIDUAL_MM and best[0].centres:
            break
    if best is None:
        assert failure is not None
        raise failure
    return best


def localize(image: sitk.Image, network: Network, grid: CoarseGrid = GRID) -> Localization:
    """Find the head's pose, and the hippocampi as far as the coarse network sees them (maybe neither).

    Args:
        image: Scalar 3D head, stored in canonical axes (`geometry.orientation.canonical_axes`), its
            background at 0 (`io.background`).
        network: The localisation network.
        grid: The grid it was trained on.

    Raises:
        NotFoundError: The image shows no head that the network can read.
    """
    small = shrink(image, grid)

    def locate_from(centre: np.ndarray) -> Localization:
        return interpret(network(coarse_image(small, centre, grid)[None]), centre, grid)

    found, centre = _best_start(locate_from, _field_of_view_centre(small, grid))
    if found.residual_mm > MAX_RESIDUAL_MM:
        raise no_hippocampus()
    assert found.intracranial is not None  # `interpret` says where it is
    area = _cut_area(small, grid.points(centre), grid.spacing, found.intracranial)
    cut = area > MAX_CUT_AREA_MM2
    return replace(found, intracranial_cut=cut, cut_mm2=area, thinned=small)
