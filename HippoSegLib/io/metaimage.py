"""MetaImage files (.mha, and .mhd with its data file beside it): one 3D volume whose axes are stated.

Read here and not by ITK, whose parser takes what a file does not state for granted and can end the process
over a malformed header. Where the format leaves a choice, ITK's is taken, hence 3D Slicer's.
Format: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..flags import Flag
from . import textheader as header
from .names import shown
from .stream import ByteStream, open_regular
from .voxels import Stored, go_to_last_voxels, image_of, read_voxels

_DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",  # four bytes in this format, whatever the machine
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
#: One field under several names: the first that is stated counts, as in ITK.
_MATRIX = ("transformmatrix", "rotation", "orientation")
_OFFSET = ("offset", "position", "origin")
_SPACING = ("elementspacing", "elementsize")
_BIG_ENDIAN = ("binarydatabyteordermsb", "elementbyteordermsb")
#: Fields that may not be stated twice.
_ONCE = {
    "ndims", "dimsize", "elementtype", "elementnumberofchannels", "headersize", "binarydata",
    "compresseddata", "anatomicalorientation", "distanceunits", *_MATRIX, *_OFFSET, *_SPACING, *_BIG_ENDIAN,
}  # fmt: skip
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0", "")
#: Letter of AnatomicalOrientation -> the direction (LPS) of an axis that comes from there.
_FROM = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "I": (0, 0, 1), "S": (0, 0, -1)}
MIRRORED = Flag(
    "orientation_contradicted",
    "The file's TransformMatrix and its AnatomicalOrientation contradict each other, so that LEFT AND RIGHT "
    "may be exchanged; the matrix is used, as in 3D Slicer. Make sure of the sides before using the result.",
)


def read_metaimage(path: str | Path, region: bool = False) -> tuple[sitk.Image, list[Flag]]:
    """Read a MetaImage file.

    Args:
        path: ``.mha`` or ``.mhd``.
        region: The image is the crop of one hippocampus, whose side the user states: a header without an
            orientation is then accepted, with a warning.

    Returns:
        A 3D image (integers of at most 32 bits as stored, else float32) and flags.

    Raises:
        InputError: A field is missing or cannot be used; damaged or truncated; not one 3D volume. OSError.
    """
    path = Path(path)
    name = shown(path)
    with open_regular(path) as file:
        fields = _fields(file, name)
        stored, dimension = _stored(fields, name)
        spacing = _spacing(fields, dimension, name)
        direction, flags = _direction(fields, dimension, region, name)
        stated = _only(fields, _OFFSET, name)
        origin = header.floats(name, "Offset", stated, dimension)[:3] if stated else np.zeros(3)
        target = fields["elementdatafile"]
        if target.lower() == "local":
            array = _voxels(file, fields, stored, name)
        else:
            with header.open_data_file(path, target) as data:
                array = _voxels(data, fields, stored, name)
    return image_of(array, spacing, origin, direction, name), flags


def _fields(file: BinaryIO, name: str) -> dict[str, str]:
    """The fields by name, lower case; the file then stands behind ElementDataFile, the last one."""
    fields: dict[str, str] = {}
    while (line := header.header_line(file, name)) is not None:
        parts = re.match(r"\s*(\w[^=:]{0,200}?)\s*[=:](.*)", line, re.ASCII | re.DOTALL)
        if parts is None:
            if line.strip():
                break
            continue
        key, value = parts[1].lower(), parts[2].strip()
        if key in fields and key in _ONCE:
            raise header.wrong(name, "header: it holds a field twice", parts[1])
        fields[key] = value
        if key == "elementdatafile":
            break
    if "elementdatafile" not in fields or fields.get("objecttype", "image").lower() != "image":
        raise InputError(
            f"'{name}' is not a readable MetaImage file: damaged, truncated or of another kind.",
            header.CONVERT,
            "not_readable",
        )
    return fields


def _first(fields: dict[str, str], names: tuple[str, ...]) -> str:
    return next((fields[key] for key in names if fields.get(key)), "")


def _only(fields: dict[str, str], names: tuple[str, ...], name: str) -> str:
    """The value of a field with several names; two that differ are refused."""
    values = {" ".join(fields[key].split()) for key in names if fields.get(key)}
    if len(values) > 1:
        raise header.wrong(name, f"header: it holds a field twice ({', '.join(names)})", max(values))
    return values.pop() if values else ""


def _truth(fields: dict[str, str], key: str, name: str, default: str) -> bool:
    value = fields.get(key, default).lower()
    if value not in (*_TRUE, *_FALSE):
        raise header.wrong(name, key, value)
    return value in _TRUE


def _stored(fields: dict[str, str], name: str) -> tuple[Stored, int]:
    """How the voxels are stored, and the stated number of dimensions (3, or more of length 1)."""
    for key, words in (("ndims", "NDims"), ("dimsize", "DimSize"), ("elementtype", "ElementType")):
        if not fields.get(key):
            raise header.missing(name, "what it holds", words)
    dimension = header.integers(name, "NDims", fields["ndims"], 1)[0]
    if not 1 <= dimension <= 10:
        raise header.wrong(name, "NDims", fields["ndims"])
    size = header.integers(name, "DimSize", fields["dimsize"], dimension)
    channels = header.integers(
        name, "ElementNumberOfChannels", fields.get("elementnumberofchannels", "1"), 1
    )[0]
    kind = fields["elementtype"].upper()
    if channels != 1 or kind.endswith("_ARRAY"):
        raise header.not_grey(name)
    header.refuse_shape(name, size)
    if kind not in _DTYPES:
        raise header.wrong(name, "ElementType", kind)
    slope = header.floats(name, "slope", fields.get("elementtointensityfunctionslope", "1"), 1)[0]
    if slope <= 0:  # a positive one changes nothing that is measured, and 3D Slicer leaves it out, too
        raise header.wrong(name, "ElementToIntensityFunctionSlope", f"{slope:g}")
    big = {_truth(fields, key, name, "false") for key in _BIG_ENDIAN if key in fields} or {False}
    if len(big) > 1:
        raise header.wrong(name, "byte order: it is stated twice", "ElementByteOrderMSB")
    text = not _truth(fields, "binarydata", name, "true")
    dtype = np.dtype(_DTYPES[kind]).newbyteorder(">" if big.pop() else "<")
    return Stored((size[0], size[1], size[2]), dtype, text=text), dimension


def _spacing(fields: dict[str, str], dimension: int, name: str) -> np.ndarray:
    text = _first(fields, _SPACING)
    if not text:
        raise header.missing(name, "its voxel size", "ElementSpacing")
    unit = fields.get("distanceunits", "").strip("\"' ").lower()
    if unit not in ("mm", "", "?"):
        raise header.wrong(name, "unit of length (DistanceUnits; only mm is read)", unit, "unit")
    words = text.split(None, 17)
    if len(words) != dimension:
        raise header.wrong(name, "voxel size (ElementSpacing)", text, "no_voxel_size")
    try:
        spacing = header.floats(name, "voxel size (ElementSpacing)", text, dimension)[:3]
    except InputError as error:
        raise InputError(error.cause, error.remedy, "no_voxel_size") from None
    if (spacing <= 0).any():
        raise header.wrong(name, "voxel size (ElementSpacing)", text, "no_voxel_size")
    return spacing


def _direction(
    fields: dict[str, str], dimension: int, region: bool, name: str
) -> tuple[np.ndarray, list[Flag]]:
    """Directions as columns (LPS), and flags."""
    text = _only(fields, _MATRIX, name)
    if not text:
        if not region:
            raise header.no_orientation(name, "no TransformMatrix")
        return np.eye(3), [header.NO_ORIENTATION]
    matrix = header.floats(name, "TransformMatrix", text, dimension**2).reshape(dimension, dimension)
    if matrix[3:, :3].any() or matrix[:3, 3:].any():
        raise header.wrong(name, "TransformMatrix", text)
    direction = matrix[:3, :3].T.copy()  # the file lists axis after axis
    letters = fields.get("anatomicalorientation", "").upper()
    return direction, [MIRRORED] if _contradicts(letters, direction) else []


def _contradicts(letters: str, direction: np.ndarray) -> bool:
    """Whether the letters name other axes than the matrix.

    ITK names where an axis comes from (RAI), other programs where it goes to (LPS): both are taken as meant.
    Letters that name no three axes ("???") say nothing.
    """
    if len(letters) != 3 or not set(letters) <= set(_FROM) or len({_pair(letter) for letter in letters}) != 3:
        return False
    along = [float(np.dot(_FROM[letter], direction[:, axis])) for axis, letter in enumerate(letters)]
    return not (min(along) > 0.1 or max(along) < -0.1)


def _pair(letter: str) -> str:
    return next(pair for pair in ("LR", "AP", "IS") if letter in pair)


def _voxels(file: BinaryIO, fields: dict[str, str], stored: Stored, name: str) -> np.ndarray:
    """The voxels of a file that stands behind the header, or of a data file."""
    packed = _truth(fields, "compresseddata", name, "false")
    skip = header.integers(name, "HeaderSize", fields.get("headersize", "0"), 1)[0]
    local = fields["elementdatafile"].lower() == "local"
    if skip < -1 or (skip > 0 and local) or (skip != 0 and packed):
        raise header.wrong(name, "HeaderSize", fields["headersize"])
    if skip == -1:
        go_to_last_voxels(file, stored, name)
    stream = ByteStream(file, name, "zlib" if packed else None)
    stream.skip(max(skip, 0))
    return read_voxels(stream, stored, name)
