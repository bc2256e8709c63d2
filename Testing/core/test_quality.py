"""Doubt per voxel, expected overlap per side, flags that catch failures."""

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib import segment
from HippoSegLib.images import read_image
from HippoSegLib.quality import entropy


@pytest.fixture(scope="module")
def sample(sample_path):
    return read_image(sample_path)


def run(image, **options):
    return segment(image, device="cpu", threads=1, **options)


def test_doubt_is_the_entropy_in_bits():
    p = np.array([0, 1, 0.5, 0.25, 0.75])
    # 0.25 log2 4 + 0.75 log2 4/3
    assert entropy(p) == pytest.approx([0, 0, 1, 0.811278, 0.811278], abs=1e-5)


@pytest.mark.parametrize("orientation", ["LPS", "RAI", "SLP"])
def test_uncertainty_lies_on_the_scans_own_grid(sample, orientation):
    image = sitk.DICOMOrient(sample, orientation)
    result = run(image, uncertainty=True, probabilities=True)
    for side, value in (("left", 17), ("right", 53)):
        found = result.uncertainty[side]
        for name in ("GetSize", "GetOrigin", "GetSpacing", "GetDirection"):
            assert getattr(found, name)() == getattr(image, name)()
        doubt = sitk.GetArrayFromImage(found)
        assert doubt.dtype == np.float32 and doubt.min() == 0 and 0.9 < doubt.max() <= 1
        # SciPy's entropy of the probabilities, and most of the doubt about the outline.
        from scipy.stats import entropy as reference

        p = sitk.GetArrayFromImage(result.probabilities[side]).astype(float).clip(0, 1)
        assert doubt == pytest.approx(reference([p, 1 - p], base=2), abs=2e-5)
        mask = result.labels == value
        edge = sitk.GetArrayFromImage(sitk.BinaryDilate(mask, [2] * 3)) > 0
        assert doubt[edge].sum() > 0.6 * doubt.sum()


def test_without_being_asked_for_there_is_no_map(sample):
    result = run(sample)
    assert result.uncertainty is None and result.probabilities is None
    assert run(sample, uncertainty=True).probabilities is None
