"""The benchmark of wrong voxel sizes: what it changes, what it counts, what it fits."""

import numpy as np
import pytest
import SimpleITK as sitk
from voxel_size import ALL_AXES, ONE_AXIS, Judgement, changed, fit, table, variants

from HippoSegLib.geometry.pose import Affine
from HippoSegLib.localization.head_size import HeadSize

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover

RAS = np.diag([-1.0, -1.0, 1.0])


def judgement(volume: float, length: float, said: str = "") -> Judgement:
    return Judgement(HeadSize(volume, Affine(RAS, np.zeros(3))), length, 0.5, said)


def test_claims_change_the_header_alone_and_crops_the_field_of_view(head):
    head = sitk.Cast(head, sitk.sitkFloat32)
    rows = variants()
    assert len([name for name in rows if "×" in name]) == len(ALL_AXES) + 3 * len(ONE_AXIS)
    for name, how in rows.items():
        image = changed(head, *how)
        if name.startswith("cut"):
            assert (
                image.GetSpacing() == head.GetSpacing()
                and image.GetNumberOfPixels() < head.GetNumberOfPixels()
            )
        else:
            assert np.array_equal(sitk.GetArrayViewFromImage(image), sitk.GetArrayViewFromImage(head))
            assert np.allclose(image.GetSpacing(), np.array(head.GetSpacing()) * how[1])
    assert rows["front-back × 0.7"][1] == (1.0, 0.7, 1.0)


def test_every_head_of_a_row_is_counted_once():
    row = [
        judgement(1.4e6, 40, "info"),
        judgement(0.8e6, 30, "warning"),
        Judgement(),
        Judgement(refused=True),
    ]
    (line,) = table({"all axes × 0.8": row})[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:6] == ["all axes × 0.8", "4", "1", "1", "1", "1"]
    assert cells[6] == "800 … 1100 … 1400" and cells[8] == "0.5 … 0.5 … 0.5"
    assert table({"x": [Judgement(refused=True)]})[2].count("–") == 3


def test_the_fit_gives_back_what_the_heads_were_drawn_from():
    rng = np.random.default_rng(0)
    volume = np.log(1.4e6) + 0.13 * rng.normal(size=4000)
    length = np.log(40) + 0.15 * (volume - np.log(1.4e6)) + 0.04 * rng.normal(size=4000)
    text = " ".join(fit([judgement(*pair) for pair in zip(np.exp(volume), np.exp(length), strict=True)]))
    words = text.replace(";", " ").replace(",", " ").split()
    values = [float(words[words.index(name) + 1]) for name in ("volume", "length", "growth")]
    assert values == pytest.approx([1.4e6, 40, 0.15], rel=0.03)
    following = [words[i + 1] for i, word in enumerate(words) if word == "spread"]
    spreads = [float(word) for word in following if word[0] != "["]
    assert spreads == pytest.approx([0.13, 0.04], rel=0.05)
