"""Volumes against counting by hand, on a sheared-free oblique grid."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from HippoSegLib.results.plausibility import volume_flags
from HippoSegLib.results.volumes import COLUMNS, Measurements, measure


def _labels(values: dict[int, int], spacing=(0.5, 1.2, 2.0)) -> sitk.Image:
    array = np.zeros((20, 30, 40), np.uint16)
    flat = array.ravel()
    start = 0
    for value, count in values.items():
        flat[start : start + count] = value
        start += count
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetDirection(Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix().ravel().tolist())
    return image


def test_whole_volumes_and_asymmetry():
    found = measure(_labels({17: 2500, 53: 3000}), intracranial_mm3=1.5e6)
    unit = 0.5 * 1.2 * 2.0
    assert found.whole == pytest.approx({"left": 2500 * unit, "right": 3000 * unit})
    assert found.asymmetry == pytest.approx((3000 - 2500) / 2750)
    row = found.as_row()
    assert tuple(row) == COLUMNS
    assert row["total_mm3"] == pytest.approx(6600)
    assert row["total_per_mille_of_intracranial"] == pytest.approx(6600 / 1500)
    assert row["left_anterior_mm3"] is None


def test_parts_sum_to_the_whole():
    found = measure(_labels({171: 1000, 172: 1500, 531: 1100, 532: 1300}, (1, 1, 1)))
    assert found.whole == pytest.approx({"left": 2500, "right": 2400})
    assert found.parts["right"] == pytest.approx({"anterior": 1100, "posterior": 1300})


def test_a_missing_side_is_absent_and_has_no_asymmetry():
    found = measure(_labels({53: 3000}))
    assert found.whole.keys() == {"right"}
    assert found.asymmetry is None and found.total is None
    assert found.as_row()["left_mm3"] is None


@pytest.mark.parametrize(
    ("left", "right", "codes"),
    [(3000, 3100, []), (900, 3100, ["volume", "implausible"]), (3000, 7000, ["volume", "implausible"])],
)
def test_flags_name_the_implausible(left, right, codes):
    flags = volume_flags(Measurements({"left": left, "right": right}))
    assert [f.code for f in flags] == codes
