"""Volumes of both hippocampi from a label image: voxel count times voxel volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from ..labels import PART, PARTS, SIDES, WHOLE

#: Columns of `hippocampus.csv` that hold measurements, in order; units are in the names.
COLUMNS = (
    "left_mm3",
    "right_mm3",
    "total_mm3",
    "asymmetry_index",
    "left_anterior_mm3",
    "left_posterior_mm3",
    "right_anterior_mm3",
    "right_posterior_mm3",
    "intracranial_mm3",
    "left_per_mille_of_intracranial",
    "right_per_mille_of_intracranial",
    "total_per_mille_of_intracranial",
    "left_quality",
    "right_quality",
)


def voxel_volume(image: sitk.Image) -> float:
    """Volume of one voxel, mm³: |det(direction · spacing)|."""
    matrix = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    return float(abs(np.linalg.det(matrix)))


@dataclass(frozen=True)
class Measurements:
    """Volumes of one scan; a side or part that was not segmented is absent, never 0.

    Attributes:
        whole: side -> mm³.
        parts: side -> {"anterior": mm³, "posterior": mm³}.
        intracranial: Intracranial volume mm³, or None where it is unknown or cut by the field of view.
        quality: side -> expected overlap (Dice) with a manual outline, 0..1, where the model gives one.
    """

    whole: dict[str, float]
    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    intracranial: float | None = None
    quality: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float | None:
        """Sum of both sides in mm³, None unless both are there."""
        return sum(self.whole.values()) if len(self.whole) == 2 else None

    @property
    def asymmetry(self) -> float | None:
        """(R - L) / ((R + L) / 2): positive where the right side is larger; None unless both are there."""
        if self.total is None or self.total == 0:
            return None
        return (self.whole["right"] - self.whole["left"]) / (self.total / 2)

    def as_row(self) -> dict[str, float | None]:
        """The values of `COLUMNS`; None where unknown."""
        row: dict[str, float | None] = dict.fromkeys(COLUMNS)
        for side, volume in self.whole.items():
            row[f"{side}_mm3"] = volume
            for part, part_volume in self.parts.get(side, {}).items():
                row[f"{side}_{part}_mm3"] = part_volume
        row |= {f"{side}_quality": self.quality[side] for side in self.whole if side in self.quality}
        row |= {
            "total_mm3": self.total,
            "asymmetry_index": self.asymmetry,
            "intracranial_mm3": self.intracranial,
        }
        if self.intracranial:
            for name in ("left", "right", "total"):
                absolute = row[f"{name}_mm3"]
                if absolute is not None:
                    row[f"{name}_per_mille_of_intracranial"] = 1000 * absolute / self.intracranial
        return row


def measure(
    labels: sitk.Image, intracranial_mm3: float | None = None, quality: Mapping[str, float] | None = None
) -> Measurements:
    """Measure a label image with the values of `labels.WHOLE` or `labels.PART`.

    Args:
        labels: Integer label image; its geometry gives the voxel volume.
        intracranial_mm3: Intracranial volume, if it is known.
        quality: side -> expected overlap, if it is known.
    """
    array = sitk.GetArrayViewFromImage(labels)
    # bincount works on 64-bit copies: of the labelled voxels only, not of the whole head.
    counts = np.bincount(array[array > 0], minlength=PART["right"]["posterior"] + 1)
    unit = voxel_volume(labels)
    whole, parts = {}, {}
    for side in SIDES:
        in_parts = {part: float(counts[PART[side][part]]) * unit for part in PARTS}
        count = counts[WHOLE[side]] + sum(counts[PART[side][part]] for part in PARTS)
        if count:
            whole[side] = float(count) * unit
            if sum(in_parts.values()) > 0:
                parts[side] = in_parts
    return Measurements(whole, parts, intracranial_mm3, dict(quality or {}))
