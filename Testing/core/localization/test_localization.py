"""Localisation from a hand-made network answer: poses, sides, cut fields of view, no head at all."""

from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from HippoSegLib.errors import NotFoundError
from HippoSegLib.geometry.pose import WORLD_RAS
from HippoSegLib.localization.coarse import GRID, coarse_image, expected_centre, interpret, localize, shrink
from HippoSegLib.localization.placement import place
from HippoSegLib.models.card_parts import LocalizerCard, RefinerCard

CENTRE = np.array([12.0, -40.0, 300.0])


def _answer(rotation: np.ndarray, shift, hippocampi=("left", "right"), noise=2.0):
    """What a perfect network would say of an ellipsoid head turned by `rotation` about `shift`."""
    points = GRID.points(CENTRE)
    axes = rotation @ WORLD_RAS
    coordinates = (points - CENTRE - shift) @ axes
    x, y, z = np.moveaxis(coordinates, -1, 0)
    inside = (x / 70) ** 2 + ((y + 5) / 85) ** 2 + ((z - 25) / 65) ** 2 < 1
    logits = np.full((4, *inside.shape), -6.0, np.float32)
    logits[0][~inside] = 6
    logits[1][inside] = 6
    for c, (side, sign) in enumerate((("left", -1), ("right", 1)), start=2):
        if side in hippocampi:
            rod = ((x - sign * 25) / 7) ** 2 + (y / 18) ** 2 + (z / 7) ** 2 < 1
            logits[c][rod] = 8
    values = np.moveaxis(coordinates, -1, 0) / GRID.unit_mm
    values = values + np.random.default_rng(0).normal(0, noise / GRID.unit_mm, values.shape)
    return np.concatenate([logits, values]).astype(np.float32), axes


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, -30, 0), (0, 0, 30), (30, 30, -30)])
def test_pose_and_sides_follow_the_anatomy(angles):
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    shift = np.array([8.0, -5.0, 3.0])
    output, axes = _answer(rotation, shift)
    found = interpret(output, CENTRE)
    assert np.rad2deg(Rotation.from_matrix(found.pose.axes @ axes.T).magnitude()) < 1
    for side, sign in (("left", -1), ("right", 1)):
        truth = CENTRE + shift + axes @ [sign * 25, 0, 0]
        assert found.centres[side] == pytest.approx(truth, abs=1.5)
        assert expected_centre(found.pose, side) == pytest.approx(truth, abs=2.5)
    ellipsoid = 4 / 3 * np.pi * 70 * 85 * 65
    assert found.intracranial_mm3 == pytest.approx(ellipsoid, rel=0.02)
    assert found.residual_mm == pytest.approx(2 * np.sqrt(3), rel=0.2)


def test_a_side_that_is_not_seen_has_no_centre_but_an_expected_place():
    output, axes = _answer(np.eye(3), np.zeros(3), hippocampi=("right",))
    found = interpret(output, CENTRE)
    assert set(found.centres) == {"right"}
    assert expected_centre(found.pose, "left") == pytest.approx(CENTRE + axes @ [-25, 0, 0], abs=2.5)


def test_hardly_any_brain_is_no_head():
    output, _ = _answer(np.eye(3), np.zeros(3))
    output[0] = 9
    with pytest.raises(NotFoundError, match="No head with a brain"):
        interpret(output, CENTRE)


def _head(direction=None) -> sitk.Image:
    image = sitk.Image([60, 70, 50], sitk.sitkInt16)
    image.SetSpacing([2.5, 2.0, 3.0])
    array = np.random.default_rng(0).integers(0, 500, image.GetSize()[::-1]).astype(np.int16)
    out = sitk.GetImageFromArray(array)
    out.CopyInformation(image)
    return out


def test_coordinates_that_fit_no_pose_are_refused():
    def scrambled(_image: np.ndarray) -> np.ndarray:
        return _answer(np.eye(3), np.zeros(3), noise=60.0)[0]

    with pytest.raises(NotFoundError, match="No hippocampus was found"):
        localize(_head(), scrambled)


def test_a_head_off_the_middle_of_its_field_of_view_is_looked_for_above_it():
    """The first try fits no pose, the second one, 60 mm higher, does: its centre counts."""
    seen = []

    def understood_later(image: np.ndarray) -> np.ndarray:
        seen.append(image.shape)
        return _answer(np.eye(3), np.zeros(3), noise=60.0 if len(seen) == 1 else 0.0)[0]

    head = _head()
    found = localize(head, understood_later)
    middle = np.array(head.TransformContinuousIndexToPhysicalPoint([29.5, 34.5, 24.5]))
    assert seen == [(1, 40, 40, 40)] * 2 and found.residual_mm < 3
    np.testing.assert_allclose(found.pose.origin - middle, [0, 0, 60], atol=3)


def answering(answer):
    """A network that gives the same answer whatever it sees."""
    return lambda _image: np.asarray(answer, np.float32)


@pytest.mark.parametrize(("seen_closely", "noise"), [(True, 2.0), (False, 2.0), (True, 6.0)])
def test_what_only_the_refinement_sees_is_found_and_flagged(seen_closely, noise):
    """The coarse network fits the pose, but sees no hippocampus: the refinement network decides whether there
    is any, unless the pose fits badly (a residual of 6 mm along each axis)."""
    head = _head()
    close = np.full((1, 24, 28, 24), -9.0)
    if seen_closely:
        close[0, 10:14, 11:17, 10:14] = 9.0
    card = SimpleNamespace(
        localizer=LocalizerCard((8, 16), 40, 6.5, 50.0), refiner=RefinerCard((8, 16), (24, 28, 24), 3.0)
    )
    first = answering(_answer(np.eye(3), np.zeros(3), hippocampi=(), noise=noise)[0])
    networks = SimpleNamespace(card=card, localizer=first, refiner=answering(close))
    if not seen_closely or noise > 5:
        with pytest.raises(NotFoundError, match="No hippocampus was found"):
            place(head, networks, {})
        return
    placement = place(head, networks, {})
    found, centres = placement.localization, placement.centres
    np.testing.assert_allclose(centres["left"] - centres["right"], [49, 0, 0], atol=3)  # left: larger LPS x
    middle = (centres["left"] + centres["right"]) / 2
    np.testing.assert_allclose(middle, found.pose.origin, atol=3)
    assert not found.centres and [flag.code for flag in placement.flags] == ["unsure"]


def test_the_coarse_grid_shows_the_head_where_it_is():
    image = _head()
    array = sitk.GetArrayFromImage(image)
    array[:] = 0
    array[20:26, 30:38, 40:48] = 1000  # a cube, at known world coordinates
    cube = sitk.GetImageFromArray(array)
    cube.CopyInformation(image)
    truth = np.array(cube.TransformContinuousIndexToPhysicalPoint([43.5, 33.5, 22.5]))
    middle = np.array(cube.TransformContinuousIndexToPhysicalPoint([29.5, 34.5, 24.5]))
    coarse = coarse_image(shrink(cube), middle)
    points = GRID.points(middle)
    centre = (coarse[..., None] * points).sum(axis=(0, 1, 2)) / coarse.sum()
    assert centre == pytest.approx(truth, abs=1.2)
