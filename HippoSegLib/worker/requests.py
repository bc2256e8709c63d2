"""What the worker is asked: lines of JSON, of which none, however wrong, makes it deaf.

A line that is not a request (no JSON object, no valid id, too long) is passed over with a note in
the log. A request whose id is waited for already is passed over too: its answer could not be told
from the first one's. A cancel counts for a request that was sent before it and has not ended.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeGuard

_LOG = logging.getLogger(__package__)

#: The longest line that is read, bytes: a fine-tuning on 100,000 scans has one of 30 MB.
LONGEST_LINE = 64 * 2**20

#: The longest id that is a text.
_LONGEST_ID = 200

#: After so many notes no more are written: nobody may read them.
_NOTES = 20

Id = int | str


class Requests:
    """Reads requests in a thread of its own and hands them out one after the other.

    Args:
        stream: Binary stream of lines; its end closes.
        on_close: Called in that thread when the stream has ended.

    Attributes:
        closed: Set when no more will come.
    """

    def __init__(self, stream: BinaryIO, on_close: Callable[[], None] = lambda: None):
        self.closed = threading.Event()
        self._stream, self._on_close = stream, on_close
        self._queue: queue.Queue[dict | None] = queue.Queue()
        self._lock = threading.Lock()
        self._awaited: set[Id] = set()
        self._cancelled: set[Id] = set()
        self._notes = 0

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, seconds: float) -> dict | None:
        """The next request; None where the stream has ended.

        Raises:
            queue.Empty: None came for so long.
        """
        return self._queue.get(timeout=min(max(seconds, 0.0), threading.TIMEOUT_MAX))

    def is_cancelled(self, number: Id) -> bool:
        """Whether a request is to stop: it was cancelled, or nobody is there for its answer."""
        return number in self._cancelled or self.closed.is_set()

    def done(self, number: Id) -> None:
        """Its answer is about to be sent: the id is free again, and a cancel that comes late is for none."""
        with self._lock:
            self._awaited.discard(number)
            self._cancelled.discard(number)

    def _read(self) -> None:
        try:
            for line in lines(self._stream, self._note):
                message = parse(line)
                if message is None:
                    self._note("a line that is no request")
                else:
                    self._take(message)
        except (OSError, ValueError) as error:  # the stream was closed under the reader
            self._note(f"the rest of the input ({type(error).__name__})")
        finally:
            self.closed.set()
            self._queue.put(None)
            self._on_close()

    def _take(self, message: dict) -> None:
        with self._lock:
            if "cancel" in message:
                if is_id(message["cancel"]) and message["cancel"] in self._awaited:
                    self._cancelled.add(message["cancel"])
                return
            number = message.get("id")
            if not is_id(number):
                self._note("a request without a valid id")
            elif number in self._awaited:
                self._note("a request with the id of one that has not ended")
            else:
                self._awaited.add(number)
                self._queue.put(message)

    def _note(self, what: str) -> None:
        self._notes += 1
        if self._notes <= _NOTES:
            _LOG.warning("Passed over %s.", what)


def lines(stream: BinaryIO, note: Callable[[str], None] = lambda what: None) -> Iterator[bytes]:
    """The lines of a stream; one that is longer than `LONGEST_LINE` is passed over, never held in memory."""
    while line := stream.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        note("a line that is too long")
        while line and not line.endswith(b"\n"):
            line = stream.readline(2**20)


def parse(line: bytes) -> dict | None:
    """The object of a line of JSON; None where it is none, is nested too deep or is not UTF-8."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError, MemoryError):
        return None
    return message if isinstance(message, dict) else None


def is_id(value: object) -> TypeGuard[Id]:
    """Whether a value can name a request: an integer or a short text."""
    if isinstance(value, str):
        return len(value) <= _LONGEST_ID
    return isinstance(value, int) and not isinstance(value, bool)
