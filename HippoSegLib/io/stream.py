"""The bytes of a file in pieces: never more of them in memory than asked for, unpacked where they are packed.

Only regular files are opened: reading a pipe, a device or a socket may never end.
"""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

from ..errors import InputError
from .names import shown

#: Bytes of a piece as it is unpacked, and as it is read from a packed file.
PIECE, PACKED_PIECE = 1 << 20, 1 << 16
#: A gzip file of many parts holds at least so many bytes per part, after the first ones.
_FREE_PARTS, _BYTES_PER_PART = 1000, 1024
_AGAIN = "Copy or export the scan again."
_GZIP = b"\x1f\x8b"
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        InputError: It is not a regular file, or empty. OSError: It cannot be opened.
    """
    _refuse_special(os.stat(path).st_mode, path)  # before it is opened: opening may act on a device
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.fdopen(os.open(path, flags), "rb", PACKED_PIECE)
    try:
        status = os.fstat(file.fileno())
        _refuse_special(status.st_mode, path)  # what was opened may be another file by now
        if status.st_size == 0:
            raise InputError(f"'{shown(path)}' is empty.", _AGAIN, "empty")
    except InputError:
        file.close()
        raise
    return file


def _refuse_special(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        kind = next((words for test, words in _KINDS if test(mode)), "a special file")
        raise InputError(
            f"'{shown(path)}' is {kind}, not a file that holds a scan.",
            "Give the file of the scan.",
            "not_a_file",
        )


def truncated(name: str) -> InputError:
    return InputError(f"'{name}' is truncated: part of the image is missing.", _AGAIN, "truncated")


def damaged(name: str, what: str) -> InputError:
    """``what`` completes the sentence: "'scan.nii' is damaged: ..."."""
    return InputError(f"'{name}' is damaged: {what}.", _AGAIN, "damaged")


class ByteStream:
    """Bytes of an open file from its present place on, unpacked.

    Args:
        file: An open regular file.
        name: For messages.
        packing: "gzip", "zlib" (or gzip: told apart by content), None for none, "auto" for gzip where the
            content says so.

    Every method may raise `InputError` (damaged or truncated packed content) and OSError.
    """

    def __init__(self, file: BinaryIO, name: str, packing: Literal["auto", "gzip", "zlib"] | None = "auto"):
        self._file, self._name = file, name
        self._ahead = file.read(2) if packing == "auto" else b""
        if packing == "auto" and self._ahead == _GZIP:
            packing = "gzip"
        self._bits = {"gzip": 31, "zlib": 47}.get(packing or "", 0)
        self._unpacker = zlib.decompressobj(self._bits) if self._bits else None
        self._parts, self._given = 1, 0

    @property
    def packed(self) -> bool:
        return self._bits != 0

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes; fewer only where the content ends."""
        pieces, rest = [], count
        while rest > 0:
            piece = self._piece(min(rest, PIECE))
            if not piece:
                break
            pieces.append(piece)
            rest -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def fill(self, target: memoryview) -> None:
        """Fill a writable view of bytes; refuse a content that ends before it is full."""
        at, size = 0, len(target)
        while at < size:
            piece = self._piece(min(size - at, PIECE))
            if not piece:
                raise truncated(self._name)
            target[at : at + len(piece)] = piece
            at += len(piece)

    def skip(self, count: int) -> None:
        """Leave out ``count`` bytes; refuse a content that ends before."""
        while count > 0:
            piece = self._piece(min(count, PIECE))
            if not piece:
                raise truncated(self._name)
            count -= len(piece)

    def end(self, spare: int) -> None:
        """Read to the end, which lets packed content be compared with its check sum.

        Raises:
            InputError: More than ``spare`` bytes are left: header and content do not belong together.
        """
        while spare >= 0:
            piece = self._piece(min(spare + 1, PIECE))
            if not piece:
                return
            spare -= len(piece)
        raise InputError(
            f"'{self._name}' holds more data than its header states: they do not belong together.",
            _AGAIN,
            "too_long",
        )

    def _piece(self, count: int) -> bytes:
        """At most ``count`` bytes, at least one unless the content has ended."""
        if self._unpacker is None:
            if self._ahead:
                piece, self._ahead = self._ahead[:count], self._ahead[count:]
                return piece
            return b"" if self._bits else self._file.read(count)
        while self._unpacker is not None:
            packed = self._ahead or self._file.read(PACKED_PIECE)
            try:
                piece = self._unpacker.decompress(packed, count)
            except zlib.error:
                what = "its compressed content cannot be unpacked, or does not match its check sum"
                raise damaged(self._name, what) from None
            if self._unpacker.eof:
                self._ahead = self._unpacker.unused_data
                self._next_part()
            else:
                self._ahead = self._unpacker.unconsumed_tail
                if not piece and not packed:
                    raise truncated(self._name)
            self._given += len(piece)
            if piece:
                return piece
        return b""

    def _next_part(self) -> None:
        """A gzip file may consist of several parts; what follows the last one is no part of the content."""
        if len(self._ahead) < 2:
            self._ahead += self._file.read(PACKED_PIECE)
        if self._bits != 31 or self._ahead[:2] != _GZIP:
            self._unpacker, self._ahead = None, b""
            return
        self._parts += 1
        if self._parts > _FREE_PARTS + self._given // _BYTES_PER_PART:
            raise damaged(self._name, "its compressed content consists of very many tiny parts")
        self._unpacker = zlib.decompressobj(self._bits)
