"""The panel's worker: a process of its own that segments on request and stays warm.

Started as ``python -m HippoSegLib.worker --folder FOLDER --parent PROCESS``. It reads one JSON object per
line from standard input and writes one per line to standard output, UTF-8:

- in: ``{"id": 1, "task": "segment", …}``, ``{"cancel": 1}``; an id is an integer or a short text;
- out: ``{"event": "ready", "pid": …}`` once, then per task any number of
  ``{"id": 1, "event": "progress", "stage": …, "fraction": …}`` and exactly one of ``result``
  (with ``"result": {…}``) or ``error`` (``kind``, ``code``, ``cause``, ``remedy``, ``details``); where the
  worker comes to an end that it did not choose, a last ``{"event": "end", …}``
  (see :mod:`HippoSegLib.worker.supervisor`, the process that starts this one).

What is no request is passed over (see :mod:`HippoSegLib.worker.requests`). Images travel as files in
FOLDER (see :mod:`HippoSegLib.worker.exchange`), which is removed at the end if it carries the marker of a
worker's folder; nothing outside it ever is. The worker ends when standard input closes, when the process
that asks or the supervisor ends, and after a time without work.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import logging
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import BinaryIO

from ..errors import Cancelled, DeviceError, HippoSegError
from ..io.childprocess import end_with, from_text, private_streams, to_text
from ..io.owned_folders import remove
from ..io.owner import Owner, process
from .requests import Id, Requests
from .supervisor import FOLDER_KIND, GRACE_SECONDS, supervise

#: A task: (request, folder, progress, cancel) -> result, all of plain JSON values.
Task = Callable[[dict, str, Callable[[str, float], None], Callable[[], bool]], dict]

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
        self._requests = Requests(requests, self._leave_soon)
        self._replies, self._tasks = replies, tasks
        self._folder, self._idle_seconds = folder, idle_seconds
        self._write_lock = threading.Lock()

    def run(self) -> None:
        """Serve until standard input closes or the idle time is over."""
        self._requests.start()
        self._reply({"event": "ready", "pid": os.getpid()})
        try:
            while True:
                try:
                    request = self._requests.next(self._idle_seconds)
                except queue.Empty:
                    self._reply({"event": "bye", "reason": "idle"})
                    return
                if request is None:
                    return
                self._serve(request)
        finally:
            self._remove_folder()

    def leave(self) -> None:
        """End this process at once."""
        self._remove_folder()
        os._exit(0)

    def _leave_soon(self) -> None:
        """The panel is gone: what runs is asked to stop, and what cannot be stopped is not waited for."""
        timer = threading.Timer(GRACE_SECONDS, self.leave)
        timer.daemon = True
        timer.start()

    def _remove_folder(self) -> None:
        if self._folder:
            remove(self._folder, FOLDER_KIND)

    def _reply(self, message: dict) -> None:
        """Send a message.

        Raises:
            TypeError, ValueError, RecursionError: It cannot be written as JSON.
        """
        data = json.dumps(message, ensure_ascii=True).encode("ascii") + b"\n"
        with self._write_lock:
            try:
                self._replies.write(data)
                self._replies.flush()
            except (OSError, ValueError):
                self._requests.closed.set()  # nobody listens any more

    def _serve(self, request: dict) -> None:
        number: Id = request["id"]

        def progress(stage: str, fraction: float) -> None:
            self._reply({"id": number, "event": "progress", "stage": stage, "fraction": float(fraction)})

        def cancel() -> bool:
            return self._requests.is_cancelled(number)

        try:
            if cancel():
                raise Cancelled()
            name = request.get("task")
            task = self._tasks.get(name) if isinstance(name, str) else None
            if task is None:
                raise HippoSegError("The worker has no such task.", "Restart Slicer.")
            answer = {"event": "result", "result": task(request, self._folder, progress, cancel)}
            json.dumps(answer)
        except BaseException as error:  # whatever stops a task is reported, the worker lives on
            answer = {"event": "error", **describe(error)}
        self._requests.done(number)
        self._reply({"id": number, **answer})


def describe(error: BaseException) -> dict[str, str]:
    """Return an error as plain values: ``kind``, ``code``, ``cause``, ``remedy`` and ``details``.

    Errors that are the user's to solve keep their own sentence; memory that ran out becomes one; any
    other is named by its type, its traceback going into ``details`` (for a report, not for the panel).
    """
    if isinstance(error, HippoSegError):
        known = error
        details = ""
    elif isinstance(error, MemoryError) or "out of memory" in _text(error).lower():
        known = DeviceError(
            "There is not enough memory.",
            "Close other programs, or choose the CPU as the device, then try again.",
            "out_of_memory",
        )
        details = type(error).__name__
    else:
        known = HippoSegError(
            f"The work stopped on an unexpected error ({type(error).__name__}).",
            "Try again; if it repeats, copy the report and send it to the developers.",
        )
        details = _traceback(error)
    words = {"cause": known.cause, "remedy": known.remedy, "details": details}
    return {"kind": type(known).__name__, "code": known.code, **words}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an error of a library whose own words fail
        return ""


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:
        return type(error).__name__


def lower_priority(parent: Owner) -> None:
    """Let the rest of the computer go first; for tasks of minutes beside which people work.

    To be called before other threads start: Linux keeps the nice value per thread, and new ones take
    that of the thread that starts them. On Windows nothing is changed.

    Args:
        parent: The process that asks.
    """
    if not hasattr(os, "nice"):
        return
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    # Linux shares the processor between sessions first, and within each by the nice values. The panel's
    # worker has a session of its own, whose share is this file's to set (sched(7), "autogroup").
    with contextlib.suppress(OSError):
        if sys.platform == "linux" and os.getsid(0) != os.getsid(parent.pid):
            with open("/proc/self/autogroup", "w", encoding="ascii") as file:
                file.write(str(_NICENESS))


def main(arguments: list[str] | None = None, tasks: Mapping[str, Task] | None = None) -> None:
    """Run the worker on this process's standard input and output, below a supervisor."""
    options = _options(arguments)
    parent = options.parent or process(os.getppid())
    if options.supervisor is None:
        if options.low_priority:
            lower_priority(parent)
        # The same command once more, whatever it was: a module, a script, options of Python.
        command = [sys.executable, *sys.orig_argv[1:], "--supervisor", to_text(process())]
        os._exit(supervise(command, options.folder, parent))
    faulthandler.enable()  # a crash in native code says on standard error where it was
    requests, replies = private_streams()
    logging.basicConfig(format="HippoSeg worker: %(message)s")
    if tasks is None:
        from .tasks import TASKS

        tasks = TASKS
    worker = Worker(requests, replies, tasks, options.folder, options.idle_seconds)
    end_with(options.supervisor, worker.leave)
    worker.run()
    os._exit(0)  # no waiting for threads of libraries


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder", default="", type=_absolute, help="for exchanged files, removed at the end"
    )
    parser.add_argument("--idle-seconds", type=float, default=900.0, help="end after this time without work")
    parser.add_argument("--low-priority", action="store_true", help="let the rest of the computer go first")
    parser.add_argument("--parent", type=from_text, help="process that asks (default: the one that started)")
    parser.add_argument("--supervisor", type=from_text, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _absolute(folder: str) -> str:
    return os.path.abspath(folder) if folder else ""


if __name__ == "__main__":
    main()
