"""The refinement network: its geometry, with a hand-made network that calls bright voxels hippocampus."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from HippoSegLib.geometry.pose import WORLD_RAS
from HippoSegLib.geometry.roi import roi_about
from HippoSegLib.localization.refinement import MAX_CORRECTION_MM, refine
from HippoSegLib.models.card_parts import RefinerCard
from HippoSegLib.models.prediction import recentred

CARD = RefinerCard((8, 16), (24, 28, 24), 3.0)


@pytest.fixture
def bright_is_hippocampus():
    return lambda image: 40 * (image - 0.7)


def head_with_ball(centre, radius=10.0, spacing=(1.2, 0.9, 2.0), turn=(10, -20, 15)):
    """A dark oblique head with one bright ball at `centre` (LPS mm)."""
    size = np.array([150, 200, 90])
    direction = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    image = sitk.Image(size.tolist(), sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin((-direction @ (np.array(spacing) * (size - 1) / 2)).tolist())
    z, y, x = np.meshgrid(*[np.arange(n) for n in size[::-1]], indexing="ij")
    points = np.stack([x, y, z], -1) * spacing @ direction.T + image.GetOrigin()
    array = np.where(np.linalg.norm(points - centre, axis=-1) < radius, 100.0, 0.0).astype(np.float32)
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_centre_comes_in_world_millimetres(bright_is_hippocampus, side):
    truth = np.array([14.0, -9.0, 6.0])
    head = head_with_ball(truth)
    axes = WORLD_RAS @ Rotation.from_euler("xyz", [8, 5, -12], degrees=True).as_matrix()
    found = refine(head, truth + [9, -8, 7], axes, side, bright_is_hippocampus, CARD)
    assert np.linalg.norm(found.centre - truth) < 0.5
    assert found.mass_mm3 == pytest.approx(4 / 3 * np.pi * 10**3, rel=0.2)
    assert 0.9 < found.certainty <= 1


def test_an_answer_at_the_rim_is_looked_at_again(bright_is_hippocampus):
    truth = np.array([0.0, 0.0, 0.0])
    # At first the window shows no more than the ball's near part.
    found = refine(
        head_with_ball(truth, 12.0),
        np.array([0.0, 0.0, 28.0]),
        WORLD_RAS,
        "left",
        bright_is_hippocampus,
        CARD,
    )
    assert np.linalg.norm(found.centre - truth) < 0.5


def test_nothing_seen_is_said(bright_is_hippocampus):
    head = head_with_ball(np.zeros(3), radius=3.0)  # 113 mm³: no hippocampus
    assert refine(head, np.zeros(3), WORLD_RAS, "left", bright_is_hippocampus, CARD) is None


def test_another_structure_far_away_is_no_correction(bright_is_hippocampus):
    start = np.array([0.0, MAX_CORRECTION_MM + 8, 0.0])
    found = refine(head_with_ball(np.zeros(3), 12.0), start, WORLD_RAS, "left", bright_is_hippocampus, CARD)
    assert found is None


@pytest.mark.parametrize("off_mm, seen, moves", [(2, 0, 0), (6, 0, 1), (14, 0, 1), (6, 1, 0)])
def test_a_region_follows_its_hippocampus_where_the_closer_look_did_not_place_it(off_mm, seen, moves):
    region = roi_about([10.0, 20.0, 30.0], WORLD_RAS, "right", (40, 40, 40), 1.0)
    maps = np.zeros((2, 40, 40, 40), np.float32)
    maps[0, 18:22, 18:22, 18 + off_mm : 22 + off_mm] = 1
    moved = recentred({"right": region}, {"right": maps}, ["right"] if seen else ())
    assert len(moved) == moves
    if moved:
        middle = moved["right"].point((np.array(region.size) - 1) / 2)
        # A right side's x runs to the patient's left, which is larger LPS x.
        np.testing.assert_allclose(middle, [10 + off_mm, 20, 30], atol=1e-6)
