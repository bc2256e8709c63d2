"""Stands in for PythonSlicer: a program that starts Python, waits for it, and gives 1 for every bad end.

It waits as Slicer's launcher does, in a process of its own, which does not end with the one that started it.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import fake_worker


def command() -> list[str]:
    """The command that starts the worker with the test double through this launcher."""
    return [sys.executable, str(pathlib.Path(__file__).resolve()), *fake_worker.command()]


if __name__ == "__main__":
    sys.exit(1 if subprocess.run(sys.argv[1:], check=False).returncode else 0)
