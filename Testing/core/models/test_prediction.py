"""Two readers, one outline: the mean of their probabilities, their overlap, and what the score judges."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.geometry.pose import WORLD_RAS
from HippoSegLib.geometry.roi import roi_about
from HippoSegLib.models.prediction import Segmenter, overlap, predict_rois
from HippoSegLib.preprocessing.chain import Preprocessing

SIZE = (24, 24, 24)


class Fixed:
    """A network that gives the same class probabilities whatever it sees."""

    def __init__(self, *boxes, classes=4):
        """boxes: (class, slice of z, y and x, probability there); the rest is background."""
        p = np.zeros((classes, *SIZE), np.float32)
        for index, where, value in boxes:
            p[index][where] = value
        p[0] = 1 - p[1:].sum(axis=0)
        self.logits = np.log(np.clip(p, 1e-6, 1))

    def __call__(self, image):
        return self.logits


def box(lower: int, upper: int) -> tuple[slice, slice, slice]:
    return (slice(8, 16), slice(8, 16), slice(lower, upper))


def read(*networks, protocol="full"):
    head = sitk.GetImageFromArray(np.random.default_rng(0).normal(100, 10, (40, 40, 40)).astype(np.float32))
    head.SetDirection(WORLD_RAS.ravel().tolist())
    centre = head.TransformContinuousIndexToPhysicalPoint([19.5] * 3)
    rois = {"left": roi_about(centre, WORLD_RAS, "left", SIZE)}
    readers = [Segmenter(network, Preprocessing.named("plain")) for network in networks]
    return predict_rois(head, rois, readers, protocol, fixed=("left",))


def outline(maps: np.ndarray) -> np.ndarray:
    return maps.sum(axis=0) > 0.5


def test_the_outline_is_the_mean_and_the_overlap_is_dice():
    first = Fixed((1, box(6, 14), 0.9))
    second = Fixed((1, box(6, 12), 0.9), (1, box(12, 14), 0.2))
    found = read(first, second)
    # Where one says 0.9 and the other 0.2 the mean is 0.55: within.
    assert np.array_equal(np.flatnonzero(outline(found.maps["left"]).any(axis=(0, 1))), np.arange(6, 14))
    assert found.agreement["left"] == pytest.approx(2 * 6 / (8 + 6))
    weaker = read(first, Fixed((1, box(6, 12), 0.9)))
    assert np.array_equal(np.flatnonzero(outline(weaker.maps["left"]).any(axis=(0, 1))), np.arange(6, 12))


def test_one_reader_agrees_with_nobody():
    assert read(Fixed((1, box(6, 14), 0.9))).agreement == {}


def test_the_protocol_decides_about_what_lies_beyond():
    network = Fixed((2, box(6, 12), 0.9), (3, box(12, 16), 0.9))
    full, msd = read(network), read(network, protocol="msd")
    assert outline(full.maps["left"]).sum() == 10 * 64 and outline(msd.maps["left"]).sum() == 6 * 64
    # What lies beyond is counted to the part beside it; the score sees MSD's border either way.
    assert (full.maps["left"][1] > 0.5).sum() >= 6 * 64
    np.testing.assert_allclose(full.score_maps["left"], msd.maps["left"], atol=1e-6)


def test_readers_that_find_nothing_agree():
    assert overlap(np.zeros(3, bool), np.zeros(3, bool)) == 1.0
    assert overlap(np.ones(3, bool), np.zeros(3, bool)) == 0.0
