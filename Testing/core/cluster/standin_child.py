"""A worker process with a stand-in for the pipeline; a scan whose name says so is slow, poison, or real."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[i] / part) for i, part in ((3, ""), (1, "batch"))]

import standin  # noqa: E402

from HippoSegLib.batch import resume, runner, scan_process  # noqa: E402

real_read, real_segment = runner.read_scan, runner.segment


def read(path, region=False, series=None):
    name = Path(path).name
    with open(Path(path).parent / "read.log", "a") as file:
        file.write(f"{name}\n")
    if "real" in name:
        runner.segment = real_segment
        return real_read(path, region, series)
    runner.segment = standin.segment
    if "poison" in name:  # as where memory runs out: the system ends the largest process of the job
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    time.sleep(0.2 if "slow" in name else 0)
    return standin.read(path)


if __name__ == "__main__":
    runner.read_scan, resume.model_identity = read, standin.identity
    scan_process.main(sys.argv[1:])
