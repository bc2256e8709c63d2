"""Reading, checking, turning and writing images. `SimpleITK.Image` is the volume type.

World coordinates are LPS mm, as in SimpleITK; arrays are (z, y, x).
"""

from __future__ import annotations

import itertools
import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .dicom import read_series
from .errors import InputError, OutputError
from .imagecheck import check_image
from .nifti import read_nifti

__all__ = [
    "SUFFIXES",
    "Scan",
    "canonical_axes",
    "check_image",
    "geometry_dict",
    "image_stem",
    "read_image",
    "read_scan",
    "write_image",
]

#: Files that are read; a folder is taken for a DICOM series.
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass
class Scan:
    """A scan that passed the checks, what was noticed on the way, and where it came from."""

    image: sitk.Image
    warnings: list[str] = field(default_factory=list)
    source: str = ""


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
        The 3D image (integers as stored, or float32) and warnings in words.

    Raises:
        InputError: The scan cannot be used, with cause and remedy.
    """
    path = Path(path)
    try:
        if path.is_dir():
            image, warnings = read_series(path, series)
        elif not path.exists():
            raise InputError(f"'{path.name}' does not exist.", "Check the path.")
        else:
            image, warnings = _read_file(path, region)
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
    image, more = check_image(image, region)
    return Scan(image, warnings + more, str(path))


def read_image(path: str | Path, region: bool = False, series: str | int | None = None) -> sitk.Image:
    """The image of :func:`read_scan` alone."""
    return read_scan(path, region, series).image


def _read_file(path: Path, region: bool) -> tuple[sitk.Image, list[str]]:
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


def _read_with_itk(path: Path, region: bool) -> tuple[sitk.Image, list[str]]:
    """NRRD and MetaImage: what ITK reads, with the checks it leaves out."""
    if path.stat().st_size == 0:
        raise InputError(f"'{path.name}' is empty.", "Copy or export the scan again.")
    damaged = InputError(
        f"'{path.name}' cannot be read: it is damaged, truncated, or its data file is missing.",
        "Copy or export the scan again.",
    )
    warnings = []
    fields = _header_fields(path)
    if not _states_orientation(fields):
        if not region:
            raise InputError(
                f"'{path.name}' does not say how the head lies in it: left and right cannot be told.",
                "Convert the scan again from DICOM, or save it from 3D Slicer.",
            )
        warnings.append("The file states no orientation: axes are taken as left, posterior, superior.")
    if fields.get("compresseddata", "").lower() == "true" and not _zlib_sound(path, fields):
        raise damaged
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if len([s for s in reader.GetSize() if s > 1]) > 3:
            raise InputError(
                f"'{path.name}' is 4D: it holds several volumes.", "Give one volume, the T1 image."
            )
        return _without_metadata(reader.Execute()), warnings
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


def canonical_axes(image: sitk.Image) -> tuple[sitk.Image, Callable[[sitk.Image], sitk.Image]]:
    """Turn the stored axes, without interpolation, so that they run to Right, Anterior, Superior.

    The permutation and flips that bring the array axes x, y, z closest to those directions (best
    assignment over all three, from the direction cosines alone), hence independent of how the file
    was stored, for oblique images too.

    Args:
        image: 3D image, any pixel type, any orientation.

    Returns:
        The turned image (the same world geometry; the same object where nothing is to be done) and
        ``restore(image)``, which brings an image on the turned grid back to the stored one exactly.
    """
    order, flips = _turn(np.reshape(image.GetDirection(), (3, 3)))
    if order == (0, 1, 2) and not any(flips):
        return image, lambda other: other

    def restore(other: sitk.Image) -> sitk.Image:
        back = tuple(order.index(axis) for axis in range(3))
        view = sitk.GetArrayViewFromImage(other)
        view = view[tuple(slice(None, None, -1 if flip else 1) for flip in flips[::-1])]
        restored = sitk.GetImageFromArray(_contiguous(view.transpose(_array_order(back))))
        if restored.GetSize() != image.GetSize():
            raise ValueError("restore() needs an image on the turned grid")
        restored.CopyInformation(image)
        return restored

    view = sitk.GetArrayViewFromImage(image).transpose(_array_order(order))
    view = view[tuple(slice(None, None, -1 if flip else 1) for flip in flips[::-1])]
    turned = sitk.GetImageFromArray(_contiguous(view))
    size, spacing = image.GetSize(), image.GetSpacing()
    direction = np.reshape(image.GetDirection(), (3, 3))[:, order] * np.where(flips, -1.0, 1.0)
    corner = [0] * 3
    for axis, flip in zip(order, flips, strict=True):
        corner[axis] = size[axis] - 1 if flip else 0
    turned.SetSpacing([spacing[axis] for axis in order])
    turned.SetDirection(direction.ravel().tolist())
    turned.SetOrigin(image.TransformIndexToPhysicalPoint(corner))
    return turned, restore


def _turn(direction: np.ndarray) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """For each turned axis x, y, z: which stored axis it is, and whether it is flipped."""
    ras = np.diag([-1.0, -1.0, 1.0]) @ direction

    def turned(order):
        columns = ras[:, order]
        return columns * np.where(np.diag(columns) < 0, -1.0, 1.0)

    def merit(order):
        # The trace; at a tie (45 degrees) the turned matrix itself decides, whatever was stored.
        matrix = turned(order)
        return round(float(np.trace(matrix)), 4), tuple(np.round(matrix, 3).ravel() + 0.0)

    order = max(itertools.permutations(range(3)), key=merit)
    return order, tuple(bool(v < 0) for v in np.diag(ras[:, order]))


def _array_order(order: tuple[int, ...]) -> tuple[int, ...]:
    """The transposition of an array (z, y, x) that permutes image axes (x, y, z) by ``order``."""
    return tuple(2 - axis for axis in reversed(order))


def _contiguous(view: np.ndarray, block: int = 32) -> np.ndarray:
    """A contiguous copy; a transposed one is made block by block, which the cache likes better."""
    fast = int(np.argmin(np.abs(view.strides)))
    if fast == 2:
        return np.ascontiguousarray(view)
    out = np.empty(view.shape, view.dtype)
    for i in range(0, view.shape[fast], block):
        for j in range(0, view.shape[2], block):
            part = [slice(None)] * 3
            part[fast], part[2] = slice(i, i + block), slice(j, j + block)
            out[tuple(part)] = view[tuple(part)]
    return out


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
        image = _without_metadata(sitk.Image(image))
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".hipposeg-", suffix=suffix, dir=path.parent)
        os.close(handle)
        _write(image, temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except (OSError, RuntimeError):
        raise OutputError(
            f"'{path.name}' cannot be written.",
            "Check that the folder exists, is writable and has space left.",
        ) from None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.remove(temporary)
    return path


def _write(image: sitk.Image, path: str) -> None:
    writer = sitk.ImageFileWriter()
    writer.SetFileName(path)
    writer.SetUseCompression(True)
    writer.SetCompressionLevel(1)
    writer.Execute(image)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def geometry_dict(image: sitk.Image) -> dict[str, list]:
    """Size (x, y, z), spacing (mm), origin (LPS mm) and direction (3 rows, LPS) for a JSON file."""
    return {
        "size": [int(v) for v in image.GetSize()],
        "spacing_mm": [float(v) for v in image.GetSpacing()],
        "origin_lps_mm": [float(v) for v in image.GetOrigin()],
        "direction_lps": np.reshape(image.GetDirection(), (3, 3)).tolist(),
    }
