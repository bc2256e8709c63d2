"""What is said where the worker ended in the middle of a task: what is known, and nothing else.

The exit code of what was started says little: inside Slicer that is a launcher, PythonSlicer, which gives
1 for every end there is. The worker's supervisor says how it ended (:mod:`HippoSegLib.worker.supervisor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_REPORT = "Click again; if it repeats, copy the report and send it to the developers."


@dataclass(frozen=True)
class Loss:
    """Why a task has no answer: code for programs, cause and remedy for the user."""

    code: str
    cause: str
    remedy: str


def loss(exitCode: int, lastWord: Mapping | None, hasStarted: bool) -> Loss:
    """Tell why the worker process is gone.

    Args:
        exitCode: Of the process that was started, a launcher perhaps.
        lastWord: The supervisor's last message, None where there was none.
        hasStarted: Whether the worker had said that it was ready.
    """
    how = (lastWord or {}).get("how")
    signal, code = str((lastWord or {}).get("signal", "")), (lastWord or {}).get("code", exitCode)
    if how == "no_memory":
        return Loss(
            "out_of_memory",
            "The system ended the worker process because memory ran out.",
            "Close other programs, or choose the CPU as the device, then click again.",
        )
    if how == "crashed":
        cause = f"The worker process crashed in a library that it uses ({signal})."
        return Loss("worker_crashed", cause, _REPORT)
    if how == "killed":
        return Loss(
            "worker_killed",
            f"The worker process was ended from outside ({signal}).",
            "Click again; where memory is scarce, close other programs first.",
        )
    if not hasStarted:
        return Loss(
            "worker_not_started",
            f"The worker process did not start (exit code {code}).",
            "Copy the report, which holds what it said last, and send it to the developers.",
        )
    if how == "exited":
        return Loss("worker_ended", f"The worker process ended unexpectedly (exit code {code}).", _REPORT)
    return Loss(
        "worker_lost",
        f"The worker process ended and did not say why (exit code {exitCode}).",
        _REPORT,
    )
