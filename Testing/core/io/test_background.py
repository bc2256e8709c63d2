"""The background of a scan at 0: constants, scales, padding, ringing, and what stays as it is."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from HippoSegLib.geometry.orientation import canonical_axes
from HippoSegLib.io.background import background_at_zero, background_level
from HippoSegLib.io.images import read_image


@pytest.fixture(scope="module")
def sample(sample_path):
    return canonical_axes(read_image(sample_path))[0]


def with_array(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


def lifted(image: sitk.Image, array: np.ndarray) -> np.ndarray:
    return sitk.GetArrayFromImage(background_at_zero(with_array(image, array)))


def air_of_noise(array: np.ndarray) -> np.ndarray:
    """The sample's air was set to 0 when it was made: here it is dark noise, as scanners make it."""
    rng = np.random.default_rng(0)
    return np.where(array < 6, rng.integers(0, 8, array.shape), array).astype(np.int16)


def test_a_background_at_0_is_left_alone(sample):
    assert background_at_zero(sample) is sample


@pytest.mark.parametrize(
    ("constant", "dtype"),
    [(1024, np.int16), (-1000, np.int16), (-32768, np.int16), (65000, np.uint16), (-200, np.int32)],
)
def test_constants_are_taken_away_exactly(sample, constant, dtype):
    array = sitk.GetArrayFromImage(sample)
    found = lifted(sample, (array.astype(np.int64) + constant).astype(dtype))
    assert found.dtype.kind == "u" and np.array_equal(found, array)


def test_the_range_of_the_type_may_be_used_up(head):
    array = np.zeros(head.GetSize()[::-1], np.int16)
    array[20:40, 20:40, 20:40] = 32767
    array[array == 0] = -32768
    found = lifted(head, array)
    assert found.dtype == np.uint16 and set(np.unique(found)) == {0, 65535}


def test_the_background_moves_and_grows_with_the_grey_values(sample):
    array = sitk.GetArrayFromImage(sample).astype(np.float64)
    z = (array - array.mean()) / array.std()
    for values in (z, 1e-6 * z, 1e6 * z + 3e6):
        found = lifted(sample, values.astype(np.float32))
        assert found.min() == 0
        assert np.allclose(found / found.max(), array / array.max(), atol=1e-6)


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("padding", [(-1000,), (-1000, -2000), (-60,)])
def test_padding_outside_the_field_of_view_is_background(sample, padding, stripped):
    array = air_of_noise(sitk.GetArrayFromImage(sample))
    if stripped:  # the head about it is 0: the padding is what lies lower
        array = np.where(sitk.GetArrayFromImage(sample) < 30, 0, array)
    padded, wanted = array.copy(), array.copy()
    for k, value in enumerate(padding):
        padded[k * 6 : (k + 1) * 6], wanted[k * 6 : (k + 1) * 6] = value, 0
    for constant in (0, 1024):
        found = lifted(sample, padded + np.int16(constant)).astype(int)
        assert np.abs(found - wanted).max() <= 1 and (found != wanted).mean() < 0.1


def test_interpolated_padding_is_background_too(sample):
    array = air_of_noise(sitk.GetArrayFromImage(sample))
    padded = array.astype(np.float32)
    padded[:8], padded[8] = -1000, 0.5 * padded[9] - 500
    found = lifted(sample, padded)
    assert not found[:9].any()
    assert np.abs(found[9:] - array[9:]).max() <= 1


def test_the_border_of_a_stripped_brain_is_no_padding(sample):
    array = sitk.GetArrayFromImage(sample).astype(np.int16)
    brain = np.where(array > 60, array, 0)  # nothing between 0 and a quarter of the range
    assert np.array_equal(lifted(sample, brain + np.int16(500)), brain)


@pytest.mark.parametrize("constant", [0.0, 7.5])
def test_padding_above_the_background_is_background(sample, constant):
    array = sitk.GetArrayFromImage(sample).astype(np.float32)
    brain = array > 0
    z = np.where(brain, (array - array[brain].mean()) / array[brain].std(), 0).astype(np.float32)
    inner = np.argwhere(ndimage.binary_erosion(brain, iterations=2) & (np.abs(z) < 0.02))[::50]
    z[tuple(inner.T)] = 0  # a voxel inside the head may have the padding's value
    found = lifted(sample, z + np.float32(constant))
    assert (found[~brain] > 0).mean() < 1e-3
    assert found[tuple(inner.T)].min() > 0.5
    assert np.corrcoef(found[brain], array[brain])[0, 1] > 0.999


def test_stray_voxels_and_ringing_do_not_set_the_background(sample):
    array = sitk.GetArrayFromImage(sample).astype(np.int32)
    stray = array.copy()
    stray[0, 0, 0], stray[3, 4, 5] = -30000, -500
    assert np.array_equal(lifted(sample, stray), array)
    rng = np.random.default_rng(0)
    ringing = np.where(array == 0, rng.normal(0, 4, array.shape), array).astype(np.float32)
    ringing[rng.random(array.shape) < 0.002] = -120
    found = lifted(sample, ringing)
    assert found.min() == 0 and abs(np.median(found[array > 60] - array[array > 60])) < 15


def test_a_crop_begins_at_its_minimum(region):
    array = np.round(sitk.GetArrayFromImage(region)).astype(np.int16)
    for constant in (0, -3000):
        moved = with_array(region, array + np.int16(constant))
        found = sitk.GetArrayFromImage(background_at_zero(moved, region=True))
        assert np.array_equal(found, array - array.min())


def test_the_level_is_one_of_the_grey_values(sample):
    values = sitk.GetArrayFromImage(sample).ravel().astype(np.int16) + 77
    assert background_level(values) == 77 and background_level(values).dtype == np.int16
