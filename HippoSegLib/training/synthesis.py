"""Coarse training heads: any pose, contrast, field of view, with or without skull or face.

The idea is SynthSeg's (Billot et al., Medical Image Analysis 2023): draw an image from a label map
with random intensities, so that a network learns shape instead of one scanner's contrast. Here the
heads are drawn directly on the localiser's coarse grid, (n, n, n) voxels of `SPACING` mm with x to
the right, y anterior, z superior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..geometry.pose import WORLD_RAS
from ..localization.coarse import GRID
from ..localization.normalisation import normalise
from .heads import EXTRACRANIAL_FROM, LEFT, RIGHT, LabelHead, WeakHead

SIZE, SPACING = GRID.size, GRID.spacing
#: Classes of the localisation network, as fractions of a voxel.
OUTSIDE, INTRACRANIAL, LEFT_HIPPOCAMPUS, RIGHT_HIPPOCAMPUS = range(4)


#: Tissues that share their grey value in most sequences, by FreeSurfer id.
TISSUES = (
    (2, 41, 7, 46, 16, 28, 60, 85),  # white matter, brain stem, ventral diencephalon
    (3, 42, 8, 47, 17, 53, 18, 54, 26, 58),  # cortex, hippocampus, amygdala, accumbens
    (10, 49, 11, 50, 12, 51, 13, 52),  # deep grey
    (4, 5, 14, 15, 43, 44, 24, 30, 62, 136, 137, 163, 164),  # fluid
)


@dataclass(frozen=True)
class CoarseSample:
    """`image` (z, y, x) float32 0..1; `fractions` (4, z, y, x) sum to 1; `coordinates` (3, z, y, x)
    mm in the hippocampal frame; `inside` (z, y, x) bool: within the field of view."""

    image: np.ndarray
    fractions: np.ndarray
    coordinates: np.ndarray
    inside: np.ndarray


@dataclass(frozen=True)
class Intensities:
    """T1 intensity priors per label id: classes (n,), means and standard deviations (2, classes)
    as hyper-parameters (mean, spread), from SynthSeg."""

    classes: np.ndarray
    means: np.ndarray
    stds: np.ndarray

    def draw(self, rng: np.random.Generator, contrast: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each label id for one synthetic image."""
        n = self.means.shape[1]
        if contrast == "t1":
            mean = rng.normal(self.means[0], self.means[1])
            std = np.abs(rng.normal(self.stds[0], self.stds[1]))
        else:
            mean, std = np.asarray(rng.uniform(0, 220, n)), np.asarray(rng.uniform(2, 25, n))
            if rng.random() < 0.7:
                mean[0] = rng.uniform(0, 12)
        return np.clip(mean, 0, None)[self.classes], np.minimum(std, 40)[self.classes]


def grey_values(intensities: Intensities, ids: np.ndarray, rng: np.random.Generator):
    """Mean and standard deviation of each label's grey value: T1-like, of a few tissues, or of any kind."""
    kind = rng.random()
    if kind < 0.4:
        return intensities.draw(rng, "t1")
    mean, std = intensities.draw(rng, "any")
    if kind < 0.85:
        for tissue in TISSUES:
            member = np.isin(ids, tissue)
            value = rng.uniform(20, 220)
            mean[member] = value * np.exp(rng.normal(0, 0.06, member.sum()))
            std[member] = rng.uniform(2, 15)
    return mean, std


def random_pose(rng: np.random.Generator, max_degrees: float) -> np.ndarray:
    """(3, 3) matrix: rotation about each axis up to `max_degrees`, then scaling 0.85-1.15 and shear."""
    rotation = Rotation.from_euler("xyz", rng.uniform(-max_degrees, max_degrees, 3), degrees=True).as_matrix()
    stretch = np.diag(rng.uniform(0.9, 1.1, 3) * rng.uniform(0.92, 1.1))
    stretch[np.triu_indices(3, 1)] = rng.uniform(-0.04, 0.04, 3)
    return rotation @ stretch


#: (3, n, n, n) right-anterior-superior mm of the coarse voxels about the grid's centre, xyz first.
_GRID = np.stack(np.meshgrid(*[GRID.axis()] * 3, indexing="ij")[::-1]).astype(np.float32)


def _warp(rng: np.random.Generator, amplitude_mm: float) -> np.ndarray:
    """Smooth random displacement (3, n, n, n) mm."""
    coarse = torch.from_numpy(rng.normal(0, amplitude_mm, (1, 3, 6, 6, 6)).astype(np.float32))
    return F.interpolate(coarse, size=(SIZE,) * 3, mode="trilinear", align_corners=True)[0].numpy()


def _source_points(head: LabelHead | WeakHead, rng, max_degrees, warp_mm):
    """Where in the head (LPS mm, (3, ...)) each coarse voxel looks, the pose's matrix, and what the field
    of view shows, bool (z, y, x)."""
    pose = random_pose(rng, max_degrees)
    inside, middle = _field_of_view(rng)
    # The localiser lays its grid about the middle of the field of view: a head that is cut on one side
    # lies off it.
    shift = rng.normal(0, 12, 3) - middle
    # The head's centre lies some 20 mm above and 10 mm before the hippocampi in the frame.
    centre = head.pose.to_world(np.array([0, 5, 20]))
    matrix = WORLD_RAS @ np.linalg.inv(pose)
    grid = _GRID - shift[:, None, None, None].astype(np.float32)
    points = np.tensordot(matrix, grid + _warp(rng, warp_mm), axes=1) + centre[:, None, None, None]
    return points.astype(np.float32), matrix, inside


def synthesise_from_labels(
    head: LabelHead,
    intensities: Intensities,
    rng: np.random.Generator,
    *,
    max_degrees: float = 33.0,
    mirror: bool | None = None,
) -> CoarseSample:
    """Draw one coarse head from a label map."""
    head_labels, ids = head.labels, head.ids
    points, matrix, inside = _source_points(head, rng, max_degrees, rng.uniform(0, 2.5))
    world_to_index = np.linalg.inv(head.index_to_world[:, :3])
    index = np.tensordot(
        world_to_index, points - head.index_to_world[:, 3].astype(np.float32)[:, None, None, None], axes=1
    )
    # Eight samples per coarse voxel give fractions instead of aliased labels.
    step = world_to_index @ matrix * (SPACING / 4)
    mean, std = grey_values(intensities, ids, rng)
    extracranial = (ids >= EXTRACRANIAL_FROM) | (ids == 0)
    keep = keep_labels(ids, rng)
    limits = np.array(head_labels.shape[::-1])[:, None, None, None]
    flat = head_labels.ravel()
    strides = np.array([1, head_labels.shape[2], head_labels.shape[2] * head_labels.shape[1]], np.int64)
    image = np.zeros((SIZE,) * 3, np.float32)
    fractions = np.zeros((4, SIZE, SIZE, SIZE), np.float32)
    table = np.zeros((256, 4), np.float32)
    table[: len(ids), INTRACRANIAL] = ~extracranial
    table[np.searchsorted(ids, LEFT)] = np.eye(4)[LEFT_HIPPOCAMPUS]
    table[np.searchsorted(ids, RIGHT)] = np.eye(4)[RIGHT_HIPPOCAMPUS]
    table[: len(ids), OUTSIDE] = extracranial
    for corner in np.ndindex(2, 2, 2):
        offset = step @ (np.array(corner) * 2.0 - 1.0)
        where = np.rint(index + offset[:, None, None, None]).astype(np.int64)
        valid = ((where >= 0) & (where < limits)).all(axis=0)
        labels = flat[np.tensordot(strides, where, axes=1) * valid]
        labels[~valid] = 0
        noise = rng.standard_normal(labels.shape, dtype=np.float32)
        values = mean.astype(np.float32)[labels] + std.astype(np.float32)[labels] * noise
        image += np.clip(values, 0, None) * keep[labels] / 8
        fractions += np.moveaxis(table[labels], -1, 0) / 8
    coordinates = _coordinates(head, points)
    return _finish(image, fractions, coordinates, inside, rng, mirror)


def sample_from_weak(
    head: WeakHead, rng: np.random.Generator, *, max_degrees: float = 33.0, mirror: bool | None = None
) -> CoarseSample:
    """Draw one coarse head, moved and warped, from a real one with weak labels."""
    points, _, inside = _source_points(head, rng, max_degrees, rng.uniform(0, 2.0))
    world_to_index = np.linalg.inv(head.index_to_world[:, :3])
    index = np.tensordot(
        world_to_index, points - head.index_to_world[:, 3].astype(np.float32)[:, None, None, None], axes=1
    )
    size = np.array(head.channels.shape[:0:-1], np.float32)[:, None, None, None]
    grid = torch.from_numpy((2 * index / (size - 1) - 1).astype(np.float32)).permute(1, 2, 3, 0)[None]
    values = F.grid_sample(torch.from_numpy(head.channels)[None], grid, align_corners=True)[0].numpy()
    image, brain, left, right = values
    hippocampi = np.clip(left + right, 0, 1)
    inner = np.clip(np.maximum(brain, hippocampi), 0, 1) - hippocampi
    fractions = np.stack([1 - inner - hippocampi, inner, left, right])
    if rng.random() < 0.25:
        image = image * (ndimage.maximum_filter(brain, int(rng.integers(1, 4))) > 0.4)
    image = image * rng.uniform(0.7, 1.3) + 0
    return _finish(image, fractions, _coordinates(head, points), inside, rng, mirror)


def keep_labels(ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(256,) float32: which labels show (a skull-stripped head shows the brain only)."""
    keep = np.zeros(256, np.float32)
    keep[: len(ids)] = 1
    stripped = rng.random()
    if stripped < 0.35:
        keep[: len(ids)][(ids >= EXTRACRANIAL_FROM) | (ids == 0)] = 0
        if stripped < 0.15:
            keep[: len(ids)][ids == 24] = 0  # tight mask: no fluid around the brain
    return keep


def _coordinates(head, points: np.ndarray) -> np.ndarray:
    flat = points.reshape(3, -1).T
    return head.pose.to_head(flat).T.reshape(points.shape).astype(np.float32)


def _finish(image, fractions, coordinates, inside, rng, mirror) -> CoarseSample:
    """Appearance, field of view and mirroring common to both kinds of head."""
    image = _deface(image, fractions, coordinates, rng)
    image = degrade(image, rng)
    image = np.where(inside, image, 0)
    fractions = np.where(inside, fractions, np.eye(4)[OUTSIDE][:, None, None, None]).astype(np.float32)
    if mirror if mirror is not None else rng.random() < 0.5:
        image, inside = image[..., ::-1], inside[..., ::-1]
        fractions = fractions[:, :, :, ::-1][[OUTSIDE, INTRACRANIAL, RIGHT_HIPPOCAMPUS, LEFT_HIPPOCAMPUS]]
        coordinates = coordinates[..., ::-1] * np.array([-1, 1, 1], np.float32)[:, None, None, None]
    return CoarseSample(
        *(np.ascontiguousarray(a) for a in (normalise(image), fractions, coordinates, inside))
    )


def _deface(image, fractions, coordinates, rng):
    """Blank what lies outside the skull before the brain, as defacing tools do, in some heads."""
    if rng.random() < 0.25:
        front = (coordinates[1] > rng.uniform(20, 60)) & (coordinates[2] < rng.uniform(-10, 40))
        image = np.where(front & (fractions[OUTSIDE] > 0.9), 0, image)
    return image


def _field_of_view(rng) -> tuple[np.ndarray, np.ndarray]:
    """Boolean (z, y, x) box about the grid's centre, and where it lies about the head, xyz mm: each face is
    cut in some heads, hardly ever close to the hippocampi."""
    inside, middle = np.ones((SIZE,) * 3, bool), np.zeros(3)
    for axis in range(3):
        first, last = (int(rng.uniform(0, 0.42) * SIZE) if rng.random() < 0.22 else 0 for _ in range(2))
        middle[2 - axis] = (first - last) / 2 * SPACING
        margin = (first + last) // 2
        cut = np.zeros(SIZE, bool)
        cut[margin : SIZE - (first + last - margin)] = True
        inside &= cut.reshape([-1 if k == axis else 1 for k in range(3)])
    return inside, middle


def degrade(image, rng):
    """Bias field, blur along one axis (thick slices), noise, gamma."""
    if rng.random() < 0.7:
        coarse = torch.from_numpy(rng.normal(0, rng.uniform(0.05, 0.35), (1, 1, 4, 4, 4)).astype(np.float32))
        image = (
            image
            * F.interpolate(coarse, size=image.shape, mode="trilinear", align_corners=True)[0, 0]
            .exp()
            .numpy()
        )
    if rng.random() < 0.4:
        sigma = np.full(3, rng.uniform(0, 0.35))
        sigma[rng.integers(3)] = rng.uniform(0, 0.6)
        image = ndimage.gaussian_filter(image, sigma)
    image = normalise(image)
    if rng.random() < 0.6:
        image = image + rng.normal(0, rng.uniform(0, 0.06), image.shape).astype(np.float32)
    if rng.random() < 0.6:
        image = np.clip(image, 0, None) ** np.exp(rng.normal(0, 0.35))
    return image
