"""A worker process with the stand-in for the pipeline, and scans whose names say how they end it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import standin

from HippoSegLib.batch import resume, runner, scan_process
from HippoSegLib.errors import Cancelled, ModelError

#: Part of a scan's name -> what reading it does.
ENDS = {
    "segv": lambda: ctypes.string_at(0),
    "hang": lambda: time.sleep(600),
    "slow": lambda: time.sleep(0.4),
}


def read(path, region=False, series=None):
    name = Path(path).name
    for word, act in ENDS.items():
        if word in name:
            act()
    if "once" in name and not Path(f"{path}.tried").exists():
        Path(f"{path}.tried").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return standin.read(path)


def segment(scan, options, progress=None, cancel=None):
    if os.environ.get("STANDIN_MODEL") == "missing":
        raise ModelError("There is no such model.", "Give another.")
    while os.environ.get("STANDIN_WAITS"):
        if cancel():
            raise Cancelled()
        time.sleep(0.02)
    return standin.segment(scan, options, progress, cancel)


if __name__ == "__main__":
    runner.read_scan, runner.segment, resume.model_identity = read, segment, standin.identity
    scan_process.main(sys.argv[1:])
