"""One writer at a time in a folder that several processes, or computers, share.

The lock is a file that only one of them can make (O_EXCL, which works on network drives where locks on
open files often do not). It names its process. The lock of a process that is gone is taken over: at once
on the same computer; that of another computer, which cannot be asked, after a minute without a sign of life.
"""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError
from .owner import Owner, process

LOCK = ".hippocampus.lock"

#: Seconds after which a waiting process gives up.
TIMEOUT = 150.0
#: Seconds without a change after which the lock of another computer's process counts as left behind, and
#: one in which nothing stands: its process was killed, or the disk was full, as it was made.
_OTHERS_SILENCE, _EMPTY_SILENCE = 60.0, 10.0
#: The holder gives a sign of life so often, where its work takes long.
_SIGN_OF_LIFE = 5.0
_LONGEST_PAUSE = 0.1


class FolderLock:
    """A lock that is held.

    Attributes:
        was_left_behind: It was taken over from a process that is gone, maybe in the middle of its work.
    """

    def __init__(self, path: Path, content: bytes, was_left_behind: bool):
        self._path, self._content, self._seen = path, content, time.monotonic()
        self.was_left_behind = was_left_behind

    def keep(self) -> None:
        """A sign of life, to be given now and then by work that may take many seconds."""
        if time.monotonic() - self._seen > _SIGN_OF_LIFE:
            self._seen = time.monotonic()
            with suppress(OSError):
                os.utime(self._path)

    def release(self) -> None:
        """Give the lock back; one that somebody has taken over stays theirs."""
        with suppress(OSError):
            if self._path.read_bytes() == self._content:
                os.unlink(self._path)


@contextmanager
def folder_lock(folder: str | Path, timeout: float = TIMEOUT) -> Iterator[FolderLock]:
    """Hold the lock of a folder.

    Args:
        folder: It must be there.
        timeout: Seconds to wait for another holder; 0 tries once.

    Raises:
        OutputError: Another process holds it (code "locked"), or the folder cannot be written.
    """
    lock = _acquire(Path(folder), timeout)
    try:
        yield lock
    finally:
        lock.release()


def _acquire(folder: Path, timeout: float) -> FolderLock:
    path = folder / LOCK
    values = {
        "program": "HippoSeg",
        "owner": process().to_dict(),
        "id": uuid.uuid4().hex,
        "time": time.time(),
    }
    content = json.dumps(values).encode("ascii")
    end, pause = time.monotonic() + timeout, 0.002
    watched, since, was_left_behind = None, time.monotonic(), False
    while True:
        try:
            _make(path, content)
            return FolderLock(path, content, was_left_behind)
        except FileExistsError:
            pass
        except PermissionError as error:
            # Windows: the name of a file that is being removed is refused for a moment.
            if os.name != "nt" or time.monotonic() > end:
                raise _cannot_be_written(folder, error) from error
        except OSError as error:
            raise _cannot_be_written(folder, error) from error
        state = _state(path)
        if state is None:
            continue
        if state != watched:
            watched, since = state, time.monotonic()
        if _is_left_behind(state[0], time.monotonic() - since):
            _take_away(path, state[0])
            was_left_behind = True
            continue
        if time.monotonic() > end:
            raise OutputError(
                f"Another process keeps the output folder '{folder.name}' for itself.",
                "Wait for it, or end it, and give the command again.",
                "locked",
            )
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, _LONGEST_PAUSE)


def _make(path: Path, content: bytes) -> None:
    # In one piece: who looks now finds nothing, an empty file, or all of it.
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o644)
    try:
        os.write(file, content)
    except OSError:
        os.close(file)
        with suppress(OSError):
            os.unlink(path)
        raise
    os.close(file)


def _cannot_be_written(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"The output folder '{folder.name}' cannot be written ({error.strerror or type(error).__name__}).",
        "Choose another folder, change its permissions, or free disk space.",
    )


def _state(path: Path) -> tuple[bytes, int] | None:
    """Content and time of the lock file, which change where its holder lives; None where it is gone."""
    try:
        return path.read_bytes(), path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError:  # Windows: it is being removed, or is not shared for reading
        return b"?", 0


def _is_left_behind(content: bytes, silent: float) -> bool:
    """Whether the holder is gone, after `silent` seconds in which the lock did not change."""
    try:
        owner = Owner.from_dict(json.loads(content)["owner"])
    except (ValueError, KeyError, TypeError, RecursionError):
        owner = None
    if owner is None:
        return silent > _EMPTY_SILENCE
    if owner.is_here:
        return not owner.is_alive
    return silent > _OTHERS_SILENCE


def _take_away(path: Path, content: bytes) -> None:
    """Remove a lock that was left behind; only one of those who want to succeeds in renaming it."""
    aside = path.with_name(f"{LOCK}-{uuid.uuid4().hex}")
    with suppress(OSError):
        os.rename(path, aside)
        if aside.read_bytes() != content:
            # Another process was faster, and this is its own lock: it goes back.
            with suppress(OSError):
                os.link(aside, path)
        os.unlink(aside)
