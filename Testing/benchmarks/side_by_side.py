"""HippoSeg and hippodeep on the same heads, in the same run, as whole processes.

    python Testing/benchmarks/side_by_side.py HIPPODEEP [--scan HEAD] [--runs 5] [--heads 25] [--write]

HIPPODEEP is a checkout of github.com/bthyreau/hippodeep_pytorch, run by this Python (it needs torch, nibabel
and scipy). Both read a file and write their results, pictures included on HippoSeg's side; one head in turns,
the median counts; then many heads in one call of each, and HippoSeg's `batch` with a worker for each CPU.
Measure on a quiet machine: the load is printed. Without `--scan` the head is the shipped sample, brought to
256³ voxels of 1 mm.
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
from pathlib import Path

from pipeline_speed import GOALS, ROOT, Process, full_size_head, load
from tables import write_keeping_words

RESULT = Path(__file__).with_suffix(".md")
#: Of 25 heads with a worker for each CPU.
GOAL_WORKERS = 0.30


def measured(command: list[str], folder: Path) -> Process:
    """A command's wall and processor seconds and peak memory, those of its own children included."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"'{' '.join(command[:4])} …' failed ({status})")
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return Process(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def hippodeep(program: Path, scans: list[Path]) -> list[str]:
    """The command; results come to lie beside the scans."""
    return [sys.executable, str(program / "hippodeep.py"), *map(str, scans)]


def hipposeg(scans: list[Path], output: Path, *options: str) -> list[str]:
    """The command, with a fresh output folder."""
    shutil.rmtree(output, ignore_errors=True)
    command = "batch" if "--workers" in options else "segment"
    words = [*map(str, scans), "-o", str(output), "--device", "cpu", *options]
    return [sys.executable, "-m", "HippoSegLib", command, *words]


def medians(done: list[Process]) -> Process:
    """Of each figure over the runs; of the memory the largest."""
    wall, processor = (statistics.median(getattr(p, name) for p in done) for name in ("wall", "processor"))
    return Process(wall, processor, max(p.peak for p in done))


def row(words: str, ours: float, theirs: float, goal: float, digits: int = 2) -> str:
    return f"| {words} | {ours:.{digits}f} | {theirs:.{digits}f} | {ours / theirs:.2f} | {goal:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hippodeep", type=Path)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--heads", type=int, default=25, help="0 leaves the many heads out")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULT.name}")
    args = parser.parse_args()
    if not (args.hippodeep / "hippodeep.py").is_file():
        parser.error(f"{args.hippodeep} holds no hippodeep.py")
    program = args.hippodeep.resolve()
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    before = load()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        scan = Path(shutil.copy(args.scan, folder)) if args.scan else full_size_head(folder)
        output = folder / "out"
        ours, theirs = [], []
        for _ in range(args.runs + 1):  # the first of each warms the disk's cache up
            theirs.append(measured(hippodeep(program, [scan]), folder))
            ours.append(measured(hipposeg([scan], output), folder))
        one, other = medians(ours[1:]), medians(theirs[1:])
        lines = [
            "| whole process | HippoSeg | hippodeep | share | goal |",
            "|---|---|---|---|---|",
            row("one head, s", one.wall, other.wall, GOALS["one_s"]),
            row("one head, s of a processor", one.processor, other.processor, GOALS["one_s"]),
            row("one head, MiB", one.peak, other.peak, GOALS["one_mib"], 0),
        ]
        if args.heads:
            (folder / "many").mkdir()
            scans = [Path(shutil.copy(scan, folder / "many" / f"h{n:02}.nii.gz")) for n in range(args.heads)]
            many = measured(hipposeg(scans, output), folder)
            workers = measured(hipposeg(scans, output, "--workers", str(cpus)), folder)
            peer = measured(hippodeep(program, scans), folder)
            lines += [
                row(f"{args.heads} heads, s", many.wall, peer.wall, GOALS["many_s"], 1),
                row(f"{args.heads} heads, {cpus} workers, s", workers.wall, peer.wall, GOAL_WORKERS, 1),
            ]
    table = "\n".join(lines)
    call = "python Testing/benchmarks/side_by_side.py hippodeep_pytorch"
    words = f"{cpus} CPUs, load {before} before and {load()} after; one head: median of {args.runs} runs."
    print(table, f"\n{words}")
    if args.write:
        write_keeping_words(
            RESULT, f"# Beside hippodeep, in one run\n\nPrinted by `{call}`. {words}\n\n{table}\n"
        )


if __name__ == "__main__":
    main()
