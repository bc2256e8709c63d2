"""Thick slices: averages over the right extent, at the right place; the report's arithmetic."""

from __future__ import annotations

import low_resolution as bench
import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.evaluation.labelmap import label_map
from HippoSegLib.io.images import read_image
from HippoSegLib.pipeline import segment

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover


def oblique(size=(17, 19, 21), spacing=(1.0, 1.0, 1.0)) -> sitk.Image:
    image = sitk.Image(size, sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetOrigin((-7.0, 11.0, 3.0))
    image.SetDirection(sitk.VersorTransform((0.1, 0.2, 0.15, 0.95), (0, 0, 0)).GetMatrix())
    return image


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("thickness", [2.0, 3.0])
def test_a_slice_lies_where_its_average_does(axis, thickness):
    """An image of its own world coordinate says, averaged, where the thick slice's middle is."""
    image = oblique()
    index = np.stack(np.indices(image.GetSize()[::-1])[::-1], axis=-1)  # (z, y, x, 3), x first
    matrix = np.reshape(image.GetDirection(), (3, 3))
    world = index @ matrix.T + np.array(image.GetOrigin())
    for component in range(3):
        ramp = sitk.GetImageFromArray(world[..., component].astype(np.float32))
        ramp.CopyInformation(image)
        thick = bench.resliced(ramp, axis, thickness)
        assert thick.GetSpacing()[axis] == thickness and thick.GetSize()[axis] == int(
            image.GetSize()[axis] // thickness
        )
        for place in ([0, 0, 0], [n - 1 for n in thick.GetSize()], [1, 2, 3]):
            place = [int(p) for p in place]
            value = thick.TransformIndexToPhysicalPoint(place)[component]
            assert thick[place] == pytest.approx(value, abs=1e-4)


def test_voxels_that_are_cut_count_by_their_part():
    """1.5 mm from 1 mm: as if every voxel were two of 0.5 mm, and three of them averaged."""
    array = np.random.default_rng(0).normal(500, 60, (7, 5, 6)).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    for axis in range(3):
        halves = np.moveaxis(np.repeat(array, 2, axis=2 - axis), 2 - axis, 0)
        count = len(halves) // 3
        expected = halves[: 3 * count].reshape(count, 3, *halves.shape[1:]).mean(axis=1)
        found = np.moveaxis(sitk.GetArrayFromImage(bench.resliced(image, axis, 1.5)), 2 - axis, 0)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_finer_voxels_than_1_mm():
    array = np.random.default_rng(1).normal(500, 60, (8, 5, 6)).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1, 1, 0.5))
    thick = bench.resliced(image, 2, 2.0)
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(thick), array.reshape(2, 4, 5, 6).mean(axis=1), rtol=1e-5
    )
    assert thick.GetOrigin() == pytest.approx((0, 0, 0.75))


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "PIR", "ASL"])
def test_planes_are_named_by_the_head_not_by_the_file(orientation):
    image = sitk.DICOMOrient(oblique(), orientation)
    found = [bench.plane_of(image, axis) for axis in range(3)]
    names = {"R": "sagittal", "L": "sagittal", "A": "coronal", "P": "coronal", "S": "axial", "I": "axial"}
    assert found == [names[letter] for letter in orientation]


def test_the_table_counts_falls_against_the_same_side():
    rows = {(0.0, ""): [0.8, 0.6]}
    for thickness in bench.GOALS:
        rows |= {(thickness, plane): [0.8, 0.6] for plane in bench.AXES}
    rows[3.0, "axial"] = [0.5, 0.7]  # falls by 0.3 and -0.1
    lines = bench.table(rows)
    axial = next(line for line in lines if "3 mm | axial" in line)
    assert "| 0.600 | +0.100 | +0.300 | 0.500 | ≤ 0.08: missed |" in axial
    every = next(line for line in lines if "3 mm | all" in line)
    assert "| 0.667 | +0.033 | +0.300 | 0.500 | ≤ 0.08: met |" in every
    assert "mean Dice 0.700, lowest 0.600" in lines[0]


def test_the_pipeline_against_its_own_result(sample_path):
    """The sample's own labels stand in for manual ones: as it is 1, with thick slices a little less."""
    image = read_image(sample_path)
    own = segment(image, device="cpu", threads=1).labels
    meaning = label_map("hipposeg")
    same = bench.dice_per_side(image, own, meaning, None, 1)
    assert min(same.values()) > 0.999 and set(same) == {"left", "right"}
    thick = bench.dice_per_side(bench.resliced(image, 2, 3.0), own, meaning, None, 1)
    assert all(0.8 < value < 0.99 for value in thick.values())
