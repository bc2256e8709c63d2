"""The hippocampal frame, against hand-made hippocampi and scipy's own rotations."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from HippoSegLib.geometry.pose import LONG_AXIS_DIP_DEG, WORLD_RAS, fit_pose, pose_from_hippocampi


def _hippocampi(rotation):
    """Two straight hippocampi (LPS mm) 50 mm apart whose long axis dips by the frame's own angle, rotated."""
    t = np.linspace(-20, 20, 200)
    dip = np.deg2rad(LONG_AXIS_DIP_DEG)
    rod = np.stack([np.zeros_like(t), t * np.cos(dip), -t * np.sin(dip)], axis=1)
    noise = np.random.default_rng(0).normal(0, 0.5, rod.shape)
    sides = [rod + noise + [x, 0, 0] for x in (-25, 25)]  # right-anterior-superior
    return [side @ WORLD_RAS.T @ rotation.T + [30, -200, 900] for side in sides]


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, 30, 0), (0, 0, 30), (-25, 20, 30)])
def test_frame_follows_the_head(angles):
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    left, right = _hippocampi(rotation)
    pose = pose_from_hippocampi(left, right, anterior=WORLD_RAS[:, 1])
    error = Rotation.from_matrix(pose.axes @ (rotation @ WORLD_RAS).T).magnitude()
    assert np.rad2deg(error) < 1.5
    assert pose.origin == pytest.approx([30, -200, 900], abs=0.5)
    assert pose.to_head(left.mean(axis=0))[0] == pytest.approx(-25, abs=0.5)
    assert pose.to_world(pose.to_head(right)) == pytest.approx(right)


def test_fit_recovers_a_pose_from_noisy_scaled_coordinates():
    rng = np.random.default_rng(1)
    axes = Rotation.from_euler("xyz", [20, -25, 10], degrees=True).as_matrix() @ WORLD_RAS
    coordinates = rng.normal(0, 40, (500, 3))
    world = 1.1 * coordinates @ axes.T + [5, 6, 7] + rng.normal(0, 2, (500, 3))
    pose, rms = fit_pose(world, coordinates, np.ones(500))
    assert np.rad2deg(Rotation.from_matrix(pose.axes @ axes.T).magnitude()) < 1
    assert pose.origin == pytest.approx([5, 6, 7], abs=0.5)
    assert rms == pytest.approx(2 * np.sqrt(3), rel=0.1)
    assert np.linalg.det(pose.axes) == pytest.approx(1)
