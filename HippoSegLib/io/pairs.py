"""A header (.hdr) with its voxels in an .img file beside it: NIfTI, or Analyze, which has no orientation."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..flags import Flag
from .names import PAIRED, shown, suffix_of
from .nibabel_headers import nibabel_for
from .nifti import read_with_header
from .nifti_header import parse_header
from .stream import ByteStream, damaged, open_regular
from .voxels import Stored, image_of, read_voxels

_HEADER_1, _HEADER_2 = 348, 540
_CONVERT = "Convert the scan again from DICOM (with dcm2niix), or give another copy of it."


def read_pair(path: str | Path, region: bool = False) -> tuple[sitk.Image, list[Flag]]:
    """Read a NIfTI or Analyze pair.

    Args:
        path: The ``.hdr`` or the ``.img`` file.
        region: The image is the crop of one hippocampus, whose side the user states: only then is Analyze
            read, whose header states no orientation.

    Returns:
        A 3D image and flags, as `nifti.read_nifti`.

    Raises:
        InputError: As `nifti.read_nifti`. DependencyError: Analyze, and nibabel is not installed. OSError.
    """
    path = Path(path)
    header_path, image_path = _both(path)
    name = shown(header_path)
    with open_regular(header_path) as file:
        head = ByteStream(file, name).read(_HEADER_2)
    with open_regular(image_path) as file:
        stream = ByteStream(file, shown(image_path))
        if head[344:347] == b"ni1" or head[4:7] == b"ni2":
            header = parse_header(head, name)
            return read_with_header(stream, header, 0, name, region)
        if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and len(head) >= _HEADER_1:
            return _read_analyze(head[:_HEADER_1], stream, name, region)
        parse_header(head, name)  # says what it is
        raise InputError(
            f"'{name}' is a single NIfTI file.", "Rename it so that it ends in .nii.", "not_read"
        )


def _both(path: Path) -> tuple[Path, Path]:
    suffix = suffix_of(path)
    stem = path.name[: -len(suffix)]
    if suffix in PAIRED:
        other, wanted, missing = _beside(path, stem, tuple(PAIRED.values())), "header (.hdr)", "header"
        if other is not None:
            return other, path
    else:
        other, wanted, missing = _beside(path, stem, tuple(PAIRED)), "voxels (.img)", "voxels"
        if other is not None:
            return path, other
    raise InputError(
        f"'{shown(path)}' is one file of a pair; the file with its {missing} is missing.",
        f"Put the file with its {wanted} beside it, under the same name.",
        "data_file",
    )


def _beside(path: Path, stem: str, suffixes: tuple[str, ...]) -> Path | None:
    """The first of the files `stem` + suffix that exists, in lower or upper case."""
    for suffix in suffixes:
        for written in (suffix, suffix.upper()):
            if os.path.lexists(path.parent / (stem + written)):
                return path.parent / (stem + written)
    return None


def _read_analyze(head: bytes, stream: ByteStream, name: str, region: bool) -> tuple[sitk.Image, list[Flag]]:
    if not region:
        raise InputError(
            f"'{name}' is an Analyze file, which cannot say how the head lies in it: left and right cannot "
            "be told.",
            "Convert the scan again from DICOM to NIfTI (with dcm2niix).",
            "no_orientation",
        )
    nibabel = nibabel_for(name, "an Analyze file")
    try:
        header = nibabel.Spm99AnalyzeHeader.from_fileobj(io.BytesIO(head), check=False)
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = np.dtype(header.get_data_dtype())
        spacing = np.array(header.get_zooms()[:3], float)
        offset = int(header.get_data_offset())
        slope, intercept = header.get_slope_inter()
    except Exception:  # whatever a library makes of a damaged header
        raise damaged(name, "its header cannot be read") from None
    if len(shape) > 3 and max(shape[3:]) > 1:
        raise InputError(f"'{name}' is 4D: it holds several volumes.", "Give one volume.", "several_volumes")
    if len(shape) < 3 or min(shape) < 1 or dtype.kind not in "iuf" or not 0 <= offset <= 1 << 28:
        raise InputError(f"'{name}' is not one 3D image of grey values.", _CONVERT, "header")
    if len(spacing) != 3 or not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise InputError(f"'{name}' does not state its voxel size (pixdim).", _CONVERT, "no_voxel_size")
    stream.skip(offset)
    scale = float(slope) if slope and np.isfinite(slope) else 1.0
    stored = Stored((shape[0], shape[1], shape[2]), dtype, scale, float(intercept or 0.0))
    array = read_voxels(stream, stored, name)
    text = "The Analyze file states no orientation: axes are taken as left, anterior, superior."
    direction = np.diag([1.0, -1.0, 1.0])
    return image_of(array, spacing, (0.0, 0.0, 0.0), direction, name), [Flag("no_orientation", text)]
