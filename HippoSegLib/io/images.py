"""Scans: reading and checking them. `SimpleITK.Image` is the volume type.

World coordinates are LPS mm, as in SimpleITK; arrays are (z, y, x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..flags import Flag
from ..geometry.orientation import canonical_axes
from .files import read_file, what_the_system_refuses
from .names import SUFFIXES, image_stem
from .validation import check_image
from .writing import write_image

if TYPE_CHECKING:
    from .dicom_slice import Slice

__all__ = [
    "SUFFIXES",
    "Scan",
    "canonical_axes",
    "check_image",
    "check_scan",
    "geometry_dict",
    "image_stem",
    "read_image",
    "read_scan",
    "write_image",
]


_SERIES_IGNORED = "The choice of a DICOM series does nothing here: the scan is one file."


@dataclass(frozen=True)
class Scan:
    """A scan that passed the checks: what the pipeline takes.

    Attributes:
        image: 3D scalar image.
        flags: What was noticed while it was read and checked.
        region: It is the crop of one hippocampus, and was checked as such.
        slices: Of a DICOM series, in the order of the image's z axis; of all else none.
    """

    image: sitk.Image
    flags: tuple[Flag, ...] = ()
    region: bool = False
    slices: tuple[Slice, ...] = ()


def read_scan(path: str | Path, region: bool = False, series: str | int | None = None) -> Scan:
    """Read and check a scan.

    Args:
        path: A file that `files.read_file` reads, or a folder with a DICOM series.
        region: The image is the crop of one hippocampus, not a head.
        series: Which DICOM series, where the folder holds several: its number.

    Returns:
        The 3D image (integers as stored, or float32) and flags.

    Raises:
        InputError: The scan cannot be used, with cause and remedy. DependencyError: A package is missing that
            this kind of file needs.
    """
    path = Path(path)
    with what_the_system_refuses(path):
        if path.is_dir():
            from .dicom import read_slices  # a dozen modules, for DICOM alone

            image, flags, slices = read_slices(path, series)
            return replace(check_scan(image, region, flags), slices=slices)
        image, flags = read_file(path, region)
        if series is not None:
            flags = [*flags, Flag("series_ignored", _SERIES_IGNORED, severity="info")]
        return check_scan(image, region, flags)


def check_scan(image: sitk.Image, region: bool = False, flags: Sequence[Flag] = ()) -> Scan:
    """A scan of an image at hand (from a viewer, or made in Python), checked as :func:`read_scan` checks it.

    Args:
        image: As in :func:`check_image`.
        region: The image is the crop of one hippocampus, not a head.
        flags: What was noticed while it was read.

    Raises:
        InputError: The scan cannot be used.
    """
    image, more = check_image(image, region)
    return Scan(image, (*flags, *more), region)


def read_image(path: str | Path, region: bool = False, series: str | int | None = None) -> sitk.Image:
    """The image of :func:`read_scan` alone."""
    return read_scan(path, region, series).image


def geometry_dict(image: sitk.Image) -> dict[str, list]:
    """Size (x, y, z), spacing (mm), origin (LPS mm) and direction (3 rows, LPS) for a JSON file."""
    return {
        "size": [int(v) for v in image.GetSize()],
        "spacing_mm": [float(v) for v in image.GetSpacing()],
        "origin_lps_mm": [float(v) for v in image.GetOrigin()],
        "direction_lps": np.reshape(image.GetDirection(), (3, 3)).tolist(),
    }
