"""What a user can paste into a bug report: error, versions, settings, log; no patient data."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import slicer

from HippoSegLib import __version__
from HippoSegLib.dependencies import PACKAGES

from .logic import Logic
from .parameters import Parameters


def reportText(message: str, parameters: Parameters, log: str) -> str:
    """The report.

    Args:
        message: What the panel shows.
        parameters: The settings, without names of volumes.
        log: What the worker last wrote, usually a traceback.
    """
    lines = [
        f"HippoSeg {__version__}, Slicer {getattr(slicer.app, 'applicationVersion', '?')}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}",
        ", ".join(f"{package.module} {_version(package.requirement)}" for package in PACKAGES),
        f"Error: {message}",
        f"Settings: {parameters.describe()}",
    ]
    if log:
        lines += ["Log:", log]
    # The home folder's name is usually the user's.
    return "\n".join(lines).replace(os.path.expanduser("~"), "~")


def copyReport(message: str, parameters: Parameters, logic: Logic) -> None:
    """Put the report into the clipboard.

    Args:
        message, parameters: See :func:`reportText`.
        logic: What ran the job.
    """
    log = logic.lastLog or "\n".join(getattr(logic.worker, "log", ()))
    slicer.app.clipboard().setText(reportText(message, parameters, log))


def _version(requirement: str) -> str:
    try:
        return importlib.metadata.version(requirement.split(">")[0])
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
