"""NRRD, MetaImage and NIfTI files written by hand, so that any field can be left out or wrong."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

NRRD_SPACES = {
    "left-posterior-superior": (1, 1, 1),
    "LPS": (1, 1, 1),
    "lps": (1, 1, 1),
    "left posterior superior": (1, 1, 1),
    "leftposteriorsuperior": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "RAS": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "LAS": (1, -1, 1),
}
_NRRD_TYPES = {"i1": "int8", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint"} | {
    "i8": "long long int",
    "u8": "ulonglong",
    "f4": "float",
    "f8": "double",
}
_META_TYPES = {"i1": "CHAR", "u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "i4": "INT", "u4": "UINT"} | {
    "i8": "LONG_LONG",
    "u8": "ULONG_LONG",
    "f4": "FLOAT",
    "f8": "DOUBLE",
}


def _numbers(values) -> str:
    return " ".join(repr(float(v)) for v in values)


def nrrd_fields(array: np.ndarray, image: sitk.Image, space: str = "left-posterior-superior") -> dict:
    """The fields of a NRRD file of ``array`` (z, y, x) with the geometry of ``image``."""
    turn = np.array(NRRD_SPACES.get(space, (1, 1, 1)), float)
    vectors = (np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()).T * turn
    dtype = array.dtype
    return {
        "type": _NRRD_TYPES[f"{dtype.kind}{dtype.itemsize}"],
        "dimension": "3",
        "space": space,
        "sizes": " ".join(map(str, array.shape[::-1])),
        "space directions": " ".join("(" + ",".join(repr(float(v)) for v in row) + ")" for row in vectors),
        "kinds": "domain domain domain",
        "endian": "big" if dtype.byteorder == ">" else "little",
        "encoding": "raw",
        "space origin": "(" + ",".join(repr(float(v)) for v in turn * image.GetOrigin()) + ")",
    }


def meta_fields(array: np.ndarray, image: sitk.Image) -> dict:
    """The fields of a MetaImage file of ``array`` (z, y, x) with the geometry of ``image``."""
    dtype = array.dtype
    return {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": str(dtype.byteorder == ">"),
        "CompressedData": "False",
        "TransformMatrix": _numbers(np.reshape(image.GetDirection(), (3, 3)).T.ravel()),
        "Offset": _numbers(image.GetOrigin()),
        "ElementSpacing": _numbers(image.GetSpacing()),
        "DimSize": " ".join(map(str, array.shape[::-1])),
        "ElementType": "MET_" + _META_TYPES[f"{dtype.kind}{dtype.itemsize}"],
    }


def write_nrrd(path: Path, fields: Mapping[str, str | None], data: bytes, magic: str = "NRRD0005") -> Path:
    """Fields with the value None are left out; ``data`` follows the header."""
    lines = [f"{key}: {value}" for key, value in fields.items() if value is not None]
    path.write_bytes("\n".join([magic, *lines, "", ""]).encode("latin-1") + data)
    return path


def write_meta(path: Path, fields: Mapping[str, str | None], data: bytes, target: str = "LOCAL") -> Path:
    """Fields with the value None are left out; ``data`` follows the header."""
    lines = [f"{key} = {value}" for key, value in fields.items() if value is not None]
    path.write_bytes("\n".join([*lines, f"ElementDataFile = {target}", ""]).encode("latin-1") + data)
    return path


def oblique(array: np.ndarray, seed: int) -> sitk.Image:
    """``array`` (z, y, x) with a random oblique geometry, left-handed for odd seeds."""
    rng = np.random.default_rng(seed)
    direction = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    if (np.linalg.det(direction) < 0) != bool(seed % 2):
        direction[:, 0] *= -1
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(rng.uniform(2.1, 3.9, 3).tolist())
    image.SetOrigin(rng.normal(0, 100, 3).tolist())
    image.SetDirection(direction.ravel().tolist())
    return image


def patched(content: bytes, offset: int, form: str, *values) -> bytes:
    """``content`` with values packed into it, as `struct` packs them."""
    size = struct.calcsize(form)
    return content[:offset] + struct.pack(form, *values) + content[offset + size :]
