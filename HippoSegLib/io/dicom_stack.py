"""Do the slices of a series form a volume? Every slice is checked, and a fault names it.

Positions and directions are LPS mm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..errors import InputError
from ..flags import Flag
from .dicom_slice import Slice

#: How far slices may stray along their normal, as a part of their distance, and at least mm.
_UNEVEN, _UNEVEN_MM = 0.02, 0.02
#: How far they may stray within their plane, as a part of the pixel spacing, and at least mm.
_SIDEWAYS, _SIDEWAYS_MM = 0.1, 0.05
#: How far the stack may lean away from the slices' normal (gantry tilt), as a sine.
_TILT_SINE = 0.005
#: How far directions may differ between slices, and pixel spacings, mm.
_SAME_DIRECTION, _SAME_SPACING = 1e-3, 1e-4

CONVERT = "Convert it to NIfTI with dcm2niix and give that file."
EXPORT = "Export the original series again."


@dataclass(frozen=True)
class Stack:
    """Slices in the order of their positions, and their grid.

    Attributes:
        slices: Sorted along the normal.
        spacing, origin: (x, y, z) mm.
        direction: Unit vectors along x, y and z as columns, (3, 3).
    """

    slices: tuple[Slice, ...]
    spacing: tuple[float, float, float]
    origin: tuple[float, ...]
    direction: np.ndarray


def faulty(slices: Sequence[Slice], bad: Callable[[Slice], bool]) -> str:
    """Where a fault lies, for a message: in every slice, in one, in several; empty where there is none."""
    found = [s for s in slices if bad(s)]
    if not found:
        return ""
    if len(found) == len(slices) > 1:
        return "every slice"
    if len(found) == 1:
        return found[0].name
    return f"{len(found)} of {len(slices)} slices (the first of them: {found[0].name})"


def build_stack(slices: Sequence[Slice]) -> tuple[Stack, list[Flag]]:
    """Check where the slices lie and sort them.

    Raises:
        InputError: They do not say where they lie, or do not form an evenly spaced, upright stack.
    """
    if len(slices) == 1:
        raise InputError(
            "The DICOM series is a single slice.",
            "Give the folder with all slices of the series.",
            "single_slice",
        )
    _check_stated(slices)
    normal = _common_normal(slices)
    slices = sorted(slices, key=lambda s: float(np.array(s.position) @ normal))
    positions = np.array([s.position for s in slices])
    heights = _check_heights(slices, positions, normal)
    _check_upright(slices, positions, normal)
    rows, columns = _axes(slices[0])
    direction = np.stack([rows, columns, np.cross(rows, columns)], axis=1)
    between_rows, between_columns = _spacing(slices[0])
    spacing = (between_columns, between_rows, float(heights.mean()))
    stack = Stack(tuple(slices), spacing, tuple(positions[0].tolist()), direction)
    return stack, _missing_slices(stack)


def check_frames(slices: Sequence[Slice]) -> None:
    """Refuse a multi-frame file that is no volume, or that does not describe its frames.

    Raises:
        InputError: As said.
    """
    if any(s.frames == 0 for s in slices):
        where = faulty(slices, lambda s: s.frames == 0)
        raise InputError(f"NumberOfFrames is not a positive number in {where}.", EXPORT, "dicom_field")
    if any(s.frames > 1 and not s.described for s in slices):
        raise InputError(
            "The DICOM series is a multi-frame file that does not state where each of its frames lies.",
            CONVERT,
            "multi_frame",
        )
    if len({s.stack for s in slices}) > 1:
        raise InputError(
            f"The DICOM series holds {len({s.stack for s in slices})} stacks of slices.",
            "Export one volume, the T1 image, or convert it to NIfTI with dcm2niix and give that file.",
            "several_volumes",
        )


def _check_stated(slices: Sequence[Slice]) -> None:
    """Every slice must state its position, orientation and pixel spacing, usably."""
    for field, wanted, name in (
        ("ImagePositionPatient", "three numbers", "position"),
        ("ImageOrientationPatient", "two directions of three numbers each", "orientation"),
        ("PixelSpacing", "two positive numbers (mm)", "spacing"),
    ):
        where = faulty(slices, partial(_lacks, name))
        if where:
            raise InputError(
                f"The DICOM series does not state where its voxels lie: {field} is missing, or is not "
                f"{wanted}, in {where}.",
                EXPORT,
                "dicom_field",
            )
    frames = {s.identity.frame_of_reference for s in slices}
    if 1 < len(frames) < len(slices):  # a bad anonymiser gives one to every slice
        raise InputError(
            "The DICOM series mixes slices of different frames of reference: the patient was moved.",
            "Give the T1 series itself.",
            "mixed_slices",
        )


def _lacks(name: str, item: Slice) -> bool:
    return getattr(item, name) is None


def _spacing(item: Slice) -> tuple[float, ...]:
    assert item.spacing is not None  # as checked before
    return item.spacing


def _axes(item: Slice) -> np.ndarray:
    """Unit vectors (2, 3) along rows and along columns."""
    orientation = np.array(item.orientation).reshape(2, 3)
    return orientation / np.linalg.norm(orientation, axis=1, keepdims=True)


def _common_normal(slices: Sequence[Slice]) -> np.ndarray:
    first, axes = slices[0], _axes(slices[0])

    def differs(item: Slice) -> bool:
        size = (item.format.rows, item.format.columns) != (first.format.rows, first.format.columns)
        spacing = np.abs(np.subtract(_spacing(item), _spacing(first))).max() > _SAME_SPACING
        return bool(size or spacing or np.abs(_axes(item) - axes).max() > _SAME_DIRECTION)

    where = faulty(slices, differs)
    if where:
        raise InputError(
            "The DICOM series mixes slices of different size or orientation (a localiser, perhaps): "
            f"{first.name} and {where} differ.",
            "Give the T1 series itself.",
            "mixed_slices",
        )
    rows, columns = axes
    if abs(rows @ columns) > _SAME_DIRECTION:
        raise InputError(
            "The DICOM slices have axes that are not at right angles (ImageOrientationPatient).",
            "Export the series again.",
            "dicom_field",
        )
    return np.cross(rows, columns)


def _check_heights(slices: Sequence[Slice], positions: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """The steps (mm) between neighbouring slices along the normal, all of them equal."""
    heights = np.diff(positions, axis=0) @ normal
    distance = float(np.median(heights))
    if heights.min() < 0.01 * max(distance, 1.0):
        one, other = slices[int(heights.argmin())], slices[int(heights.argmin()) + 1]
        if one.identity.sop_instance == other.identity.sop_instance != "" and one.frames == 1:
            what = "the same image twice (a copy of a file)"
        else:
            what = "several images at one position (echoes, time points or a repeated export)"
        raise InputError(
            f"The DICOM series has {what}: {one.name} and {other.name}, for example.",
            "Export one volume, the T1 image, to a folder of its own.",
            "several_volumes",
        )
    stray = np.abs(heights - distance)
    if stray.max() > max(_UNEVEN * distance, _UNEVEN_MM):
        before = slices[int(stray.argmax())].name
        ratio = heights / distance
        if (np.abs(ratio - np.round(ratio)) < 0.1).all():
            missing = int(np.round(ratio).sum()) - len(heights)
            raise InputError(
                f"The DICOM series has gaps: {missing} slice{'s are' if missing > 1 else ' is'} missing "
                f"(beside {before}, for example).",
                "Export the complete series again.",
                "slices_missing",
            )
        raise InputError(
            f"The DICOM series has unevenly spaced slices (beside {before}, for example).",
            "Give an evenly spaced T1 series.",
            "uneven_slices",
        )
    return heights


def _check_upright(slices: Sequence[Slice], positions: np.ndarray, normal: np.ndarray) -> None:
    """The slices lie above each other: neither leans the stack, nor is a slice shifted within its plane."""
    height = positions @ normal
    plane = positions - height[:, None] * normal
    half = (
        len(slices) // 2
    )  # slopes over half the stack: neither rounding nor a few shifted slices move their median
    slope = np.median((plane[half:] - plane[:-half]) / (height[half:] - height[:-half])[:, None], axis=0)
    if np.linalg.norm(slope) > _TILT_SINE or any(abs(s.tilt) > 0.5 for s in slices):
        raise InputError(
            "The DICOM series was taken with a tilted gantry (the stack leans).", CONVERT, "tilted_gantry"
        )
    rest = plane - height[:, None] * slope
    shift = np.linalg.norm(rest - np.median(rest, axis=0), axis=1)
    limit = max(_SIDEWAYS * min(_spacing(slices[0])), _SIDEWAYS_MM)
    if shift.max() > limit:
        several = int((shift > limit).sum())
        raise InputError(
            f"The DICOM series has slices that are shifted within their plane: {several} of {len(slices)}, "
            f"by up to {shift.max():.3g} mm (most of all {slices[int(shift.argmax())].name}).",
            EXPORT,
            "shifted_slices",
        )


def _missing_slices(stack: Stack) -> list[Flag]:
    distance, stated = stack.slices[0].distance, stack.slices[0].stated
    if stack.spacing[2] > 1.5 * distance > 0:
        text = (
            f"The DICOM slices lie {stack.spacing[2]:.3g} mm apart, but the series states "
            f"{distance:.3g} mm: slices may be missing."
        )
        return [Flag("slices_missing", text)]
    numbers = {s.instance for s in stack.slices if s.frames == 1 and s.instance is not None}
    if len(numbers) == len(stack.slices) < stated and min(numbers) >= 1 and max(numbers) <= stated:
        text = f"The series states {stated} images, but {len(numbers)} are here: slices may be missing."
        return [Flag("slices_missing", text)]
    return []
