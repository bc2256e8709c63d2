"""A CT is named, with Hounsfield units as they are or shifted; a T1 is not, whatever its grey values."""

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.io.hounsfield import looks_like_ct
from HippoSegLib.io.images import read_image


@pytest.fixture(scope="module")
def ct(data_dir) -> np.ndarray:
    """Hounsfield units on a label map of a whole head: air, skin and fat, skull, brain, fluid; with noise."""
    path = data_dir / "head_label_maps/training_seg_02.nii.gz"
    labels = np.rint(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))).astype(int)[::2, ::2, ::2]
    rng = np.random.default_rng(0)
    units = np.full(labels.shape, -1000.0)
    units[labels > 0] = 38
    units[labels == 24] = 5
    units[labels >= 502] = rng.choice([45, -90], (labels >= 502).sum())
    skull = np.isin(labels, (502, 511, 514, 515, 516))
    units[skull] = rng.normal(900, 300, skull.sum())
    return units + rng.normal(0, 12, labels.shape)


@pytest.mark.parametrize("constant", [0, 1000, 1024, -8192])
def test_a_ct_is_named(ct, constant):
    assert looks_like_ct((ct + constant).round().astype(np.int16))


def test_padding_of_a_ct(ct):
    padded = ct.copy()
    padded[:, :, :12] = padded[:, :, -12:] = -2000
    assert looks_like_ct(padded)


@pytest.mark.parametrize("constant", [-1000, 0, 1024])
@pytest.mark.parametrize("brightest", [300, 700, 1000, 1300, 1800, 2500, 4000])
def test_no_t1_is_a_ct(sample_path, constant, brightest):
    array = sitk.GetArrayFromImage(read_image(sample_path)).astype(np.float64)
    assert not looks_like_ct(array * brightest / array.max() + constant)


def test_a_padded_t1_is_no_ct(sample_path):
    array = sitk.GetArrayFromImage(read_image(sample_path)).astype(np.int16)
    array[:, :20] = -1000
    assert not looks_like_ct(array)
