"""Speed and memory of the whole street, stage by stage, for a 1 mm 256³ head.

    python Testing/benchmarks/street.py [--scan HEAD] [--runs 5] [--threads N]

Prints two tables: seconds per stage inside one process (median of the runs after a warm-up), and the
whole process from the shell, reading and writing included, the picture left out. Without `--scan`
the shipped sample is brought to 256³ voxels of 1 mm. Measure on a quiet machine: the load is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"


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


def inside(scan: Path, folder: Path, runs: int, threads: int | None) -> list[tuple[str, float]]:
    """Median seconds per stage over `runs` runs in this process."""
    start = time.perf_counter()
    from HippoSegLib.batch.run import write_result
    from HippoSegLib.io.images import read_scan
    from HippoSegLib.pipeline import segment

    rows = {"imports of the core (before the first run)": [time.perf_counter() - start]}
    for number in range(runs + 1):
        times = {}
        begin = time.perf_counter()
        image = read_scan(scan).image
        times["reading and checking the file"] = time.perf_counter() - begin
        result = segment(image, device="cpu", threads=threads)
        times |= {f"  {name}": value for name, value in result.provenance["seconds"].items()}
        mark = time.perf_counter()
        write_result(image, result, folder, f"run{number}", picture=False)
        times["writing labels and provenance"] = time.perf_counter() - mark
        times["in all, one head inside the process"] = time.perf_counter() - begin
        if number == 0:
            rows["the first head (imports of torch and others, model, warm-up)"] = [
                times["in all, one head inside the process"]
            ]
        else:
            for name, value in times.items():
                rows.setdefault(name, []).append(value)
    return [(name, statistics.median(values)) for name, values in rows.items()]


def whole_process(scan: Path, folder: Path, runs: int, threads: int | None) -> list[tuple[str, float, str]]:
    """Median wall and processor seconds, and the peak memory, of `hipposeg segment` from the shell."""
    wall, cpu, peak = [], [], []
    for number in range(runs + 1):
        command = [
            sys.executable,
            "-m",
            "HippoSegLib",
            "segment",
            str(scan),
            "-o",
            str(folder / f"out{number}"),
        ]
        command += ["--no-picture", "-q", "--device", "cpu"] + (
            ["--threads", str(threads)] if threads else []
        )
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
        _, status, usage = os.wait4(child.pid, 0)  # this child's own figures
        if status:
            raise SystemExit(f"hipposeg segment failed ({status})")
        if number:
            wall.append(time.perf_counter() - start)
            cpu.append(usage.ru_utime + usage.ru_stime)
            peak.append(usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2))
    return [
        ("whole process, wall", statistics.median(wall), "s"),
        ("whole process, processor", statistics.median(cpu), "s"),
        ("whole process, peak memory", statistics.median(peak), "MiB"),
        ("whole process, peak memory, largest of the runs", max(peak), "MiB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan = args.scan or full_size_head(folder)
        # The shell runs come first: their peak is not to include this process's children of later.
        outside = whole_process(scan, folder, args.runs, args.threads)
        stages = inside(scan, folder, args.runs, args.threads)
        from HippoSegLib.models.devices import default_threads

        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        print(
            f"{args.threads or default_threads()} threads, {os.cpu_count()} CPUs, load {load:.1f}, "
            f"median of {args.runs} runs"
        )
        for label, value in stages:
            print(f"{label:62} {value:8.3f} s")
        for label, value, unit in outside:
            print(f"{label:62} {value:8.2f} {unit}")


if __name__ == "__main__":
    main()
