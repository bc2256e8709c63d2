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
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping

import numpy as np

from HippoSegLib.errors import HippoSegError, OutputError

#: Exit codes of a process ended by a signal, by the system for want of memory, or by a task manager.
_ENDED_FROM_OUTSIDE = (-9, -15, 1, 137, 143, 0xC0000017, 0xC000013A)

#: After this many seconds a cancelled task that has not stopped by itself is ended with its process.
KILL_AFTER_SECONDS = 0.7


def pythonCommand() -> list[str]:
    """Return the command that starts the Python this runs in: inside Slicer, PythonSlicer.

    Raises:
        HippoSegError: It is not where Slicer puts it.
    """
    isPython = "python" in os.path.basename(sys.executable).lower()
    if "SLICER_HOME" in os.environ or not isPython:
        found = shutil.which("PythonSlicer")
        if found:
            return [found]
    if isPython:
        return [sys.executable]
    raise HippoSegError("Slicer's Python program (PythonSlicer) was not found.", "Install Slicer again.")


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
        self._process: subprocess.Popen | None = None
        self._finalizer = None
        self._events: queue.Queue[dict] = queue.Queue()
        self._number = 0
        self._request: tuple[str, Mapping, dict] | None = None  # sent, but nothing heard of it yet
        self._current: int | None = None
        self._killAt: float | None = None
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
        """Process id while the process lives."""
        return self._process.pid if self.isRunning else None

    def start(self) -> None:
        """Start the process unless it lives.

        Raises:
            HippoSegError: It cannot be started.
        """
        if self.isRunning:
            return
        self.close()
        self.folder = tempfile.mkdtemp(prefix="hs-")
        command = self._command or [*pythonCommand(), "-m", "HippoSegLib.worker"]
        options = ["--folder", self.folder, "--idle-seconds", str(self._idleSeconds)]
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
                **_hiddenProcessGroup(),
            )
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise HippoSegError(
                f"The worker process could not be started ({type(error).__name__}).",
                "Check that security software does not block Slicer's Python, then try again.",
            ) from error
        self._events = queue.Queue()
        self.log.clear()
        # Read by threads that hold no reference to this object, so that it can be collected.
        for target, arguments in (
            (_readEvents, (self._process, self._events)),
            (_readLog, (self._process.stderr, self.log)),
        ):
            threading.Thread(target=target, args=arguments, daemon=True).start()
        self._finalizer = weakref.finalize(self, _end, self._process, self.folder)

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
                with open(os.path.join(self.folder, name), "wb") as file:
                    np.save(file, array, allow_pickle=False)
        except OSError as error:
            self.close()
            raise OutputError(
                f"The volume could not be handed to the worker process ({error.strerror or 'write error'}).",
                "Free disk space in the folder for temporary files, then try again.",
            ) from error
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
            if event["event"] == "ended":
                if self._request is not None and event["code"] == 0 and self._killAt is None:
                    self._submit()  # it left, idle, just as the task was sent: once more
                elif self.isBusy:
                    events.append(self._lost(event["code"]))
            elif event.get("id") == self._current and self._current is not None:
                self._request = None
                events.append(event)
                if event["event"] in ("result", "error"):
                    self._current = self._killAt = None
        if self._killAt is not None and time.monotonic() >= self._killAt:
            number = self._current
            self.close()
            self._request = None
            events.append(
                {
                    "id": number,
                    "event": "error",
                    "kind": "Cancelled",
                    "cause": "Cancelled.",
                    "remedy": "",
                    "details": "",
                }
            )
        return events

    def close(self) -> None:
        """End the process and whatever it started, and remove the exchanged files."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._finalizer = self._current = self._killAt = None
        self.folder = ""

    def _write(self, message: dict) -> None:
        # A process that has just died is noticed by the reading thread.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self._process.stdin.flush()

    def _lost(self, code: int) -> dict:
        number, cancelled = self._current, self._killAt is not None
        self.close()
        self._request = None
        event = {"id": number, "event": "error", "details": "\n".join(self.log)}
        if cancelled:
            return {**event, "kind": "Cancelled", "cause": "Cancelled.", "remedy": ""}
        if code in _ENDED_FROM_OUTSIDE:
            cause = "The worker process was ended from outside, most often because memory ran out."
            remedy = "Close other programs, or choose the CPU as the device, then click again."
        else:
            cause = f"The worker process ended unexpectedly (code {code})."
            remedy = "Click again; if it repeats, copy the report and send it to the developers."
        return {**event, "kind": "WorkerLost", "cause": cause, "remedy": remedy}


def _hiddenProcessGroup() -> dict:
    """Arguments of Popen for a process without a console window, whose children can be ended with it."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _readEvents(process: subprocess.Popen, events: queue.Queue) -> None:
    for line in process.stdout:
        try:
            events.put(json.loads(line))
        except ValueError:
            continue  # not ours
    events.put({"event": "ended", "code": process.wait()})


def _readLog(stream, log: deque) -> None:
    for line in stream:
        log.append(line.decode("utf-8", "replace").rstrip())


def _end(process: subprocess.Popen, folder: str) -> None:
    """End a process, what it started and its files. Also called when Slicer ends."""
    if process.poll() is None:
        if os.name == "nt":
            subprocess.run(
                ["taskkill", "/PID", str(process.pid), "/T", "/F"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=subprocess.CREATE_NO_WINDOW,
                check=False,
            )
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    shutil.rmtree(folder, ignore_errors=True)
