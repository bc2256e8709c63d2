"""What the headers of a series say of its pixel data: grey values, fully described, without contradiction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..errors import InputError
from .dicom_compressed import COMPRESSED
from .dicom_slice import PixelFormat, Slice
from .dicom_stack import CONVERT, EXPORT, faulty
from .voxels import MAX_BYTES

#: Transfer syntaxes in which integers lie one after the other (a deflated file counts as unpacked).
_NATIVE = frozenset(("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"))
_GREY = ("MONOCHROME1", "MONOCHROME2")
#: Field -> whether it is missing, or cannot be for a grey-value image; each supposes those before it.
_IMPOSSIBLE: dict[str, Callable[[PixelFormat], bool]] = {
    "Rows": lambda f: not 0 < f.rows < 1 << 16,
    "Columns": lambda f: not 0 < f.columns < 1 << 16,
    "SamplesPerPixel": lambda f: f.samples != 1,
    "PhotometricInterpretation": lambda f: f.photometric not in _GREY,
    "BitsAllocated": lambda f: f.bits_allocated not in (8, 16, 32),
    "BitsStored": lambda f: not 0 < f.bits_stored <= f.bits_allocated,
    "HighBit": lambda f: f.high_bit != f.bits_stored - 1,
    "PixelRepresentation": lambda f: f.signed not in (0, 1),
}
#: Integer types in the order in which the smallest that holds a rescaled range is taken.
_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)


def check_formats(slices: Sequence[Slice]) -> None:
    """Refuse what is no stack of grey values, and a description that lacks a field or contradicts itself.

    Raises:
        InputError: As said.
    """
    if any(s.format.samples > 1 or "RGB" in s.format.photometric for s in slices):
        raise InputError("The DICOM series holds colour images.", "Give the T1 series itself.", "colour")
    for field, wrong in _IMPOSSIBLE.items():
        where = faulty(slices, partial(_format_is, wrong))
        if where:
            raise InputError(
                f"{field} is missing, or is none that a grey-value image can have, in {where} of the DICOM "
                "series.",
                CONVERT,
                "dicom_field",
            )
    _check_rescaling(slices)
    voxels = len(slices) * max(s.format.rows for s in slices) * max(s.format.columns for s in slices)
    most = MAX_BYTES // result_type(slices).itemsize
    if voxels > most:
        raise InputError(
            f"The DICOM series has {voxels / 1e6:.0f} million voxels, more than are read here "
            f"({most / 1e6:.0f} million).",
            "Give the T1 series itself, or resample it to larger voxels.",
            "too_large",
        )
    if any(s.place.keyword != "PixelData" for s in slices):
        raise InputError("The DICOM series holds floating-point pixel data.", CONVERT, "pixel_format")
    where = faulty(slices, lambda s: s.place.syntax not in _NATIVE and s.place.syntax not in COMPRESSED)
    if where:
        raise InputError(
            f"The pixel data of the DICOM series are stored in a way that is not read here (in {where}).",
            CONVERT,
            "pixel_format",
        )
    for one in slices:
        if one.place.syntax in _NATIVE:
            _check_length(one)


def _format_is(wrong: Callable[[PixelFormat], bool], one: Slice) -> bool:
    return wrong(one.format)


def _rescaling_lacks(field: str, one: Slice) -> bool:
    return one.rescale.unusable == field


def _has_no_slope(one: Slice) -> bool:
    return one.rescale.slope is None


def _has_no_intercept(one: Slice) -> bool:
    return one.rescale.intercept is None


def _check_rescaling(slices: Sequence[Slice]) -> None:
    for field in ("RescaleSlope", "RescaleIntercept"):
        where = faulty(slices, partial(_rescaling_lacks, field))
        if where:
            raise InputError(
                f"{field} is no usable number in {where} of the DICOM series.", EXPORT, "dicom_field"
            )
    for field, absent, stated in (
        ("RescaleSlope", _has_no_slope, any(s.rescale.values[0] != 1 for s in slices)),
        ("RescaleIntercept", _has_no_intercept, any(s.rescale.values[1] != 0 for s in slices)),
    ):
        where = faulty(slices, absent)
        if where and stated:
            raise InputError(
                f"{field} is missing in {where} of the DICOM series, but is stated in others.",
                EXPORT,
                "dicom_field",
            )
    if any(s.rescale.table for s in slices):
        raise InputError(
            "The values of the DICOM series are to be looked up in a table (ModalityLUTSequence).",
            CONVERT,
            "pixel_format",
        )
    photometric = {s.format.photometric for s in slices}
    values = {(*s.rescale.values, s.format.bits_stored) for s in slices}
    if len(photometric) > 1 or (photometric == {"MONOCHROME1"} and len(values) > 1):
        raise InputError(
            "PhotometricInterpretation differs between the slices of the DICOM series, or inverts slices "
            "that are rescaled differently.",
            CONVERT,
            "pixel_format",
        )


def _check_length(one: Slice) -> None:
    """Uncompressed pixel data must hold what the header describes, but for a padding of less than a row."""
    form = one.format
    size = form.bits_allocated // 8
    needed = form.rows * form.columns * size * one.frames
    held = -1 if one.place.length is None else min(one.place.length, one.place.room)
    if held < needed:
        there = (
            f"holds {max(held, 0)} bytes of pixel data" if held >= 0 else "holds pixel data without a length"
        )
        raise InputError(
            f"The DICOM series is damaged: {one.name} {there}; Rows, Columns and BitsAllocated describe "
            f"{needed}.",
            "Copy or export the series again.",
            "truncated",
        )
    if held - needed >= min(form.rows, form.columns) * size:
        raise InputError(
            f"The DICOM series is damaged: {one.name} holds {held} bytes of pixel data; Rows, Columns and "
            f"BitsAllocated describe only {needed}.",
            CONVERT,
            "too_long",
        )


def result_type(slices: Sequence[Slice]) -> np.dtype:
    """The stored type if nothing is rescaled, an integer type if whole numbers are added, else float32."""
    stored = {np.dtype(f"{'i' if s.format.signed else 'u'}{s.format.bits_allocated // 8}") for s in slices}
    rescaled = {s.rescale.values for s in slices}
    if rescaled == {(1.0, 0.0)}:
        kind = np.result_type(*stored)
        return kind if kind.itemsize <= 4 else np.dtype(np.float32)
    if all(slope == 1 and intercept == round(intercept) for slope, intercept in rescaled):
        low, high = [], []
        for one in slices:
            bits, offset = one.format.bits_stored, int(one.rescale.values[1])
            low.append((-(1 << bits - 1) if one.format.signed else 0) + offset)
            high.append(((1 << bits - 1) if one.format.signed else (1 << bits)) - 1 + offset)
        for integer in _INTEGERS:
            if np.iinfo(integer).min <= min(low) and max(high) <= np.iinfo(integer).max:
                return np.dtype(integer)
    return np.dtype(np.float32)
