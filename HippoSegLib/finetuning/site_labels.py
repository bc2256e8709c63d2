"""What a site's label values mean, given by name: ``left=17,right=53``, ``whole=1``, ``anterior=1,…``.

`SiteLabels` makes an `evaluation.labelmap.LabelMap` per side, and adds names without a side: in the crop of
one hippocampus they mean its side; in a head the two sides are told apart by where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..evaluation.labelmap import LabelMap, in_words, label_map
from ..labels import PARTS, SIDES
from ..training.cases import WHOLE_ONLY

_UNSIDED = ("whole", *PARTS)


@dataclass(frozen=True)
class SiteLabels:
    """Reads the classes of one side out of label arrays.

    Attributes:
        text: As the user gave it.
        sided: False where the values do not tell left from right.
    """

    text: str
    sided: bool

    @classmethod
    def read(cls, text: str) -> SiteLabels:
        """Parse a label map's text.

        Raises:
            InputError: See `evaluation.labelmap.label_map`; names with and without a side are mixed.
        """
        text = text.strip().lower()
        names = [entry.partition("=")[0].strip() for entry in text.split(",") if "=" in entry]
        unsided = [name in _UNSIDED for name in names]
        if any(unsided) and not all(unsided):
            raise InputError("The label map mixes names with and without a side.", "Use one kind.")
        labels = cls(text, sided=text != "msd" and not (names and all(unsided)))
        for side in SIDES:
            labels.of_side(side, check=True)
        return labels

    def of_side(self, side: str, check: bool = False) -> LabelMap:
        """The label map of one side."""
        if self.text == "msd":
            return label_map("msd", side)
        if self.sided:
            # Without a side first, so that a value given to both sides is noticed.
            whole = label_map(self.text)
            return (
                whole
                if check
                else LabelMap(
                    whole.name, {k: v for k, v in whole.values.items() if k.split("-")[0] == side}, ()
                )
            )
        entries = [entry.partition("=") for entry in self.text.split(",")]
        names = {
            name.strip(): side if name.strip() == "whole" else f"{side}-{name.strip()}"
            for name, _, _ in entries
        }
        return label_map(",".join(f"{names[name.strip()]}={value}" for name, _, value in entries), side)

    def classes(self, array: np.ndarray, side: str) -> np.ndarray:
        """Classes of one side: uint8; 1 anterior, 2 posterior, 3 hippocampus of unknown part."""
        labels = self.of_side(side)
        result = np.zeros(array.shape, np.uint8)
        if side in labels.values:
            result[labels.mask(array, side)] = WHOLE_ONLY
        for number, part in enumerate(PARTS, start=1):
            result[labels.mask(array, f"{side}-{part}")] = number
        return result

    def refuse_if_absent(self, array: np.ndarray, name: str) -> None:
        """Raise InputError where none of the map's values occurs."""
        there = values_in(array)
        wanted = {v for side in SIDES for values in self.of_side(side).values.values() for v in values}
        if not wanted & set(there):
            raise InputError(
                f"'{name}' has none of the label map's values; the values there are: {in_words(there)}.",
                "Name the right values.",
                "label_map_values",
            )


def values_in(array: np.ndarray) -> list[int]:
    """The values of a label array other than 0, ascending."""
    return [int(v) for v in np.unique(array) if v]


def guess(array: np.ndarray, region: bool) -> str | None:
    """The preset whose values are there, for a caller that named none; None where it is in doubt."""
    there = set(values_in(array))
    if region:
        return "msd" if there == {1, 2} else "whole=1" if there == {1} else None
    for name, values in (("freesurfer", {17, 53}), ("neuromorphometrics", {47, 48})):
        if values <= there:
            # A whole FreeSurfer segmentation has 47 too (right cerebellar cortex), but not without 17.
            return name
    if {171, 172, 531, 532} & there:
        return "hipposeg"
    return None
