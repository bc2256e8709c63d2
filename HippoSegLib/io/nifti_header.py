"""The header of a NIfTI file, of version 1 or 2, in either byte order, alone or of a pair (.hdr and .img).

Format: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h (NIfTI-1) and nifti2.h (NIfTI-2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .kinds import kind_in_words
from .stream import ByteStream

_SIZE_1, _SIZE_2 = 348, 540
_MAGIC_1, _MAGIC_2 = (b"n+1\0", b"ni1\0"), (b"n+2\0", b"ni2\0")
_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}  # metres, millimetres, micrometres
#: A quaternion may be longer than 1 by so much (its square, rounding); otherwise it is no rotation.
_QUATERNION_EXCESS = 0.01


@dataclass(frozen=True)
class Header:
    """The fields of a NIfTI header that matter here. Matrices are RAS, mm, voxel index (x, y, z)."""

    order: str  # "<" or ">"
    dim: tuple[int, ...]  # without the leading count
    datatype: int
    vox_offset: int
    slope: float
    intercept: float
    pixdim: np.ndarray  # (3,) mm
    unit: int  # code of the unit of length; 0 where none is stated: millimetres are taken
    qform_code: int
    sform_code: int
    qform: np.ndarray  # (4, 4); NaN where the quaternion is no rotation
    sform: np.ndarray  # (4, 4)
    pair: bool  # the voxels lie in another file


def read_header(stream: ByteStream, name: str) -> tuple[Header, int]:
    """The header at the start of a stream, and how many bytes of it were read."""
    data = stream.read(_SIZE_1)
    if len(data) == _SIZE_1 and _SIZE_2 in (struct.unpack(order + "i", data[:4])[0] for order in "<>"):
        data += stream.read(_SIZE_2 - _SIZE_1)
    return parse_header(data, name), len(data)


def parse_header(data: bytes, name: str = "file") -> Header:
    """Read the header at the start of ``data`` (348 bytes NIfTI-1, 540 bytes NIfTI-2, either byte order)."""
    for order in "<>":
        size = struct.unpack(order + "i", data[:4])[0] if len(data) >= 4 else 0
        if size == _SIZE_1 and len(data) >= _SIZE_1 and data[344:348] in _MAGIC_1:
            return _parse_1(data, order)
        if size == _SIZE_2 and len(data) >= _SIZE_2 and data[4:8] in _MAGIC_2:
            return _parse_2(data, order)
    kind = kind_in_words(data)
    what = f"is no NIfTI file; it looks like {kind}" if kind else "is not a readable NIfTI file"
    raise InputError(f"'{name}' {what}.", "Export or convert the scan again.", "not_readable")


def _parse_1(data: bytes, order: str) -> Header:
    def get(offset: int, kind: str):
        return struct.unpack_from(order + kind, data, offset)

    ndim, *dim = get(40, "8h")
    pixdim = get(76, "8f")
    unit = data[123] & 7
    scale = _MM_PER_UNIT.get(unit, 1.0)
    pair = data[344:348] == _MAGIC_1[1]
    return Header(
        order=order,
        dim=tuple(dim[: max(0, ndim)]),
        datatype=get(70, "h")[0],
        vox_offset=_offset(get(108, "f")[0], 0 if pair else 352),
        slope=get(112, "f")[0],
        intercept=get(116, "f")[0],
        pixdim=np.abs(pixdim[1:4]) * scale,
        unit=unit,
        qform_code=get(252, "h")[0],
        sform_code=get(254, "h")[0],
        qform=_qform(get(256, "3f"), get(268, "3f"), pixdim, scale),
        sform=_sform(get(280, "12f"), scale),
        pair=pair,
    )


def _parse_2(data: bytes, order: str) -> Header:
    def get(offset: int, kind: str):
        return struct.unpack_from(order + kind, data, offset)

    ndim, *dim = get(16, "8q")
    pixdim = get(104, "8d")
    unit = get(500, "i")[0] & 7
    scale = _MM_PER_UNIT.get(unit, 1.0)
    pair = data[4:8] == _MAGIC_2[1]
    return Header(
        order=order,
        dim=tuple(dim[: max(0, ndim)]),
        datatype=get(12, "h")[0],
        vox_offset=_offset(get(168, "q")[0], 0 if pair else 544),
        slope=get(176, "d")[0],
        intercept=get(184, "d")[0],
        pixdim=np.abs(pixdim[1:4]) * scale,
        unit=unit,
        qform_code=get(344, "i")[0],
        sform_code=get(348, "i")[0],
        qform=_qform(get(352, "3d"), get(376, "3d"), pixdim, scale),
        sform=_sform(get(400, "12d"), scale),
        pair=pair,
    )


def _offset(value: float, least: int) -> int:
    return max(int(value), least) if np.isfinite(value) else least


def _sform(rows, scale: float) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.vstack([np.reshape(rows, (3, 4)) * scale, [0, 0, 0, 1]])


def _qform(quaternion, offset, pixdim, scale: float) -> np.ndarray:
    """NIfTI "method 2": unit quaternion (a is implied), offsets, qfac in pixdim[0]."""
    b, c, d = (float(v) for v in quaternion)
    a2 = 1.0 - (b * b + c * c + d * d)
    if not a2 > -_QUATERNION_EXCESS:
        return np.full((4, 4), np.nan)
    if a2 < 1e-7:  # a rotation by 180 degrees, up to rounding
        norm = np.sqrt(b * b + c * c + d * d) or 1.0
        a, b, c, d = 0.0, b / norm, c / norm, d / norm
    else:
        a = np.sqrt(a2)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    affine = np.eye(4)
    qfac = -1.0 if pixdim[0] < 0 else 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        affine[:3, :3] = rotation * (np.abs(pixdim[1:4]) * scale * [1.0, 1.0, qfac])
        affine[:3, 3] = np.multiply(offset, scale)
    return affine
