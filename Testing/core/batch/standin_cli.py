"""The command line with the stand-in for the pipeline, in its own process and in its workers."""

from __future__ import annotations

import sys
from pathlib import Path

import standin
import standin_worker

from HippoSegLib import cli
from HippoSegLib.batch import resume, runner, worker_handle

if __name__ == "__main__":
    runner.read_scan, runner.segment = standin_worker.read, standin.segment
    resume.model_identity = standin.identity
    worker = Path(__file__).with_name("standin_worker.py")
    worker_handle.COMMAND = [sys.executable, str(worker)]
    sys.exit(cli.main(sys.argv[1:]))
