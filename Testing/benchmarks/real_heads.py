"""The real heads that only test, as they are and altered, with what is known of their hippocampi.

Most of that is hippodeep's output (weak labels): nearness to it is agreement, not accuracy. The ten labelled
heads have manual labels. World coordinates are LPS mm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation
from synthetic_heads import STORAGE_ORDERS, Truth, restored, rician, shading

from HippoSegLib.io.images import read_image
from HippoSegLib.training.data_splits import LABELLED_HEADS, TEST_REAL_HEADS, UNLABELLED_HEADS, real_head

SAMPLE_HEADS = ("lowres_1.75mm_T1", "myconnectome_T1")
#: Neuromorphometrics ids of the manual labels.
MANUAL = {"left": 48, "right": 47}


@dataclass(frozen=True)
class RealHead:
    """A real head; `truth` is None where no label of any kind exists, `known_by` says where it is from."""

    name: str
    image: sitk.Image
    truth: Truth | None
    known_by: str


def read_real_heads(data: Path) -> Iterator[RealHead]:
    """All real heads of the data folder that only test."""
    weak_folder = data / UNLABELLED_HEADS / "weak_labels"
    for key in TEST_REAL_HEADS:
        image, weak = real_head(data / UNLABELLED_HEADS, *key)
        yield RealHead("/".join(key), read_image(image), _weak_truth(weak), "weak")
    for name in SAMPLE_HEADS:
        image = read_image(data / "sample_heads" / f"{name}.nii.gz")
        yield RealHead(name, image, _weak_truth(weak_folder / name), "weak")
    yield RealHead("dicom_head", read_image(data / "dicom_head" / "series"), None, "nothing")
    for path in sorted((data / LABELLED_HEADS).glob("*_SS.nii.gz")):
        labels = sitk.ReadImage(str(path).replace("_SS", "_glm"))
        array = sitk.GetArrayViewFromImage(labels)
        sides = {side: _points(labels, array == value) for side, value in MANUAL.items()}
        yield RealHead(path.name.split("_")[0], read_image(path), _truth(sides, None), "manual")


def _weak_truth(stem: Path) -> Truth:
    def points(part):
        image = sitk.ReadImage(f"{stem}_{part}.nii.gz", sitk.sitkFloat32)
        array = sitk.GetArrayViewFromImage(image)
        # Probabilities come as 0-255 or 0-1: half the maximum is the threshold.
        return _points(image, array > 0.5 * array.max()), float(np.prod(image.GetSpacing()))

    brain, voxel = points("brain")
    return _truth({side: points(side)[0] for side in MANUAL}, len(brain) * voxel)


def _truth(sides, intracranial_mm3) -> Truth:
    centres = {side: p.mean(axis=0) for side, p in sides.items()}
    return Truth(centres, dict.fromkeys(sides, 1.0), sides, intracranial_mm3, 1.0)


def _points(image: sitk.Image, mask: np.ndarray) -> np.ndarray:
    matrix = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    return np.argwhere(mask)[:, ::-1] @ matrix.T + np.array(image.GetOrigin())


def altered(head: RealHead, seed: int, max_degrees: float = 30.0) -> RealHead:
    """The head turned in the world, stored otherwise, shaded, noisy and, one time in three, cut.

    Nothing is resampled: the turn is in the header. A cut leaves at least one hippocampus whole; the
    intracranial volume is then no longer known.
    """
    rng = np.random.default_rng([seed, *(ord(c) for c in head.name)])
    image = sitk.DICOMOrient(head.image, "LPS")
    cut = rng.random() < 1 / 3
    if cut:
        image = _cut(image, head.truth, rng)
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    array -= min(float(array.min()), 0.0)
    bright = float(np.percentile(array[array > 0], 95))
    array *= shading(array.shape, float(rng.uniform(0, 0.2)), rng)
    array = rician(array, bright * float(rng.uniform(0.0, 0.06)), rng)
    changed = sitk.GetImageFromArray(np.rint(array * (1000 / bright)).clip(0, 32000).astype(np.int16))
    changed.CopyInformation(image)
    turn = Rotation.from_euler("xyz", rng.uniform(-max_degrees, max_degrees, 3), degrees=True).as_matrix()
    shift = rng.uniform(-100, 100, 3)
    changed.SetDirection((turn @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    changed.SetOrigin((turn @ np.array(image.GetOrigin()) + shift).tolist())
    changed = restored(changed, *STORAGE_ORDERS[rng.integers(len(STORAGE_ORDERS))])
    points = {side: p @ turn.T + shift for side, p in head.truth.points.items()}
    in_view = {side: float(_in_view(changed, p).mean()) for side, p in points.items()}
    truth = Truth(
        {side: p.mean(axis=0) for side, p in points.items()},
        in_view,
        points,
        None if cut else head.truth.intracranial_mm3,
        float("nan") if cut else 1.0,
    )
    return RealHead(f"{head.name} altered {seed}", changed, truth, head.known_by)


def _index(image: sitk.Image, points: np.ndarray) -> np.ndarray:
    matrix = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    return (points - np.array(image.GetOrigin())) @ np.linalg.inv(matrix).T


def _in_view(image: sitk.Image, points: np.ndarray) -> np.ndarray:
    index = _index(image, points)
    return ((index >= -0.5) & (index <= np.array(image.GetSize()) - 0.5)).all(axis=1)


def _cut(image: sitk.Image, truth: Truth, rng) -> sitk.Image:
    """A cut of the neck, the top or one side, 4 to 35 mm from the hippocampi that stay."""
    index = {side: _index(image, points) for side, points in truth.points.items()}
    lower, upper = np.zeros(3, int), np.array(image.GetSize())
    depth = rng.uniform(4, 35) / np.array(image.GetSpacing())
    both = np.concatenate(list(index.values()))
    kind = rng.choice(["neck", "top", "left", "right"])
    if kind == "neck":
        lower[2] = max(lower[2], int(both[:, 2].min() - depth[2]))
    elif kind == "top":
        upper[2] = min(upper[2], int(both[:, 2].max() + depth[2]) + 2)
    elif kind == "left":
        # Stored towards L: the left hippocampus stays, the right of the head goes.
        lower[0] = max(lower[0], int(index["left"][:, 0].min() - depth[0]))
    else:
        upper[0] = min(upper[0], int(index["right"][:, 0].max() + depth[0]) + 2)
    return sitk.RegionOfInterest(image, (upper - lower).tolist(), lower.tolist())
