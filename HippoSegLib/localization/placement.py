"""Where the regions go: from the localisation, or from what the user states."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, NotFoundError
from ..geometry.pose import WORLD_RAS, Frame
from ..geometry.roi import Region, region_about
from ..labels import SIDES
from ..models.store import Model
from ..results.flags import Flag
from .coarse import (
    HALF_DISTANCE,
    MAX_MISFIT_UNSEEN_MM,
    NONE_FOUND,
    REMEDY,
    CoarseGrid,
    Localization,
    localize,
)
from .refinement import look_closer


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


def _inside(image: sitk.Image, point: np.ndarray, margin_mm: float = 0.0) -> bool:
    index = np.array(image.TransformPhysicalPointToContinuousIndex([float(v) for v in point]))
    margin = margin_mm / np.array(image.GetSpacing())
    return bool(((index >= -0.5 + margin) & (index <= np.array(image.GetSize()) - 0.5 - margin)).all())


def locate(
    head: sitk.Image, model: Model, given: dict[str, np.ndarray], flags: list[Flag]
) -> tuple[Localization, dict[str, np.ndarray]]:
    """Pose and, per side to be segmented, the centre in LPS mm; remarks are added to `flags`.

    Raises:
        NotFoundError: No head or neither hippocampus is recognised, and no points are given.
        InputError: A point lies outside the image, or the two are swapped.
    """
    for side, point in given.items():
        if not _inside(head, point):
            raise InputError(
                f"The point given for the {side} hippocampus lies outside the image.", "Give it anew."
            )
    if "left" in given and "right" in given:
        _check_given_sides(given)
    try:
        card = model.card["localizer"]
        grid = CoarseGrid(card["grid_size"], card["grid_spacing_mm"], card["coordinate_unit_mm"])
        found = localize(head, model.localizer, grid)
    except NotFoundError:
        if not given:
            raise
        # With the user's points the head need not be understood: the scanner's axes are its pose.
        found = _unknown_pose(given)
        flags.append(
            Flag("localization", "The head was not recognised; the points given were used as they are.")
        )
    located = {}
    for side in SIDES:
        if side in given:
            located[side] = given[side]
            continue
        if given and not found.centres:
            continue
        centre = found.centres.get(side)
        place = found.expected_centre(side) if centre is None else centre
        if model.refiner is not None:
            look = (head, place, found.frame.axes, side, model.refiner, model.card["refiner"])
            closer = look_closer(*look)
            # Where the first look saw nothing, the closer one may: a hippocampus cut in half, say.
            if closer is not None and _inside(head, closer.centre):
                found.closer[side], place = closer, closer.centre
        if centre is None and side not in found.closer:
            if not _inside(head, place, 4.0):
                text = f"The {side} hippocampus lies outside the field of view."
                flags.append(Flag("not_found", text, side))
                continue
            text = f"The {side} hippocampus was not recognised; its usual place was searched."
            flags.append(Flag("unsure", text, side))
        located[side] = place
    if not given and not found.centres:
        if not found.closer or found.misfit_mm > MAX_MISFIT_UNSEEN_MM:
            raise NotFoundError(NONE_FOUND, REMEDY)
        text = "The hippocampi were recognised only from close by: check that the outlines are in place."
        flags.append(Flag("unsure", text))
    return found, located


def _check_given_sides(given) -> None:
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


def _unknown_pose(given) -> Localization:
    side, point = next(iter(given.items()))
    offset = HALF_DISTANCE * (-1 if side == "left" else 1)
    origin = np.mean(list(given.values()), axis=0) if len(given) == 2 else point - WORLD_RAS[:, 0] * offset
    return Localization(Frame(WORLD_RAS.copy(), origin), {}, {}, 0.0, float("nan"), intracranial_cut=True)


def whole_image_region(head: sitk.Image, side: str, part: Mapping) -> Region:
    """Region over a whole crop, along the image's own axes, in sizes the network can halve.

    Where the crop has the region's spacing already, voxels fall on voxels and nothing is interpolated.
    """
    spacing = part["spacing_mm"]
    scale = spacing / np.array(head.GetSpacing())
    extent = np.array(head.GetSize()) / scale
    divisor = 2 ** (len(part["widths"]) - 1)
    size = np.maximum(np.ceil(np.round(extent, 3) / divisor) * divisor, np.array(part["region_size"])[::-1])
    first = -np.floor((size - extent) / 2)
    last = first + size - 1
    corners = [head.TransformContinuousIndexToPhysicalPoint((c * scale).tolist()) for c in (first, last)]
    axes = np.array(head.GetDirection()).reshape(3, 3)
    return region_about(np.mean(corners, axis=0), axes, side, size[::-1], spacing)
