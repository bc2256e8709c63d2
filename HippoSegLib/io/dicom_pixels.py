"""The voxels of a stack of DICOM slices whose headers have passed the checks of `dicom_format`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from ..errors import InputError
from .dicom_compressed import COMPRESSED, decode_frames
from .dicom_content import open_content
from .dicom_format import result_type
from .dicom_slice import PixelFormat, Slice
from .dicom_stack import CONVERT

#: Group of the pixel data's element; so many bytes after them must be no image.
_PIXEL_GROUP, _LOOK_BEHIND = 0x7FE0, 512


def read_voxels(slices: Sequence[Slice]) -> tuple[np.ndarray, bool]:
    """The voxels of slices of one size, in their order, and whether they were stored inverted (MONOCHROME1).

    Returns:
        (slice, row, column): the integers as stored where nothing is to be rescaled, larger integers where
        only whole numbers are added, else float32.

    Raises:
        InputError: What is stored is not what the header describes, or is stored in a way that is not read.
    """
    inverted = slices[0].format.photometric == "MONOCHROME1"
    rows, columns = slices[0].format.rows, slices[0].format.columns
    rescaled = [s.rescale.values for s in slices]
    voxels = np.empty((len(slices), rows, columns), result_type(slices))
    order = sorted(range(len(slices)), key=lambda k: (slices[k].entry.path, slices[k].frame))
    for _, indices in groupby(order, key=lambda k: slices[k].entry.path):
        numbers = list(indices)
        for index, stored in zip(numbers, _stored([slices[k] for k in numbers]), strict=True):
            if inverted:
                stored = _highest(slices[index].format) - stored.astype(np.int64)
            slope, intercept = rescaled[index]
            if slope != 1 or intercept != 0:
                stored = stored.astype(np.float64) * slope + intercept
            voxels[index] = stored
    return voxels, inverted


def _stored(slices: Sequence[Slice]) -> Iterator[np.ndarray]:
    """The stored integers (row, column) of slices from one file, in their order."""
    if slices[0].place.syntax in COMPRESSED:
        for one, bits in zip(slices, decode_frames(slices), strict=True):
            yield _in_range(one, bits)
        return
    form, place = slices[0].format, slices[0].place
    kind = np.dtype(f"u{form.bits_allocated // 8}")
    length = form.rows * form.columns * kind.itemsize
    swapped = not place.little_endian and place.vr == "OW" and kind.itemsize == 1  # bytes in pairs
    with open_content(slices[0].entry.path) as file:
        for one in slices:
            file.seek(place.offset + one.frame * length)
            data = file.read(length + length % 2 * swapped)
            if len(data) < length:
                raise InputError(
                    f"The DICOM series is damaged: the pixel data of {one.name} cannot be read.",
                    "Copy or export the series again.",
                    "damaged",
                )
            if swapped:
                data = np.frombuffer(data, "u2").byteswap().tobytes()
            order = kind.newbyteorder("<" if place.little_endian else ">")
            array = np.frombuffer(data, order, form.rows * form.columns).astype(kind, copy=False)
            yield _in_range(one, array.reshape(form.rows, form.columns))
        file.seek(place.offset + (place.length or 0))
        if not _may_follow(file.read(_LOOK_BEHIND), place.little_endian):
            raise InputError(
                f"The DICOM series is damaged: the file of {slices[0].name} goes on after its pixel data "
                "with what is no DICOM element.",
                "Copy or export the series again, or convert it to NIfTI with dcm2niix.",
                "too_long",
            )


def _may_follow(rest: bytes, little_endian: bool) -> bool:
    """Whether bytes may follow pixel data: zeros, or an element of the same group or a later one.

    Else bytes were inserted before them, and what was read is shifted.
    """
    if len(rest) % 2:
        return False
    group = int.from_bytes(rest[:2], "little" if little_endian else "big")
    return not rest.strip(b"\0") or group >= _PIXEL_GROUP


def _in_range(one: Slice, bits: np.ndarray) -> np.ndarray:
    """The integers that the stored bits stand for.

    Raises:
        InputError: Bits above BitsStored are used, and not by an overlay: the values would be cut off.
    """
    form = one.format
    unused = form.bits_allocated - form.bits_stored
    signed = np.dtype(f"i{form.bits_allocated // 8}")
    bits = np.ascontiguousarray(bits).view(f"u{signed.itemsize}")
    if not unused:
        return bits.view(signed) if form.signed else bits
    cut = np.left_shift(bits, unused)  # and back: the sign is extended, or zeros are filled in
    values = np.right_shift(cut.view(signed) if form.signed else cut, unused)
    plain = np.right_shift(cut, unused)
    if not form.overlay and not (
        np.array_equal(values.view(bits.dtype), bits) or (form.signed and np.array_equal(plain, bits))
    ):
        raise InputError(
            f"The DICOM series contradicts itself: {one.name} holds values that need more bits than its "
            f"BitsStored ({form.bits_stored}).",
            CONVERT,
            "pixel_format",
        )
    return values


def _highest(form: PixelFormat) -> int:
    """The number that a stored value and its inverse add up to."""
    return -1 if form.signed else (1 << form.bits_stored) - 1
