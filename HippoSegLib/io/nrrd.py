"""NRRD files (.nrrd, and .nhdr with its data file beside it): one 3D volume in a space with anatomical axes.

Read here and not by ITK, whose parser takes what a file does not state for granted, knows spaces that it does
not turn, and can end the process over a malformed header. Format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..flags import Flag
from . import textheader as header
from .names import shown
from .stream import ByteStream, open_regular
from .voxels import Stored, go_to_last_voxels, image_of, read_voxels

_MAGIC = re.compile(r"NRRD(00\.01|000[1-5])")
#: Signs that turn a space's axes to left, posterior, superior.
_SPACES = {
    "leftposteriorsuperior": (1, 1, 1),
    "lps": (1, 1, 1),
    "rightanteriorsuperior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "leftanteriorsuperior": (1, -1, 1),
    "las": (1, -1, 1),
}
_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names.split(", ")}
_PACKING: dict[str, Literal["gzip"] | None] = {
    "raw": None,
    "gzip": "gzip",
    "gz": "gzip",
    "ascii": None,
    "text": None,
    "txt": None,
}
_TEXT = ("ascii", "text", "txt")
_SAME = {"datafile": "data file", "byteskip": "byte skip", "lineskip": "line skip", "centerings": "centers"}
#: Fields that change nothing here: by the format's definition, or because they concern the values alone.
_IGNORED = (
    "content number blocksize oldmin oldmax samples thicknesses axismins axismaxs labels centers "
    "sampleunits measurementframe"
)
_KNOWN = {
    "type", "dimension", "sizes", "encoding", "endian", "data file", "byte skip", "line skip", "space",
    "space dimension", "space directions", "space origin", "space units", "units", "spacings", "kinds",
}  # fmt: skip
_DOMAIN = ("domain", "space", "???", "none")
_MM = ("mm", "millimeter", "millimeters", "millimetre", "millimetres", "", "?", "???", "none")


@dataclass(frozen=True)
class _Geometry:
    """mm, LPS; directions as columns."""

    spacing: np.ndarray
    origin: np.ndarray
    direction: np.ndarray
    flags: tuple[Flag, ...] = ()


def read_nrrd(path: str | Path, region: bool = False) -> tuple[sitk.Image, list[Flag]]:
    """Read a NRRD file.

    Args:
        path: ``.nrrd`` or ``.nhdr``.
        region: The image is the crop of one hippocampus, whose side the user states: a header without
            anatomical axes is then accepted, with a warning.

    Returns:
        A 3D image (integers of at most 32 bits as stored, else float32) and flags.

    Raises:
        InputError: A field is missing or cannot be used; damaged or truncated; not one 3D volume. OSError.
    """
    path = Path(path)
    name = shown(path)
    with open_regular(path) as file:
        fields = _fields(file, name)
        sizes, dropped = _sizes(fields, name)
        geometry = _geometry(fields, dropped, region, name)
        stored = _stored(fields, sizes, name)
        if "data file" not in fields:
            if path.name.lower().endswith(".nhdr"):
                raise header.missing(name, "where its voxels are", "data file")
            array = _voxels(file, fields, stored, name)
        else:
            with header.open_data_file(path, fields["data file"]) as data:
                array = _voxels(data, fields, stored, name)
    image = image_of(array, geometry.spacing, geometry.origin, geometry.direction, name)
    return image, list(geometry.flags)


def _fields(file: BinaryIO, name: str) -> dict[str, str]:
    """The fields by name, lower case; the file then stands at the voxels."""
    first = header.header_line(file, name)
    if first is None or not _MAGIC.fullmatch(first.rstrip()):
        raise InputError(f"'{name}' is not a readable NRRD file.", header.CONVERT, "not_readable")
    fields: dict[str, str] = {}
    while line := header.header_line(file, name):
        key, mark, value = line.partition(":")
        if line.startswith("#") or value.startswith("="):
            continue  # a comment, or a key with a value of somebody's own
        key = _SAME.get(key.strip().lower(), key.strip().lower())
        if not mark or (key not in _KNOWN and key.replace(" ", "") not in _IGNORED.split()):
            raise header.wrong(name, "header line", line)
        if key in fields:
            raise header.wrong(name, "header: it holds a field twice", key)
        fields[key] = value.strip()
    return fields


def _needed(fields: dict[str, str], key: str, name: str, what: str) -> str:
    if not fields.get(key):
        raise header.missing(name, what, key)
    return fields[key]


def _sizes(fields: dict[str, str], name: str) -> tuple[tuple[int, int, int], list[int]]:
    """Voxels along x, y and z, and which axes of length 1 are dropped."""
    sizes = header.integers(name, "sizes", _needed(fields, "sizes", name, "its size"))
    dimension = header.integers(name, "dimension", _needed(fields, "dimension", name, "its size"), 1)[0]
    if dimension != len(sizes):
        raise header.wrong(name, "dimension", fields["dimension"])
    kinds = fields.get("kinds", "").lower().split() or ["domain"] * dimension
    directions = _directions(fields, dimension, name)
    if len(kinds) != dimension:
        raise header.wrong(name, "kinds", fields["kinds"])
    if any(n < 1 for n in sizes):
        raise header.wrong(name, "sizes", fields["sizes"])
    if directions is not None:
        others = [axis for axis in range(dimension) if directions[axis] is None]
    else:
        others = [axis for axis in range(dimension) if kinds[axis] not in _DOMAIN]
    for axis in others:
        if sizes[axis] > 1:
            if kinds[axis] == "complex":
                raise InputError(f"'{name}' holds complex numbers.", "Give the magnitude image.", "not_grey")
            several = kinds[axis] in (*_DOMAIN, "list", "time")
            raise header.several_volumes(name) if several else header.not_grey(name)
    inner = [axis for axis in range(dimension) if axis not in others]
    unfit = [kinds[axis] for axis in inner if kinds[axis] not in _DOMAIN]
    if unfit:
        raise header.wrong(name, "kinds", unfit[0])
    header.refuse_shape(name, tuple(sizes[axis] for axis in inner))
    x, y, z = (sizes[axis] for axis in inner[:3])
    return (x, y, z), [axis for axis in range(dimension) if axis not in inner[:3]]


def _directions(fields: dict[str, str], dimension: int, name: str) -> list[np.ndarray | None] | None:
    """Per axis its vector, None for one that is no axis of space; None where the field is missing."""
    text = fields.get("space directions", "")
    if not text:
        return None
    words = re.findall(r"\([^()]*\)|[^\s()]+", text[:4096])
    if len(words) != dimension:
        raise header.wrong(name, "space directions", text)
    return [
        None if word.lower() == "none" else _vector(name, "space directions", word, text) for word in words
    ]


def _vector(name: str, field: str, word: str, text: str) -> np.ndarray:
    inner = word[1:-1].split(",") if word[:1] == "(" and word[-1:] == ")" else []
    if not 2 <= len(inner) <= 4:
        raise header.wrong(name, field, text)
    if any(part.strip().lower() == "nan" for part in inner):
        raise header.wrong(name, field, text, "no_voxel_size" if field == "space directions" else "header")
    return header.floats(name, field, " ".join(inner), len(inner))


def _geometry(fields: dict[str, str], dropped: list[int], region: bool, name: str) -> _Geometry:
    dimension = 3 + len(dropped)
    directions = _directions(fields, dimension, name)
    space = fields.get("space", "").strip().strip('"')
    signs = _SPACES.get(re.sub(r"[- ]", "", space.lower()))
    flags: tuple[Flag, ...] = ()
    if signs is None or (directions is None and not region):
        if not region:
            if signs is not None:
                raise header.missing(name, "its voxel size", "space directions")
            stated = f"its space is '{header.short(space)}'" if space else "no space"
            raise header.no_orientation(name, stated)
        signs, flags = (1, 1, 1), (header.NO_ORIENTATION,)
    _refuse_other_units(fields, name)
    turn = np.array(signs, float)
    spacings = _spacings(fields, dimension, name)
    if directions is None:
        if spacings is None:
            field = "space directions" if space else "spacings"
            raise header.missing(name, "its voxel size", field)
        inner = [axis for axis in range(dimension) if axis not in dropped]
        spacing = np.array([spacings[axis] for axis in inner])
        _refuse_no_size(spacing, "spacings", fields, name)
        return _Geometry(spacing, turn * _origin(fields, name), np.diag(turn), (header.NO_ORIENTATION,))
    if spacings is not None and any(math.isfinite(v) for v in spacings):
        raise InputError(
            f"'{name}' states its voxel size twice (spacings and space directions).", header.CONVERT, "header"
        )
    vectors = [vector for vector in directions if vector is not None]
    if any(len(vector) != 3 for vector in vectors) or len(vectors) != 3:
        raise header.wrong(name, "space directions", fields["space directions"])
    lengths = [math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) for v in vectors]
    _refuse_no_size(np.array(lengths), "space directions", fields, name)
    columns = [turn * vector * (1.0 / length) for vector, length in zip(vectors, lengths, strict=True)]
    return _Geometry(np.array(lengths), turn * _origin(fields, name), np.stack(columns, axis=1), flags)


def _origin(fields: dict[str, str], name: str) -> np.ndarray:
    text = fields.get("space origin", "")
    if not text:
        return np.zeros(3)
    origin = _vector(name, "space origin", text, text)
    if len(origin) != 3:
        raise header.wrong(name, "space origin", text)
    return origin


def _spacings(fields: dict[str, str], dimension: int, name: str) -> list[float] | None:
    text = fields.get("spacings", "")
    if not text:
        return None
    words = text.split(None, 17)
    if len(words) != dimension:
        raise header.wrong(name, "spacings", text, "no_voxel_size")
    return [
        math.nan if word.lower() == "nan" else float(header.floats(name, "spacings", word, 1)[0])
        for word in words
    ]


def _refuse_no_size(spacing: np.ndarray, field: str, fields: dict[str, str], name: str) -> None:
    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise header.wrong(name, f"voxel size ({field})", fields[field], "no_voxel_size")


def _refuse_other_units(fields: dict[str, str], name: str) -> None:
    """Lengths are mm; nothing else is converted, since other programs do not convert it either."""
    for key in ("space units", "units"):
        for unit in re.findall(r'"[^"]*"|[^\s"]+', fields.get(key, "")[:4096]):
            if unit.strip('" ').lower() not in _MM:
                raise header.wrong(name, f"unit of length ({key}; only mm is read)", unit, "unit")


def _stored(fields: dict[str, str], size: tuple[int, int, int], name: str) -> Stored:
    kind = _needed(fields, "type", name, "its type of number").lower()
    encoding = _needed(fields, "encoding", name, "its encoding").lower()
    if kind not in _DTYPES:
        raise header.wrong(name, "type", kind)
    if encoding not in _PACKING:
        raise header.wrong(name, "encoding (raw, gzip and ascii are read)", encoding)
    dtype, text = np.dtype(_DTYPES[kind]), encoding in _TEXT
    endian = fields.get("endian", "").lower()
    if endian not in ("little", "big") and (endian or (dtype.itemsize > 1 and not text)):
        raise (
            header.wrong(name, "endian", endian)
            if endian
            else header.missing(name, "its byte order", "endian")
        )
    return Stored(size, dtype.newbyteorder(">" if endian == "big" else "<"), text=text)


def _voxels(file: BinaryIO, fields: dict[str, str], stored: Stored, name: str) -> np.ndarray:
    """The voxels of a file that stands at their start, or before what is to be skipped."""
    if header.integers(name, "line skip", fields.get("line skip", "0"), 1)[0] != 0:
        raise header.wrong(name, "line skip (only 0 is read)", fields["line skip"])
    encoding = fields["encoding"].lower()
    skip = header.integers(name, "byte skip", fields.get("byte skip", "0"), 1)[0]
    if skip < -1 or (skip == -1 and encoding != "raw"):
        raise header.wrong(name, "byte skip", fields["byte skip"])
    if skip == -1:
        go_to_last_voxels(file, stored, name)
    stream = ByteStream(file, name, _PACKING[encoding])
    stream.skip(max(skip, 0))
    return read_voxels(stream, stored, name)
