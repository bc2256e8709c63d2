"""The benchmark of other contrasts: what it draws, what it counts, and a few heads of each sort."""

import numpy as np
import pytest
import SimpleITK as sitk
from contrast import Judged, bent, judge, table
from contrast_heads import KINDS, draw_kind
from synthetic_heads import read_label_map

from HippoSegLib.models.store import load_model
from HippoSegLib.results.contrast import TissueContrast
from HippoSegLib.training.data_splits import LABEL_MAPS, TEST_LABEL_MAPS

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover


@pytest.fixture(scope="module")
def source(data_dir):
    return read_label_map(data_dir / LABEL_MAPS / f"training_seg_{TEST_LABEL_MAPS[1]}.nii.gz")


@pytest.mark.parametrize(
    "kind", ["T1, contrast agent", "MP2RAGE, noise in air", "FLAIR", "PD", "EPI", "CT, wide window"]
)
def test_heads_of_a_label_map_that_the_tissue_map_does_not_know(source, kind):
    judged = judge(draw_kind(source, kind, 7, 0).image, load_model())
    assert judged.refused is False and judged.named is not KINDS[kind].is_t1


def test_a_tomogram_is_drawn_as_exported(source):
    array = sitk.GetArrayFromImage(draw_kind(source, "CT, brain window", 7, 0).image)
    assert array.min() == 0 and array.max() == 255
    assert 0.02 < np.mean(array == 255) < 0.2


def test_bending_gives_each_level_its_value():
    head = sitk.GetImageFromArray(np.array([[[0, 10, 30, 70, 90, 150]]], np.float32))
    head.SetSpacing((2, 3, 4))
    changed = bent(head, (3, 10, 30, 70, 90), (1.0, 0.5, 0.3, 0.4))
    assert sitk.GetArrayFromImage(changed).ravel() == pytest.approx([0, 1000, 500, 300, 400, 400])
    assert changed.GetSpacing() == head.GetSpacing()


def test_every_head_of_a_row_is_counted_once():
    right, wrong = TissueContrast(2.0, -2.0, 0.3), TissueContrast(-1.0, 2.0, 0.5)
    found = {
        ("T1", True): [Judged(right), Judged(wrong)],
        ("T2", False): [Judged(wrong), Judged(refused=True), Judged(right)],
    }
    lines = table(found)
    cells = [cell.strip() for cell in lines[3].strip("|").split("|")]
    assert cells[:5] == ["T2", "no", "3", "1", "1"] and cells[5] == "-1.00 … 0.50 … 2.00"
    assert "Of 2 T1 images 1 are named as no T1; of 3 others 1 are, and 1 refused." in lines
