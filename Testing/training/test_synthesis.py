"""Synthesised heads and refinement networks, from a hand-made head: a ball with two ellipsoids in it."""

import numpy as np
import pytest

from HippoSegLib.geometry.pose import WORLD_RAS, pose_from_hippocampi
from HippoSegLib.training import refinement_samples as samples
from HippoSegLib.training import synthesis
from HippoSegLib.training.heads import LabelHead, world_points

IDS = np.array([0, 2, 17, 24, 53, 502])
LEFT, RIGHT = IDS.tolist().index(17), IDS.tolist().index(53)


@pytest.fixture(scope="module")
def phantom():
    """2 mm, stored towards right, anterior, superior, the middle of the array at LPS 0; symmetric."""
    n = 100
    axis = (np.arange(n) - (n - 1) / 2) * 2.0
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    labels = np.zeros((n, n, n), np.uint8)
    labels[radius < 88] = 5
    labels[radius < 78] = 3
    labels[radius < 72] = 1
    for sign, label in ((-1, LEFT), (1, RIGHT)):
        # The long axis dips to the front, as a hippocampus's does.
        u, v = y * np.cos(0.4) - (z + 20) * np.sin(0.4), y * np.sin(0.4) + (z + 20) * np.cos(0.4)
        inside = ((x - sign * 25) / 8) ** 2 + (u / 20) ** 2 + (v / 8) ** 2 < 1
        labels[inside] = label
    affine = np.column_stack([WORLD_RAS * 2.0, WORLD_RAS @ np.full(3, axis[0])])
    sides = [world_points(labels == k, affine) for k in (LEFT, RIGHT)]
    return LabelHead(labels, IDS, affine, pose_from_hippocampi(*sides, anterior=WORLD_RAS[:, 1]))


@pytest.fixture(scope="module")
def intensities():
    n = len(IDS)
    means = np.stack([np.linspace(20, 120, n), np.full(n, 2.0)])
    return synthesis.Intensities(np.arange(n), means, np.stack([np.full(n, 4.0), np.full(n, 1.0)]))


@pytest.mark.parametrize("mirror", [False, True])
def test_the_coordinates_say_where_the_hippocampi_are(phantom, intensities, mirror):
    seen = 0
    for i in range(8):
        sample = synthesis.synthesise_from_labels(
            phantom, intensities, np.random.default_rng(i), mirror=mirror
        )
        assert sample.image.dtype == np.float32 and sample.image.min() >= 0 and sample.image.max() <= 1.5
        np.testing.assert_allclose(sample.fractions.sum(axis=0), 1, atol=1e-5)
        for fraction, x in ((sample.fractions[2], -25), (sample.fractions[3], 25)):
            if fraction.sum() * synthesis.SPACING**3 < 4000:
                continue
            seen += 1
            place = (sample.coordinates * fraction).sum(axis=(1, 2, 3)) / fraction.sum()
            # Nearest-label sampling and the warp leave a little.
            np.testing.assert_allclose(place, [x, 0, 0], atol=2.5)
    assert seen > 8


@pytest.mark.parametrize("seed", range(4))
def test_a_right_side_is_the_mirror_image_of_a_left_one(phantom, intensities, seed, monkeypatch):
    # Without turn, as the mirror image of a turn is another turn.
    monkeypatch.setattr(samples, "Rotation", _NoTurn)
    looks = [
        samples.from_labels(
            phantom,
            side,
            samples.label_centre(phantom, side),
            intensities,
            np.random.default_rng(seed),
        )
        for side in ("left", "right")
    ]
    np.testing.assert_allclose(looks[0][1], looks[1][1], atol=0.26)  # a label on the edge of a voxel
    assert (
        np.corrcoef(looks[0][0].ravel(), looks[1][0].ravel())[0, 1] > 0.8
    )  # each label has its own grey value
    assert looks[0][1].shape == (1, *samples.SHAPE)


class _NoTurn:
    @staticmethod
    def from_euler(*_args, **_options):
        return type("Turn", (), {"as_matrix": staticmethod(lambda: np.eye(3))})


def test_a_look_shows_about_the_whole_of_its_own_side_alone(phantom, intensities):
    truth = 4 / 3 * np.pi * 8 * 20 * 8
    volumes = [
        samples.from_labels(
            phantom,
            "left",
            samples.label_centre(phantom, "left"),
            intensities,
            np.random.default_rng(i),
        )[1].sum()
        * samples.SPACING**3
        for i in range(40)
    ]
    assert np.median(volumes) == pytest.approx(truth, rel=0.25) and max(volumes) < 2.2 * truth


def test_tissues_share_a_grey_value_in_some_heads(intensities):
    ids = np.array([17, 18, 53, 54, 2, 41])
    table = synthesis.Intensities(np.arange(6), np.ones((2, 6)), np.ones((2, 6)))
    near = 0
    for i in range(200):
        mean, _ = synthesis.grey_values(table, ids, np.random.default_rng(i))
        if mean[4] > 5:  # not the T1 table, all of whose means are about 1
            near += np.ptp(mean[:4]) < 0.5 * mean[:4].mean()
    assert 40 < near < 160
