"""The content of a DICOM file as it is parsed: the file itself, or in memory where it is deflated."""

from __future__ import annotations

import contextlib
import io
import os
import zlib
from typing import BinaryIO

#: Most bytes that a deflated file may unpack to.
MAX_INFLATED = 1 << 28

DEFLATED, _EXPLICIT = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.1"


def open_content(path: str) -> BinaryIO:
    """The file, or its content in memory where it is deflated (written as explicit little endian).

    Raises:
        OSError: It cannot be read.
    """
    file = open(path, "rb")  # noqa: SIM115 (handed on open)
    head = file.read(4096)
    if DEFLATED.encode() not in head:
        file.seek(0)
        return file
    with file:
        start = _end_of_meta_group(head)
        padded = _EXPLICIT.encode().ljust(len(DEFLATED), b"\0")
        content = io.BytesIO(head[:start].replace(DEFLATED.encode(), padded))
        content.seek(0, os.SEEK_END)
        file.seek(start)
        _inflate(file, content)
    content.seek(0)
    return content


def _end_of_meta_group(head: bytes) -> int:
    """Where the elements of group 2 end; all of ``head`` where they cannot be read."""
    from pydicom.filereader import data_element_generator

    source = io.BytesIO(head)
    source.seek(132)
    try:
        for _ in data_element_generator(source, False, True, stop_when=lambda tag, *_: tag >> 16 != 2):
            pass
    except Exception:  # whatever pydicom meets in a damaged header
        return len(head)
    return source.tell()


def _inflate(file: BinaryIO, content: BinaryIO) -> None:
    """Append what the rest of a file unpacks to; where it is damaged, what comes before the damage."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    with contextlib.suppress(zlib.error):
        while not unpacker.eof:
            packed = unpacker.unconsumed_tail or file.read(1 << 16)
            piece = unpacker.decompress(packed, 1 << 20)
            if content.tell() + len(piece) > MAX_INFLATED or not (packed or piece):
                break
            content.write(piece)
