"""Starting and ending the worker process, on each system in its own way."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

from HippoSegLib.errors import HippoSegError
from HippoSegLib.io.owned_folders import remove
from HippoSegLib.worker.supervisor import FOLDER_KIND


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


def hiddenProcessGroup() -> dict:
    """Arguments of Popen for a process without a console window, whose children can be ended with it."""
    if os.name == "nt":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined]
        return {"creationflags": flags}
    return {"start_new_session": True}


def endTree(process: Any, folder: str) -> None:
    """End a process, what it started and its files. Also called when Slicer ends."""
    if process.poll() is None:
        if os.name == "nt":
            subprocess.run(
                ["taskkill", "/PID", str(process.pid), "/T", "/F"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=subprocess.CREATE_NO_WINDOW,  # type: ignore[attr-defined]
                check=False,
            )
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    for _attempt in range(5):  # what was killed may have been writing
        if remove(folder, FOLDER_KIND) or not os.path.exists(folder):
            break
        time.sleep(0.05)
