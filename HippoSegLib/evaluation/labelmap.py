"""Which value of a label image means which structure, and reading label images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..io.files import read_file
from ..io.names import shown, suffix_of
from ..labels import PART, PARTS, SIDES, WHOLE

#: Structures that can be compared, in the order of the tables.
STRUCTURES = (*SIDES, *(f"{side}-{part}" for side in SIDES for part in PARTS))

#: Presets for heads; `label_map` makes "msd" (crops: 1 anterior, 2 posterior of the side that is stated).
PRESETS = {
    "hipposeg": {side: (WHOLE[side],) for side in SIDES}
    | {f"{side}-{part}": (PART[side][part],) for side in SIDES for part in PARTS},
    "freesurfer": {"left": (17,), "right": (53,)},
    "neuromorphometrics": {"left": (48,), "right": (47,)},
}
PRESET_NAMES = (*PRESETS, "msd")
_REMEDY = (
    f"Use {', '.join(PRESET_NAMES[:-1])}, {PRESET_NAMES[-1]}, or name the values, as in left=17,right=53 "
    f"(names: {', '.join(STRUCTURES)}; several values with a plus, as in left=1+2)."
)
_LABELS_WANTED = "Give the labels as one 3D NIfTI, NRRD or MetaImage file."
#: Codes of errors whose remedy is for a scan: another image is to be given.
_OF_A_SCAN = {"not_grey", "several_volumes", "two_dimensional"}
#: So many values are named in a message; the rest is counted.
_NAMED_VALUES = 12


@dataclass(frozen=True)
class LabelMap:
    """What the values of a label image mean.

    Attributes:
        name: Preset, or "custom".
        values: Structure -> its values. A whole side includes the values of its parts.
        required: Structures that must occur in at least one of the references.
    """

    name: str
    values: Mapping[str, tuple[int, ...]]
    required: tuple[str, ...]

    @property
    def structures(self) -> tuple[str, ...]:
        return tuple(name for name in STRUCTURES if name in self.values)

    @property
    def has_parts(self) -> bool:
        return any("-" in name for name in self.values)

    def present(self, there: Iterable[int]) -> tuple[str, ...]:
        """The structures of which at least one value is among `there`."""
        there = set(there)
        return tuple(name for name in self.structures if there & set(self.values[name]))

    def mask(self, array: np.ndarray, structure: str) -> np.ndarray:
        """(z, y, x) bool of one structure in an integer label array; all False where it is not mapped."""
        values = self.values.get(structure, ())
        mask = np.zeros(array.shape, bool)
        for value in values:
            mask |= array == value
        return mask


def label_map(text: str, side: str | None = None) -> LabelMap:
    """Read the option: a preset's name, or ``left=48,right=47[,left-anterior=1+2…]``.

    Args:
        text: The option's text.
        side: Where the images are crops of one hippocampus: its side. Other structures are left out.

    Raises:
        InputError: An unknown name, a value that is not a positive integer or that two structures share,
            the preset "msd" without a side, or nothing for the side stated.
    """
    name, values = _parse(text.strip(), side)
    if side is not None:
        values = {n: v for n, v in values.items() if n.split("-")[0] == side}
        if not values:
            raise InputError(
                f"The label map has no value for the {side} hippocampus.",
                "Name one, or choose the other side.",
                "label_map_side",
            )
    # A preset's parts are compared where they occur; what the user named must occur.
    required = tuple(values) if name == "custom" else tuple(n for n in values if n in SIDES)
    for whole in SIDES:
        parts = [values[n] for n in (f"{whole}-{part}" for part in PARTS) if n in values]
        if whole in values or len(parts) == len(PARTS):
            own = values.get(whole, ())
            values[whole] = tuple(dict.fromkeys([*own, *(v for part in parts for v in part)]))
    return LabelMap(name, values, required)


def _parse(text: str, side: str | None) -> tuple[str, dict[str, tuple[int, ...]]]:
    preset = text.lower()
    if preset == "msd":
        if side is None:
            raise InputError(
                "The label map msd is for crops of one hippocampus, whose side must be stated.",
                "Say that the scans are crops, and of which side.",
                "side_of_crops",
            )
        return "msd", {f"{side}-{part}": (value,) for value, part in enumerate(PARTS, start=1)}
    if preset in PRESETS:
        return preset, dict(PRESETS[preset])
    values: dict[str, tuple[int, ...]] = {}
    for entry in text.split(","):
        name, mark, numbers = (word.strip() for word in entry.partition("="))
        name = name.lower()
        if not mark:
            raise InputError(f"There is no label map '{entry.strip()}'.", _REMEDY)
        if name not in STRUCTURES:
            raise InputError(f"The label map names '{name}', which is not a structure known here.", _REMEDY)
        if name in values:
            raise InputError(f"The label map names '{name}' twice.", "Join values with a plus: left=1+2.")
        words = [word.strip() for word in numbers.split("+")]
        if not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
            raise InputError(f"The label map's value for '{name}' is not a positive integer.", _REMEDY)
        values[name] = tuple(int(word) for word in words)
    _refuse_shared(values)
    return "custom", values


def _refuse_shared(values: Mapping[str, tuple[int, ...]]) -> None:
    for i, (a, first) in enumerate(values.items()):
        for b, second in list(values.items())[i + 1 :]:
            shared = set(first) & set(second)
            nested = a.split("-")[0] == b.split("-")[0] and (a in SIDES) != (b in SIDES)
            if shared and not nested:
                raise InputError(
                    f"The label map gives the value {min(shared)} to both '{a}' and '{b}'.",
                    "Each value means one structure.",
                )


def values_in(labels: sitk.Image) -> list[int]:
    """The values of a label image other than 0, ascending."""
    array = sitk.GetArrayViewFromImage(labels)
    return [int(v) for v in np.unique(array[array != 0])]


def in_words(values: Iterable[int]) -> str:
    """Values for a message: the first of them, and how many there are."""
    values = sorted(values)
    text = ", ".join(str(v) for v in values[:_NAMED_VALUES]) or "none but 0"
    more = len(values) - _NAMED_VALUES
    return f"{text} and {more} more" if more > 0 else text


def read_labels(path: str | Path, region: bool = False) -> sitk.Image:
    """Read a label image.

    Args:
        path: NIfTI, NRRD or MetaImage file.
        region: The image is the crop of one hippocampus: its header need not state an orientation.

    Returns:
        A 3D image, int32.

    Raises:
        InputError: It cannot be read, is not 3D, or its values are not whole numbers.
    """
    path = Path(path)
    try:
        image = _read(path, region)
    except InputError as error:
        # The cause holds; a remedy that asks for a T1 image does not.
        remedy = _LABELS_WANTED if error.code in _OF_A_SCAN else error.remedy
        raise InputError(error.cause, remedy, error.code) from None
    array = sitk.GetArrayViewFromImage(image)
    if array.dtype.kind == "f":
        rounded = np.round(array)
        if not np.isfinite(array).all() or np.abs(array - rounded).max() > 1e-3:
            raise InputError(
                f"'{path.name}' is not a label image: its values are not whole numbers.",
                "Give labels, not probabilities or a scan.",
            )
        array = rounded
    labels = sitk.GetImageFromArray(array.astype(np.int32))
    labels.CopyInformation(image)
    return labels


def _read(path: Path, region: bool) -> sitk.Image:
    if path.exists() and not suffix_of(path):
        raise InputError(f"'{shown(path)}' is not of a kind that is read here.", _LABELS_WANTED)
    return read_file(path, region)[0]
