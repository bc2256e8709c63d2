"""A worker whose `segment` is a test double: quick, without torch, and steered by the options it gets.

Run as a script it is the worker process (its command is given to `WorkerProcess`); the product
never uses it. `options["model"]` chooses the behaviour: see `BEHAVIOURS` in the code.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass, field

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
STAGES = (
    "Checking the scan",
    "Finding the hippocampi",
    "Segmenting the left side",
    "Segmenting the right side",
)


@dataclass
class FakeMeasurements:
    """The part of the measurements that the worker passes on."""

    volumes_mm3: dict

    def as_row(self) -> dict:
        return {f"{side}_mm3": volume for side, volume in self.volumes_mm3.items()}


@dataclass
class FakeResult:
    """The shape of `SegmentationResult`."""

    labels: object
    measurements: FakeMeasurements
    flags: list = field(default_factory=list)
    provenance: dict = field(default_factory=dict)
    regions: dict = field(default_factory=dict)
    probabilities: dict | None = None


def fake_segment(image, model=None, device="auto", progress=None, cancel=None, **options):
    """Label the brightest voxels: 17 where x (LPS) is above the volume's middle, 53 elsewhere."""
    import SimpleITK as sitk

    from HippoSegLib.errors import Cancelled, InputError, NotFoundError

    for number, stage in enumerate(STAGES):
        progress(stage, number / len(STAGES))
        if cancel():
            raise Cancelled()
        if model == "slow":
            for _ in range(100):
                time.sleep(0.1)
                if cancel():
                    raise Cancelled()
        if model == "deaf":
            time.sleep(30)
        if model == "deaf-with-child":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            time.sleep(30)
    if model == "crash":
        os._exit(3)
    if model == "memory":
        raise MemoryError
    if model == "bug":
        raise ZeroDivisionError("division by zero")
    if model == "input-error":
        raise InputError("The scan is constant.", "Choose another volume.")
    if model == "not-found":
        raise NotFoundError("No hippocampus was found.", "Mark them.")
    if model == "noisy":
        print("a library prints")
        os.system("echo a program prints")
    array = sitk.GetArrayFromImage(image)
    labels = np.zeros(array.shape, np.uint16)
    labels[array > 0.5 * array.max()] = 53
    x = image.GetDirection()[0] * np.arange(array.shape[2])
    labels[:, :, x > np.median(x)] = np.where(labels[:, :, x > np.median(x)] > 0, 17, 0)
    out = sitk.GetImageFromArray(labels)
    out.CopyInformation(image)
    voxel = float(np.prod(image.GetSpacing()))
    volumes = {"left": float((labels == 17).sum() * voxel), "right": float((labels == 53).sum() * voxel)}
    return FakeResult(out, FakeMeasurements(volumes), provenance={"device": device, "pid": os.getpid()})


def fake_task(request, folder, progress, cancel):
    """`segment_task` with the double in place of the real function."""
    from HippoSegLib.workertasks import segment_task

    return segment_task(request, folder, progress, cancel, segment=fake_segment)


def command() -> list[str]:
    """The command that starts this worker."""
    return [sys.executable, str(pathlib.Path(__file__).resolve())]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from HippoSegLib.worker import main

    main(tasks={"segment": fake_task})
