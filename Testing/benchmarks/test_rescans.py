"""The benchmark of imitated rescans: its standard deviation, and what it writes into a card."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rescans as bench
import SimpleITK as sitk

from HippoSegLib.models.card import read_card
from HippoSegLib.models.store import load_model

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover


def test_the_standard_deviation_within_heads_is_that_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    heads = np.exp(rng.normal(8, 0.2, (2000, 1)))  # heads differ by 20 %, which must not count
    sd, degrees = bench.within(heads * np.exp(rng.normal(0, 0.007, (2000, 4))))
    assert sd == pytest.approx(0.7, rel=0.03) and degrees == 6000
    values = np.log(np.array([[3000.0, 3010, 2990, 3005], [2500, 2480, 2510, np.nan]]))
    sd, degrees = bench.within(np.exp(values))
    assert sd == pytest.approx(100 * values[0].std(ddof=1)) and degrees == 3


def test_a_head_scanned_again_is_another_image_of_the_same_head(sample_path):
    image = sitk.Cast(sitk.Shrink(sitk.ReadImage(str(sample_path)), [4, 4, 4]), sitk.sitkFloat32)
    first, second = (
        sitk.GetArrayFromImage(bench.rescanned(image, np.random.default_rng(seed))) for seed in (1, 2)
    )
    assert first.shape == second.shape and not np.array_equal(first, second)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.8


def test_the_card_is_written_and_read_again(tmp_path):
    folder = tmp_path / "hipposeg"
    shutil.copytree(load_model(None).folder, folder)
    found = {
        side: np.array([[3000.0, 3030, 2970, 3010], [2500, 2490, 2520, 2500]]) for side in ("left", "right")
    }
    bench.write_card(folder, bench.card_of(found, 2))
    part = read_card(folder).repeatability
    assert part is not None and part.heads == 2 and part.side_degrees == 12 and part.total_degrees == 6
    sd, _ = bench.within(found["left"])
    assert part.side_sd_percent == pytest.approx(sd, abs=1e-3) and part.readers == 2
