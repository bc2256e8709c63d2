"""Compressed pixel data: unpacked by pydicom's decoders where it has one, else by ITK.

What a stream says of its own size is compared with the header before anything is unpacked, and a stream that
ends early is refused: decoders fill what is missing with whatever they like.
"""

from __future__ import annotations

import os
import struct
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .dicom_slice import Slice
from .staging import staging_folder

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_RLE = "1.2.840.10008.1.2.5"
_JPEG = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81))
_JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203))
#: Transfer syntaxes of compressed still images.
COMPRESSED = frozenset((_RLE, *_JPEG, *_JPEG_2000))
_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_MR_STORAGE = "1.2.840.10008.5.1.4.1.1.4"


def decode_frames(slices: Sequence[Slice]) -> Iterator[np.ndarray]:
    """The stored integers (row, column) of slices from one file, in their order.

    Raises:
        InputError: A stream is damaged, or there is no decoder for it. OSError: The file cannot be read.
    """
    streams = _streams(slices[0])
    for one in slices:
        stream = streams[one.frame] if one.frame < len(streams) else b""
        if not _sound(one, stream):
            raise InputError(
                f"The DICOM series is damaged: the compressed pixel data of {one.name} are truncated, or do "
                "not have the size that Rows and Columns state.",
                "Copy or export the series again, or convert it to NIfTI with dcm2niix.",
                "damaged",
            )
        yield _decode(one, stream)


def _streams(one: Slice) -> list[bytes]:
    """The compressed stream of each frame of a file; fewer where the pixel data are damaged."""
    form = one.format
    most = 2 * form.rows * form.columns * form.bits_allocated // 8 * one.frames + (1 << 20)
    if one.place.length is not None or one.place.room > most:
        return []
    with open(one.entry.path, "rb") as file:
        file.seek(one.place.offset)
        data = file.read(most)
    starts, parts, at = [], [], 0
    while data[at : at + 4] == _ITEM and len(data) >= at + 8:
        (length,) = struct.unpack("<I", data[at + 4 : at + 8])
        starts.append(at)
        parts.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    if data[at : at + 4] != _DELIMITER or len(parts) < 2:
        return []
    offsets, parts, first = parts[0], parts[1:], starts[1]
    if one.frames == 1:
        return [b"".join(parts)]
    if len(parts) == one.frames or len(offsets) != 4 * one.frames:
        return parts if len(parts) == one.frames else []
    bounds = [first + v for v in struct.unpack(f"<{one.frames}I", offsets)] + [at]
    return [
        b"".join(part for start, part in zip(starts[1:], parts, strict=True) if low <= start < high)
        for low, high in zip(bounds, bounds[1:], strict=False)
    ]


def _sound(one: Slice, stream: bytes) -> bool:
    """Whether a stream has the size that the header states, and an end."""
    size = (one.format.rows, one.format.columns)
    if one.place.syntax == _RLE:
        return len(stream) > 64 and struct.unpack("<I", stream[:4])[0] == one.format.bits_allocated // 8
    if not stream.rstrip(b"\0").endswith(b"\xff\xd9"):
        return False
    if one.place.syntax in _JPEG_2000:
        if not stream.startswith(b"\xff\x4f\xff\x51") or len(stream) < 42:
            return False
        right, bottom, left, top = struct.unpack(">4I", stream[8:24])
        return (bottom - top, right - left) == size and stream[40:42] == b"\0\1"
    return _jpeg_frame(stream) == (*size, 1)


def _jpeg_frame(stream: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components that a JPEG or JPEG-LS stream states."""
    at = 2
    while stream[:2] == b"\xff\xd8" and at + 10 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            return struct.unpack(">HHB", stream[at + 5 : at + 10])
        at += 1 if marker == 0xFF else 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
    return None


def _decode(one: Slice, stream: bytes) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = _dataset(one, stream)
        array: np.ndarray | None
        try:
            array = dataset.pixel_array
        except MemoryError:
            raise
        except Exception:  # no decoder is installed for it, or the stream is damaged
            array = None if one.place.syntax == _RLE else _decode_with_itk(dataset)
    if array is None or array.squeeze().shape != (one.format.rows, one.format.columns):
        raise InputError(
            f"The compressed pixel data of {one.name} of the DICOM series cannot be unpacked: they are "
            "damaged, or compressed in a way that is not read here.",
            "Convert it to NIfTI with dcm2niix and give that file.",
            "compressed",
        )
    kind = np.dtype(f"{'i' if one.format.signed else 'u'}{one.format.bits_allocated // 8}")
    return array.squeeze().astype(kind, copy=False)


def _dataset(one: Slice, stream: bytes) -> FileDataset:
    """A file's pixel data alone, with the few elements that describe them, as a data set of their own."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(_MR_STORAGE), UID("2.25.1")
    meta.TransferSyntaxUID = UID(one.place.syntax)
    dataset = FileDataset("", {}, bytes(128), meta, is_implicit_VR=False, is_little_endian=True)
    form = one.format
    dataset.SOPClassUID, dataset.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = form.rows, form.columns, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (
        form.bits_allocated,
        form.bits_stored,
        form.high_bit,
    )
    dataset.PixelRepresentation = form.signed
    dataset.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def _decode_with_itk(dataset: FileDataset) -> np.ndarray | None:
    # A killed run's is swept by the next one: it holds a patient's slice.
    with staging_folder(tempfile.gettempdir(), "slice") as folder:
        path = os.path.join(folder, "slice.dcm")
        dataset.save_as(path)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(path)
        try:
            return sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError:
            return None
