"""One process at a time: a lock beside a shared file, which ends with the process that holds it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Cancelled, OutputError


class ProcessLock:
    """A lock that processes hold one after the other; a killed process leaves none behind.

    It is SQLite's own exclusive lock, on a file of nothing: the same on Linux, macOS and Windows, and as
    dependable on a shared drive as the SQLite file that it guards.
    """

    def __init__(self, path: str | Path):
        self._path = Path(path)
        self._held: sqlite3.Connection | None = None

    def acquire(self, cancel: Callable[[], bool] | None = None) -> None:
        """Wait until no other process holds it, and hold it.

        Raises:
            Cancelled: `cancel` said so meanwhile. OutputError: The file cannot be made.
        """
        while True:
            if cancel is not None and cancel():
                raise Cancelled()
            if self.try_acquire():
                return
            time.sleep(0.1)

    @contextmanager
    def held(self, cancel: Callable[[], bool] | None = None) -> Iterator[None]:
        """Hold it for a `with` block, which may let go before its end. Raises as `acquire`."""
        self.acquire(cancel)
        try:
            yield
        finally:
            self.release()

    def try_acquire(self) -> bool:
        """Hold it, unless another process does; returns whether it is held.

        Raises:
            OutputError: The file cannot be made.
        """
        if self._held is not None:
            return True
        connection = None
        try:
            connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if connection is not None:
                connection.close()
            if "locked" in str(error):
                return False
            raise OutputError(
                f"'{self._path.name}' cannot be written.",
                "Check the folder's permissions and free space.",
            ) from error
        self._held = connection
        return True

    def release(self) -> None:
        """Let the next one; nothing where it is not held."""
        if self._held is not None:
            self._held.close()  # rolls the empty transaction back
            self._held = None
