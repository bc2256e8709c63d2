"""What many scans cost: seconds, processor time, memory and bytes, by number of workers and threads.

    python Testing/benchmarks/cohort_speed.py [--heads 6] [--workers 2] [--long N] [--full-size]

``hipposeg batch`` on copies of the shipped sample, or, with HIPPOSEG_DATA, on real heads, picture included:
one process on one thread, one process on as many threads as there are CPUs, and several workers that share
the threads. Measure on a quiet machine: the load is printed. `--long N` gives the workers N scans instead and
tells how memory and speed change from the first third to the last.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "tools")]
from make_cohort import SAMPLE, link, real_heads  # noqa: E402
from pipeline_speed import HIPPODEEP, full_size_head  # noqa: E402

from HippoSegLib.models.devices import usable_cpus  # noqa: E402

#: Memory is looked at so often, seconds.
_PAUSE = 0.1
MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """Of one run.

    Attributes:
        wall, processor: Seconds of the command and all its processes.
        memory: Per worker (or the one process) its resident memory in MiB over time, with the time.
        done: Moments at which scans were done, seconds since the beginning.
        output: Ending of a file's name -> bytes.
    """

    wall: float
    processor: float
    memory: dict[int, list[tuple[float, float]]]
    done: list[float]
    output: dict[str, int]

    @property
    def peak(self) -> float:
        """MiB of the largest worker."""
        return max(value for values in self.memory.values() for _, value in values)


def measure(scans: Path, out: Path, workers: int, threads: int) -> Cost:
    """Run the command and watch it."""
    command = [sys.executable, "-m", "HippoSegLib", "batch", str(scans), "-o", str(out), "--no-page"]
    command += ["--device", "cpu", "--workers", str(workers), "--threads", str(threads)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before, begin = _children_seconds(), time.monotonic()
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.set_blocking(run.stdout.fileno(), False)
    memory: dict[int, list[tuple[float, float]]] = defaultdict(list)
    done: list[float] = []
    text = b""
    while run.poll() is None:
        now = time.monotonic() - begin
        for process in _working(run.pid, workers):
            try:
                memory[process.pid].append((now, process.memory_info().rss / MIB))
            except psutil.Error:
                continue
        text += run.stdout.read() or b""
        done += [now] * (
            text.count(b" left: ") + text.count(b"\n%d of " % len(list(scans.iterdir()))) - len(done)
        )
        time.sleep(_PAUSE)
    wall = time.monotonic() - begin
    if run.returncode:
        raise SystemExit(f"exit code {run.returncode}")
    return Cost(wall, _children_seconds() - before, dict(memory), done, _output(out))


def _working(pid: int, workers: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return process.children() if workers > 1 else [process]
    except psutil.Error:
        return []


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _output(out: Path) -> dict[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    for path in out.iterdir():
        kind = next(
            (end for end in (".nii.gz", ".png", "_hippocampus.json") if path.name.endswith(end)), "other"
        )
        sizes[kind] += path.stat().st_size
    return dict(sizes)


def thirds(values: list[tuple[float, float]]) -> tuple[float, float]:
    """Highest value in the first third of the time, after a tenth to begin with, and in the last third."""
    start, end = values[0][0], values[-1][0]
    first = [v for at, v in values if start + 0.1 * (end - start) <= at <= start + (end - start) / 3]
    last = [v for at, v in values if at >= end - (end - start) / 3]
    return max(first), max(last)


def print_long(cost: Cost, count: int) -> None:
    """How memory and speed change over many scans."""
    print(
        "| worker | highest memory in the first third, MiB | in the last third | change |\n|---|---|---|---|"
    )
    for number, values in enumerate(cost.memory.values(), start=1):
        first, last = thirds(values)
        print(f"| {number} | {first:.0f} | {last:.0f} | {100 * (last / first - 1):+.1f} % |")
    steps = [later - earlier for earlier, later in zip(cost.done, cost.done[1:], strict=False)]
    part = max(1, len(steps) // 3)
    speeds = [60 / max(statistics.mean(piece), 1e-9) for piece in (steps[:part], steps[-part:])]
    print(f"\n{count} scans in {cost.wall:.1f} s; per minute at the beginning and at the end: ", end="")
    print(f"{speeds[0]:.0f}, {speeds[1]:.0f}.")


def print_output(cost: Cost, count: int) -> None:
    """What a scan takes on the disk."""
    parts = ", ".join(f"{kind} {size / count / 1e6:.3f}" for kind, size in sorted(cost.output.items()))
    print(f"\nOutput: {sum(cost.output.values()) / count / 1e6:.2f} MB a scan ({parts}).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--workers", type=int, default=usable_cpus())
    parser.add_argument("--long", type=int, metavar="N")
    parser.add_argument("--full-size", action="store_true", help="copies of the sample at 1 mm, 256 cubed")
    args = parser.parse_args()
    count, cpus = args.long or args.heads, usable_cpus()
    heads = real_heads(Path(os.environ.get("HIPPOSEG_DATA", ""))) or [SAMPLE]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if args.full_size:
            heads = [full_size_head(folder)]
        for number in range(count):
            link(heads[number % len(heads)], folder / "scans" / f"{number:05d}.nii.gz")
        kind = "real heads" if len(heads) > 1 else f"copies of the sample{', 256 cubed' * args.full_size}"
        print(f"# {count} scans ({kind}), {cpus} CPUs, load before {load:.1f}\n")
        print(f"    python Testing/benchmarks/cohort_speed.py {' '.join(sys.argv[1:])}\n")
        share = max(1, cpus // args.workers)
        if args.long:
            cost = measure(folder / "scans", folder / "out", args.workers, share)
            print_long(cost, count)
            if args.full_size and count == 25:
                other = HIPPODEEP["many_s"]
                print(f"{cost.wall / other:.2f} of hippodeep's {other} s (measured before, quietly).")
        else:
            print(
                "| processes x threads | seconds | a scan | processor seconds a scan | MiB of the largest |"
            )
            print("|---|---|---|---|---|")
            for workers, threads in dict.fromkeys([(1, 1), (1, cpus), (args.workers, share)]):
                cost = measure(folder / "scans", folder / f"out{workers}x{threads}", workers, threads)
                print(
                    f"| {workers} x {threads} | {cost.wall:.1f} | {cost.wall / count:.2f} | "
                    f"{cost.processor / count:.2f} | {cost.peak:.0f} |",
                    flush=True,
                )
        print_output(cost, count)
    print(f"Load after {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
