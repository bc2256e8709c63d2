"""A DICOM folder: one series of evenly spaced slices, or a sentence that says what is in the way.

Sorted by position, not by file name. Nothing that could name a patient is read into a message:
series are told apart by number, modality and count of slices.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..flags import Flag

_SERIES_UID, _SERIES_NUMBER, _MODALITY = "0020|000e", "0020|0011", "0008|0060"
_POSITION, _ORIENTATION, _TILT, _FRAMES = "0020|0032", "0020|0037", "0018|1120", "0028|0008"
_DISTANCE, _SLOPE = "0018|0088", "0028|1053"

#: How far slices may stray, as a part of the slice distance, and at least mm.
_UNEVEN, _UNEVEN_MM = 0.02, 0.02
#: How far the stack may lean away from the slices' normal (gantry tilt), as a sine.
_TILT_SINE = 0.005


@dataclass
class Slice:
    path: str
    series: str
    number: str
    modality: str
    size: tuple[float, ...]  # columns, rows, values per pixel, pixel spacing in x and y (mm)
    position: np.ndarray | None  # (3,) LPS mm
    orientation: np.ndarray | None  # (2, 3) unit vectors along rows and columns
    tilt: float  # degrees
    frames: int
    distance: float  # mm between slices as stated; 0 where it is not
    slope: float  # of the rescaling to be applied to the stored integers


def read_series(folder: str | Path, series: str | int | None = None) -> tuple[sitk.Image, list[Flag]]:
    """Read the DICOM series of a folder (not of its subfolders).

    Args:
        folder: The folder that holds the slices; other files in it are ignored.
        series: Which series, where there are several: its number as the error message lists it.

    Returns:
        A 3D image (int16, or float32 where the slices carry a rescaling) and flags.

    Raises:
        InputError: No DICOM image, several series, missing or unevenly spaced slices, tilted gantry,
            enhanced multi-frame files, colour images.
    """
    folder = Path(folder)
    slices = _scan(folder)
    if not slices:
        raise InputError(
            f"The folder '{folder.name}' holds no DICOM image.",
            "Give the folder that holds the slices themselves.",
        )
    chosen = _choose(slices, folder.name, series)
    spacing_z = _check(chosen)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([s.path for s in chosen])
    if any(s.slope != 1 for s in chosen):
        reader.SetOutputPixelType(sitk.sitkFloat32)  # else the first slice's type would hold for all
    try:
        image = reader.Execute()
    except RuntimeError:
        raise InputError(
            f"The slices in the folder '{folder.name}' cannot be read: one of them is damaged or compressed "
            "in an unsupported way.",
            "Export the series again, or convert it to NIfTI with dcm2niix.",
        ) from None
    rows, columns = chosen[0].orientation
    image.SetSpacing([*image.GetSpacing()[:2], spacing_z])
    image.SetOrigin(chosen[0].position.tolist())
    image.SetDirection(np.stack([rows, columns, np.cross(rows, columns)], axis=1).ravel().tolist())
    flags = []
    if spacing_z > 1.5 * chosen[0].distance > 0:
        text = (
            f"The DICOM slices lie {spacing_z:.3g} mm apart, but the series states "
            f"{chosen[0].distance:.3g} mm: slices may be missing."
        )
        flags.append(Flag("slices_missing", text))
    return image, flags


def _scan(folder: Path) -> list[Slice]:
    """Every DICOM image of the folder; files of other kinds, and DICOM without an image, left out."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    slices = []
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if not entry.is_file() or not _looks_like_dicom(entry.path):
            continue
        reader.SetFileName(entry.path)
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            continue
        slices.append(_slice(reader, entry.path))
    return slices


def _looks_like_dicom(path: str) -> bool:
    with open(path, "rb") as file:
        head = file.read(132)
    # With the preamble of the standard, or a bare data set that starts with group 8 (or 2).
    return head[128:132] == b"DICM" or head[:4] in (
        b"\x08\x00\x00\x00",
        b"\x08\x00\x05\x00",
        b"\x08\x00\x08\x00",
        b"\x02\x00\x00\x00",
    )


def _slice(reader: sitk.ImageFileReader, path: str) -> Slice:
    def tag(key: str) -> str:
        return reader.GetMetaData(key).strip(" \0") if reader.HasMetaDataKey(key) else ""

    def numbers(key: str, count: int) -> np.ndarray | None:
        try:
            values = np.array([float(v) for v in tag(key).split("\\")])
        except ValueError:
            return None
        return values if len(values) == count and np.isfinite(values).all() else None

    orientation = numbers(_ORIENTATION, 6)
    if orientation is not None:
        orientation = orientation.reshape(2, 3)
        norms = np.linalg.norm(orientation, axis=1, keepdims=True)
        orientation = orientation / norms if (norms > 0).all() else None

    def number(key: str, default: float) -> float:
        values = numbers(key, 1)
        return default if values is None else float(values[0])

    return Slice(
        path=path,
        series=tag(_SERIES_UID),
        number=tag(_SERIES_NUMBER),
        modality=tag(_MODALITY),
        size=(
            *reader.GetSize()[:2],
            reader.GetNumberOfComponents(),
            *(round(v, 4) for v in reader.GetSpacing()[:2]),
        ),
        position=numbers(_POSITION, 3),
        orientation=orientation,
        tilt=number(_TILT, 0.0),
        frames=int(number(_FRAMES, 1)),
        distance=number(_DISTANCE, 0.0),
        slope=number(_SLOPE, 1.0),
    )


def _choose(slices: list[Slice], folder: str, series: str | int | None) -> list[Slice]:
    groups = defaultdict(list)
    for item in slices:
        groups[item.series].append(item)
    names = _names(groups)
    listing = ", ".join(
        f"{name} ({groups[uid][0].modality or 'unknown modality'}, {_count(groups[uid])})"
        for name, uid in names.items()
    )
    if series is not None:
        if str(series) not in names:
            raise InputError(f"The folder '{folder}' has no series {series}.", f"It holds series {listing}.")
        return groups[names[str(series)]]
    if len(groups) > 1:
        raise InputError(
            f"The folder '{folder}' holds {len(groups)} DICOM series: {listing}.",
            "Say which one to use by its number, or put it in a folder of its own.",
        )
    return slices


def _count(group: list[Slice]) -> str:
    return f"{len(group)} image{'s' if len(group) > 1 else ''}"


def _names(groups: dict[str, list[Slice]]) -> dict[str, str]:
    """Series number -> UID; where a number is shared or absent, a letter tells them apart."""
    by_number = defaultdict(list)
    for uid, group in groups.items():
        by_number[group[0].number or "0"].append(uid)
    names = {}
    for number in sorted(by_number, key=lambda n: (len(n), n)):
        uids = sorted(by_number[number])
        for index, uid in enumerate(uids):
            names[number if len(uids) == 1 else f"{number}{chr(ord('a') + index % 26)}"] = uid
    return names


def _check(slices: list[Slice]) -> float:
    """Sort the slices by position, in place, and return their distance in mm."""
    convert = "Convert it to NIfTI with dcm2niix and give that file."
    first = slices[0]
    if any(s.frames > 1 for s in slices):
        raise InputError(
            "The DICOM series is stored as enhanced multi-frame, which is not read here.", convert
        )
    if any(s.size[2] != 1 for s in slices):
        raise InputError("The DICOM series holds colour images.", "Give the T1 series itself.")
    if len(slices) == 1:
        raise InputError(
            "The DICOM series is a single slice.", "Give the folder with all slices of the series."
        )
    if any(s.position is None or s.orientation is None for s in slices):
        raise InputError("The DICOM slices do not state where they lie.", "Export the original series again.")
    if any(s.size != first.size or np.abs(s.orientation - first.orientation).max() > 1e-3 for s in slices):
        raise InputError(
            "The DICOM series mixes slices of different size or orientation (a localiser, perhaps).",
            "Give the T1 series itself.",
        )
    rows, columns = first.orientation
    if abs(rows @ columns) > 1e-3:
        raise InputError(
            "The DICOM slices have axes that are not at right angles.", "Export the series again."
        )
    normal = np.cross(rows, columns)
    slices.sort(key=lambda s: float(s.position @ normal))
    positions = np.array([s.position for s in slices])
    steps = np.diff(positions, axis=0)
    heights = steps @ normal
    distance = float(np.median(heights))
    if heights.min() < 0.01 * max(distance, 1.0):
        raise InputError(
            "The DICOM series has several images at one position (echoes, time points or a repeated export).",
            "Export one volume, the T1 image, to a folder of its own.",
        )
    stray = np.abs(heights - distance)
    if stray.max() > max(_UNEVEN * distance, _UNEVEN_MM):
        ratio = heights / distance
        if (np.abs(ratio - np.round(ratio)) < 0.1).all():
            missing = int(np.round(ratio).sum()) - len(heights)
            raise InputError(
                f"The DICOM series has gaps: {missing} slice{'s are' if missing > 1 else ' is'} missing.",
                "Export the complete series again.",
            )
        raise InputError("The DICOM series has unevenly spaced slices.", "Give an evenly spaced T1 series.")
    leaning = np.linalg.norm((positions[-1] - positions[0]) - heights.sum() * normal) / heights.sum()
    if leaning > _TILT_SINE or any(abs(s.tilt) > 0.5 for s in slices):
        raise InputError("The DICOM series was taken with a tilted gantry (the stack leans).", convert)
    return float(heights.mean())
