"""The result does not depend on what the grey values count from, nor on their unit."""

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib import segment
from HippoSegLib.io.images import read_image
from HippoSegLib.labels import WHOLE
from HippoSegLib.pipeline import network_input

pytestmark = [pytest.mark.no_cover, pytest.mark.usefixtures("networks_answer_once")]


@pytest.fixture(scope="module")
def sample(sample_path):
    return read_image(sample_path)


def run(image: sitk.Image, **options):
    return segment(image, device="cpu", threads=1, **options)


@pytest.fixture(scope="module")
def reference(sample):
    return run(sample)


def with_array(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


def different(result, reference) -> int:
    """Voxels that differ, of some 7000 labelled ones."""
    assert [f.name for f in result.flags] == [f.name for f in reference.flags]
    found, wanted = (sitk.GetArrayViewFromImage(r.labels) for r in (result, reference))
    return int((found != wanted).sum())


@pytest.mark.parametrize(
    ("constant", "dtype"), [(1024, np.int16), (-1000, np.int16), (65000, np.uint16), (100_000, np.int32)]
)
def test_an_added_constant_changes_no_voxel(sample, reference, constant, dtype):
    array = sitk.GetArrayFromImage(sample).astype(np.int64) + constant
    assert different(run(with_array(sample, array.astype(dtype))), reference) == 0


def test_nor_do_scale_sign_and_z_score_among_real_numbers(sample):
    array = sitk.GetArrayFromImage(sample).astype(np.float64)
    reference = run(with_array(sample, array.astype(np.float32)))
    z = (array - array.mean()) / array.std()
    for values in (1e-9 * array, 7.3 * array, 1e9 * array, z, -40 + z):
        assert different(run(with_array(sample, values.astype(np.float32))), reference) <= 3


def test_whole_numbers_are_averaged_to_whole_numbers(sample, reference):
    # ITK rounds averages of integers to integers: another unit moves the coarse network's answer by a hair.
    array = sitk.GetArrayFromImage(sample).astype(np.int32)
    for values in (3 * array, array.astype(np.float32)):
        assert different(run(with_array(sample, values)), reference) <= 15


def test_padding_outside_the_field_of_view(sample):
    array = sitk.GetArrayFromImage(sample).astype(np.int16)
    blank, padded, shifted = array.copy(), array.copy(), array.astype(np.float32) + 1024
    blank[:, :, :12], padded[:, :, :12], shifted[:, :, :12] = 0, -2000, np.nan
    reference = run(with_array(sample, blank))
    assert set(np.unique(sitk.GetArrayViewFromImage(reference.labels))) == {0, *WHOLE.values()}
    assert different(run(with_array(sample, padded)), reference) == 0
    result = run(with_array(sample, shifted))
    assert [f.name for f in result.flags if f.code != "not_finite"] == []
    found, wanted = (sitk.GetArrayViewFromImage(r.labels) for r in (result, reference))
    assert (found != wanted).sum() <= 15


@pytest.mark.parametrize("constant", [-700, 1024])
def test_the_crop_of_one_hippocampus(sample, reference, constant):
    box = sitk.LabelShapeStatisticsImageFilter()
    box.Execute(reference.labels)
    x, y, z, nx, ny, nz = box.GetBoundingBox(WHOLE["left"])
    # Smaller than the network's ROI: it is padded, with what is no tissue.
    crop = sample[x - 4 : x + nx + 4, y - 4 : y + ny + 4, z - 4 : z + nz + 4]
    array = sitk.GetArrayFromImage(crop).astype(np.int16)
    moved = with_array(crop, array + np.int16(constant))
    inputs = [network_input(i, device="cpu", threads=1, region_side="left")["left"] for i in (crop, moved)]
    for a, b in zip(*inputs, strict=True):
        assert np.array_equal(sitk.GetArrayViewFromImage(a), sitk.GetArrayViewFromImage(b))
    assert different(run(moved, region_side="left"), run(crop, region_side="left")) == 0
