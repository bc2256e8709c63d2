"""Reading, checking, turning and writing images. `SimpleITK.Image` is the volume type.

World coordinates are LPS mm, as in SimpleITK; arrays are (z, y, x).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, OutputError
from ..flags import Flag
from ..geometry.orientation import canonical_axes
from .atomic import replacing
from .dicom import read_series
from .nifti import read_nifti
from .validation import check_image

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

#: Files that are read; a folder is taken for a DICOM series.
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


#: Bytes before the voxels in a NIfTI file as ITK writes it.
_NIFTI_HEADER = 352


@dataclass(frozen=True)
class Scan:
    """A scan that passed the checks: what the pipeline takes.

    Attributes:
        image: 3D scalar image.
        flags: What was noticed while it was read and checked.
        region: It is the crop of one hippocampus, and was checked as such.
    """

    image: sitk.Image
    flags: tuple[Flag, ...] = ()
    region: bool = False


def image_stem(path: str | Path) -> str:
    """The name of a scan without its suffix (``.nii.gz`` is one suffix); a folder's name."""
    name = Path(os.path.abspath(path)).name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def read_scan(path: str | Path, region: bool = False, series: str | int | None = None) -> Scan:
    """Read and check a scan.

    Args:
        path: NIfTI, NRRD or MetaImage file, or a folder with a DICOM series.
        region: The image is the crop of one hippocampus, not a head.
        series: Which DICOM series, where the folder holds several: its number.

    Returns:
        The 3D image (integers as stored, or float32) and flags.

    Raises:
        InputError: The scan cannot be used, with cause and remedy.
    """
    path = Path(path)
    try:
        if path.is_dir():
            image, flags = read_series(path, series)
        elif not path.exists():
            raise InputError(f"'{path.name}' does not exist.", "Check the path.")
        else:
            image, flags = _read_file(path, region)
    except PermissionError:
        raise InputError(f"'{path.name}' cannot be opened.", "Check its permissions.") from None
    except OSError as error:
        reason = error.strerror or "input/output error"
        raise InputError(
            f"'{path.name}' cannot be read ({reason}).", "Check the path and the drive."
        ) from None
    except MemoryError:
        raise InputError(
            f"'{path.name}' does not fit into memory.", "Close other programs, or crop it."
        ) from None
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


def _read_file(path: Path, region: bool) -> tuple[sitk.Image, list[Flag]]:
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        with open(path, "rb") as file:
            if file.read(132)[128:] == b"DICM":
                raise InputError(
                    f"'{path.name}' is one DICOM slice.", "Give the folder that holds the series."
                )
        raise InputError(
            f"'{path.name}' is not of a kind that is read here.",
            "Give NIfTI (.nii, .nii.gz), NRRD, MetaImage (.mha, .mhd) or a folder with a DICOM series.",
        )
    if name.endswith((".nii", ".nii.gz")):
        return read_nifti(path, region)
    return _read_with_itk(path, region)


def _read_with_itk(path: Path, region: bool) -> tuple[sitk.Image, list[Flag]]:
    """NRRD and MetaImage: what ITK reads, with the checks it leaves out."""
    if path.stat().st_size == 0:
        raise InputError(f"'{path.name}' is empty.", "Copy or export the scan again.")
    damaged = InputError(
        f"'{path.name}' cannot be read: it is damaged, truncated, or its data file is missing.",
        "Copy or export the scan again.",
    )
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise damaged from None
    if len([s for s in reader.GetSize() if s > 1]) > 3:
        raise InputError(f"'{path.name}' is 4D: it holds several volumes.", "Give one volume, the T1 image.")
    fields, flags = _header_fields(path), []
    if not _states_orientation(fields):
        if not region:
            raise InputError(
                f"'{path.name}' does not say how the head lies in it: left and right cannot be told.",
                "Convert the scan again from DICOM, or save it from 3D Slicer.",
            )
        text = "The file states no orientation: axes are taken as left, posterior, superior."
        flags.append(Flag("no_orientation", text))
    if fields.get("compresseddata", "").lower() == "true" and not _zlib_sound(path, fields):
        raise damaged
    try:
        return _without_metadata(reader.Execute()), flags
    except RuntimeError:
        raise damaged from None


def _header_fields(path: Path) -> dict[str, str]:
    """The text header of an NRRD or MetaImage file: lower-case name -> value."""
    with open(path, "rb") as file:
        head = file.read(16384)
    fields = {}
    for line in head.split(b"\n"):
        text = line.decode("ascii", "replace").strip("\r ")
        if not text:
            break  # NRRD: the header ends with an empty line
        key, mark, value = text.partition(":=" if ":=" in text else ":" if head[:4] == b"NRRD" else "=")
        if mark:
            fields[key.strip().lower()] = value.strip()
        if key.strip().lower() == "elementdatafile":
            break
    return fields


def _states_orientation(fields: dict[str, str]) -> bool:
    keys = ("space", "transformmatrix", "orientation", "rotation")
    return any(fields.get(key) for key in keys) and not fields.get("space", "").lower().startswith("scanner")


def _zlib_sound(path: Path, fields: dict[str, str]) -> bool:
    """Whether compressed MetaImage data unpack to their check sum (ITK passes damage on in silence)."""
    target = fields.get("elementdatafile", "")
    if target.lower() == "local":
        raw = path.read_bytes()
        start = raw.lower().find(b"elementdatafile")
        raw = raw[raw.find(b"\n", start) + 1 :]
    elif (path.parent / target).is_file():
        raw = (path.parent / target).read_bytes()
    else:
        return False
    try:
        unpacker = zlib.decompressobj(47)  # zlib or gzip
        unpacker.decompress(raw)
        return unpacker.eof
    except zlib.error:
        return False


def _without_metadata(image: sitk.Image) -> sitk.Image:
    for key in image.GetMetaDataKeys():
        image.EraseMetaData(key)
    return image


def write_image(image: sitk.Image, path: str | Path, overwrite: bool = False) -> Path:
    """Write an image under a temporary name in the same folder, then rename it.

    Nothing but voxels and geometry is written: no text fields. NIfTI files carry the geometry as
    qform and as sform (code 1 both).

    Args:
        image: 3D image.
        path: Target; its suffix decides the format (NIfTI, NRRD, MetaImage ``.mha``).
        overwrite: Replace an existing file.

    Raises:
        OutputError: The file exists, or cannot be written.
    """
    path = Path(path)
    suffix = next((s for s in (".nii.gz", ".nii", ".nrrd", ".mha") if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise OutputError(
            f"'{path.name}' has no suffix that is written here.", "Use .nii.gz, .nii, .nrrd or .mha."
        )
    if path.exists() and not overwrite:
        raise OutputError(
            f"'{path.name}' exists already.", "Choose another output folder, or allow overwriting."
        )
    if image.GetMetaDataKeys():
        # A new image: the text fields of `sitk.Image(image)` would be shared with the caller's.
        clean = sitk.GetImageFromArray(sitk.GetArrayViewFromImage(image))
        clean.CopyInformation(image)
        image = clean
    with replacing(path, overwrite, suffix) as temporary:
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(temporary))
        writer.SetUseCompression(True)
        writer.SetCompressionLevel(1)
        writer.Execute(image)
        if (
            suffix in (".nii", ".nii.gz")
            and _nifti_length(temporary) != (_NIFTI_HEADER + _bytes_of(image)) % 2**32
        ):
            raise OSError  # ITK does not notice a full disk when it writes NIfTI
    return path


def _bytes_of(image: sitk.Image) -> int:
    return image.GetNumberOfPixels() * image.GetSizeOfPixelComponent() * image.GetNumberOfComponentsPerPixel()


def _nifti_length(path: Path) -> int:
    """Bytes of a file, unpacked; for gzip what its last four bytes state (modulo 2**32)."""
    if path.suffix != ".gz":
        return path.stat().st_size
    with open(path, "rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")


def geometry_dict(image: sitk.Image) -> dict[str, list]:
    """Size (x, y, z), spacing (mm), origin (LPS mm) and direction (3 rows, LPS) for a JSON file."""
    return {
        "size": [int(v) for v in image.GetSize()],
        "spacing_mm": [float(v) for v in image.GetSpacing()],
        "origin_lps_mm": [float(v) for v in image.GetOrigin()],
        "direction_lps": np.reshape(image.GetDirection(), (3, 3)).tolist(),
    }
