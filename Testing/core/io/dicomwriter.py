"""Writes small DICOM series, sound ones and changed ones, with pydicom; reads them with ITK to compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

MR_STORAGE, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
COUNT = 16
#: What no message may contain.
SECRETS = ("Doe", "Jane", "SECRET", "1970", "1.2.3", "Hidden")

Change = Callable[[FileDataset, int], None]


def volume(seed: int = 0, count: int = COUNT) -> np.ndarray:
    """A noisy block in noise: (slice, row, column), uint16, at most 12 bits."""
    rng = np.random.default_rng(seed)
    array = rng.normal(60, 8, (count, 24, 22)).clip(0)
    array[3:-3, 3:-3, 3:-3] = rng.normal(500, 60, (count - 6, 18, 16))
    return array.astype(np.uint16)


def positions(count: int = COUNT) -> list[tuple[float, float, float]]:
    """Sagittal slices from right to left, 6 mm apart."""
    return [(-48.0 + 6 * k, -70.0, 80.0) for k in range(count)]


def dataset(
    pixels: np.ndarray, position: Sequence[float], syntax: str = ExplicitVRLittleEndian
) -> FileDataset:
    """One slice (row, column) of 5.8 mm between rows and 5.4 mm between columns, not yet written."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MR_STORAGE
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = syntax
    order = {"is_implicit_VR": UID(syntax).is_implicit_VR, "is_little_endian": UID(syntax).is_little_endian}
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128, **order)
    data.SOPClassUID, data.SOPInstanceUID = MR_STORAGE, meta.MediaStorageSOPInstanceUID
    data.StudyDate = "19700102"
    data.PatientName, data.PatientID, data.PatientBirthDate = "Doe^Jane", "SECRET1", "19700101"
    data.SeriesDescription = "T1 of Jane Doe"
    data.Modality, data.SeriesNumber = "MR", 7
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    data.FrameOfReferenceUID = "1.2.3.5"
    data.ImagePositionPatient = [f"{v:.6f}" for v in position]
    data.ImageOrientationPatient = [f"{v:.6f}" for v in SAGITTAL]
    data.PixelSpacing = [5.8, 5.4]
    data.SliceThickness = 6
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape[:2]
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    return data


def write_series(
    folder: Path,
    array: np.ndarray | None = None,
    change: Change | None = None,
    syntax: str = ExplicitVRLittleEndian,
    **tags: object,
) -> Path:
    """Write a series, one file per slice, names in the order of positions.

    Args:
        folder: Made where it is not there.
        array: (slice, row, column); :func:`volume` where not given.
        change: Called with each data set and its number before it is written.
        syntax: Transfer syntax of uncompressed pixel data.
        tags: Elements of every slice, by keyword; None deletes one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    array = volume() if array is None else array
    for index, (pixels, position) in enumerate(zip(array, positions(len(array)), strict=True)):
        data = dataset(pixels, position, syntax)
        data.InstanceNumber = index + 1
        for keyword, value in tags.items():
            if value is None:
                delattr(data, keyword)
            else:
                setattr(data, keyword, value)
        if change is not None:
            change(data, index)
        data.save_as(folder / f"IM{index + 1:04d}", enforce_file_format=True)
    return folder


def enhanced(array: np.ndarray | None = None, change: Change | None = None) -> FileDataset:
    """An enhanced multi-frame data set; `change` is called with each frame's item and its number."""
    array = volume() if array is None else array
    data = dataset(array[0], (0, 0, 0))
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = ENHANCED_MR
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(data, keyword)
    data.NumberOfFrames, data.PixelData = len(array), array.tobytes()
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [5.8, 5.4], 6
    orientation.ImageOrientationPatient = list(SAGITTAL)
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    data.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index, position in enumerate(positions(len(array))):
        place, content = Dataset(), Dataset()
        place.ImagePositionPatient = list(position)
        content.StackID, content.InStackPositionNumber = "1", index + 1
        content.DimensionIndexValues = [1, index + 1]
        frame = Dataset()
        frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
        if change is not None:
            change(frame, index)
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = frames
    return data


def read_with_itk(folder: Path) -> sitk.Image:
    """The series as ITK reads it, float64, slices in the reversed order of names (from left to right)."""
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(path) for path in sorted(folder.iterdir(), reverse=True)])
    reader.SetOutputPixelType(sitk.sitkFloat64)
    return reader.Execute()
