"""What a process does that serves another one: its streams are for the protocol, it ends with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from .owner import Owner, process

#: How often it is looked whether the other process lives, seconds.
WATCH_SECONDS = 0.5

#: Linux: the signal that a process gets when its parent ends (`prctl`).
_PR_SET_PDEATHSIG = 1


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


def end_with(parent: Owner, leave: Callable[[], None]) -> None:
    """In a child process: end when its parent ends, on Linux also in the middle of native code.

    Args:
        parent: The process that is waited for.
        leave: Called, in a thread, when it is gone.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def watch() -> None:
        while parent.is_alive:
            time.sleep(WATCH_SECONDS)
        leave()

    threading.Thread(target=watch, daemon=True).start()


def to_text(owner: Owner) -> str:
    """A process of this computer as an argument of a command."""
    return f"{owner.pid}:{owner.start}"


def from_text(text: str) -> Owner:
    """The process that `to_text` named; raises ValueError where it names none."""
    pid, _, start = text.partition(":")
    return Owner(process().host, int(pid), start)
