"""Temporary folders beside what is being written, and sweeping those of runs that were killed.

Files are written into such a folder first and renamed when all are there: the folder lies in the same
place as they will, so that renaming is one step of the file system. Its marker names the process that
made it; a later run removes it when that process is gone.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError
from .owned_folders import MARKER, mark, read_marker, remove

#: How the names of temporary folders begin; the dot hides them from lists and from readers of folders.
PREFIX = ".hipposeg-"

#: Whether a process of another computer lives cannot be seen: its folders stay as long as they are used.
_OTHERS_AGE = 7 * 24 * 3600.0

#: A folder whose process was killed before it wrote the marker. It is empty.
_UNMARKED_AGE = 3600.0

#: Where files lie in a temporary folder, apart from its marker.
_FILES = "files"

_swept: set[Path] = set()


def make_temporary(parent: str | Path, kind: str) -> Path:
    """Make a marked temporary folder, which only this user can read; to be removed by `remove`.

    Args:
        parent: Where.
        kind: What for, a word.

    Raises:
        OSError: It cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-", dir=parent))
    try:
        mark(folder, kind)
    except OSError:
        with suppress(OSError):
            os.unlink(folder / MARKER)
        with suppress(OSError):
            folder.rmdir()
        raise
    return folder


@contextmanager
def staging_folder(parent: str | Path, kind: str = "staging") -> Iterator[Path]:
    """An empty folder to write to; what is left in it at the end is removed, however it ends.

    The caller moves the finished files out of it with `os.replace`. Before the first one in a folder,
    those of killed runs are swept.

    Args:
        parent: Where the finished files are to be; made if it is missing.
        kind: What for, a word of the folder's name.

    Raises:
        OutputError: It cannot be made. Errors from within pass through as they are.
    """
    parent = Path(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if parent.absolute() not in _swept:
            _swept.add(parent.absolute())
            sweep(parent)
        folder = make_temporary(parent, kind)
        files = folder / _FILES
        files.mkdir()
    except OSError as error:
        raise OutputError(
            f"The folder '{parent.name}' cannot be written ({error.strerror or type(error).__name__}).",
            "Choose another folder, change its permissions, or free disk space.",
        ) from error
    try:
        yield files
    finally:
        remove(folder, kind)


def sweep(parent: str | Path) -> int:
    """Remove the temporary folders in a folder whose processes are gone.

    Those of a living process stay, those of another computer until nothing was written for a week, and
    whatever has no marker of ours. Nothing is raised: what cannot be removed stays.

    Returns:
        How many were removed.
    """
    removed = 0
    try:
        with os.scandir(parent) as entries:
            found = [Path(e.path) for e in entries if e.name.startswith(PREFIX) and _is_folder(e)]
    except OSError:
        return 0
    for folder in found:
        with suppress(OSError):
            marker = read_marker(folder)
            if marker is None:
                removed += _remove_unmarked(folder)
            elif marker.owner is not None and folder.name.startswith(f"{PREFIX}{marker.kind}-"):
                owner = marker.owner
                gone = not owner.is_alive if owner.is_here else _age(folder) > _OTHERS_AGE
                removed += gone and remove(folder, marker.kind)
    return removed


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _remove_unmarked(folder: Path) -> bool:
    """Remove a folder in which nothing is, or the beginning of a marker."""
    if _age(folder) < _UNMARKED_AGE or set(os.listdir(folder)) - {MARKER}:
        return False
    if (folder / MARKER).exists():
        if (folder / MARKER).stat().st_size:
            return False
        (folder / MARKER).unlink()
    folder.rmdir()
    return True


def _age(folder: Path) -> float:
    """Seconds since something was last written in a folder or below it."""
    latest = folder.stat().st_mtime
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            latest = max(latest, os.lstat(os.path.join(place, name)).st_mtime)
    return time.time() - latest
