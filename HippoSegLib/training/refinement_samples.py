"""Training samples for the refinement network: 7 cm about one hippocampus, any contrast.

Drawn as the coarse heads of `synthesis.py` are, from label maps with random intensities (Billot et
al., Medical Image Analysis 2023) and from real heads with weak labels, on a finer grid: x to the
right, y anterior, z superior for a left hippocampus, mirrored for a right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..geometry.pose import WORLD_RAS, HeadPose, pose_from_hippocampi
from ..localization.normalisation import normalise
from .heads import LEFT, RIGHT, LabelHead, ras_image, world_points
from .synthesis import Intensities, degrade, grey_values, keep_labels

#: Voxels (z, y, x) and mm of the refinement network.
SHAPE, SPACING = (24, 28, 24), 3.0


@dataclass(frozen=True)
class RealHead:
    """A real head at 1.5 mm: `channels` (3, z, y, x) float32 holds the image in 0..2, the left and the
    right hippocampus of its weak labels; `index_to_world` the (3, 4) affine from (x, y, z) to LPS mm;
    `pose` its hippocampal frame."""

    channels: np.ndarray
    index_to_world: np.ndarray
    pose: HeadPose


def read_real_head(image_path: Path, weak_stem: Path) -> RealHead:
    """Read a real head and its weak labels `<weak_stem>_{left,right}.nii.gz`."""
    image = sitk.ReadImage(str(image_path), sitk.sitkFloat32)
    masks = [sitk.ReadImage(f"{weak_stem}_{side}.nii.gz", sitk.sitkFloat32) for side in ("left", "right")]
    masks = [sitk.Cast(m > 0.5 * float(sitk.GetArrayViewFromImage(m).max()), sitk.sitkFloat32) for m in masks]
    image = sitk.DICOMOrient(image, "RAS")
    size = [int(np.ceil(n * s / 1.5)) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    stack = []
    for volume in (image, *masks):
        smooth = sitk.SmoothingRecursiveGaussian(sitk.DICOMOrient(volume, "RAS"), 0.4 * SPACING)
        stack.append(
            sitk.Resample(
                smooth, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), [1.5] * 3,
                image.GetDirection(),
            )
        )  # fmt: skip
    affine = ras_image(stack[0])[1]
    channels = np.stack([sitk.GetArrayFromImage(s) for s in stack])
    channels[0] = np.clip(channels[0] / np.percentile(channels[0][channels[0] > 0], 99), 0, 2)
    left, right = (world_points(channels[c] > 0.5, affine) for c in (1, 2))
    return RealHead(channels.clip(0), affine, pose_from_hippocampi(left, right, WORLD_RAS[:, 1]))


def label_centre(head: LabelHead, side: str) -> np.ndarray:
    """(3,) LPS mm: centre of mass of one hippocampus of a label map."""
    value = np.searchsorted(head.ids, LEFT if side == "left" else RIGHT)
    return world_points(head.labels == value, head.index_to_world).mean(axis=0)


def real_centre(head: RealHead, side: str) -> np.ndarray:
    """(3,) LPS mm: centre of mass of one hippocampus of a real head's weak labels."""
    mask = head.channels[1 if side == "left" else 2] > 0.5
    return world_points(mask, head.index_to_world).mean(axis=0)


#: (3, z, y, x) mm of the voxels about the middle, xyz first.
_GRID = (
    np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in SHAPE], indexing="ij")[::-1]) * SPACING
).astype(np.float32)


def _look(rng: np.random.Generator, pose: HeadPose, centre: np.ndarray, side: str):
    """LPS mm (3, z, y, x) that the voxels see, and the (3, 3) mm they step: a pose and a place that the
    localiser might have got wrong, a head of another size, bent a little."""
    degrees = np.clip(rng.normal(0, 9, 3), -30, 30)
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    size = np.diag(rng.uniform(0.85, 1.15) * rng.uniform(0.93, 1.07, 3))
    mirror = np.diag([-1.0 if side == "right" else 1.0, 1, 1])
    matrix = pose.axes @ turn @ size @ mirror
    reach = rng.choice([4.0, 8.0, 12.0])
    miss = np.clip(rng.normal(0, reach, 3), -20, 20)
    nodes = torch.from_numpy(rng.normal(0, rng.uniform(0, 2), (1, 3, 5, 6, 5)).astype(np.float32))
    bend = F.interpolate(nodes, size=SHAPE, mode="trilinear", align_corners=True)[0].numpy()
    shift = miss.astype(np.float32)[:, None, None, None]
    points = np.tensordot(matrix, _GRID + bend + shift, axes=1) + centre[:, None, None, None]
    return points.astype(np.float32), matrix


def _finish(image, fraction, rng):
    if rng.random() < 0.3:  # the edge of the field of view
        normal = rng.normal(size=3)
        depth = np.tensordot(normal / np.linalg.norm(normal), _GRID, axes=1)
        inside = depth < rng.uniform(8, 40)
        image, fraction = image * inside, fraction * inside
    image = degrade(image, rng)
    return normalise(image)[None], fraction.astype(np.float32)[None]


def from_labels(
    head: LabelHead, side: str, centre: np.ndarray, intensities: Intensities, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a look at a label map: image and fraction of hippocampus, (1, z, y, x) float32 each."""
    points, matrix = _look(rng, head.pose, centre, side)
    world_to_index = np.linalg.inv(head.index_to_world[:, :3])
    offset = head.index_to_world[:, 3].astype(np.float32)[:, None, None, None]
    index = np.tensordot(world_to_index, points - offset, axes=1)
    step = world_to_index @ matrix * (SPACING / 4)
    mean, std = (v.astype(np.float32) for v in grey_values(intensities, head.ids, rng))
    keep = keep_labels(head.ids, rng)
    wanted = np.searchsorted(head.ids, LEFT if side == "left" else RIGHT)
    limits = np.array(head.labels.shape[::-1])[:, None, None, None]
    strides = np.array([1, head.labels.shape[2], head.labels.shape[2] * head.labels.shape[1]], np.int64)
    flat = head.labels.ravel()
    image, fraction = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    for corner in np.ndindex(2, 2, 2):  # eight samples a voxel: fractions, not aliased labels
        where = np.rint(index + (step @ (np.array(corner) * 2.0 - 1.0))[:, None, None, None]).astype(np.int64)
        valid = ((where >= 0) & (where < limits)).all(axis=0)
        labels = flat[np.tensordot(strides, where, axes=1) * valid]
        labels[~valid] = 0
        values = mean[labels] + std[labels] * rng.standard_normal(labels.shape, dtype=np.float32)
        image += np.clip(values, 0, None) * keep[labels] / 8
        fraction += (labels == wanted) / np.float32(8)
    return _finish(image, fraction, rng)


def from_real(
    head: RealHead, side: str, centre: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a look at a real head with weak labels; shapes as :func:`from_labels`."""
    points, _ = _look(rng, head.pose, centre, side)
    world_to_index = np.linalg.inv(head.index_to_world[:, :3])
    offset = head.index_to_world[:, 3].astype(np.float32)[:, None, None, None]
    index = np.tensordot(world_to_index, points - offset, axes=1)
    size = np.array(head.channels.shape[:0:-1], np.float32)[:, None, None, None]
    grid = torch.from_numpy((2 * index / (size - 1) - 1).astype(np.float32)).permute(1, 2, 3, 0)[None]
    values = F.grid_sample(torch.from_numpy(head.channels)[None], grid, align_corners=True)[0].numpy()
    image = values[0]
    if rng.random() < 0.3:  # other contrasts of the same anatomy: turned over, or bent
        top = np.percentile(image, 99)
        image = np.where(image > 0.05 * top, np.clip(1.05 * top - image, 0, None), 0)
    if rng.random() < 0.3:
        image = ndimage.gaussian_filter(image, rng.uniform(0, 0.5))
    return _finish(image, values[1 if side == "left" else 2], rng)
