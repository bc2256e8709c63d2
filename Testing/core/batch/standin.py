"""A pipeline in place of the real one, that takes a millisecond: for tests of what is around it."""

from __future__ import annotations

import csv
import os
import signal
import sys
import traceback
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from HippoSegLib.batch import resume, runner  # noqa: E402
from HippoSegLib.batch import run as batch  # noqa: E402
from HippoSegLib.flags import Flag  # noqa: E402
from HippoSegLib.io import staging  # noqa: E402
from HippoSegLib.io.images import Scan  # noqa: E402
from HippoSegLib.pipeline import SegmentationResult  # noqa: E402
from HippoSegLib.results.volumes import measure  # noqa: E402

EDGE, SHA256 = 20, "0" * 64


def small_image(seed: int) -> sitk.Image:
    """Noise, 20³ voxels of 3 mm."""
    array = np.random.default_rng(seed).normal(500, 100, (EDGE, EDGE, EDGE)).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([3.0, 3.0, 3.0])
    return image


def result_of(image: sitk.Image, options, flags=()) -> SegmentationResult:
    """Two boxes whose sizes follow from the voxels, so that each scan has volumes of its own."""
    array = sitk.GetArrayViewFromImage(image)
    left, right = (2 + int(abs(array[0, 0, i]) * 1000) % 6 for i in (0, 1))
    labels = np.zeros(array.shape, np.uint16)
    labels[5 : 5 + right, 5:10, 2:8], labels[5 : 5 + left, 5:10, 12:18] = 53, 17
    out = sitk.GetImageFromArray(labels)
    out.CopyInformation(image)
    maps = {s: sitk.Cast(out == v, sitk.sitkFloat32) for s, v in (("left", 17), ("right", 53))}
    provenance = {
        "model": {"name": "stand-in", "sha256": SHA256},
        "versions": {},
        "settings": {},
        "seconds": {},
        "input_geometry": {},
        "flags": [flag.message for flag in flags],
    }
    return SegmentationResult(
        out, maps if options.probabilities else None, measure(out), tuple(flags), provenance
    )


def identity(options) -> tuple[str, None]:
    """The stand-in's model, whatever is asked for; in place of `resume.model_identity`."""
    return SHA256, None


def read(path, region=False, series=None) -> Scan:
    """The scan of a number in the file's name; no file is looked at."""
    return Scan(small_image(int(Path(path).name.split("-")[1].split(".")[0])))


def write_scan(path: Path, seed: int = 0) -> Path:
    """A scan that passes the checks of the real reader."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).normal(500, 100, (40, 42, 44)).astype(np.float32)
    array[:8] = 0
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([4.5, 4.5, 4.5])
    sitk.WriteImage(image, str(path))
    return path


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of the table in a folder."""
    with open(folder / batch.TABLE, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def table_but_seconds(folder: Path) -> list[dict[str, str]]:
    """The rows without the one column in which two runs differ."""
    return [{name: cell for name, cell in row.items() if name != "seconds"} for row in table(folder)]


def visible(folder: Path) -> set[str]:
    """Names in a folder without those that are hidden."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def segment(scan, options, progress=None, cancel=None) -> SegmentationResult:
    """The stand-in for `runner.segment`: most scans are fine, some are to be reviewed, some fail."""
    number = int(sitk.GetArrayViewFromImage(scan.image)[0, 0, 0] * 1000)
    if number % 7 == 0:
        raise KeyError("a stand-in for what nobody thought of")
    flags = (Flag("contrast", "Does not look like a T1."),) if number % 3 == 0 else ()
    return result_of(scan.image, options, flags)


def as_another_program() -> None:
    """Make a forked process like one that was started: for its own memory, threads and signals."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.alarm(120)  # the tests end in any case
    sys.settrace(None)  # what it runs is not measured: it ends without a report
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # ITK's threads did not come along
    staging._swept.clear()


class BatchProcess:
    """A process of its own that segments scans by number into a folder, to be killed.

    It is forked, so that it begins with the work and not with imports.
    """

    def __init__(self, out: Path, first: int, count: int, **options):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                as_another_program()
                os.chdir(out.parent)
                runner.segment, runner.read_scan, resume.model_identity = segment, read, identity
                paths = [Path("scans") / f"scan-{n:04d}.nii.gz" for n in range(first, first + count)]
                for _ in batch.segment_files(paths, out, **{"picture": False, **options}):
                    pass
                os._exit(0)
            except KeyboardInterrupt:
                os._exit(130)
            except BaseException:  # noqa: B036  a child must never return into the tests
                traceback.print_exc()
                os._exit(1)

    def wait(self) -> int:
        """The exit code; minus the signal's number where one ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def send(self, number: int) -> None:
        os.kill(self.pid, number)
