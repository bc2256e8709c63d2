"""What the worker process says: its messages, and what it and its libraries print."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections import deque
from typing import BinaryIO

#: After the worker's end, the last lines of its log are waited for as long.
_LOG_SECONDS = 1.0

#: What a message must have to be passed on.
_NEEDED = {"progress": ("stage", "fraction"), "result": ("result",), "error": ("kind", "cause", "remedy")}


def readEvents(process: subprocess.Popen, events: queue.Queue, log: threading.Thread) -> None:
    """Pass on what the worker says, then ``ended`` with exit code and the supervisor's last word."""
    lastWord = None
    for line in process.stdout or ():
        event = _event(line)
        if event is None:
            continue
        if event["event"] == "end":
            lastWord = event
        else:
            events.put(event)
    code = process.wait()
    log.join(_LOG_SECONDS)  # its last words; something that it started may keep the pipe open
    events.put({"event": "ended", "code": code, "lastWord": lastWord})


def _event(line: bytes) -> dict | None:
    """A message of the worker; None where the line is none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    return event if set(_NEEDED.get(event["event"], ())) <= set(event) else None


def readLog(stream: BinaryIO, log: deque) -> None:
    """Keep the lines of a stream, which are anything that a library may print."""
    for line in stream:
        log.append(line.decode("utf-8", "replace").rstrip())
