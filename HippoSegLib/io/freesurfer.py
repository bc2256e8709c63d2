"""FreeSurfer's volumes (.mgz, .mgh). Format: https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..flags import Flag
from .names import shown
from .nibabel_headers import nibabel_for
from .stream import ByteStream, open_regular, truncated
from .voxels import Stored, image_of, read_voxels

_DATA_OFFSET = 284
#: FreeSurfer writes its history behind the voxels.
_HISTORY = 1 << 24
_CONVERT = "Convert the scan again with mri_convert."


def read_mgh(path: str | Path, region: bool = False) -> tuple[sitk.Image, list[Flag]]:
    """Read a FreeSurfer volume.

    Args:
        path: ``.mgz`` or ``.mgh``.
        region: The image is the crop of one hippocampus, whose side the user states: a header without an
            orientation is then accepted, with a warning.

    Returns:
        A 3D image (integers as stored, or float32) and flags.

    Raises:
        InputError: Damaged, truncated, too large, not 3D, or without voxel size or orientation.
        DependencyError: nibabel is not installed. OSError.
    """
    path = Path(path)
    name = shown(path)
    mgh = nibabel_for(name, "a FreeSurfer file").freesurfer.mghformat
    with open_regular(path) as file:
        stream = ByteStream(file, name)
        head = stream.read(_DATA_OFFSET)
        if len(head) < _DATA_OFFSET:
            raise truncated(name)
        try:
            header = mgh.MGHHeader(head)
            # nibabel puts an affine of its own in place of one that is not stated.
            fields = np.frombuffer(head, mgh.header_dtype, 1)[0]
            dtype = np.dtype(header.get_data_dtype())
        except Exception:  # whatever a library makes of a damaged header
            raise InputError(
                f"'{name}' is not a readable FreeSurfer file.", _CONVERT, "not_readable"
            ) from None
        size = _size(fields, name)
        affine, spacing, flags = _geometry(header, fields, region, name)
        array = read_voxels(stream, Stored(size, dtype), name, _HISTORY)
    lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
    return image_of(array, spacing, lps[:, 3], lps[:, :3] / spacing, name), flags


def _size(fields: np.void, name: str) -> tuple[int, int, int]:
    x, y, z, frames = (int(n) for n in fields["dims"])
    if min(x, y, z, frames) < 1:
        raise InputError(f"'{name}' states an impossible image size.", _CONVERT, "header")
    if frames > 1:
        raise InputError(
            f"'{name}' is 4D: it holds {frames} volumes.", "Give one volume, the T1 image.", "several_volumes"
        )
    return x, y, z


def _geometry(header, fields: np.void, region: bool, name: str) -> tuple[np.ndarray, np.ndarray, list[Flag]]:
    """Affine (RAS, mm), spacing (mm) and flags."""
    spacing = np.array(fields["delta"], float)
    stated = int(fields["goodRASFlag"]) == 1
    # Without the flag, the format's voxel size does not count either.
    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise InputError(f"'{name}' does not state its voxel size (delta).", _CONVERT, "no_voxel_size")
    if stated:
        affine = np.array(header.get_affine(), float)
        if np.isfinite(affine).all():
            return affine, spacing, []
    if not region:
        raise InputError(
            f"'{name}' does not say how the head lies in it (goodRASFlag): left and right cannot be told.",
            "Convert the scan again from DICOM.",
            "no_orientation",
        )
    text = "The file states no orientation: axes are taken as right, anterior, superior."
    return np.diag([*spacing, 1.0]), spacing, [Flag("no_orientation", text)]
