"""The process between the panel and the worker: small, and never busy with anything but the two.

Whoever starts the worker from Slicer starts it through a launcher, which gives 1 for every end there is,
and a worker in native code hears nothing. So this process is the worker's parent: it sees how the worker
ends and says so in the worker's own protocol, as its last line::

    {"event": "end", "how": "crashed", "code": 139, "signal": "SIGSEGV"}

and it ends the worker when the panel's process is gone, whatever the worker does, and although standard
input may stay open in another process. At the end it removes the exchange folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading

from ..io.childprocess import WATCH_SECONDS
from ..io.ending import Ending, ending, kills_for_memory
from ..io.owned_folders import remove
from ..io.owner import Owner

#: Kind of the exchange folder, see `owned_folders`.
FOLDER_KIND = "worker"

#: Seconds that a worker gets to leave by itself when the panel's process is gone.
GRACE_SECONDS = 2.0


def supervise(command: list[str], folder: str, parent: Owner) -> int:
    """Run the worker to its end on this process's own streams; returns the exit code for this process.

    Args:
        command: Starts the worker.
        folder: The exchange folder; "" is none.
        parent: The process that asks; when it is gone, the worker is ended.
    """
    own_group = hasattr(os, "getpgid") and _has_own_group(parent)
    worker = subprocess.Popen(command, stdin=0, stdout=1, stderr=2)
    told: list[int] = []

    def end(number: int, _frame: object) -> None:
        told.append(number)
        worker.kill()

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal, which the panel's process hears itself
    ended = threading.Event()
    threading.Thread(target=_wait, args=(worker, ended), daemon=True).start()
    orphaned, kills = False, (kills_for_memory(),) * 2
    while not ended.wait(WATCH_SECONDS):
        kills = (kills[1], kills_for_memory())
        if not parent.is_alive:
            orphaned = True
            ended.wait(GRACE_SECONDS)
            end_tree(worker)
            break
    ended.wait(GRACE_SECONDS)
    if folder:
        remove(folder, FOLDER_KIND)
    if orphaned and own_group:
        os.killpg(os.getpgrp(), signal.SIGKILL)  # what the worker may have started, and this process too
    status = worker.poll()
    if status:
        memory_ran_out = kills_for_memory() > kills[0] >= 0
        say(ending(-told[0] if told else status, memory_ran_out))
    return 1 if status is None else status if status >= 0 else 128 - status


def _wait(worker: subprocess.Popen, ended: threading.Event) -> None:
    worker.wait()
    ended.set()


def say(end: Ending) -> None:
    """Write the last line; the worker may have ended in the middle of another one."""
    line = json.dumps({"event": "end", **end.to_dict()}).encode("ascii")
    with contextlib.suppress(OSError):
        os.write(1, b"\n" + line + b"\n")


def end_tree(worker: subprocess.Popen) -> None:
    """End the worker; on Windows with what it started."""
    if os.name == "nt":
        subprocess.run(
            ["taskkill", "/PID", str(worker.pid), "/T", "/F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=subprocess.CREATE_NO_WINDOW,  # type: ignore[attr-defined]
            check=False,
        )
    with contextlib.suppress(OSError):
        worker.kill()


def _has_own_group(parent: Owner) -> bool:
    """Whether this process's group is not also that of the process that asks (a shell's, say)."""
    try:
        return os.getpgrp() != os.getpgid(parent.pid)
    except OSError:
        return False
