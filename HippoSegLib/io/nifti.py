"""NIfTI files, read so that a damaged file or a doubtful geometry is never passed on in silence.

ITK's reader fills what is missing of a truncated ``.nii``/``.nii.gz`` with zeros and, depending on
its version, reads a sheared orientation as if it were not sheared. This reader checks both. Which
of the two orientations of a header counts is decided as ITK 5.4 (hence 3D Slicer 5) decides it, so
that results lie on the scan in the viewer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..flags import Flag
from .names import shown
from .nifti_header import Header, parse_header, read_header
from .stream import ByteStream, open_regular
from .voxels import Stored, image_of, read_voxels

__all__ = ["Header", "parse_header", "read_nifti", "read_with_header"]

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
#: The voxels start within so many bytes: what comes before them are notes of programs.
_LONGEST_NOTES = 1 << 28

#: Orthonormality demanded of an sform: ITK's where a qform could be used instead, laxer where not.
_ORTHONORMAL, _ORTHONORMAL_ALONE = 1e-4, 1e-3


def read_nifti(path: str | Path, region: bool = False) -> tuple[sitk.Image, list[Flag]]:
    """Read a NIfTI-1 or NIfTI-2 single file, compressed or not.

    Args:
        path: ``.nii`` or ``.nii.gz`` (told apart by content).
        region: The image is the crop of one hippocampus, whose side the user states: a header
            without any orientation is then accepted, with a warning.

    Returns:
        A 3D image (integers of at most 32 bits as stored; float32 where the header scales the values or
        they are stored with 64 bits) and flags.

    Raises:
        InputError: Damaged, truncated, too large, not 3D, colour or complex, or without a usable voxel size
            or orientation. OSError.
    """
    path = Path(path)
    name = shown(path)
    with open_regular(path) as file:
        stream = ByteStream(file, name)
        header, read = read_header(stream, name)
        if header.pair:
            raise InputError(
                f"'{name}' holds the header of a pair alone; its voxels are in another file.",
                "Give the pair's .hdr file, with the .img file beside it.",
                "data_file",
            )
        return read_with_header(stream, header, read, name, region)


def read_with_header(
    stream: ByteStream, header: Header, read: int, name: str, region: bool
) -> tuple[sitk.Image, list[Flag]]:
    """The image whose voxels come in a stream of which ``read`` bytes were read; as :func:`read_nifti`."""
    shape = _shape(header, name)
    affine, spacing, flags = _orientation(header, name, region)
    if header.vox_offset - read > _LONGEST_NOTES:
        raise InputError(
            f"'{name}' states an impossible place of its voxels (vox_offset {header.vox_offset}).",
            "Export or convert the scan again.",
            "header",
        )
    stream.skip(header.vox_offset - read)
    slope, intercept = header.slope, header.intercept
    scaled = np.isfinite(slope) and np.isfinite(intercept) and slope != 0
    dtype = np.dtype(header.order + _DTYPES[header.datatype])
    stored = Stored(shape, dtype, slope, intercept) if scaled else Stored(shape, dtype)
    array = read_voxels(stream, stored, name)
    lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
    rotation = lps[:, :3] / np.linalg.norm(lps[:, :3], axis=0)
    return image_of(array, spacing, lps[:, 3], rotation, name), flags


def _shape(header: Header, name: str) -> tuple[int, int, int]:
    """Size (x, y, z); refuses everything that is not one volume of one value per voxel."""
    dim = header.dim
    if not 1 <= len(dim) <= 7 or any(d < 1 for d in dim[:3]):
        raise InputError(
            f"'{name}' states an impossible image size (dim).", "Export or convert the scan again.", "header"
        )
    if header.datatype in _COMPLEX:
        raise InputError(f"'{name}' holds complex numbers.", "Give the magnitude image.", "not_grey")
    if header.datatype in _COLOUR or max(dim[4:], default=1) > 1:
        raise InputError(f"'{name}' holds colours or vectors.", "Give a grey-value T1 image.", "not_grey")
    if header.datatype not in _DTYPES:
        raise InputError(
            f"'{name}' holds an unsupported kind of number (NIfTI datatype {header.datatype}).",
            "Convert it to 16-bit integers or 32-bit floats.",
            "header",
        )
    if len(dim) > 3 and dim[3] > 1:
        raise InputError(
            f"'{name}' is 4D: it holds {dim[3]} volumes.", "Give one volume, the T1 image.", "several_volumes"
        )
    if len(dim) < 3:
        raise InputError(
            f"'{name}' is a {len(dim)}D image.", "Give a 3D T1 image of the head.", "two_dimensional"
        )
    return dim[0], dim[1], dim[2]


def _skew(affine: np.ndarray) -> float:
    """Largest departure of the normalised axes from orthonormality (infinite where undefined)."""
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not np.isfinite(norms).all() or (norms < 1e-6).any():
        return float("inf")
    rotation = affine[:3, :3] / norms
    return float(np.abs(rotation @ rotation.T - np.eye(3)).max())


def _orientation(header: Header, name: str, region: bool) -> tuple[np.ndarray, np.ndarray, list[Flag]]:
    """The affine (RAS, mm) that counts, the spacing (mm), and flags.

    As ITK 5.4: the sform where it is orthonormal and either stands alone, is the scanner's (code 1)
    or agrees with the qform; otherwise the qform.
    """
    spacing, q, s = header.pixdim, header.qform, header.sform
    flags = []
    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise InputError(
            f"'{name}' does not state its voxel size (pixdim is {' x '.join(f'{v:g}' for v in spacing)}).",
            "Convert the scan again, or correct its header.",
            "no_voxel_size",
        )
    if header.unit > 3:
        text = f"The file names an unknown unit of length (xyzt_units {header.unit}): millimetres are taken."
        flags.append(Flag("unit", text))
    has_q, has_s = header.qform_code > 0 and np.isfinite(q).all(), header.sform_code > 0
    if not has_q and not has_s:
        if not region:
            raise InputError(
                f"'{name}' does not say how the head lies in it (no qform, no sform): left and right "
                "cannot be told.",
                "Convert the scan again from DICOM, or set its orientation in the header.",
                "no_orientation",
            )
        text = "The file states no orientation: axes are taken as right, anterior, superior."
        return np.diag([*spacing, 1.0]), spacing, [*flags, Flag("no_orientation", text)]
    s_sound = has_s and _skew(s) <= (_ORTHONORMAL if has_q else _ORTHONORMAL_ALONE)
    if not has_q and not s_sound:
        raise InputError(
            f"'{name}' has axes that are not at right angles (a sheared sform).",
            "Resample it onto a rectangular grid first, or give the scan before registration.",
            "not_rectangular",
        )
    agree = has_q and has_s and _corner_distance(q, s, header.dim) <= 0.1 * spacing.min()
    use_s = s_sound and (not has_q or header.sform_code == 1 or agree)
    if has_q and has_s and not agree:
        flags.append(_disagreement(q, s, "sform" if use_s else "qform"))
    if not use_s:
        return q, spacing, flags
    lengths = np.linalg.norm(s[:3, :3], axis=0)
    if (np.abs(lengths - spacing) > 0.01 * spacing).any():
        raise InputError(
            f"'{name}' states two different voxel sizes (pixdim and sform).",
            "Convert the scan again, or correct its header.",
            "two_voxel_sizes",
        )
    return s, spacing, flags


def _disagreement(q: np.ndarray, s: np.ndarray, used: str) -> Flag:
    """What is said of two orientations (RAS) that differ: more where they differ in left and right."""
    with np.errstate(all="ignore"):
        handedness = np.linalg.det(q[:3, :3]) * np.linalg.det(s[:3, :3])
        # Where one says right, does the other say left? (Axes without length say nothing.)
        turned = np.linalg.lstsq(q[:3, :3].T, s[:3, :3].T, rcond=None)[0][0, 0] if _finite(q, s) else 0.0
    if handedness < 0 or turned < 0:
        text = (
            "The file's two orientations (qform and sform) contradict each other about LEFT AND RIGHT; the "
            f"{used} is used, as in 3D Slicer. Make sure of the sides before using the result."
        )
        return Flag("orientations_mirrored", text)
    text = f"The file's two orientations (qform and sform) disagree; the {used} is used, as in 3D Slicer."
    return Flag("orientations_disagree", text)


def _finite(*matrices: np.ndarray) -> bool:
    return all(np.isfinite(matrix).all() for matrix in matrices)


def _corner_distance(a: np.ndarray, b: np.ndarray, dim: tuple[int, ...]) -> float:
    """Largest distance in mm between the places that two affines give the corners of the image."""
    corners = np.array([[x, y, z, 1] for x in (0, dim[0]) for y in (0, dim[1]) for z in (0, dim[2])], float).T
    with np.errstate(all="ignore"):
        distance = np.linalg.norm(((a - b) @ corners)[:3], axis=0).max()
    return float(distance) if np.isfinite(distance) else float("inf")
