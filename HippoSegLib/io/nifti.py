"""NIfTI files, read so that a damaged file or a doubtful geometry is never passed on in silence.

ITK's reader fills what is missing of a truncated ``.nii``/``.nii.gz`` with zeros and, depending on
its version, reads a sheared orientation as if it were not sheared. This reader checks both. Which
of the two orientations of a header counts is decided as ITK 5.4 (hence 3D Slicer 5) decides it, so
that results lie on the scan in the viewer.

Format: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h (NIfTI-1) and nifti2.h (NIfTI-2).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..flags import Flag

_DTYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_COMPLEX = (32, 1792, 2048)
_COLOUR = (128, 2304)
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # metres, micrometres; everything else is taken as millimetres

#: Orthonormality demanded of an sform: ITK's where a qform could be used instead, laxer where not.
_ORTHONORMAL, _ORTHONORMAL_ALONE = 1e-4, 1e-3


@dataclass
class Header:
    """The fields of a NIfTI header that matter here. Matrices are RAS, mm, voxel index (x, y, z)."""

    order: str  # "<" or ">"
    dim: tuple[int, ...]  # without the leading count
    datatype: int
    vox_offset: int
    slope: float
    intercept: float
    pixdim: np.ndarray  # (3,) mm
    qform_code: int
    sform_code: int
    qform: np.ndarray  # (4, 4)
    sform: np.ndarray  # (4, 4)


def read_nifti(path: str | Path, region: bool = False) -> tuple[sitk.Image, list[Flag]]:
    """Read a NIfTI-1 or NIfTI-2 single file, compressed or not.

    Args:
        path: ``.nii`` or ``.nii.gz`` (told apart by content).
        region: The image is the crop of one hippocampus, whose side the user states: a header
            without any orientation is then accepted, with a warning.

    Returns:
        A 3D image (integer types as stored; float32 where the header scales the values or they are
        stored as float64) and flags.

    Raises:
        InputError: Damaged, truncated, not 3D, colour or complex, or without a usable orientation.
    """
    path = Path(path)
    data = _content(path)
    header = parse_header(data, path.name)
    shape = _shape(header, path.name)
    image = sitk.GetImageFromArray(_voxels(data, header, shape, path.name))
    del data
    affine, spacing, flags = _orientation(header, path.name, region)
    lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin([float(v) for v in lps[:, 3]])
    image.SetDirection(_rotation(lps[:, :3]).ravel().tolist())
    return image, flags


def parse_header(data: bytes, name: str = "file") -> Header:
    """Read the header at the start of ``data`` (348 bytes NIfTI-1, 540 bytes NIfTI-2, either byte order)."""
    for order in "<>":
        size = struct.unpack(order + "i", data[:4])[0] if len(data) >= 4 else 0
        if size == 348 and len(data) >= 348 and data[344:348] == b"n+1\0":
            return _parse_1(data, order)
        if size == 540 and len(data) >= 540 and data[4:8] == b"n+2\0":
            return _parse_2(data, order)
    raise InputError(f"'{name}' is not a readable NIfTI file.", "Export or convert the scan again.")


def _parse_1(data: bytes, order: str) -> Header:
    def get(offset: int, kind: str):
        return struct.unpack_from(order + kind, data, offset)

    ndim, *dim = get(40, "8h")
    pixdim = get(76, "8f")
    unit = _MM_PER_UNIT.get(data[123] & 7, 1.0)
    return Header(
        order=order,
        dim=tuple(dim[: max(0, ndim)]),
        datatype=get(70, "h")[0],
        vox_offset=_offset(get(108, "f")[0], 352),
        slope=get(112, "f")[0],
        intercept=get(116, "f")[0],
        pixdim=np.abs(pixdim[1:4]) * unit,
        qform_code=get(252, "h")[0],
        sform_code=get(254, "h")[0],
        qform=_qform(get(256, "3f"), get(268, "3f"), pixdim, unit),
        sform=np.vstack([np.reshape(get(280, "12f"), (3, 4)) * unit, [0, 0, 0, 1]]),
    )


def _parse_2(data: bytes, order: str) -> Header:
    def get(offset: int, kind: str):
        return struct.unpack_from(order + kind, data, offset)

    ndim, *dim = get(16, "8q")
    pixdim = get(104, "8d")
    unit = _MM_PER_UNIT.get(get(500, "i")[0] & 7, 1.0)
    return Header(
        order=order,
        dim=tuple(dim[: max(0, ndim)]),
        datatype=get(12, "h")[0],
        vox_offset=_offset(get(168, "q")[0], 544),
        slope=get(176, "d")[0],
        intercept=get(184, "d")[0],
        pixdim=np.abs(pixdim[1:4]) * unit,
        qform_code=get(344, "i")[0],
        sform_code=get(348, "i")[0],
        qform=_qform(get(352, "3d"), get(376, "3d"), pixdim, unit),
        sform=np.vstack([np.reshape(get(400, "12d"), (3, 4)) * unit, [0, 0, 0, 1]]),
    )


def _offset(value: float, least: int) -> int:
    return max(int(value), least) if np.isfinite(value) else least


def _qform(quaternion, offset, pixdim, unit: float) -> np.ndarray:
    """NIfTI "method 2": unit quaternion (a is implied), offsets, qfac in pixdim[0]."""
    b, c, d = (float(v) for v in quaternion)
    a2 = 1.0 - (b * b + c * c + d * d)
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
    affine[:3, :3] = rotation * (np.abs(pixdim[1:4]) * unit * [1.0, 1.0, qfac])
    affine[:3, 3] = np.multiply(offset, unit)
    return affine


def _content(path: Path) -> bytes:
    """The file's bytes, unpacked if it is gzip: every member, its check sum included."""
    raw = path.read_bytes()
    if not raw:
        raise InputError(f"'{path.name}' is empty.", "Copy or export the scan again.")
    if raw[:2] != b"\x1f\x8b":
        return raw
    parts = []
    try:
        while raw[:2] == b"\x1f\x8b":
            unpacker = zlib.decompressobj(31)
            parts.append(unpacker.decompress(raw))
            if not unpacker.eof:
                raise _truncated(path.name)
            raw = unpacker.unused_data
    except zlib.error:
        raise InputError(
            f"'{path.name}' is damaged: its compressed content does not match its check sum.",
            "Copy or export the scan again.",
        ) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _truncated(name: str) -> InputError:
    return InputError(
        f"'{name}' is truncated: part of the image is missing.", "Copy or export the scan again."
    )


def _shape(header: Header, name: str) -> tuple[int, int, int]:
    """Size (x, y, z); refuses everything that is not one volume of one value per voxel."""
    dim = header.dim
    if not 1 <= len(dim) <= 7 or any(d < 1 for d in dim[:3]):
        raise InputError(f"'{name}' states an impossible image size.", "Export or convert the scan again.")
    if header.datatype in _COMPLEX:
        raise InputError(f"'{name}' holds complex numbers.", "Give the magnitude image.")
    if header.datatype in _COLOUR or max(dim[4:], default=1) > 1:
        raise InputError(f"'{name}' holds colours or vectors.", "Give a grey-value T1 image.")
    if header.datatype not in _DTYPES:
        raise InputError(
            f"'{name}' holds an unsupported kind of number (NIfTI datatype {header.datatype}).",
            "Convert it to 16-bit integers or 32-bit floats.",
        )
    if len(dim) > 3 and dim[3] > 1:
        raise InputError(f"'{name}' is 4D: it holds {dim[3]} volumes.", "Give one volume, the T1 image.")
    if len(dim) < 3:
        raise InputError(f"'{name}' is a {len(dim)}D image.", "Give a 3D T1 image of the head.")
    return dim[0], dim[1], dim[2]


def _voxels(data: bytes, header: Header, shape: tuple[int, int, int], name: str) -> np.ndarray:
    """Array (z, y, x) in native byte order: the stored integers, or float32."""
    dtype = np.dtype(header.order + _DTYPES[header.datatype])
    count = int(np.prod(shape, dtype=np.int64))
    if len(data) < header.vox_offset + count * dtype.itemsize:
        raise _truncated(name)
    array = np.frombuffer(data, dtype, count, header.vox_offset).reshape(shape[::-1])
    slope, intercept = header.slope, header.intercept
    scaled = np.isfinite(slope) and np.isfinite(intercept) and slope != 0 and (slope, intercept) != (1, 0)
    if scaled or dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
            if scaled:
                array = array * np.float32(slope) + np.float32(intercept)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _rotation(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.linalg.norm(matrix, axis=0)


def _skew(affine: np.ndarray) -> float:
    """Largest departure of the normalised axes from orthonormality (infinite where undefined)."""
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or (norms < 1e-6).any():
        return float("inf")
    rotation = affine[:3, :3] / norms
    return float(np.abs(rotation @ rotation.T - np.eye(3)).max())


def _orientation(header: Header, name: str, region: bool) -> tuple[np.ndarray, np.ndarray, list[Flag]]:
    """The affine (RAS, mm) that counts, the spacing (mm), and flags.

    As ITK 5.4: the sform where it is orthonormal and either stands alone, is the scanner's (code 1)
    or agrees with the qform; otherwise the qform.
    """
    spacing, q, s = header.pixdim, header.qform, header.sform
    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise InputError(
            f"'{name}' states a voxel size of zero.", "Convert the scan again, or correct its header."
        )
    has_q, has_s = header.qform_code > 0 and np.isfinite(q).all(), header.sform_code > 0
    if not has_q and not has_s:
        if not region:
            raise InputError(
                f"'{name}' does not say how the head lies in it (no qform, no sform): left and right "
                "cannot be told.",
                "Convert the scan again from DICOM, or set its orientation in the header.",
            )
        text = "The file states no orientation: axes are taken as right, anterior, superior."
        return np.diag([*spacing, 1.0]), spacing, [Flag("no_orientation", text)]
    s_sound = has_s and _skew(s) <= (_ORTHONORMAL if has_q else _ORTHONORMAL_ALONE)
    if not has_q and not s_sound:
        raise InputError(
            f"'{name}' has axes that are not at right angles (a sheared sform).",
            "Resample it onto a rectangular grid first, or give the scan before registration.",
        )
    agree = has_q and has_s and _corner_distance(q, s, header.dim) <= 0.1 * spacing.min()
    use_s = s_sound and (not has_q or header.sform_code == 1 or agree)
    flags = []
    if has_q and has_s and not agree:
        text = (
            "The file's two orientations (qform and sform) disagree; the "
            f"{'sform' if use_s else 'qform'} is used, as in 3D Slicer."
        )
        flags.append(Flag("orientations_disagree", text))
    if not use_s:
        return q, spacing, flags
    lengths = np.linalg.norm(s[:3, :3], axis=0)
    if (np.abs(lengths - spacing) > 0.01 * spacing).any():
        raise InputError(
            f"'{name}' states two different voxel sizes (pixdim and sform).",
            "Convert the scan again, or correct its header.",
        )
    return s, spacing, flags


def _corner_distance(a: np.ndarray, b: np.ndarray, dim: tuple[int, ...]) -> float:
    """Largest distance in mm between the places that two affines give the corners of the image."""
    corners = np.array([[x, y, z, 1] for x in (0, dim[0]) for y in (0, dim[1]) for z in (0, dim[2])], float).T
    distance = np.linalg.norm(((a - b) @ corners)[:3], axis=0).max()
    return float(distance) if np.isfinite(distance) else float("inf")
