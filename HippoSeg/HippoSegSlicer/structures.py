"""The segments a result can have: ids, names, label values, terminology and colours."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from HippoSegLib.labels import (
    COLORS,
    PART,
    PARTS,
    SIDES,
    SNOMED_CATEGORY,
    SNOMED_HIPPOCAMPUS,
    SNOMED_PART,
    SNOMED_SIDE,
    WHOLE,
)


@dataclass(frozen=True)
class Structure:
    """One segment: `value` is its label value, `part` is "" for a whole hippocampus."""

    side: str
    part: str
    value: int
    color: tuple[float, float, float]

    @property
    def segmentId(self) -> str:
        """Id of the segment; stays the same whatever it is renamed to."""
        return f"HippoSeg_{self.value}"

    @property
    def name(self) -> str:
        """Name for people."""
        names = {
            ("left", ""): _("Left hippocampus"),
            ("right", ""): _("Right hippocampus"),
            ("left", "anterior"): _("Left hippocampus, anterior"),
            ("left", "posterior"): _("Left hippocampus, posterior"),
            ("right", "anterior"): _("Right hippocampus, anterior"),
            ("right", "posterior"): _("Right hippocampus, posterior"),
        }
        return names[self.side, self.part]

    @property
    def terminology(self) -> str:
        """Slicer's serialised terminology entry: hippocampus with its laterality, and the part as region."""
        codes = [SNOMED_CATEGORY, SNOMED_HIPPOCAMPUS, SNOMED_SIDE[self.side]]
        region = [SNOMED_HIPPOCAMPUS, SNOMED_PART[self.part]] if self.part else [("", "", ""), ("", "", "")]
        return "~".join(
            ["Segmentation category and type - DICOM master list"]
            + ["^".join(code) for code in codes]
            + ["Anatomic codes - DICOM master list"]
            + ["^".join(code) for code in region]
        )


WHOLES = tuple(Structure(side, "", WHOLE[side], COLORS[side]) for side in SIDES)
ALL_PARTS = tuple(
    Structure(side, part, PART[side][part], COLORS[PART[side][part]]) for side in SIDES for part in PARTS
)
STRUCTURES = {structure.value: structure for structure in WHOLES + ALL_PARTS}
