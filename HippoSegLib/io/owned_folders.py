"""Folders that HippoSeg made and may therefore remove: a marker file in them says so.

A program removes only what it made itself. A folder with a user's files is never taken for one of ours,
whatever its name: it is refused, in one sentence.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from ..errors import OutputError
from .owner import Owner, process

#: The marker's name, in each folder of ours.
MARKER = ".hipposeg-folder.json"
VERSION = 1

#: What file managers leave in a folder that is empty for its user.
_NOBODYS = {".DS_Store", "Thumbs.db", "desktop.ini", MARKER}

#: Another process that has just made the folder writes the marker within this time.
_SECONDS_TO_MARK = 2.0


@dataclass(frozen=True)
class Marker:
    """What a marker file says.

    Attributes:
        kind: What the folder is for.
        made: Whether HippoSeg made the folder itself; it also takes an empty one of the user's.
        owner: The process that made it.
    """

    kind: str
    made: bool
    owner: Owner | None


def read_marker(folder: str | Path) -> Marker | None:
    """The marker of a folder; None where there is none, or one of another version."""
    try:
        text = Path(folder, MARKER).read_text(encoding="utf-8")
        values = json.loads(text)
        if values["program"] != "HippoSeg" or values["version"] != VERSION:
            return None
        return Marker(str(values["kind"]), values["made"] is True, Owner.from_dict(values.get("owner")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def refuse_foreign(folder: str | Path, kind: str, adopt: Callable[[Path], bool] | None = None) -> None:
    """Refuse a folder that is neither new, nor empty, nor one of ours of this kind. Nothing is made.

    Args:
        folder: The folder.
        kind: What it is to be used for, in words: they stand in the message.
        adopt: Whether a folder without a marker was made by a version that wrote none.

    Raises:
        OutputError: It holds something else, is not a folder, or cannot be read.
    """
    folder = Path(folder)
    names = _names(folder, kind)
    end = time.monotonic() + _SECONDS_TO_MARK
    while MARKER in names and read_marker(folder) is None and time.monotonic() < end:
        if (folder / MARKER).stat().st_size:
            break  # not one that is just being written
        time.sleep(0.05)
    marker = read_marker(folder)
    if marker is not None:
        if marker.kind == kind:
            return
        raise OutputError(
            f"'{folder.name}' is a {marker.kind} of HippoSeg, and no {kind}.",
            "Choose another folder.",
            "not_ours",
        )
    if names - _NOBODYS and not (adopt is not None and adopt(folder)):
        raise OutputError(
            f"'{folder.name}' holds files that HippoSeg did not make: it is no {kind}.",
            "Choose a new or an empty folder.",
            "not_ours",
        )


def claim(folder: str | Path, kind: str, adopt: Callable[[Path], bool] | None = None) -> None:
    """Make a folder, or take an empty one, and mark it as ours; nothing where it is marked already.

    Args:
        folder, kind, adopt: As in `refuse_foreign`.

    Raises:
        OutputError: It holds something else, or cannot be made.
    """
    folder = Path(folder)
    refuse_foreign(folder, kind, adopt)
    try:
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if read_marker(folder) is None:
            mark(folder, kind, made)
    except OSError as error:
        raise OutputError(
            f"The {kind} '{folder.name}' cannot be made ({error.strerror or type(error).__name__}).",
            "Choose a folder you may write to.",
        ) from error


def mark(folder: str | Path, kind: str, made: bool = True) -> None:
    """Write the marker into a folder that this process has just made, or found empty.

    Raises:
        OSError: It cannot be written.
    """
    values = {
        "program": "HippoSeg",
        "version": VERSION,
        "kind": kind,
        "made": made,
        "owner": process().to_dict(),
    }
    data = (json.dumps(values, indent=1) + "\n").encode("ascii")
    # In one piece: who finds the folder now finds no marker, an empty one, or all of it.
    with suppress(FileExistsError), open(Path(folder, MARKER), "xb", buffering=0) as file:
        file.write(data)


def remove(folder: str | Path, kind: str, known: Sequence[str] | None = None) -> bool:
    """Remove a folder of ours; what cannot be removed stays, without an error.

    Args:
        folder: The folder. Nothing happens where its marker is missing or of another kind.
        kind: As it was made.
        known: Patterns of the files that HippoSeg writes there, relative to it, with "/" and, within a
            name, "*". What else lies in it is the user's and stays, with the folder. Without patterns all
            is removed: for folders that have a random name and a short life.

    Returns:
        Whether it is gone.
    """
    folder = Path(folder)
    marker = read_marker(folder)
    if marker is None or marker.kind != kind:
        return False
    if known is None:
        _remove_all(folder)
    else:
        _remove_known(folder, known)
    # The marker is last: what cannot be removed now can be later.
    with suppress(OSError):
        if set(os.listdir(folder)) == {MARKER}:
            os.unlink(folder / MARKER)
            if marker.made:
                os.rmdir(folder)
    return not folder.exists()


def _remove_all(folder: Path) -> None:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != MARKER:
                with suppress(OSError):
                    os.unlink(entry.path)


def _remove_known(folder: Path, known: Sequence[str]) -> None:
    patterns = [tuple(pattern.split("/")) for pattern in known]
    for place, _, files in os.walk(folder, topdown=False):
        relative = PurePath(place).relative_to(folder).parts
        for name in files:
            if any(_fits((*relative, name), pattern) for pattern in patterns):
                with suppress(OSError):
                    os.unlink(os.path.join(place, name))
        if relative and any(_fits(relative, pattern[: len(relative)]) for pattern in patterns):
            with suppress(OSError):
                os.rmdir(place)  # which does nothing to one that holds something


def _names(folder: Path, kind: str) -> set[str]:
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise OutputError(
            f"'{folder.name}' cannot be used as {kind} ({error.strerror or type(error).__name__}).",
            "Choose another folder.",
        ) from error


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    return len(parts) == len(pattern) and all(map(fnmatchcase, parts, pattern))
