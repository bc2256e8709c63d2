"""The table of volumes against others': ratios by hand, weak labels counted as they are meant."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import volumes as bench


def test_the_ratio_is_the_geometric_mean_and_its_interval_holds_it():
    heads = [
        bench.Sides("g", {"a": (2000.0, 4000.0), "b": (1000.0, 1000.0)}),
        bench.Sides("g", {"a": (1000.0, 1000.0), "b": (1000.0, 2000.0)}),
    ]
    mean, low, high, _ = bench.ratio(heads, "a", "b")
    assert mean == pytest.approx((2 * 4 * 1 * 0.5) ** 0.25)
    assert low == pytest.approx(0.5**0.5) and high == pytest.approx(8**0.5)


def test_labels_are_measured_in_the_files_own_units(tmp_path):
    array = np.zeros((4, 5, 6), np.uint8)
    array[1, 2, :4] = (255, 200, 127, 48)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 1.0, 2.0))
    sitk.WriteImage(image, str(tmp_path / "weak.nii.gz"))
    assert bench.labelled(tmp_path / "weak.nii.gz") == pytest.approx(2.0)
    assert bench.labelled(tmp_path / "weak.nii.gz", 48) == pytest.approx(1.0)


def test_own_protocols_are_not_compared_with_each_other_and_each_pair_has_one_row():
    names = ("HippoSeg, full", "HippoSeg, msd", "hippodeep", "manual")
    heads = [
        bench.Sides("g", {n: (1000.0 + k + j, 2000.0 - j) for j, n in enumerate(names)}) for k in range(3)
    ]
    rows = [line.split(" | ")[2:4] for line in bench.table(heads)[2:]]
    assert rows == [
        [names[0], names[2]],
        [names[1], names[2]],
        [names[0], names[3]],
        [names[1], names[3]],
        [names[2], names[3]],
    ]
