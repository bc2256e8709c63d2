"""A worker whose `segment` is a test double: quick, without torch, and steered by the options it gets;
its `finetune` is the real one, which can be held at its start.

Run as a script it is the worker process (its command is given to `WorkerProcess`); the product
never uses it. What it does beyond labelling is chosen by `options["model"]` or, where the environment
variable HIPPOSEG_TEST_STEERING names a file, by the file's content; see `misbehave`.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
import signal
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
class FakeResult:
    """The shape of `SegmentationResult`."""

    labels: object
    measurements: object
    flags: list = field(default_factory=list)
    provenance: dict = field(default_factory=dict)
    probabilities: dict | None = None


def steering(model: str | None) -> str:
    """What the double is to do."""
    path = os.environ.get("HIPPOSEG_TEST_STEERING")
    told = pathlib.Path(path).read_text(encoding="utf-8") if path and os.path.exists(path) else ""
    return told or model or ""


def misbehave(behaviour: str) -> None:
    """End in one of the ways a segmentation can end."""
    from HippoSegLib.errors import InputError, NotFoundError

    if behaviour == "crash":
        os._exit(3)
    if behaviour.startswith("signal:"):
        os.kill(os.getpid(), getattr(signal, behaviour.split(":")[1]))
        time.sleep(30)
    if behaviour == "segfault":
        ctypes.string_at(0)
    if behaviour == "memory":
        raise MemoryError
    if behaviour == "bug":
        raise ZeroDivisionError("division by zero")
    if behaviour == "input-error":
        raise InputError("The scan is constant.", "Choose another volume.")
    if behaviour == "not-found":
        raise NotFoundError("No hippocampus was found.", "Mark them.", "no_hippocampus")
    if behaviour == "noisy":
        print("a library prints")
        os.system("echo a program prints")


def dawdle(behaviour: str, cancel) -> None:
    """Be slow at a stage, with or without listening."""
    from HippoSegLib.errors import Cancelled

    for _ in range(100 if behaviour == "slow" else 0):
        time.sleep(0.1)
        if cancel():
            raise Cancelled()
    while behaviour == "hold":  # until something else is steered
        time.sleep(0.02)
        behaviour = steering(None)
        if cancel():
            raise Cancelled()
    if behaviour == "deaf":
        time.sleep(30)
    if behaviour == "native":  # in C, Python's lock held: no thread of this process runs meanwhile
        ctypes.PyDLL(None).sleep(60)
    if behaviour == "deaf-with-child":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        time.sleep(30)


def fake_segment(image, model=None, device="auto", progress=None, cancel=None, *, parts=False, **options):
    """Label the brightest voxels: left where x (LPS) is above the volume's middle, right elsewhere.

    With parts, the front half (smaller y in LPS) of each is anterior.
    """
    import SimpleITK as sitk

    from HippoSegLib.errors import Cancelled
    from HippoSegLib.labels import PART, WHOLE

    behaviour = steering(model)
    wait_at = behaviour.split(":")[1] if behaviour.startswith("stay:") else None
    for number, stage in enumerate(STAGES):
        progress(stage, number / len(STAGES))
        if cancel():
            raise Cancelled()
        dawdle("slow" if wait_at == stage else behaviour, cancel)
    misbehave("" if options.get("points") or options.get("boxes") else behaviour)
    array = sitk.GetArrayFromImage(image)
    bright = array > 0.5 * array.max()
    if behaviour == "empty":
        bright[:] = False
    matrix = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    k, j, i = np.indices(array.shape)
    x, y = (matrix[axis, 0] * i + matrix[axis, 1] * j + matrix[axis, 2] * k for axis in (0, 1))
    is_left, is_front = x > np.median(x), y < np.median(y)
    labels = np.zeros(array.shape, np.uint16)
    for side, here in (("left", is_left), ("right", ~is_left)):
        if options.get("region_side") not in (None, side):
            continue
        labels[bright & here] = WHOLE[side]
        if parts:
            labels[bright & here & is_front] = PART[side]["anterior"]
            labels[bright & here & ~is_front] = PART[side]["posterior"]
    out = sitk.GetImageFromArray(labels)
    out.CopyInformation(image)
    from HippoSegLib.results.volumes import measure

    provenance = {
        "device": device,
        "pid": os.getpid(),
        "options": {"parts": parts, **options},
        "geometry": [image.GetSpacing(), image.GetOrigin(), image.GetDirection()],
        "model": {"name": "double"},
    }
    return FakeResult(out, measure(out, 1.5e6), provenance=provenance)


def fake_task(request, folder, progress, cancel):
    """`segment_task` with the double in place of the real function."""
    from HippoSegLib.worker.tasks import segment_task

    return segment_task(request, folder, progress, cancel, segment=fake_segment)


def fake_devices(request, folder, progress, cancel):
    """Two devices, and one that fails its probe."""
    if steering(None) == "no-devices":
        from HippoSegLib.errors import DependencyError

        raise DependencyError("PyTorch is installed but does not load.", "Install it again.")
    return {
        "devices": [
            {"name": "cpu", "description": "CPU, 2 threads"},
            {"name": "cuda:1", "description": "Card B (cuda:1)"},
        ],
        "refused": ["Card A (cuda:0): its test failed (RuntimeError)"],
        "automatic": {"name": "cuda:1", "reason": "Automatic: Card B (cuda:1)."},
    }


def fake_preview(request, folder, progress, cancel):
    """Two channels per side: a corner of the input, and its half."""
    from HippoSegLib.worker.exchange import from_image, to_image

    image = to_image(request["image"], folder)[:4, :5, :6]
    return {
        "channels": {
            side: [from_image(image / (n + 1), folder, f"p-{side}-{n}.npy") for n in range(2)]
            for side in ("left", "right")
        }
    }


def fake_batch(request, folder, progress, cancel):
    """The real task on a pipeline that takes a millisecond; steered as `fake_segment` is."""
    from HippoSegLib.batch import runner
    from HippoSegLib.models.card import read_card
    from HippoSegLib.models.store import bundled_folder
    from HippoSegLib.pipeline import SegmentationResult
    from HippoSegLib.worker.tasks import TASKS

    def segment(scan, options, tell=None, cancel=None):
        stop = cancel or (lambda: False)
        found = fake_segment(scan.image, None, "cpu", tell or (lambda *_: None), stop, parts=options.parts)
        # Named as the bundled model's, so that it is not done again.
        model = {"name": "hipposeg", "sha256": read_card(bundled_folder() / "hipposeg").weights_sha256}
        provenance = {**found.provenance, "model": model}
        return SegmentationResult(found.labels, None, found.measurements, (), provenance)

    runner.segment = segment
    return TASKS["cohort"](request, folder, progress, cancel)


def held_finetune(request, folder, progress, cancel):
    """The real task, after what is steered."""
    from HippoSegLib.worker.tasks import finetune_task

    progress("Held", 0.0)
    dawdle(steering(None), cancel)
    return finetune_task(request, folder, progress, cancel)


def command() -> list[str]:
    """The command that starts this worker."""
    return [sys.executable, str(pathlib.Path(__file__).resolve())]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from HippoSegLib.worker.process import main
    from HippoSegLib.worker.tasks import TASKS

    doubles = {
        "segment": fake_task,
        "devices": fake_devices,
        "preview": fake_preview,
        "finetune": held_finetune,
        "cohort": fake_batch,
    }
    main(tasks={**TASKS, **doubles})
