"""The benchmark of the intracranial volume: what it changes in a head, and what it counts."""

import numpy as np
import pytest
import SimpleITK as sitk
from intracranial import Measured, cropped, defaced, masked, table

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover


def image_of(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array.astype(np.float32))
    image.SetSpacing((2.0, 2.0, 2.0))
    return image


def test_a_stripped_brain_in_the_tightest_box():
    brain = np.zeros((20, 24, 22), bool)
    brain[4:15, 6:20, 3:18] = True
    image = masked(image_of(np.full(brain.shape, 7)), brain)
    assert sitk.GetArrayViewFromImage(image).sum() == 7 * brain.sum()
    tight = cropped(image)
    assert tight.GetSize() == (15, 14, 11) and sitk.GetArrayViewFromImage(tight).min() == 7
    assert tight.GetOrigin() == (6.0, 12.0, 8.0)


def test_a_defaced_head_loses_the_face_and_no_brain():
    brain = np.zeros((40, 60, 40), bool)
    brain[15:35, 15:45, 10:30] = True
    changed = sitk.GetArrayFromImage(defaced(image_of(np.ones(brain.shape)), brain))
    assert changed[brain].all() and changed[30:].all() and changed[:, :30].all()
    assert not changed[5, 55, 20] and 0.7 < changed.mean() < 0.98


def test_errors_are_of_the_volumes_that_are_given():
    row = [Measured("drawn, T1", "a", v, 100.0, 120.0) for v in (101.0, 98.0, None)]
    lines = table([*row, Measured("real, x", "b", 103.0, 100.0, float("nan"))])
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells == ["drawn, T1", "3", "2", "1.5", "1.9", "-0.5", "20.0"]
    assert lines[3].startswith("| real, x | 1 | 1 | 3.0 | 3.0 | +3.0 | – |")
    assert lines[4].startswith("| all drawn heads as they are | 3 |")
    assert row[0].error == pytest.approx(1)
