"""Regions: cut from the head and brought back, against hand-made truths and SimpleITK's own points."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from HippoSegLib.geometry.native_grid import to_image_grid
from HippoSegLib.geometry.pose import WORLD_RAS
from HippoSegLib.geometry.roi import coverage, crop, roi_about

SIZE = (48, 56, 40)


def _ball(spacing, direction=None, size=(90, 100, 80), radius=9.0, offset=(4.0, -3.0, 2.0)):
    """A head-like image with a bright ball; returns the image and the ball's centre, LPS mm."""
    image = sitk.Image([int(n / s) for n, s in zip(size, spacing, strict=True)], sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetOrigin((-31.0, 17.0, 5.0))
    if direction is not None:
        image.SetDirection(np.asarray(direction).ravel().tolist())
    centre = np.array(
        image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    ) + np.array(offset)
    grid = sitk.PhysicalPointSource(sitk.sitkVectorFloat64, *_geometry(image))
    points = sitk.GetArrayFromImage(grid)
    array = (np.linalg.norm(points - centre, axis=-1) < radius).astype(np.float32)
    out = sitk.GetImageFromArray(array)
    out.CopyInformation(image)
    return out, centre


def _geometry(image):
    return image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection()


@pytest.mark.parametrize("side", ["left", "right"])
def test_region_axes_are_anatomical_and_mirrored_for_the_right(side):
    region = roi_about([10.0, 20.0, 30.0], WORLD_RAS, side, SIZE)
    image = region.image(np.zeros(SIZE, np.float32))
    first, last = (np.array(image.TransformIndexToPhysicalPoint(i)) for i in ((0, 0, 0), (39, 55, 47)))
    # LPS: right is -x, anterior is -y, superior is +z.
    assert (last - first)[0] == pytest.approx(-39 if side == "left" else 39)
    assert (last - first)[1:] == pytest.approx([-55, 47])
    assert (first + last) / 2 == pytest.approx([10, 20, 30])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.9, 1.3, 3.0)])
def test_there_and_back_is_the_same_ball(side, spacing):
    direction = Rotation.from_euler("xyz", [12, -7, 20], degrees=True).as_matrix()
    image, centre = _ball(spacing, direction)
    axes = Rotation.from_euler("xyz", [5, 10, -15], degrees=True).as_matrix() @ WORLD_RAS
    region = roi_about(centre, axes, side, SIZE)
    seen = crop(image, region)
    assert seen.shape == SIZE
    # The ball sits in the middle of the region, whatever the grids.
    middle = np.array([c.mean() for c in np.nonzero(seen > 0.5)])
    assert middle == pytest.approx((np.array(SIZE) - 1) / 2, abs=0.6)
    where, back = to_image_grid(seen[None], region, image)
    full = np.zeros(image.GetSize()[::-1], bool)
    full[where] = back[0] > 0.5
    truth = sitk.GetArrayFromImage(image) > 0.5
    dice = 2 * (full & truth).sum() / (full.sum() + truth.sum())
    assert dice > (0.90 if max(spacing) > 2 else 0.95)


def test_coarse_voxels_get_the_average_over_their_extent():
    # A half-filled region: the boundary plane crosses 4 mm voxels a quarter of the way.
    region = roi_about([0.0, 0.0, 0.0], WORLD_RAS, "left", (32, 32, 32))
    step = np.zeros((1, 32, 32, 32), np.float32)
    step[:, 16:] = 1.0  # superior half: z > 0
    image = sitk.Image([4, 4, 4], sitk.sitkFloat32)
    image.SetSpacing([4.0] * 3)
    image.SetOrigin([-6.0, -6.0, -7.0])  # voxel centres at z = -7, -3, 1, 5; the third spans -1..3
    where, maps = to_image_grid(step, region, image)
    full = np.zeros((4, 4, 4))
    full[where] = maps[0]
    assert full[:, 1, 1] == pytest.approx([0.0, 0.0, 0.75, 1.0], abs=0.07)


def test_coverage_is_where_the_image_has_voxels():
    image = sitk.Image([20, 30, 40], sitk.sitkFloat32)
    region = roi_about([0.0, 15.0, 20.0], WORLD_RAS, "left", (16, 16, 16))
    inside = coverage(image, region)
    for index in [(0, 0, 0), (7, 7, 7), (8, 8, 8), (15, 15, 15), (3, 12, 9)]:
        point = region.point(index)
        continuous = image.TransformPhysicalPointToContinuousIndex(point.tolist())
        expected = all(-0.5 <= c <= n - 0.5 for c, n in zip(continuous, image.GetSize(), strict=True))
        assert inside[index[::-1]] == expected


def test_a_region_beside_the_image_is_empty():
    image = sitk.Image([20, 20, 20], sitk.sitkInt16) + 7
    region = roi_about([500.0, 0.0, 0.0], WORLD_RAS, "left", (16, 16, 16))
    assert not crop(image, region).any()
    assert to_image_grid(np.ones((1, 16, 16, 16), np.float32), region, image) is None
