"""Loaded by each Dask worker of the tests: its child processes are the stand-in's."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[i] / part) for i, part in ((3, ""), (1, "batch"))]

import standin  # noqa: E402

from HippoSegLib.batch import resume, worker_handle  # noqa: E402

worker_handle.COMMAND = [sys.executable, str(Path(__file__).with_name("standin_child.py"))]
resume.model_identity = standin.identity
