"""Doubt per voxel, expected overlap per side, flags that catch failures."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import SimpleITK as sitk

from HippoSegLib import cli, segment
from HippoSegLib.io.images import read_image
from HippoSegLib.models.store import load_model
from HippoSegLib.results.quality import QualityModel
from HippoSegLib.results.quality_features import block_ranks, entropy, likeness, side_features

pytestmark = pytest.mark.usefixtures("networks_answer_once")


@pytest.fixture(scope="module")
def sample(sample_path):
    return read_image(sample_path)


@pytest.fixture(scope="module")
def plain(sample):
    return run(sample)


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
        # The maps are those asked for beside them, and most of the doubt is about the outline.
        p = sitk.GetArrayFromImage(result.probabilities[side]).astype(float).clip(0, 1)
        some = p > 0
        assert not doubt[~some].any()
        expected = scipy.stats.entropy([p[some], 1 - p[some]], base=2)
        assert np.abs(doubt[some] - expected).max() < 2e-5
        mask = result.labels == value
        edge = sitk.GetArrayFromImage(sitk.BinaryDilate(mask, [2] * 3)) > 0
        assert doubt[edge].sum() > 0.6 * doubt.sum()


def test_without_being_asked_for_there_is_no_map(sample, plain):
    assert plain.uncertainty is None and plain.probabilities is None
    assert run(sample, uncertainty=True).probabilities is None


def codes(result, side=None) -> set[str]:
    return {f.code for f in result.flags if f.severity == "warning" and f.side in (None, side)}


def with_array(image, array):
    changed = sitk.GetImageFromArray(array.astype(np.float32))
    changed.CopyInformation(image)
    return changed


def test_the_bundled_model_scores_a_good_scan_high_and_a_ruined_one_low(sample, plain):
    good = plain
    row = good.measurements.as_row()
    assert good.provenance["quality"] == good.measurements.quality
    array = sitk.GetArrayFromImage(sample).astype(np.float32)
    noisy = array + np.random.default_rng(0).normal(0, 0.5 * np.percentile(array, 99), array.shape)
    ruined = run(with_array(sample, np.abs(noisy)))
    for side in ("left", "right"):
        assert 0.75 < row[f"{side}_quality"] < 1
        assert "quality" not in codes(good, side)
        # Where the noise leaves a hippocampus to be found at all, it is not believed.
        score = ruined.measurements.quality.get(side)
        assert "not_found" in codes(ruined, side) or (
            score < row[f"{side}_quality"] - 0.1 and "quality" in codes(ruined, side)
        )


def test_what_is_no_t1_is_said(sample, plain):
    array = sitk.GetArrayFromImage(sample).astype(np.float32)
    top = np.percentile(array[array > 0], 99.5)
    inverted = np.where(array > 0.08 * top, np.clip(1.1 * top - array, 0, None), 0)
    assert "contrast" in codes(run(with_array(sample, inverted)))
    assert "contrast" not in codes(plain)


def test_hounsfield_units_are_said_to_be_a_ct(sample):
    array = sitk.GetArrayFromImage(sample).astype(np.float32)
    hounsfield = np.where(array > 0.05 * array.max(), 20 + 40 * array / array.max(), -1000).round()
    result = run(with_array(sample, hounsfield))
    assert any(f.code == "contrast" and "CT" in f.message for f in result.flags)


def without_quality():
    model = load_model()
    return replace(model, card=replace(model.card, quality=None))


def test_a_model_without_coefficients_gives_no_score(sample):
    result = run(sample, model=without_quality())
    assert result.measurements.quality == {}
    assert result.measurements.as_row()["left_quality"] is None
    assert "quality" not in result.provenance and "quality" not in codes(result)


def test_a_score_that_is_no_number_is_flagged_and_stands_nowhere(sample, monkeypatch):
    monkeypatch.setattr(QualityModel, "score", lambda self, features, agreement: float("nan"))
    result = run(sample)
    flags = [flag for flag in result.flags if flag.code == "quality"]
    assert [flag.name for flag in flags] == ["quality:left", "quality:right"] and result.status == "review"
    assert all("could not be judged" in flag.message for flag in flags)
    assert result.measurements.quality == {} and "nan" not in json.dumps(result.provenance).lower()


def test_likeness_is_the_rank_correlation_of_blocks():
    rng = np.random.default_rng(3)
    blocks = rng.normal(10, 2, (6, 7, 5))
    image = blocks.repeat(8, 0).repeat(8, 1).repeat(8, 2)
    everywhere = np.ones(image.shape, bool)
    other = rng.normal(10, 2, (6, 7, 5)).repeat(8, 0).repeat(8, 1).repeat(8, 2)
    ranks, pattern = block_ranks(image, everywhere), block_ranks(other, everywhere)
    expected = scipy.stats.spearmanr(blocks.ravel(), other[::8, ::8, ::8].ravel()).statistic
    assert likeness(ranks, pattern) == pytest.approx(expected, abs=1e-9)
    assert likeness(block_ranks(30 - image, everywhere), ranks) == pytest.approx(-1)
    # A brighter image, cut in the middle, still looks the same in what is left.
    half = everywhere.copy()
    half[24:] = False
    assert likeness(block_ranks(3 * image, half), ranks) > 0.9
    assert likeness(block_ranks(image, np.zeros_like(half)), ranks) == 0


def ball(radius: float, softness: float) -> np.ndarray:
    """Two halves of a soft ball: maps (2, 48, 56, 40)."""
    z, y, x = np.indices((48, 56, 40)) - np.array([23.5, 27.5, 19.5]).reshape(3, 1, 1, 1)
    p = 1 / (1 + np.exp((np.sqrt(x**2 + y**2 + z**2) - radius) / softness))
    return np.stack([np.where(y > 0, p, 0), np.where(y > 0, 0, p)]).astype(np.float32)


def test_features_of_a_ball_are_those_of_a_ball():
    maps, inside = ball(9, 0.5), np.ones((48, 56, 40), bool)
    image = np.random.default_rng(0).normal(0, 1, inside.shape)
    found = side_features(image, maps, inside)
    assert np.exp(found["volume"]) == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.03)
    assert found["length"] == pytest.approx(18, abs=2)
    assert found["slenderness"] == pytest.approx(0, abs=0.02)
    assert found["anterior_share"] == pytest.approx(0.5, abs=0.02)
    # The halves' centroids lie 3/8 of the radius from the middle; the long axis leans from y.
    assert found["anterior_ahead"] == pytest.approx(6.75 * np.cos(np.deg2rad(24)), abs=0.2)
    softer = side_features(image, ball(9, 2), inside)
    assert softer["expected_overlap"] < found["expected_overlap"] < 1
    assert softer["uncertain_share"] > 2 * found["uncertain_share"]
    inside[:, 30:] = False
    assert side_features(image, maps, inside)["outside_share"] > 0.3
    assert side_features(image, ball(1, 0.5), inside) is None
    assert all(np.isfinite(v) for v in side_features(0 * image, maps, inside).values())


def test_the_command_writes_maps_and_scores(sample_path, tmp_path):
    arguments = ["segment", str(sample_path), "-o", str(tmp_path), "--uncertainty", "--no-picture", "-q"]
    assert cli.main([*arguments, "--device", "cpu", "--threads", "1"]) == 0
    name = sample_path.name.removesuffix(".nii.gz")
    assert {p.name for p in tmp_path.glob("*uncertainty*")} == {
        f"{name}_{side}_uncertainty.nii.gz" for side in ("left", "right")
    }
    with open(tmp_path / "hippocampus.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    record = json.loads((tmp_path / f"{name}_hippocampus.json").read_text(encoding="utf-8"))
    for side in ("left", "right"):
        assert float(row[f"{side}_quality"]) == round(record["quality"][side], 2) > 0.75


def test_an_outline_that_lies_elsewhere_is_told_by_what_lies_in_it():
    """The same shape, four voxels beside the structure: mixed, without edges; it would fit better there."""
    rng = np.random.default_rng(0)
    grid = np.indices((40, 56, 48)) - np.array([20, 28, 24])[:, None, None, None]
    there = sum((g / r) ** 2 for g, r in zip(grid, (5, 15, 6), strict=True)) < 1
    image = np.where(there, 0.5, 0.9) + rng.normal(0, 0.02, there.shape)
    inside = np.ones(there.shape, bool)

    def told(steps):
        maps = np.stack([np.roll(there, steps, axis=2) & (grid[1] > 5), np.roll(there, steps, axis=2)]) * 0.98
        maps[1] -= maps[0]
        return side_features(image, maps.astype(np.float32), inside)

    right, wrong = told(0), told(4)
    assert wrong["mixed"] > right["mixed"] + 0.3
    assert right["purer_elsewhere"] < 0 < 0.3 < wrong["purer_elsewhere"]
    assert right["edge_elsewhere"] < 0.9 and wrong["edge_elsewhere"] > 1.3
    assert wrong["volume"] == right["volume"]
