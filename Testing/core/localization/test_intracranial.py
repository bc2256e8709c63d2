"""The intracranial volume: the same for a head however it is stored, stripped, defaced or cropped."""

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib import segment
from HippoSegLib.geometry.orientation import canonical_axes
from HippoSegLib.geometry.pose import Affine, HeadPose
from HippoSegLib.io.images import read_image
from HippoSegLib.localization import intracranial
from HippoSegLib.localization.coarse import CoarseGrid, Localization
from HippoSegLib.localization.intracranial import intracranial_volume

RAS = np.diag([-1.0, -1.0, 1.0])
GRID = CoarseGrid()


def ball(
    radius: float = 60.0, field: float = 160.0, spacing: float = 2.0, middle=(0.0, -5.0, 20.0)
) -> sitk.Image:
    """A bright ball (mm, about a point in RAS) within a field of view about it, stored along its axes."""
    n = round(field / spacing)
    axis = (np.arange(n) - (n - 1) / 2) * spacing
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    image = sitk.GetImageFromArray(np.where(x**2 + y**2 + z**2 < radius**2, 100, 0).astype(np.float32))
    image.SetSpacing([spacing] * 3)
    image.SetDirection(RAS.ravel().tolist())
    corner = np.array(middle) + axis[0]
    image.SetOrigin((RAS @ corner).tolist())
    return image


def found(scale: float = 1.0, cut: bool = True) -> Localization:
    """As if the head had been found upright, `scale` times the mean one."""
    middle = np.array([0.0, -5.0, 20.0])
    offset = RAS @ (middle - scale * np.array([0.0, 5.0, 20.0]))
    to_world = Affine(scale * RAS, offset)
    pose = HeadPose(RAS, np.zeros(3))
    return Localization(pose, {}, {}, 1.4e6, 3.0, intracranial_cut=cut, head_to_world=to_world)


def bright_is_intracranial(image: np.ndarray) -> np.ndarray:
    """A coarse network's answer that takes a voxel for intracranial as far as it is bright."""
    share = np.clip(image[0], 1e-4, 1 - 1e-4)
    never = np.full(share.shape, -40, np.float32)
    return np.stack([np.log(1 - share), np.log(share), *[never] * 5]).astype(np.float32)


@pytest.fixture
def straight(monkeypatch):
    """The count itself."""
    monkeypatch.setattr(intracranial, "SLOPE", 1.0)
    monkeypatch.setattr(intracranial, "OFFSET", 0.0)


def volume_in(image: sitk.Image, localization: Localization) -> float | None:
    return intracranial_volume(image, localization, bright_is_intracranial, GRID)


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.2])
def test_the_volume_is_that_of_the_head_not_of_the_mean_one(straight, scale):
    volume = volume_in(ball(60 * scale, 180 * scale), found(scale))
    assert volume == pytest.approx(4 / 3 * np.pi * (60 * scale) ** 3, rel=0.05)


def test_a_box_as_tight_as_can_be_cuts_nothing(straight):
    whole = volume_in(ball(), found())
    # 61 voxels are no whole number of blocks: the last ones count all the same.
    for field in (120, 122):
        assert volume_in(ball(field=field), found()) == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("end", [0, 1])
def test_a_face_through_it_cuts_it(straight, axis, end):
    image, start = ball(), [0, 0, 0]
    size = list(image.GetSize())
    size[axis] -= 20 + 6  # 20 voxels of 2 mm lie beside the ball, at both ends together
    start[axis] = 0 if end else 16
    size[axis] = 80 - 16
    cut = sitk.RegionOfInterest(image, size, start)
    assert volume_in(cut, found()) is None
    # Where the coarse network saw no cut at all there is none.
    assert volume_in(cut, found(cut=False)) is not None


def test_a_head_that_was_not_understood_has_none():
    unknown = Localization(HeadPose(RAS, np.zeros(3)), {}, {}, 0.0, float("nan"), intracranial_cut=True)
    assert volume_in(ball(), unknown) is None


def volume_of(image: sitk.Image) -> float:
    found = segment(image, device="cpu", threads=1, second_reader=False).measurements.intracranial
    assert found is not None
    return found


def test_the_sample_in_any_storage(sample_path):
    sample = canonical_axes(read_image(sample_path))[0]
    whole = volume_of(sample)
    assert 1.2e6 < whole < 1.8e6
    stored = sitk.DICOMOrient(sample, "PIR")
    assert volume_of(stored) == pytest.approx(whole, rel=1e-3)


def test_a_real_head_stripped_defaced_and_cropped(data_dir):
    """Within two percent, as the same person's must be."""
    image = canonical_axes(read_image(data_dir / "sample_heads/myconnectome_T1.nii.gz"))[0]
    mask = sitk.ReadImage(
        str(data_dir / "heads_unlabelled/weak_labels/myconnectome_T1_brain.nii.gz"), sitk.sitkFloat32
    )
    mask = canonical_axes(mask)[0]
    inside = sitk.GetArrayViewFromImage(mask) > 0.5 * sitk.GetArrayViewFromImage(mask).max()
    stripped = sitk.GetImageFromArray(np.where(inside, sitk.GetArrayViewFromImage(image), 0))
    stripped.CopyInformation(image)
    index = np.argwhere(inside)[:, ::-1]
    low, high = index.min(axis=0), index.max(axis=0) + 1
    tight = sitk.RegionOfInterest(stripped, (high - low).tolist(), low.tolist())
    whole = volume_of(image)
    assert volume_of(stripped) == pytest.approx(whole, rel=0.02)
    assert volume_of(tight) == pytest.approx(whole, rel=0.02)
