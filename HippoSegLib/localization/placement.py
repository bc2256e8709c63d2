"""Where the ROIs go: from both networks of the localiser, or from what the user states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, NotFoundError
from ..flags import Flag
from ..geometry.pose import WORLD_RAS, HeadPose
from ..labels import SIDES
from ..models.engines import Network
from ..models.store import Networks
from .coarse import (
    HALF_DISTANCE,
    MAX_RESIDUAL_UNSEEN_MM,
    CoarseGrid,
    Localization,
    expected_centre,
    localize,
    no_hippocampus,
)
from .head_size import HeadSize, head_size
from .intracranial import intracranial_volume
from .refinement import Refinement, refine


@dataclass(frozen=True)
class Placement:
    """The decision where the ROIs go.

    Attributes:
        localization: What the coarse network found.
        centres: side -> (3,) LPS mm, of each side that is to be segmented.
        refined: side -> what the refinement network found there, where it saw a hippocampus.
        flags: What a reader should know of it.
        size: Of the head, None where it cannot be told.
    """

    localization: Localization
    centres: Mapping[str, np.ndarray]
    refined: Mapping[str, Refinement]
    flags: tuple[Flag, ...] = ()
    size: HeadSize | None = None


def given_centres(points: Mapping | None, boxes: Mapping | None) -> dict[str, np.ndarray]:
    """Side -> LPS mm: the points, else the boxes' middles, that the user gave."""
    centres = {}
    for side, box in (boxes or {}).items():
        centres[side] = np.mean(np.asarray(box, float).reshape(2, 3), axis=0)
    for side, point in (points or {}).items():
        centres[side] = np.asarray(point, float)
    if set(centres) - set(SIDES):
        raise InputError("Points and boxes are for the sides left and right.", "Name the side left or right.")
    return centres


def place(head: sitk.Image, networks: Networks, given: Mapping[str, np.ndarray]) -> Placement:
    """Decide which sides are segmented, and about which centres.

    Args:
        head: Scalar 3D head in canonical axes, its background at 0 (`io.background`).
        networks: With a localiser.
        given: side -> (3,) LPS mm, what the user states (`given_centres`).

    Raises:
        NotFoundError: No head or neither hippocampus is recognised, and no points are given.
        InputError: A point lies outside the image, or the two are swapped.
    """
    _check_given(head, given)
    localization, flags = _localize(head, networks, given)
    centres: dict[str, np.ndarray] = {}
    refined: dict[str, Refinement] = {}
    for side in SIDES:
        if side in given:
            centres[side] = given[side]
            continue
        if given and not localization.centres:
            continue
        seen = side in localization.centres
        centre = localization.centres[side] if seen else expected_centre(localization.pose, side)
        refinement = _refine(head, networks, localization, side, centre)
        if refinement is not None:
            # Where the coarse network saw nothing, this one may: a hippocampus cut in half, say.
            refined[side], centre = refinement, refinement.centre
        elif not seen:
            if not _inside(head, centre, 4.0):
                text = f"The {side} hippocampus lies outside the field of view."
                flags.append(Flag("not_found", text, side))
                continue
            text = f"The {side} hippocampus was not recognised; its usual place was searched."
            flags.append(Flag("unsure", text, side))
        centres[side] = centre
    if not given and not localization.centres:
        if not refined or localization.residual_mm > MAX_RESIDUAL_UNSEEN_MM:
            raise no_hippocampus()
        text = "The hippocampi were recognised only from close by: check that the outlines are in place."
        flags.append(Flag("unsure", text))
    size = _head_size(head, networks, localization)
    return Placement(localization, centres, refined, tuple(flags), size)


def _inside(image: sitk.Image, point: np.ndarray, margin_mm: float = 0.0) -> bool:
    index = np.array(image.TransformPhysicalPointToContinuousIndex([float(v) for v in point]))
    margin = margin_mm / np.array(image.GetSpacing())
    return bool(((index >= -0.5 + margin) & (index <= np.array(image.GetSize()) - 0.5 - margin)).all())


def _check_given(head: sitk.Image, given: Mapping[str, np.ndarray]) -> None:
    for side, point in given.items():
        if not _inside(head, point):
            raise InputError(
                f"The point given for the {side} hippocampus lies outside the image.", "Give it anew."
            )
    if len(given) < 2:
        return
    # Patients lie in scanners with their left at larger LPS x; only a head turned round would not.
    if np.linalg.norm(given["left"] - given["right"]) < 10:
        raise InputError(
            "The points for the left and right hippocampus are less than 10 mm apart.",
            "Give one inside each.",
        )
    if given["left"][0] < given["right"][0] - 10:
        raise InputError(
            "The points for left and right seem swapped.", "Exchange them; left is the patient's left."
        )


def _grid(networks: Networks) -> tuple[Network, CoarseGrid]:
    card, network = networks.card.localizer, networks.localizer
    assert card is not None and network is not None  # `place` is not asked of a model without a localiser
    return network, CoarseGrid(card.grid_size, card.grid_spacing_mm, card.coordinate_unit_mm)


def _head_size(head: sitk.Image, networks: Networks, localization: Localization) -> HeadSize | None:
    return head_size(head, localization, *_grid(networks))


def intracranial_of(head: sitk.Image, networks: Networks, placement: Placement) -> float | None:
    """Intracranial volume in mm³ of a head that was placed; None where it is unknown or cut.

    Args:
        head: As for `place`.
        networks: With a localiser.
        placement: What `place` returned.
    """
    return intracranial_volume(head, placement.localization, *_grid(networks))


def _localize(
    head: sitk.Image, networks: Networks, given: Mapping[str, np.ndarray]
) -> tuple[Localization, list[Flag]]:
    try:
        return localize(head, *_grid(networks)), []
    except NotFoundError:
        if not given:
            raise
        # With the user's points the head need not be understood: the scanner's axes are its pose.
        text = "The head was not recognised; the points given were used as they are."
        return _unknown_pose(given), [Flag("localization", text)]


def _unknown_pose(given: Mapping[str, np.ndarray]) -> Localization:
    side, point = next(iter(given.items()))
    offset = HALF_DISTANCE * (-1 if side == "left" else 1)
    origin = np.mean(list(given.values()), axis=0) if len(given) == 2 else point - WORLD_RAS[:, 0] * offset
    return Localization(HeadPose(WORLD_RAS.copy(), origin), {}, {}, 0.0, float("nan"), intracranial_cut=True)


def _refine(
    head: sitk.Image, networks: Networks, localization: Localization, side: str, centre: np.ndarray
) -> Refinement | None:
    card, network = networks.card.refiner, networks.refiner
    if card is None or network is None:
        return None
    found = refine(head, centre, localization.pose.axes, side, network, card)
    return found if found is not None and _inside(head, found.centre) else None
