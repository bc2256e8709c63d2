"""What any exception means to a user: one sentence with a remedy, and for the unexpected ones a report."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from pathlib import Path

from .. import __version__
from ..errors import DeviceError, HippoSegError, OutputError

#: Folders that are left out of the paths in a report: they may hold the user's name.
_PACKAGES = Path(__file__).resolve().parents[2]
_NO_SPACE = {28, 122}  # ENOSPC, EDQUOT


def as_error(error: BaseException) -> HippoSegError:
    """The error that a user is told of; one of ours is itself.

    An unexpected one has the code "unexpected": `report` says more of it.
    """
    if isinstance(error, HippoSegError):
        return error
    if is_out_of_memory(error):
        return DeviceError(
            "Memory ran out.", "Close other programs, or give a smaller or cropped image.", "out_of_memory"
        )
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return OutputError(
            f"The results cannot be written ({error.strerror}).",
            "Free disk space, or choose another folder.",
            "no_space",
        )
    return HippoSegError(
        f"The work stopped on an unexpected error ({type(error).__name__}).",
        "If it repeats, send the report to the developers.",
        "unexpected",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, in the words of Python, numpy, ITK or torch."""
    if isinstance(error, MemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and ("memory" in words or "bad_alloc" in words)


def report(error: BaseException) -> str:
    """Where an exception comes from, for the developers.

    The texts of exceptions are left out, for they may quote the scan's header or path; so are the folders
    above installed packages. What stays names the exceptions, the lines of code and the versions.
    """
    lines = [f"HippoSeg {__version__}, Python {platform.python_version()}, {sys.platform}"]
    for one in _chain(error):
        number = f" (errno {one.errno})" if isinstance(one, OSError) and one.errno else ""
        lines += ["", f"{type(one).__module__}.{type(one).__qualname__}{number}"]
        frames = traceback.extract_tb(one.__traceback__)
        # Of an endless recursion, both ends say enough.
        for frame in frames if len(frames) <= 40 else [*frames[:20], *frames[-20:]]:
            place = f"{_short(frame.filename)}:{frame.lineno} in {frame.name}"
            lines.append(f"  {place}: {frame.line or ''}".rstrip())
    return "\n".join(lines) + "\n"


def _chain(error: BaseException | None) -> list[BaseException]:
    """The exception and what led to it, the first cause first."""
    found: list[BaseException] = []
    while error is not None and error not in found and len(found) < 10:
        found.insert(0, error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def _short(path: str) -> str:
    for folder in (str(_PACKAGES), *sorted(sys.path, key=len, reverse=True)):
        if folder and path.startswith(folder + os.sep):
            return path[len(folder) + 1 :].replace(os.sep, "/")
    return os.path.basename(path)
