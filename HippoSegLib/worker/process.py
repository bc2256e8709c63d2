"""The panel's worker: a process of its own that segments on request and stays warm.

Started as ``python -m HippoSegLib.worker --folder FOLDER``. It reads one JSON object per line from
standard input and writes one per line to standard output, UTF-8:

- in: ``{"id": 1, "task": "segment", …}``, ``{"cancel": 1}``;
- out: ``{"event": "ready", "pid": …}`` once, then per task any number of
  ``{"id": 1, "event": "progress", "stage": …, "fraction": …}`` and exactly one of ``result``
  (with ``"result": {…}``) or ``error`` (``kind``, ``cause``, ``remedy``, ``details``).

Images travel as files in FOLDER (see :mod:`HippoSegLib.worker.tasks`), which the worker removes when
it ends. It ends when standard input closes, which happens when Slicer ends however it ends, and
after a time without work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import BinaryIO

from ..errors import Cancelled, DeviceError, HippoSegError

#: A task: (request, folder, progress, cancel) -> result, all of plain JSON values.
Task = Callable[[dict, str, Callable[[str, float], None], Callable[[], bool]], dict]

#: Seconds a running task gets to stop by itself after standard input closed.
_GRACE_SECONDS = 2.0

#: How much nicer than its parent a worker of low priority is (0 to 19).
_NICENESS = 10


class Worker:
    """Runs one task at a time.

    Args:
        requests: Binary stream of JSON lines.
        replies: Binary stream for JSON lines.
        tasks: Task name -> function.
        folder: Folder for exchanged files; removed at the end. Empty: none.
        idle_seconds: Ends after this time without a request.
    """

    def __init__(
        self,
        requests: BinaryIO,
        replies: BinaryIO,
        tasks: Mapping[str, Task],
        folder: str = "",
        idle_seconds: float = 900.0,
    ):
        self._requests, self._replies = requests, replies
        self._tasks, self._folder, self._idle_seconds = tasks, folder, idle_seconds
        self._queue: queue.Queue[dict | None] = queue.Queue()
        self._cancelled: set[int] = set()
        self._closing = threading.Event()
        self._write_lock = threading.Lock()

    def run(self) -> None:
        """Serve until standard input closes or the idle time is over."""
        threading.Thread(target=self._read, daemon=True).start()
        self._reply({"event": "ready", "pid": os.getpid()})
        try:
            while True:
                try:
                    request = self._queue.get(timeout=self._idle_seconds)
                except queue.Empty:
                    self._reply({"event": "bye", "reason": "idle"})
                    return
                if request is None:
                    return
                self._serve(request)
        finally:
            self._remove_folder()

    def _read(self) -> None:
        for line in self._requests:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if "cancel" in message:
                self._cancelled.add(message["cancel"])
            else:
                self._queue.put(message)
        # Slicer is gone: stop what runs, and do not wait for what cannot be stopped.
        self._closing.set()
        self._queue.put(None)
        timer = threading.Timer(_GRACE_SECONDS, self._leave)
        timer.daemon = True
        timer.start()

    def _leave(self) -> None:
        self._remove_folder()
        os._exit(0)

    def _remove_folder(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _reply(self, message: dict) -> None:
        data = json.dumps(message, ensure_ascii=True).encode("ascii") + b"\n"
        with self._write_lock:
            try:
                self._replies.write(data)
                self._replies.flush()
            except (OSError, ValueError):
                self._closing.set()  # nobody listens any more

    def _serve(self, request: dict) -> None:
        number = request.get("id", 0)

        def progress(stage: str, fraction: float) -> None:
            self._reply({"id": number, "event": "progress", "stage": stage, "fraction": float(fraction)})

        def cancel() -> bool:
            return number in self._cancelled or self._closing.is_set()

        try:
            if cancel():
                raise Cancelled()
            task = self._tasks.get(request.get("task", ""))
            if task is None:
                raise HippoSegError(f"The worker has no task {request.get('task')!r}.", "Restart Slicer.")
            result = task(request, self._folder, progress, cancel)
        except BaseException as error:  # whatever stops a task is reported, the worker lives on
            self._reply({"id": number, "event": "error", **describe(error)})
        else:
            self._reply({"id": number, "event": "result", "result": result})
        self._cancelled.discard(number)


def describe(error: BaseException) -> dict[str, str]:
    """Return an error as plain values: ``kind``, ``cause``, ``remedy`` and ``details``.

    Errors that are the user's to solve keep their own sentence; memory that ran out becomes one; any
    other is named by its type, its traceback going into ``details`` (for a report, not for the panel).
    """
    if isinstance(error, HippoSegError):
        known = error
        details = ""
    elif isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        known = DeviceError(
            "There is not enough memory.",
            "Close other programs, or choose the CPU as the device, then try again.",
        )
        details = type(error).__name__
    else:
        known = HippoSegError(
            f"The work stopped on an unexpected error ({type(error).__name__}).",
            "Try again; if it repeats, copy the report and send it to the developers.",
        )
        details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"kind": type(known).__name__, "cause": known.cause, "remedy": known.remedy, "details": details}


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output for the protocol alone.

    Libraries that print write to standard error instead, and those that look at standard input find
    an empty one (on Windows a library may otherwise hang at load while the pipe is being read).
    """
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


def lower_priority() -> None:
    """Let the rest of the computer go first; for tasks of minutes beside which people work.

    To be called before other threads start: Linux keeps the nice value per thread, and new ones take
    that of the thread that starts them. On Windows nothing is changed.
    """
    if not hasattr(os, "nice"):
        return
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    # Linux shares the processor between sessions first, and within each by the nice values. The panel's
    # worker leads a session of its own, whose share is this file's to set (sched(7), "autogroup").
    if sys.platform == "linux" and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write(str(_NICENESS))


def main(arguments: list[str] | None = None, tasks: Mapping[str, Task] | None = None) -> None:
    """Run the worker on this process's standard input and output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default="", help="folder for exchanged files, removed at the end")
    parser.add_argument("--idle-seconds", type=float, default=900.0, help="end after this time without work")
    parser.add_argument("--low-priority", action="store_true", help="let the rest of the computer go first")
    options = parser.parse_args(arguments)
    if options.low_priority:
        lower_priority()
    requests, replies = private_streams()
    if tasks is None:
        from .tasks import TASKS as tasks
    Worker(requests, replies, tasks, options.folder, options.idle_seconds).run()
    os._exit(0)  # no waiting for threads of libraries


if __name__ == "__main__":
    main()
