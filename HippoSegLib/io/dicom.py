"""A DICOM folder: one series of evenly spaced slices, or a sentence that says what is in the way.

Headers are read with pydicom, and every slice is checked before a voxel is read. Slices are sorted by
position, not by file name. Nothing that could name a patient is put into a message: series are told apart by
number, modality and count of images, slices by their InstanceNumber or their place in the folder.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import SimpleITK as sitk

from ..errors import DependencyError, InputError
from ..flags import Flag
from .dicom_files import Contents, look_into
from .dicom_folder import check_no_other_scans, no_image
from .dicom_format import check_formats
from .dicom_pixels import read_voxels
from .dicom_series import Series, all_series, choose, lost_slices
from .dicom_slice import Slice
from .dicom_stack import build_stack, check_frames
from .voxels import image_of


def read_series(folder: str | Path, series: str | int | None = None) -> tuple[sitk.Image, list[Flag]]:
    """Image and flags of :func:`read_slices`."""
    image, flags, _ = read_slices(folder, series)
    return image, flags


def read_slices(
    folder: str | Path, series: str | int | None = None
) -> tuple[sitk.Image, list[Flag], tuple[Slice, ...]]:
    """Read the DICOM series of a folder; where it holds none itself, that of its subfolders (a CD's layout).

    Args:
        folder: The folder that holds the slices; other files in it are ignored.
        series: Which series, where there are several: its number as the error message lists it.

    Returns:
        A 3D image (integers, or float32 where the slices carry a rescaling), flags, and the slices in the
        order of the image's z axis.

    Raises:
        InputError: No DICOM image, several series, damaged or missing or unevenly spaced slices, a header
            that does not state what is needed, and whatever else is no volume of grey values.
        DependencyError: pydicom is not installed.
        OSError: The folder or a slice cannot be read. MemoryError.
    """
    try:
        import pydicom  # noqa: F401 (a quarter of a second, for DICOM alone)
    except ImportError:
        raise DependencyError(
            "The Python package pydicom (reads DICOM) is not installed.",
            'Install it: pip install "pydicom>=2.4".',
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, which may quote a header
        contents = look_into(os.fspath(folder))
        if series is not None and contents.folders and not contents.deep:
            names = {one.name for one in all_series(contents.slices)}
            if str(series).strip().lower() not in names:
                contents = look_into(os.fspath(folder), deep=True)
        if not contents.slices:
            raise no_image(contents)
        if series is None:
            check_no_other_scans(contents)
        chosen, flags = choose(contents, series)
        image, more, slices = _read(chosen, contents)
    return image, [*flags, *more], slices


def _read(chosen: Series, contents: Contents) -> tuple[sitk.Image, list[Flag], tuple[Slice, ...]]:
    _check_complete(chosen, contents)
    check_frames(chosen.slices)
    check_formats(chosen.slices)
    stack, flags = build_stack(chosen.slices)
    voxels, inverted = read_voxels(stack.slices)
    image = image_of(voxels, stack.spacing, stack.origin, stack.direction, "series")
    if chosen.own_uids:
        text = (
            f"Each of the {chosen.images} DICOM slices has a series UID of its own; they agree in number, "
            "grid, orientation and frame of reference and were read as one series."
        )
        flags.append(Flag("series_uids", text, severity="info"))
    if inverted:
        text = "The DICOM series stores its values inverted (MONOCHROME1); they were turned back."
        flags.append(Flag("inverted", text, severity="info"))
    return image, flags, stack.slices


def _check_complete(chosen: Series, contents: Contents) -> None:
    """No file that may be a slice of the series is left out, and all slices are of one patient."""
    if len({(s.identity.patient, s.identity.study) for s in chosen.slices}) > 1:
        raise InputError(
            f"The slices of DICOM series {chosen.name} belong to several patients or examinations.",
            "Export the series again.",
            "several_patients",
        )
    lost = lost_slices(chosen, contents)
    if lost:
        which = f"file {lost[0].place} of its folder (sorted by name)"
        if len(lost) > 1:
            which = f"{len(lost)} files, the first of them {which},"
        raise InputError(
            f"The DICOM series is damaged: {which} cannot be read and may be a slice of it.",
            "Copy or export the series again; if it is no slice, move it out of the folder.",
            "damaged",
        )
