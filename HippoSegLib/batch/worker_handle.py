"""One worker process as its parent sees it: the scan it is at, what it says, and how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..io.childprocess import to_text
from ..io.ending import Ending, ending
from ..io.owner import process
from .scan_process import Setup, scan_to_line
from .source import Source

#: What starts a worker; the parent's name follows.
COMMAND = [sys.executable, "-m", "HippoSegLib.batch.scan_process"]
#: A message, or None at its end; both None where nobody said anything.
Event = tuple["WorkerHandle | None", "dict[str, Any] | None"]

_PACKAGES = str(Path(__file__).resolve().parents[2])
_LAST_LINES = 200
#: Seconds that a worker without a scan gets to end.
_LONGEST_END = 30.0
#: What `faulthandler` says of a crash: no more than that of standard error goes into a report.
_CRASH = re.compile(r"(Fatal Python error: |Windows fatal exception: |Current thread |Thread |  File )")


class WorkerHandle:
    """A worker process.

    Attributes:
        task: The scan it is at, with its name; None where it waits.
        since: When it began with that scan, seconds of the monotonic clock.
        is_ready: It has started.
        timed_out: It was ended because it took too long.
    """

    def __init__(self, setup: Setup, events: queue.Queue[Event]):
        self.task: tuple[Source, str] | None = None
        self.since, self.is_ready, self.timed_out = time.monotonic(), False, False
        self._events, self._errors = events, deque[str](maxlen=_LAST_LINES)
        self._process = subprocess.Popen(
            [*COMMAND, to_text(process())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(setup.options.threads or 1),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._listen, self._note)]
        for thread in self._threads:
            thread.start()
        self._send(setup.to_line())

    @property
    def lives(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def give(self, task: tuple[Source, str]) -> None:
        """Give it a scan; where it is dead already, its end is about to be told."""
        self.task, self.since = task, time.monotonic()
        self._send(scan_to_line(*task))

    def end_if_late(self, timeout: float) -> None:
        """End it where it has been at its scan for more than so many seconds."""
        late = self.task is not None and self.is_ready and time.monotonic() - self.since > timeout
        if late and not self.timed_out:
            self.timed_out = True
            self._process.kill()

    def finish(self, cancel: bool) -> None:
        """Let it end: after the scan it is at, or, if `cancel`, in the middle of it."""
        if cancel:
            self._send(b'{"cancel": true}\n')
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def end(self, kill: bool) -> None:
        """Wait for its end; kill it first if that is asked for, or if it does not come."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if kill else _LONGEST_END)
        with contextlib.suppress(OSError):
            self._process.kill()
        self.wait()

    def wait(self, memory_ran_out: Callable[[], bool] = lambda: False) -> Ending:
        """How it ended, once it has."""
        status = self._process.wait()
        for thread in self._threads:
            thread.join(timeout=5.0)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        return ending(status, memory_ran_out())

    def last_words(self) -> list[str]:
        """Where in the code it crashed, without the folders above installed packages."""
        lines = (line for line in self._errors if _CRASH.match(line))
        return [line.replace(_PACKAGES + os.sep, "") for line in lines]

    def _send(self, line: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                with contextlib.suppress(ValueError):  # cut off in the middle
                    self._events.put((self, json.loads(line)))
        self._events.put((self, None))

    def _note(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stderr:
                self._errors.append(line.decode("utf-8", "replace").rstrip())


def _environment(threads: int) -> dict[str, str]:
    """It finds this very package, and its libraries use so many threads."""
    before = os.environ.get("PYTHONPATH")
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([_PACKAGES, *([before] if before else [])]),
        **dict.fromkeys((*names, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), str(threads)),
    }
