"""Speed and memory of the whole pipeline, stage by stage, for a 1 mm 256³ head.

    python Testing/benchmarks/pipeline_speed.py [--scan HEAD] [--runs 5] [--heads 25] [--threads N]
        [--engine numpy|torch] [--busy N]

Prints three tables: the whole process from the shell, one head and many, reading and writing included, the
picture left out; seconds and peak memory per stage inside one process (median of the runs after a warm-up);
and both beside hippodeep. Without `--scan` the shipped sample is brought to 256³ voxels of 1 mm. Measure on a
quiet machine: the load is printed. `--busy N` makes it busy on purpose, with N processes that only compute,
and compares the default number of threads with one thread.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"
#: hippodeep (310305f) and HippoSeg before its own engine (PyTorch), one after the other on a quiet machine of
#: two cores, 2026-11-25: seconds and MiB of one head as a whole process, seconds of 25 heads.
HIPPODEEP = {"one_s": 5.64, "one_mib": 632.0, "many_s": 78.3}
BEFORE = {"one_s": 3.56, "one_mib": 480.0, "many_s": 27.5}
#: What is aimed at, as shares of hippodeep's.
GOALS = {"one_s": 0.40, "one_mib": 0.60, "many_s": 0.35}
LINUX = sys.platform.startswith("linux")


@dataclass(frozen=True)
class Process:
    """One process from the shell: wall and processor seconds, peak memory in MiB."""

    wall: float
    processor: float
    peak: float


def full_size_head(folder: Path) -> Path:
    """The sample on a 256³ grid of 1 mm, int16, gzipped: what a scanner's head usually is."""
    image = sitk.ReadImage(str(SAMPLE), sitk.sitkInt16)
    centre = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    direction = image.GetDirection()
    grid = sitk.Image([256] * 3, sitk.sitkInt16)
    grid.SetDirection(direction)
    half = grid.TransformContinuousIndexToPhysicalPoint([127.5] * 3)
    grid.SetOrigin([c - h for c, h in zip(centre, half, strict=True)])
    path = folder / "head_256.nii.gz"
    sitk.WriteImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear), str(path))
    return path


def process(scans: list[Path], folder: Path, options: list[str]) -> Process:
    """`hipposeg segment` of these scans in a process of its own."""
    output = Path(tempfile.mkdtemp(dir=folder))
    command = [sys.executable, "-m", "HippoSegLib", "segment", *map(str, scans), "-o", str(output)]
    start = time.perf_counter()
    child = subprocess.Popen(
        [*command, "--no-picture", "-q", "--device", "cpu", *options], stdout=subprocess.DEVNULL, cwd=ROOT
    )
    _, status, usage = os.wait4(child.pid, 0)  # this child's own figures
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"hipposeg segment failed ({status})")
    shutil.rmtree(output)
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return Process(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def median_process(scan: Path, folder: Path, options: list[str], runs: int) -> Process:
    """Median of each figure over the runs after a warm-up; of the memory the largest."""
    done = [process([scan], folder, options) for _ in range(runs + 1)][1:]
    wall, processor = (statistics.median(getattr(p, name) for p in done) for name in ("wall", "processor"))
    return Process(wall, processor, max(p.peak for p in done))


def copies(scan: Path, folder: Path, number: int) -> list[Path]:
    """The scan under so many names."""
    (folder / "many").mkdir()
    return [shutil.copy(scan, folder / "many" / f"head{n:02}.nii.gz") for n in range(number)]


def _peak_from_now() -> None:
    if LINUX:
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    """MiB, the most since `_peak_from_now`; NaN where the system does not tell."""
    if not LINUX:
        return float("nan")
    (line,) = (s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


class Stopwatch:
    """Seconds and peak memory of stages that follow one another."""

    def __init__(self):
        self.seen: dict[str, tuple[float, float]] = {}
        self._name, self._since = "", 0.0

    def enter(self, name: str) -> None:
        """End the stage and begin another; "" is none."""
        now, peak = time.perf_counter(), _peak()
        if self._name:
            seconds, most = self.seen.get(self._name, (0.0, 0.0))
            self.seen[self._name] = (seconds + now - self._since, max(most, peak))
        _peak_from_now()
        self._name, self._since = name, time.perf_counter()


def one_head(scan: Path, output: Path, options: dict) -> dict[str, tuple[float, float]]:
    """Stage -> seconds and MiB of a head in this process, from the file to the files."""
    from HippoSegLib.batch.run import segment_files

    watch, begin = Stopwatch(), time.perf_counter()

    def tell(_scan: str, words: str, _fraction: float) -> None:
        watch.enter("writing labels, record and table" if words == "Done" else words)

    watch.enter("reading and checking the file")
    list(segment_files([scan], output, picture=False, device="cpu", progress=tell, **options))
    watch.enter("")
    peak = max(most for _, most in watch.seen.values())
    return {**watch.seen, "in all, one head inside the process": (time.perf_counter() - begin, peak)}


def stages(scan: Path, folder: Path, runs: int, options: dict) -> list[tuple[str, float, float]]:
    """Name, median seconds and largest memory of each stage over `runs` runs in this process."""
    start = time.perf_counter()
    import HippoSegLib.batch.run  # noqa: F401

    rows: dict[str, list[tuple[float, float]]] = {}
    rows["imports of the core (before the first run)"] = [(time.perf_counter() - start, _peak())]
    first = one_head(scan, folder / "first", options)
    rows["the first head (model, what is imported late, warm-up)"] = [list(first.values())[-1]]
    for number in range(runs):
        for name, figures in one_head(scan, folder / f"run{number}", options).items():
            rows.setdefault(name, []).append(figures)
    return [
        (name, statistics.median(s for s, _ in figures), max(m for _, m in figures))
        for name, figures in rows.items()
    ]


@contextmanager
def busy(number: int) -> Iterator[None]:
    """So many processes that only compute."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        if others:
            time.sleep(90)  # until the load of the last minute says so, which is what a run looks at
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def compare(one: Process, many: float | None) -> None:
    """Print this machine's figures beside those of hippodeep, which were measured elsewhere."""
    ours = {"one_s": one.wall, "one_mib": one.peak, "many_s": many}
    words = {"one_s": "one head, s", "one_mib": "one head, MiB", "many_s": "25 heads, s"}
    print(f"\n{'':16}{'here':>10}{'before':>10}{'hippodeep':>11}{'share':>8}{'goal':>8}")
    for name, value in ours.items():
        if value is not None:
            print(
                f"{words[name]:16}{value:10.2f}{BEFORE[name]:10.2f}{HIPPODEEP[name]:11.2f}"
                f"{value / HIPPODEEP[name]:8.2f}{GOALS[name]:8.2f}"
            )
    print("(before and hippodeep: one after the other on a quiet machine of two cores, 2026-11-25)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--heads", type=int, default=25, help="0 leaves the many heads out")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--engine", choices=("numpy", "torch"))
    parser.add_argument("--busy", type=int, default=0, metavar="N")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    given = {name: getattr(args, name) for name in ("threads", "engine") if getattr(args, name)}
    options = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan = args.scan or full_size_head(folder)
        print(
            f"{os.cpu_count()} CPUs, load {load()} before, median of {args.runs} runs, "
            f"options: {given or 'none'}"
        )
        if args.busy:
            with busy(args.busy):
                print(f"load {load()} with {args.busy} processes that only compute")
                for words, chosen in (("default threads", []), ("one thread", ["--threads", "1"])):
                    one = median_process(scan, folder, chosen, args.runs)
                    print(f"{words:20} {one.wall:6.2f} s wall {one.processor:6.2f} s processor")
            return
        one, many = median_process(scan, folder, options, args.runs), None
        print(
            f"one head:  {one.wall:7.2f} s wall {one.processor:7.2f} s processor {one.peak:6.0f} MiB at most"
        )
        if args.heads:
            several = process(copies(scan, folder, args.heads), folder, options)
            many = several.wall if args.heads == 25 else None
            print(
                f"{args.heads} heads: {several.wall:7.2f} s wall {several.processor:7.2f} s processor "
                f"{several.peak:6.0f} MiB at most"
            )
        print(f"\n{'stage':58}{'s':>8}{'MiB':>8}")
        for label, seconds, peak in stages(scan, folder, args.runs, given):
            print(f"{label:58}{seconds:8.3f}{peak:8.0f}")
        print(f"load {load()} after")
        compare(one, many)


if __name__ == "__main__":
    main()
