"""The worker process as Slicer sees it: start, ask, listen, cancel, end.

Plain Python: neither Slicer nor Qt is needed, so the class is tested without either. Nothing blocks:
two threads read the pipes into a queue, and :meth:`WorkerProcess.poll`, called from a timer, hands
out what has arrived.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from HippoSegLib.errors import HippoSegError, OutputError
from HippoSegLib.io.childprocess import to_text
from HippoSegLib.io.owned_folders import remove
from HippoSegLib.io.owner import process
from HippoSegLib.io.staging import make_temporary, sweep
from HippoSegLib.worker.exchange import write_array
from HippoSegLib.worker.supervisor import FOLDER_KIND

from .workerend import loss
from .workermessages import readEvents, readLog
from .workerstart import endTree, hiddenProcessGroup, pythonCommand

#: After this many seconds a cancelled task that has not stopped by itself is ended with its process.
KILL_AFTER_SECONDS = 0.7


class WorkerProcess:
    """A worker that is started when first needed, and anew after it ended.

    Args:
        command: What to start, without the worker's own arguments; ``None`` is the product's worker.
        libraryFolder: Folder that holds ``HippoSegLib``.
        idleSeconds: The worker ends by itself after this time without work.
        killAfterSeconds: How long a cancelled task may take to stop by itself.
        lowPriority: The rest of the computer goes first; for tasks of minutes beside which people work.

    Attributes:
        folder: Folder for the files exchanged with the running worker ("" while none runs).
        log: The last lines the worker wrote to its standard error.
    """

    def __init__(
        self,
        command: list[str] | None = None,
        libraryFolder: str = "",
        idleSeconds: float = 900.0,
        killAfterSeconds: float = KILL_AFTER_SECONDS,
        lowPriority: bool = False,
    ):
        self._command, self._libraryFolder = command, libraryFolder
        self._idleSeconds, self._killAfterSeconds = idleSeconds, killAfterSeconds
        self._lowPriority = lowPriority
        self._process: Any = None  # a subprocess.Popen while it runs
        self._finalizer: Any = None
        self._events: queue.Queue[dict] = queue.Queue()
        self._number = 0
        self._request: Any = None  # sent, but nothing heard of it yet
        self._current: int | None = None
        self._killAt: float | None = None
        self._workerId: int | None = None  # known once the worker has said that it is ready
        self.folder = ""
        self.log: deque[str] = deque(maxlen=300)

    @property
    def isRunning(self) -> bool:
        """Whether the process lives (busy or warm)."""
        return self._process is not None and self._process.poll() is None

    @property
    def isBusy(self) -> bool:
        """Whether a task has been sent whose end has not been polled yet."""
        return self._current is not None

    @property
    def processId(self) -> int | None:
        """Process id while the process lives: of what was started, and once the worker is ready its own."""
        return (self._workerId or self._process.pid) if self.isRunning else None

    def start(self) -> None:
        """Start the process unless it lives.

        Raises:
            HippoSegError: It cannot be started.
        """
        if self.isRunning:
            return
        self.close()
        self._makeFolder()
        command = self._command or [*pythonCommand(), "-m", "HippoSegLib.worker"]
        options = ["--folder", self.folder, "--idle-seconds", str(self._idleSeconds)]
        options += ["--parent", to_text(process())]
        if self._lowPriority:
            options.append("--low-priority")
        environment = dict(os.environ)
        if self._libraryFolder:
            paths = [self._libraryFolder, environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        try:
            self._process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                **hiddenProcessGroup(),
            )
        except OSError as error:
            remove(self.folder, FOLDER_KIND)
            raise HippoSegError(
                f"The worker process could not be started ({type(error).__name__}).",
                "Check that security software does not block Slicer's Python, then try again.",
            ) from error
        self._events = queue.Queue()
        self.log.clear()
        # Read by threads that hold no reference to this object, so that it can be collected.
        reading = threading.Thread(target=readLog, args=(self._process.stderr, self.log), daemon=True)
        reading.start()
        threading.Thread(target=readEvents, args=(self._process, self._events, reading), daemon=True).start()
        self._finalizer = weakref.finalize(self, endTree, self._process, self.folder)

    def _makeFolder(self) -> None:
        """Make the exchange folder, once those of processes that were killed are swept."""
        try:
            place = tempfile.gettempdir()
            sweep(place)
            self.folder = str(make_temporary(place, FOLDER_KIND))
        except OSError as error:
            raise _notHandedOver(error) from error

    def send(self, task: str, arrays: Mapping[str, np.ndarray] | None = None, **request) -> int:
        """Give the worker a task, starting the process first where needed.

        Args:
            task: Name of the task.
            arrays: File name -> array, written to the exchange folder first.
            request: What else the task is told, plain JSON values.

        Returns:
            The number that the events of this task carry as ``id``.

        Raises:
            HippoSegError: A task is under way, the process cannot be started, or the disk is full.
        """
        if self.isBusy:
            raise HippoSegError("A segmentation is already running.", "Wait for it to finish, or cancel it.")
        self._number += 1
        self._request = (task, arrays or {}, request)
        self._submit()
        return self._number

    def _submit(self) -> None:
        task, arrays, request = self._request
        self.start()
        try:
            for name, array in arrays.items():
                write_array(array, self.folder, name)
        except OSError as error:
            self.close()
            raise _notHandedOver(error) from error
        self._current, self._killAt = self._number, None
        self._write({"id": self._number, "task": task, **request})

    def cancel(self) -> None:
        """Stop the task under way: asked first, ended with its process if it does not stop in time."""
        if self.isBusy and self._killAt is None:
            self._killAt = time.monotonic() + self._killAfterSeconds
            self._write({"cancel": self._current})

    def poll(self, wait: float = 0.002) -> list[dict]:
        """Return the events that have arrived for the current task.

        Args:
            wait: Seconds to wait for the first one. The short default lets the reading threads run
                where the application's event loop holds Python's interpreter lock.

        An event is ``progress``, ``result`` or ``error`` (see :mod:`HippoSegLib.worker.process`); a process
        that ended in the middle of a task is an ``error`` of kind ``WorkerLost`` (``Cancelled`` where
        it was cancelled).
        """
        events = []
        while True:
            try:
                event = self._events.get(timeout=wait) if wait else self._events.get_nowait()
            except queue.Empty:
                break
            wait = 0.0
            if event["event"] == "ready":
                self._workerId = event.get("pid")
            elif event["event"] == "ended":
                if self._request is not None and event["code"] == 0 and self._killAt is None:
                    self._submit()  # it left, idle, just as the task was sent: once more
                elif self.isBusy:
                    events.append(self._lost(event))
            elif event.get("id") == self._current and self._current is not None:
                self._request = None
                events.append(event)
                if event["event"] in ("result", "error"):
                    self._current = self._killAt = None
        if self._killAt is not None and time.monotonic() >= self._killAt:
            number = self._current
            self.close()
            self._request = None
            events.append({"id": number, "details": "", **_CANCELLED})
        return events

    def close(self) -> None:
        """End the process and whatever it started, and remove the exchanged files."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._finalizer = self._current = self._killAt = self._workerId = None
        self.folder = ""

    def _write(self, message: dict) -> None:
        # A process that has just died is noticed by the reading thread.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self._process.stdin.flush()

    def _lost(self, ended: Mapping) -> dict:
        number, cancelled = self._current, self._killAt is not None
        what = loss(ended["code"], ended["lastWord"], self._workerId is not None)
        self.close()
        self._request = None
        event = {"id": number, "details": "\n".join(self.log)}
        if cancelled:
            return {**event, **_CANCELLED}
        words = {"code": what.code, "cause": what.cause, "remedy": what.remedy}
        return {**event, "event": "error", "kind": "WorkerLost", **words}


#: The event of a task that was cancelled and whose process was ended.
_CANCELLED = {"event": "error", "kind": "Cancelled", "code": "cancelled", "cause": "Cancelled.", "remedy": ""}


def _notHandedOver(error: OSError) -> OutputError:
    return OutputError(
        f"The volume could not be handed to the worker process ({error.strerror or 'write error'}).",
        "Free disk space in the folder for temporary files, then try again.",
    )
