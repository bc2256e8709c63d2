"""A scan's files change from those of one run to those of another as a whole, whenever the process is killed.

The new files are written into a temporary folder. Renaming that to a *commit folder* is the one step that
decides: before it the old files are all there, after it the new ones are, together with a journal that says
where each goes. They are then moved to their places, the record last. Where a kill interrupts this, the next
process that holds the folder's lock goes on with it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ..errors import OutputError
from .record import ENDING
from .tablefile import NEW

COMMITS = ".hippocampus-commit-"
#: How records' names end, in whichever layout: they are moved last.
RECORDS = (ENDING, "_record.json")
_JOURNAL = "journal.json"
_VERSION = 1


def commit(
    folder: Path, staged: Path, scan: str, old: Collection[str], place: Callable[[str], str] = lambda name: ""
) -> None:
    """Put a scan's new files in place of its old ones. To be called while the folder's lock is held.

    Args:
        folder: The output folder.
        staged: A folder on the same drive that holds the new files under their names, and nothing else.
        scan: Name of the scan.
        old: Names of its old files; those that have no successor are removed.
        place: Name of a file -> the folder below `folder` that it belongs into, with ``/``; empty for itself.

    Raises:
        OutputError: They cannot be moved. Where the new files could be renamed but not all of them moved to
            their places, the next run goes on.
    """
    new = sorted(os.listdir(staged), key=lambda name: (name.endswith(RECORDS), name))
    removed = sorted(set(old) - set(new))
    journal = {
        "program": "HippoSeg",
        "version": _VERSION,
        "scan": scan,
        "files": new,
        "remove": removed,
    }
    places = {name: place(name) for name in (*new, *removed)}
    if any(places.values()):
        journal["places"] = places
    target = folder / commit_name(scan)
    try:
        (staged / _JOURNAL).write_text(json.dumps(journal), encoding="utf-8")
        for name in (*new, _JOURNAL):
            _to_disk(staged / name)
        os.rename(staged, target)
        _to_disk(folder)
        _go_on(folder, target, journal)
    except OSError as error:
        raise OutputError(
            f"The files of '{scan}' cannot be written ({error.strerror or type(error).__name__}).",
            "Close them in other programs, check the disk, and give the command again.",
            "in_use",
        ) from error


def commit_name(scan: str) -> str:
    """Name of a scan's commit folder."""
    return f"{COMMITS}{hashlib.sha256(scan.encode('utf-8')).hexdigest()[:16]}"


def finish_commits(folder: Path, names: Collection[str]) -> int:
    """Go on with what was interrupted, and remove what was half written.

    To be called while the folder's lock is held.

    Args:
        folder: The output folder.
        names: What is in it.

    Returns:
        How many were finished; one whose files cannot be moved now stays for the next run.
    """
    finished = 0
    for name in sorted(names):
        path = folder / name
        if name.startswith(NEW[0]) and name.endswith(NEW[1]):
            with suppress(OSError):
                os.unlink(path)
        if not name.startswith(COMMITS) or path.is_symlink() or not path.is_dir():
            continue
        with suppress(OSError):
            journal = _read_journal(path)
            if journal is not None:
                _go_on(folder, path, journal)
                finished += 1
            else:
                path.rmdir()  # which does nothing to one that holds something
    return finished


def _read_journal(path: Path) -> dict | None:
    try:
        journal = json.loads((path / _JOURNAL).read_text(encoding="utf-8"))
        names = [*journal["files"], *journal["remove"]]
        known = journal["program"] == "HippoSeg" and journal["version"] == _VERSION
        # Only files of this scan, in this folder or below it.
        own = all(os.path.basename(n) == n and n.startswith(journal["scan"]) for n in names)
        if known and own and all(map(_is_below, dict(journal.get("places", {})).values())):
            return journal
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _is_below(place: str) -> bool:
    """Whether the name of a folder leads nowhere but below the one that it is relative to."""
    leads_away = {"..", "."} & set(place.split("/")) or set(place) & set(":\\")
    return not (leads_away or PurePosixPath(place).is_absolute())


def _go_on(folder: Path, path: Path, journal: dict) -> None:
    places = journal.get("places", {})
    for place in sorted(set(places.values())):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for name in journal["remove"]:
        with suppress(FileNotFoundError):
            os.unlink(folder / places.get(name, "") / name)
    for name in journal["files"]:
        with suppress(FileNotFoundError):  # moved before the kill
            os.replace(path / name, folder / places.get(name, "") / name)
    with suppress(FileNotFoundError):
        os.unlink(path / _JOURNAL)
    with suppress(FileNotFoundError):
        path.rmdir()


def _to_disk(path: Path) -> None:
    """Have the system write a file or folder to the disk now, so that a loss of power finds it there."""
    if os.name == "nt" and path.is_dir():
        return
    file = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        with suppress(OSError):  # not every file system can
            os.fsync(file)
    finally:
        os.close(file)
