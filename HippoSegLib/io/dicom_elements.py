"""The data elements of a DICOM file up to its pixel data, through pydicom, with bounds.

A header is read element by element, and what was read before a damage is kept: it tells which series a
damaged file belongs to. Values that are not wanted are passed over unread. Text that is no plain decimal
number (`abc`, `nan`, `0,9`, `1_0`) is no number.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from .dicom_content import open_content
from .dicom_slice import Place

#: Most bytes of one value, and most single reads, of a header; more is no header of a head scan.
MAX_VALUE, MAX_READS = 1 << 24, 600_000
META_SOP_CLASS, _SYNTAX = 0x00020002, 0x00020010
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_PIXEL_TAGS = {0x7FE00010: "PixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00008: "FloatPixelData"}
_UNDEFINED = 0xFFFFFFFF
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}


class HeaderError(Exception):
    """The header is damaged, truncated, or larger than any of a head scan."""


class _Bounded:
    """A file that refuses to be read without end, and in which a value that is cut off is a damage."""

    def __init__(self, file: BinaryIO):
        self._file, self._reads = file, 0
        self.tell = file.tell
        self.end = file.seek(0, os.SEEK_END)
        file.seek(0)

    def read(self, count: int = -1) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS or not 0 <= count <= MAX_VALUE:
            raise HeaderError
        data = self._file.read(count)
        if len(data) < count and (data or count > 8):  # a few are asked for where a file or an item may end
            raise HeaderError
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)


class Elements:
    """Data elements by tag: what pydicom read, with access that never raises on a wrong value."""

    def __init__(self, raw: dict[int, Any]):
        self._raw = raw

    @classmethod
    def of_item(cls, dataset: Any) -> Elements:
        """Of an item of a sequence."""
        return cls({int(tag): dataset.get_item(tag) for tag in dataset.keys()})  # noqa: SIM118

    def __contains__(self, tag: int) -> bool:
        return tag in self._raw

    def text(self, tag: int) -> str:
        """The value as text, without padding; empty where it is missing."""
        element = self._raw.get(tag)
        value = None if element is None else element.value
        if isinstance(value, (bytes, bytearray)):
            return value.decode("latin-1").strip(" \0")
        return "" if value is None else str(value).strip(" \0")

    def numbers(self, tag: int, count: int) -> tuple[float, ...] | None:
        """Exactly ``count`` finite numbers of a sensible size; None for everything else."""
        element = self._raw.get(tag)
        if element is None or element.value is None:
            return None
        values = _numbers(element, tag)
        if values is None or len(values) != count or not all(abs(v) < 1e9 for v in values):
            return None
        return tuple(values)

    def number(self, tag: int) -> float | None:
        values = self.numbers(tag, 1)
        return None if values is None else values[0]

    def integer(self, tag: int) -> int | None:
        value = self.number(tag)
        return int(value) if value is not None and value == int(value) else None

    def items(self, tag: int) -> list[Elements]:
        """The items of a sequence; none where it is missing.

        Raises:
            HeaderError: It cannot be read.
        """
        from pydicom.filereader import read_sequence

        element = self._raw.get(tag)
        if element is None:
            return []
        if not isinstance(element.value, (bytes, bytearray)):
            return [] if element.value is None else [self.of_item(item) for item in element.value]
        source = cast(BinaryIO, _Bounded(io.BytesIO(element.value)))
        implicit, little = element.is_implicit_VR, element.is_little_endian
        try:
            sequence = read_sequence(source, implicit, little, len(element.value), ["iso8859"])
            return [self.of_item(item) for item in sequence]
        except MemoryError:
            raise
        except Exception:  # whatever pydicom meets in a damaged value
            raise HeaderError from None


def _numbers(element: Any, tag: int) -> list[float] | None:
    value = element.value
    if not isinstance(value, (bytes, bytearray)):  # pydicom has converted it
        values = value if isinstance(value, (list, tuple)) else [value]
        return [float(v) for v in values] if all(isinstance(v, (int, float)) for v in values) else None
    code = _BINARY.get(_vr(element, tag))
    if code is not None:
        size = struct.calcsize(code)
        if len(value) % size:
            return None
        order = "<" if element.is_little_endian else ">"
        return [float(v) for v in struct.unpack(f"{order}{len(value) // size}{code}", value)]
    parts = [part.strip(" \0") for part in value.decode("latin-1").split("\\")]
    return [float(p) for p in parts] if all(p.isascii() and _NUMBER.fullmatch(p) for p in parts) else None


def _vr(element: Any, tag: int) -> str:
    """The value representation as written; that of the dictionary where the file does not write it."""
    if element.VR not in (None, "UN"):
        return element.VR
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


def read_elements(path: str, wanted: list[int]) -> tuple[Elements, Place | None, bool]:
    """The wanted elements of a file, where its pixel data lie, and whether the header could be read whole.

    Args:
        path: A regular file that looks like DICOM.
        wanted: Tags outside the file meta group; that group's are always read.

    Raises:
        OSError: The file cannot be opened or read.
    """
    raw: dict[int, Any] = {}
    place = None
    with open_content(path) as file:
        try:
            source = _Bounded(file)
            for element in _generate(source, raw, wanted):
                raw[int(element.tag)] = element
            place = raw.pop(-1, None)
        except Exception as error:  # whatever pydicom meets in a damaged header, a `RecursionError` included
            if _is_of_the_system(error):
                raise
            return Elements(raw), None, False
    return Elements(raw), place, True


def _is_of_the_system(error: Exception) -> bool:
    """Whether an error tells of the drive or of memory; an `OSError` without a number is pydicom's own."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None)


def _generate(bounded: _Bounded, raw: dict[int, Any], wanted: list[int]) -> Iterator[Any]:
    """Elements of the meta group and the wanted ones; the place of the pixel data is left at key -1."""
    from pydicom.filereader import data_element_generator

    source = cast(BinaryIO, bounded)
    source.seek(128)
    if source.read(4) != b"DICM":
        source.seek(0)
    start = source.tell()
    if source.read(2) == b"\x02\0":
        source.seek(start)
        yield from data_element_generator(source, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    else:
        source.seek(start)
    syntax = Elements(raw).text(_SYNTAX)
    implicit, little = _encoding(source, syntax)

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        keyword = _PIXEL_TAGS.get(int(tag))
        if keyword is None:
            return False
        stated, start = None if length == _UNDEFINED else length, source.tell()
        raw[-1] = Place(start, stated, bounded.end - start, syntax, vr or "OW", little, keyword)
        return True

    yield from data_element_generator(
        source, implicit, little, stop_when=at_pixels, defer_size=MAX_VALUE, specific_tags=wanted
    )


def _encoding(source: BinaryIO, syntax: str) -> tuple[bool, bool]:
    """Whether values lack their representation (implicit), and whether bytes are in little endian order.

    The transfer syntax states it; the first element decides where it is missing or contradicts.
    """
    start = source.tell()
    first = source.read(6)
    source.seek(start)
    written = first[4:6].isalpha() and first[4:6].isupper()
    if not written:
        return True, True
    if syntax == _BIG_ENDIAN or (not syntax and first[0] == 0 and first[1] != 0):
        return False, False
    return False, True
