"""What the text headers of NRRD and MetaImage share: lines, numbers, and sentences that name the field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InputError
from ..flags import Flag
from .names import shown
from .stream import damaged, open_regular

#: Longest header in bytes; real ones have some thousand, those of segmentations up to some hundred thousand.
_LONGEST_HEADER = 1 << 20
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
#: Not "save it from 3D Slicer": that fills in what is missing.
CONVERT = "Convert the scan again from DICOM, or correct its header."
NO_ORIENTATION = Flag(
    "no_orientation", "The file states no orientation: axes are taken as left, posterior, superior."
)


def header_line(file: BinaryIO, name: str) -> str | None:
    """The next line without its end; None at the end of the file."""
    line = file.readline(_LONGEST_HEADER)
    if file.tell() >= _LONGEST_HEADER:
        raise damaged(name, "its header does not end")
    return line.decode("latin-1").rstrip("\r\n") if line else None


def missing(name: str, what: str, field: str) -> InputError:
    """``what`` completes "The file does not state": its voxel size, …; ``field`` is what is missing."""
    code = "no_voxel_size" if what == "its voxel size" else "header"
    return InputError(f"'{name}' does not state {what} (no {field}).", CONVERT, code)


def wrong(name: str, field: str, value: str, code: str = "header") -> InputError:
    """The field's value cannot be used."""
    return InputError(f"'{name}' states an unusable {field}: '{short(value)}'.", CONVERT, code)


def no_orientation(name: str, field: str) -> InputError:
    return InputError(
        f"'{name}' does not say how the head lies in it ({field}): left and right cannot be told.",
        CONVERT,
        "no_orientation",
    )


def short(value: str) -> str:
    """A field's value for a message."""
    return "".join(c if " " <= c <= "~" else "?" for c in value[:40]) + ("..." if len(value) > 40 else "")


def floats(name: str, field: str, text: str, count: int) -> np.ndarray:
    """So many finite numbers, separated by white space."""
    words = text.split(None, count + 1)
    if len(words) != count or not all(_NUMBER.fullmatch(word) for word in words):
        raise wrong(name, field, text)
    values = np.array([float(word) for word in words])
    if not np.isfinite(values).all():
        raise wrong(name, field, text)
    return values


def integers(name: str, field: str, text: str, count: int | None = None) -> tuple[int, ...]:
    """So many whole numbers (1 to 16 where ``count`` is None)."""
    words = text.split(None, 17)
    if not words or len(words) > 16 or (count is not None and len(words) != count):
        raise wrong(name, field, text)
    if not all(_INTEGER.fullmatch(word) for word in words):
        raise wrong(name, field, text)
    return tuple(int(word) for word in words)


def several_volumes(name: str) -> InputError:
    return InputError(
        f"'{name}' is 4D: it holds several volumes or layers.",
        "Give one volume, the T1 image.",
        "several_volumes",
    )


def not_grey(name: str) -> InputError:
    return InputError(f"'{name}' holds colours or vectors.", "Give a grey-value T1 image.", "not_grey")


def refuse_shape(name: str, size: tuple[int, ...]) -> None:
    """Refuse what is not one 3D volume; axes of length 1 behind the third are none."""
    if any(n < 1 for n in size):
        raise wrong(name, "image size", " ".join(map(str, size)))
    if max(size[3:], default=1) > 1:
        raise several_volumes(name)
    if len(size) < 3 or min(size[:3]) == 1:
        raise InputError(f"'{name}' is a 2D image.", "Give a 3D T1 image of the head.", "two_dimensional")


def open_data_file(header: Path, stated: str) -> BinaryIO:
    """Open the data file that a header names: a plain name of a file in the header's own folder.

    Raises:
        InputError: It is something else, or is not there. OSError.
    """
    name, plain = shown(header), stated.removeprefix("./")
    # Header bytes are decoded one to one; the name on disk may be any bytes.
    try:
        encoded = plain.encode("latin-1")
        plain = encoded.decode("utf-8", "surrogateescape")
    except UnicodeError:
        pass
    if not plain or len(plain) > 255 or re.search(r"[/\\:\0*?\"<>|\r\n]", plain) or plain in (".", ".."):
        raise InputError(
            f"'{name}' names its data file as '{short(stated)}', which is no plain name of a file in its "
            "folder.",
            "Put header and data into one folder, or save the scan as one file (.nrrd, .mha, .nii.gz).",
            "data_file",
        )
    try:
        return open_regular(header.parent / plain)
    except (FileNotFoundError, ValueError):
        raise InputError(
            f"'{name}' cannot be read: its data file '{short(stated)}' is missing.",
            "Put both files into one folder.",
            "data_file",
        ) from None
