"""Standard output and error that no text, no full disk and no closed pipe can bring to an end.

What a command prints is for people; its work goes on where nobody can read it.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

#: Letters that are printed in messages -> what stands for them where the output has no such letter.
_IN_ASCII = {
    "³": "3",
    "²": "2",
    "×": "x",
    "±": "+/-",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "’": "'",
    "“": '"',
    "”": '"',
    "›": ">",
    "µ": "u",
    "→": "->",
}
_ERRORS = "hipposeg"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """For `codecs.register_error`: letters that can be shown in place of those that cannot."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = "".join(_substitute(c) for c in error.object[error.start : error.end])
    return text, error.end


def _substitute(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is no text
        return f"\\x{number - 0xDC00:02x}"
    return _IN_ASCII.get(character, "?")


class SteadyStream:
    """A text stream that takes all text, and falls silent where it cannot be written any more.

    Args:
        stream: What `sys.stdout` or `sys.stderr` is; None where the process has none.
    """

    def __init__(self, stream: Any):
        self._stream = stream
        if hasattr(stream, "reconfigure"):
            with suppress(OSError, ValueError):
                stream.reconfigure(errors=_ERRORS)

    def write(self, text: str) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:  # a stream of another kind, without a choice of what to do
                self.write(text.encode("ascii", _ERRORS).decode("ascii"))
            except (OSError, ValueError):
                self._fall_silent()
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._fall_silent()

    def isatty(self) -> bool:
        with suppress(OSError, ValueError, AttributeError):
            return bool(self._stream.isatty())
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _fall_silent(self) -> None:
        stream, self._stream = self._stream, None
        # What it still holds is written at the end of the process, and would end it with an error.
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


@contextmanager
def steady_output() -> Iterator[None]:
    """Standard output and error as `SteadyStream` within; flushed at the end."""
    codecs.register_error(_ERRORS, _in_ascii)
    before = sys.stdout, sys.stderr
    steady = SteadyStream(sys.stdout), SteadyStream(sys.stderr)
    sys.stdout, sys.stderr = steady
    try:
        yield
    finally:
        for stream in steady:
            stream.flush()
        # Where the caller's stream still stands, it is given back.
        sys.stdout, sys.stderr = before
