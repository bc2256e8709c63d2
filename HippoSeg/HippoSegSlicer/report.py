"""What a user can paste into a bug report: error, versions, settings, log; no patient data."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Iterable

import slicer

from HippoSegLib import __version__
from HippoSegLib.dependencies import PACKAGES

from .logic import Logic
from .parameters import Parameters


def reportText(message: str, parameters: Parameters, log: str, private: Iterable[str] = ()) -> str:
    """The report.

    Args:
        message: What the panel shows.
        parameters: The settings, without names of volumes.
        log: What the worker last wrote, usually a traceback.
        private: Names that may be a patient's, to be left out wherever they stand.
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
    text = "\n".join(lines).replace(os.path.expanduser("~"), "~")
    # The longest first: one name may be part of another. Of one or two characters, it would be everywhere.
    names = sorted({name for name in private if len(name) > 2}, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, names)), "<name>", text) if names else text


def copyReport(message: str, parameters: Parameters, logic: Logic, folder: str = "") -> None:
    """Put the report into the clipboard.

    Args:
        message, parameters: See :func:`reportText`.
        logic: What ran the job.
        folder: Folder of scans that the job was about; what is in it is not named.
    """
    log = logic.lastLog or "\n".join(getattr(logic.worker, "log", ()))
    private = [*_namesInScene(), *_namesInFolder(folder)]
    slicer.app.clipboard().setText(reportText(message, parameters, log, private))


def _namesInScene() -> list[str]:
    kinds = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode")
    return [node.GetName() for kind in kinds for node in slicer.util.getNodesByClass(kind)]


def _namesInFolder(folder: str) -> list[str]:
    """What files and folders in it are called, with and without their endings."""
    found = [name for _, folders, files in os.walk(folder) for name in folders + files] if folder else []
    names = {*found, *(name.split(".")[0] for name in found), os.path.basename(folder)}
    return sorted(names - {"images", "labels", "derivatives", "anat"})  # everybody's


def _version(requirement: str) -> str:
    try:
        return importlib.metadata.version(requirement.split(">")[0])
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
