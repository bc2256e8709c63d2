"""What the segments of a DICOM object are, in codes (SNOMED CT, DICOM) and words.

The laterality is a modifier of the type, as the standard asks for; one code for both a structure and its side
leads viewers to name it by what they know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..labels import COLORS, PART, PARTS, SIDES, SNOMED_HIPPOCAMPUS, SNOMED_PART, SNOMED_SIDE, WHOLE

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept

#: Of CID 7150, Segmentation Property Categories. Slicer's own list, in its scenes, has another code for it.
CATEGORY = ("SCT", "91723000", "Anatomical Structure")


@dataclass(frozen=True)
class Structure:
    """A hippocampus, or a part of one.

    Attributes:
        side: "left" or "right".
        part: "anterior", "posterior", or "" for the whole.
        value: In the label map.
    """

    side: str
    part: str
    value: int

    @property
    def name(self) -> str:
        """For people: ``Left hippocampus, anterior part``."""
        return f"{self.side.capitalize()} hippocampus" + (f", {self.part} part" if self.part else "")

    @property
    def color(self) -> tuple[int, int, int]:
        """RGB, 0..255."""
        red, green, blue = COLORS[self.value if self.part else self.side]
        return round(255 * red), round(255 * green), round(255 * blue)

    @property
    def modifiers(self) -> list[CodedConcept]:
        """The laterality, and the part."""
        codes = [SNOMED_SIDE[self.side]] + ([SNOMED_PART[self.part]] if self.part else [])
        return [concept(code) for code in codes]

    @property
    def column(self) -> str:
        """Its volume among `results.volumes.COLUMNS`."""
        return f"{self.side}_{self.part}_mm3" if self.part else f"{self.side}_mm3"


WHOLES = tuple(Structure(side, "", WHOLE[side]) for side in SIDES)
ALL_PARTS = tuple(Structure(side, part, PART[side][part]) for side in SIDES for part in PARTS)
HIPPOCAMPUS = SNOMED_HIPPOCAMPUS


def concept(code: tuple[str, str, str]) -> CodedConcept:
    """A code (scheme, value, meaning) of `labels` as DICOM has it."""
    from highdicom.sr import CodedConcept

    scheme, value, meaning = code
    return CodedConcept(value, scheme, meaning)
