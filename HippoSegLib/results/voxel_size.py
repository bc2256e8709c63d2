"""Whether the head has a likely size and shape: if not, the voxel size that the file states may be wrong.

A voxel size that is wrong along all axes makes every length wrong by one factor. Heads differ too, above all
in intracranial volume; hippocampi differ less in length, and grow with the head only a little. So the two are
judged together. A voxel size that is wrong along one axis makes the head's shape unlikely; see
`localization/head_size.py`. `Testing/benchmarks/voxel_size.py` measures both and fits the constants.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk

from ..flags import Flag
from ..localization.head_size import HeadSize
from .plausibility import PLAUSIBLE_INTRACRANIAL_MM3
from .wording import millilitres

#: Of adult heads: logarithm of the intracranial volume in mm³, of the hippocampus's length in mm at the mean
#: volume; how they spread; by how much the second grows with the first.
MEAN_INTRACRANIAL, SD_INTRACRANIAL = np.log(1.407e6), 0.131
MEAN_LENGTH, SD_LENGTH, GROWTH = np.log(40.3), 0.038, 0.151
#: `size_deviation`, and deviation along one axis (`HeadSize.axis_deviations`), beyond which a head is
#: doubted: further out than any head at hand whose voxel size is right.
DOUBTED_SIZE, DOUBTED_SHAPE = (-2.6, 2.25), 2.6
#: Beyond these a note says so, and the result stays as good as it is: a small head that is stated too large
#: by 15 % is as large as one in fifteen heads that are right.
NOTED_SIZE, NOTED_SHAPE = 1.5, 2.2
#: Of a head that reaches the edge of the field of view the shape alone is judged, and from here on: cut by a
#: quarter at any end, heads whose voxel size is right deviated by 2.6 at most.
DOUBTED_CUT_SHAPE = 4.0

_DIRECTIONS = ("from left to right", "from front to back", "from bottom to top")


def size_deviation(intracranial_mm3: float, length_mm: float | None) -> float:
    """How far a head is from the mean adult's size, in standard deviations; below 0 where it is small.

    Args:
        intracranial_mm3: Intracranial volume.
        length_mm: Mean length of its hippocampi, None where it is not known.
    """
    volume = np.log(intracranial_mm3) - MEAN_INTRACRANIAL
    z = volume / SD_INTRACRANIAL
    if length_mm is None:
        return float(z)
    rest = (np.log(length_mm) - MEAN_LENGTH - GROWTH * volume) / SD_LENGTH
    # By how many standard deviations each moves when all lengths grow by a factor e: the weights.
    w, v = 3 / SD_INTRACRANIAL, (1 - 3 * GROWTH) / SD_LENGTH
    return float((w * z + v * rest) / np.hypot(w, v))


def voxel_size_flags(size: HeadSize, lengths: Mapping[str, float], head: sitk.Image) -> list[Flag]:
    """Remarks on a head that is too small, too large, or too long along one axis, for the stated voxel size.

    Args:
        size: Of the head.
        lengths: side -> mm, of the hippocampi.
        head: In canonical axes; its geometry alone counts.
    """
    stated = " × ".join(f"{s:.3g}" for s in head.GetSpacing())
    check = f"the voxel size that the file states ({stated} mm)"
    deviations = size.axis_deviations(np.reshape(head.GetDirection(), (3, 3)))
    axis = int(np.abs(deviations).argmax())
    word = "long" if deviations[axis] > 0 else "short"
    if abs(deviations[axis]) > (DOUBTED_CUT_SHAPE if size.cut else DOUBTED_SHAPE):
        return [Flag("voxel_size", f"The head is unusually {word} {_DIRECTIONS[axis]}: check {check}.")]
    if size.cut:
        return []
    volume, length = size.intracranial_mm3, float(np.mean(list(lengths.values()))) if lengths else None
    about = f"(intracranial volume about {millilitres(volume)})"
    if _is_doubted(volume, length):
        if np.log(volume) < MEAN_INTRACRANIAL:
            text = f"The head is small for an adult {about}: if it is not that of a child, check {check}."
        else:
            text = f"The head is unusually large {about}: check {check}."
        return [Flag("voxel_size", text)]
    if abs(deviations[axis]) > NOTED_SHAPE:
        text = f"The head is rather {word} {_DIRECTIONS[axis]}: if that is not expected, check {check}."
        return [Flag("voxel_size", text, severity="info")]
    if size_deviation(volume, length) > NOTED_SIZE and np.log(volume) > MEAN_INTRACRANIAL:
        text = f"The head is large {about}: if that is not expected, check {check}."
        return [Flag("voxel_size", text, severity="info")]
    return []


def _is_doubted(volume: float, length: float | None) -> bool:
    low, high = PLAUSIBLE_INTRACRANIAL_MM3
    if not low <= volume <= high:
        return True
    deviation = size_deviation(volume, length)
    # Short hippocampi alone make no small head.
    agree = np.sign(deviation) == np.sign(np.log(volume) - MEAN_INTRACRANIAL)
    return bool(agree and not DOUBTED_SIZE[0] <= deviation <= DOUBTED_SIZE[1])
