"""The changes of a head are what they are called; the report's arithmetic; a re-stored head is the same."""

from __future__ import annotations

import numpy as np
import pytest
import repeatability as bench
import SimpleITK as sitk
import testscans

from HippoSegLib.io.images import read_image

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover


def smooth_head() -> tuple[sitk.Image, np.ndarray]:
    """A bright ball off the middle of a dark image, float32, and its centre (LPS mm)."""
    image = sitk.Image([60, 64, 56], sitk.sitkFloat32)
    image.SetSpacing((1.5, 1.2, 1.0))
    image.SetOrigin((-40.0, -35.0, -30.0))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    centre = np.array(image.TransformContinuousIndexToPhysicalPoint((36.0, 30.0, 34.0)))
    index = np.stack(np.indices(image.GetSize()[::-1])[::-1], axis=-1)
    matrix = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    distance = np.linalg.norm(index @ matrix.T + np.array(image.GetOrigin()) - centre, axis=-1)
    ball = sitk.GetImageFromArray((100 + 900 / (1 + np.exp((distance - 15) / 2))).astype(np.float32))
    ball.CopyInformation(image)
    return ball, centre


def centroid(image: sitk.Image) -> np.ndarray:
    """Centre of mass above the background, LPS mm."""
    array = sitk.GetArrayFromImage(image).astype(float)
    weight = np.clip(array - 150, 0, None)
    index = [(weight * axis).sum() / weight.sum() for axis in np.indices(array.shape)]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index[::-1]))


def test_turned_by_the_stated_degrees_about_the_middle():
    image, centre = smooth_head()
    middle = np.array(bench._middle(image))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        axis = rng.normal(size=3)
        angle = rng.uniform(*bench.DEGREES)
        moved = centroid(bench.turned(image, np.random.default_rng(seed))) - middle
        before = centroid(image) - middle
        assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(before), abs=0.1)
        # The part of the lever across the axis turns by the angle; Rodrigues' chord says how far.
        axis /= np.linalg.norm(axis)
        lever = np.linalg.norm(before - (before @ axis) * axis)
        expected = 2 * lever * np.sin(np.deg2rad(angle) / 2)
        assert np.linalg.norm(moved - before) == pytest.approx(expected, abs=0.1) and 3 <= angle <= 8


def test_shifted_by_half_a_voxel_along_each_axis():
    image, _ = smooth_head()
    shift = centroid(bench.shifted(image, np.random.default_rng(0))) - centroid(image)
    along = np.reshape(image.GetDirection(), (3, 3)).T @ shift
    np.testing.assert_allclose(np.abs(along), np.array(image.GetSpacing()) / 2, atol=0.02)


def test_noise_and_bias_have_the_stated_size():
    image, _ = smooth_head()
    before = sitk.GetArrayFromImage(image)
    rng = np.random.default_rng(3)
    bright = before > 950
    noise = sitk.GetArrayFromImage(bench.noisy(image, rng))[bright] - before[bright]
    assert noise.std() == pytest.approx(0.03 * 1000, rel=0.1) and abs(noise.mean()) < 3
    factor = (sitk.GetArrayFromImage(bench.biased(image, rng)) - before.min())[bright] / (
        before[bright] - before.min()
    )
    assert factor.min() >= 1 / 1.2 - 1e-3 and factor.max() <= 1.2 + 1e-3 and np.ptp(factor) > 0.01


def test_nothing_is_invented_beyond_the_images_values():
    image, _ = smooth_head()
    before = sitk.GetArrayFromImage(image)
    for change in (bench.turned, bench.shifted):
        after = sitk.GetArrayFromImage(change(image, np.random.default_rng(1)))
        assert before.min() <= after.min() and after.max() <= before.max()


def test_restored_keeps_every_voxel_in_its_place():
    image, _ = smooth_head()
    for seed in range(6):
        other = bench.restored(image, np.random.default_rng(seed))
        assert other.GetDirection() != image.GetDirection()
        back = sitk.Resample(other, image, sitk.Transform(), sitk.sitkNearestNeighbor)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))


def test_the_table_counts_without_sign_and_says_what_was_lost():
    rows = {kind: [("a", "left", 1.0), ("a", "right", -5.0), ("b", "left", 3.0)] for kind in bench.CHANGES}
    rows["stored with other axes"] = [("a", "left", 0.0), ("a", "right", float("nan")), ("b", "left", -0.05)]
    lines = bench.table(rows)
    turned = next(line for line in lines if line.startswith("| turned"))
    assert "| 3 | 0 | 3.00 | 4.80 | 5.00 | a, right | -0.33 | median ≤ 2: missed |" in turned
    stored = next(line for line in lines if line.startswith("| stored"))
    assert "| 3 | 1 | 0.03 |" in stored and stored.endswith("worst ≤ 0.1: missed |")


def test_measured_against_the_unchanged_scan(sample_path, monkeypatch):
    """Whole pipeline on the sample: the same head in other axes has the same volumes."""
    monkeypatch.setattr(bench, "CHANGES", {"stored with other axes": bench.restored})
    rows = bench.measure([testscans.TestScan("sample", sample_path)], None, 1)["stored with other axes"]
    assert [side for _, side, _ in rows] == ["left", "right"]
    assert all(abs(value) <= bench.ROUNDING for *_, value in rows)


def test_the_change_is_in_percent_of_the_unchanged(sample_path, monkeypatch):
    image = read_image(sample_path)
    volumes = iter([{"left": 2000.0, "right": 1000.0}, {"left": 2100.0}])
    monkeypatch.setattr(bench, "volumes", lambda *_: next(volumes))
    monkeypatch.setattr(bench, "CHANGES", {"any": lambda image, rng: image})
    scan = testscans.TestScan("sample", sample_path)
    assert image.GetSize() == scan.read().GetSize()
    (_, left, change), (_, right, lost) = bench.measure([scan], None, 1)["any"]
    assert (left, right) == ("left", "right") and change == pytest.approx(5) and np.isnan(lost)


def test_the_test_scans_are_those_that_never_train(data_dir):
    scans = testscans.unlabelled_scans(data_dir) + testscans.labelled_scans(data_dir)
    assert len(scans) == 19 and all(scan.path.exists() for scan in scans)
    assert not any(testscans.data_splits.may_train(scan.path.relative_to(data_dir)) for scan in scans)
    assert sum(scan.labels is not None and scan.labels.exists() for scan in scans) == 10
