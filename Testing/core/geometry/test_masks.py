"""Masks and filters against scipy.ndimage, which has the same at the price of its import."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from HippoSegLib.geometry import filters, masks

RNG = np.random.default_rng(4)
MASKS = [
    RNG.random((9, 11, 7)) < 0.6,
    RNG.random((12, 5, 8)) < 0.1,
    ndimage.gaussian_filter(RNG.normal(size=(20, 22, 18)), 2) > 0.02,  # blobs, at the edges too
    np.zeros((4, 5, 6), bool),
    np.ones((4, 5, 6), bool),
    np.ones((1, 3, 2), bool),
]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_neighbours_are_scipy_s(mask, steps):
    before = mask.copy()
    assert np.array_equal(masks.dilated(mask, steps), ndimage.binary_dilation(mask, iterations=steps))
    assert np.array_equal(masks.eroded(mask, steps), ndimage.binary_erosion(mask, iterations=steps))
    assert np.array_equal(masks.within_a_voxel(mask), ndimage.maximum_filter(mask, 3))
    assert np.array_equal(mask, before)


@pytest.mark.parametrize("mask", MASKS)
def test_components_are_scipy_s(mask):
    """The same parts, in the same order: the first of two of one size is taken by both."""
    numbers, count = masks.components(mask)
    expected, their_count = ndimage.label(mask)
    assert count == their_count and np.array_equal(numbers, expected)


@pytest.mark.parametrize("mask", [one for one in MASKS if one.any()])
def test_centre_and_box_are_scipy_s(mask):
    assert np.array_equal(masks.centre(mask), ndimage.center_of_mass(mask))
    assert masks.bounding_box(mask) == ndimage.find_objects(mask.astype(np.uint8))[0]


def test_filters_are_scipy_s():
    image = RNG.normal(300, 100, (13, 9, 11)).astype(np.float32)
    np.testing.assert_allclose(filters.mean_of_three(image), ndimage.uniform_filter(image, 3), rtol=1e-6)
    for deviation in (0.7, 1.5):
        np.testing.assert_allclose(
            filters.gaussian(image, deviation), ndimage.gaussian_filter(image, deviation), rtol=1e-6
        )


def test_a_head_is_segmented_without_loading_scipy(sample_path):
    code = (
        "import sys\nfrom HippoSegLib import read_scan, segment\n"
        f"segment(read_scan({str(sample_path)!r}), second_reader=False, threads=1)\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'scipy']\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
