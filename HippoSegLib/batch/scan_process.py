"""A worker process: it segments one scan after the other into the output folder, as its parent says.

Started by `workers` as ``python -m HippoSegLib.batch.scan_process PARENT``. The first line of standard input
is a pickled `Setup` (the pipe is the parent's own), each further one a scan as JSON, ``{"cancel": true}`` a
request to stop. Answers are lines of JSON: ``ready``; ``progress`` with the scan's name, stage and fraction;
for each scan one ``outcome``, or ``fatal`` where no scan can do better. It ends when standard input does, or
its parent.
"""

from __future__ import annotations

import base64
import faulthandler
import json
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import Cancelled
from ..io.childprocess import end_with, from_text, private_streams
from ..options import SegmentOptions
from .failure import as_error
from .folder import OutputFolder
from .memory import keep_freed_memory
from .outcome import error_dict
from .request import BatchOptions
from .runner import Runner
from .source import Source

#: Seconds after which a worker that is to stop is no longer waited for, by itself.
_GRACE = 5.0


@dataclass(frozen=True)
class Setup:
    """What a worker is to do with every scan.

    Attributes:
        output: The output folder.
        options: For each scan.
        batch: For all.
        any_done: Whether a scan was segmented with these options: then an error is that of one scan.
    """

    output: Path
    options: SegmentOptions
    batch: BatchOptions
    any_done: bool = False

    def to_line(self) -> bytes:
        """One line for standard input."""
        return base64.b64encode(pickle.dumps(self)) + b"\n"


def scan_to_line(source: Source, name: str) -> bytes:
    """A scan and its name as one line for standard input."""
    values = {**asdict(source), "path": os.fspath(source.path), "name": name}
    return json.dumps(values).encode("ascii") + b"\n"


def _scan(message: dict[str, Any]) -> tuple[Source, str]:
    values = {**message, "path": Path(message["path"])}
    name = values.pop("name")
    return Source(**values), name


class _Inbox:
    """Reads the parent's lines in a thread."""

    def __init__(self, stream: BinaryIO, on_cancel: Callable[[], None]):
        self.setup: Setup = pickle.loads(base64.b64decode(stream.readline()))
        self._stream, self._on_cancel, self._cancelled = stream, on_cancel, threading.Event()
        self._scans: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def next(self) -> dict[str, Any] | None:
        """The next scan; None where no more will come."""
        return self._scans.get()

    def _read(self) -> None:
        for line in self._stream:
            message = json.loads(line)
            if message.get("cancel"):
                break
            self._scans.put(message)
        else:
            # The parent wants no more scans: what is at hand is finished.
            self._scans.put(None)
            return
        self._cancelled.set()
        self._scans.put(None)
        self._on_cancel()


def serve(
    requests: BinaryIO, reply: Callable[[dict[str, Any]], None], on_cancel: Callable[[], None] = lambda: None
) -> None:
    """Segment what the lines of a stream ask for, until it ends.

    Args:
        requests: A line with the `Setup`, then one per scan.
        reply: Sends a message.
        on_cancel: Called, in a thread, when it is asked to stop in the middle of a scan.
    """
    inbox = _Inbox(requests, on_cancel)
    setup = inbox.setup
    folder = OutputFolder(setup.output, setup.batch.layout)
    runner = Runner(folder, setup.options, setup.batch, lambda: inbox.is_cancelled, setup.any_done)
    folder.open()
    reply({"ready": os.getpid()})

    def tell(*values: Any) -> None:
        reply({"progress": values})

    while (message := inbox.next()) is not None and not inbox.is_cancelled:
        source, name = _scan(message)
        try:
            answer = {"outcome": runner.run(source, name, tell).to_dict()}
        except Cancelled:
            return
        except Exception as error:
            answer = {"fatal": error_dict(as_error(error))}
        reply(answer)


def main(arguments: list[str] | None = None) -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal, which the parent hears itself
    parent = from_text((sys.argv[1:] if arguments is None else arguments)[0])
    faulthandler.enable()
    keep_freed_memory()
    requests, replies = private_streams()
    end_with(parent, lambda: os._exit(1))

    def reply(message: dict[str, Any]) -> None:
        try:
            replies.write(json.dumps(message).encode("ascii") + b"\n")
            replies.flush()
        except OSError:  # the parent is gone
            os._exit(1)

    serve(requests, reply, threading.Timer(_GRACE, os._exit, (1,)).start)
    os._exit(0)  # no waiting for threads of libraries


if __name__ == "__main__":
    main()
