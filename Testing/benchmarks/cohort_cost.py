"""What 100,000 scans cost: seconds, memory and bytes of each, and the memory of a cluster's scheduler.

    python Testing/benchmarks/cohort_cost.py [--scans 6] [--cohort 100000] [--all-at-once]

Segments a few 256³ heads of 1 mm with one worker on one thread, as a thread of a cluster does, and looks
what is in the output folder. Then a real Dask scheduler is given the whole cohort by the engine itself, in
chunks, with workers that do nothing but answer as they would (`cohort_answer.py`: the outcome of a scan that
was segmented), and its memory is watched. `--all-at-once` gives it all chunks at the beginning, which the
engine does not. Prints the figures of the README, with threads and load.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import cohort_answer  # noqa: E402
import psutil  # noqa: E402
from pipeline_speed import full_size_head  # noqa: E402

from HippoSegLib.batch import cluster_task, dask_engine  # noqa: E402
from HippoSegLib.batch.progress import Listener  # noqa: E402
from HippoSegLib.batch.record import read_record  # noqa: E402
from HippoSegLib.batch.request import BatchOptions  # noqa: E402
from HippoSegLib.batch.scan_process import Setup  # noqa: E402
from HippoSegLib.batch.source import Source  # noqa: E402
from HippoSegLib.options import SegmentOptions  # noqa: E402

MB = 1e6
os.environ["DASK_LOGGING__DISTRIBUTED"] = "error"
#: Threads of the simulated cluster, in so many worker processes.
THREADS, WORKERS = 16, 2
SCHEDULER = """
import asyncio, sys
sys.path[:0] = sys.argv[1:]
from distributed import Scheduler
async def main():
    async with Scheduler(host="127.0.0.1", dashboard_address=None) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()
asyncio.run(main())
"""
WORKER = """
import asyncio, sys
sys.path[:0] = sys.argv[3:]
from distributed import Worker
async def main():
    async with Worker(sys.argv[1], nthreads=int(sys.argv[2]), dashboard=False) as worker:
        await worker.finished()
asyncio.run(main())
"""


@dataclass(frozen=True)
class Scan:
    """What one scan cost, of several: seconds on the clock and of a processor, and bytes; memory at most."""

    seconds: float
    processor: float
    peak: int
    bytes: int
    files: int


@dataclass(frozen=True)
class Watched:
    """Bytes of the scheduler: before, at most, and after; and seconds that the cohort took."""

    before: int
    most: int
    after: int
    seconds: float


def measure_scans(count: int, folder: Path) -> tuple[Scan, dict[str, Any]]:
    """Segment some heads in a process of their own; returns the costs, and a scan's record."""
    head = full_size_head(folder)
    scans = folder / "in"
    scans.mkdir()
    for number in range(count):
        os.link(head, scans / f"head-{number:03d}.nii.gz")
    out, begin = folder / "out", time.monotonic()
    command = [sys.executable, "-m", "HippoSegLib", "batch", str(scans), "-o", str(out), "--threads", "1"]
    with subprocess.Popen(
        [*command, "--workers", "1", "-q"], cwd=HERE.parents[1], stdout=subprocess.DEVNULL
    ) as process:
        peak = max(_peak(process))
    seconds, usage = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = usage.ru_utime + usage.ru_stime
    files = [path for path in out.iterdir() if path.name.startswith("head-")]
    size = sum(path.stat().st_size for path in files)
    record = read_record(out / "head-000_hippocampus.json").to_dict()
    return Scan(seconds / count, processor / count, peak, round(size / count), len(files) // count), record


def _peak(process: subprocess.Popen) -> Iterator[int]:
    watched = psutil.Process(process.pid)
    yield 0
    while process.poll() is None:
        try:
            yield watched.memory_info().rss
        except psutil.Error:
            return
        time.sleep(0.02)


@contextmanager
def cluster() -> Iterator[tuple[str, psutil.Process]]:
    """A scheduler and workers in processes of their own: its address, and its process."""
    paths = [str(HERE), str(HERE.parents[1])]
    command = [sys.executable, "-c", SCHEDULER, *paths]
    scheduler = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert scheduler.stdout is not None
    address = scheduler.stdout.readline().strip()
    words = [sys.executable, "-c", WORKER, address, str(THREADS // WORKERS), *paths]
    workers = [subprocess.Popen(words, stderr=subprocess.DEVNULL) for _ in range(WORKERS)]
    try:
        yield address, psutil.Process(scheduler.pid)
    finally:
        for process in (*workers, scheduler):
            process.terminate()
            process.wait()


def watch_scheduler(cohort: int, record: dict[str, Any], folder: Path, all_at_once: bool) -> Watched:
    """Give a cohort to a scheduler by the engine's own code, and watch its memory."""
    dask_engine._LEAST_AHEAD = cohort if all_at_once else 64
    run = folder / "run"
    run.mkdir(exist_ok=True)
    (folder / "record.json").write_text(json.dumps(record))
    name = "sub-{0:06d}_ses-01_T1w"
    tasks = [(Source(Path(f"/data/study/{name.format(n)}.nii.gz")), name.format(n)) for n in range(cohort)]
    setup = Setup(folder / "out", SegmentOptions(), BatchOptions())
    distributed = dask_engine._import_distributed()
    with cluster() as (address, process), dask_engine._client(distributed, address) as client:
        client.wait_for_workers(WORKERS)
        before, most, done = process.memory_info().rss, [0], threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                most[0] = max(most[0], process.memory_info().rss)

        thread = threading.Thread(target=watch)
        thread.start()
        begin = time.monotonic()
        work = dask_engine._Run(distributed, client, Listener(), setup, run)
        count = sum(1 for _ in work.run(tasks))
        seconds = time.monotonic() - begin
        done.set()
        thread.join()
        assert count == cohort
        return Watched(before, most[0], process.memory_info().rss, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--scans", type=int, default=6)
    parser.add_argument("--cohort", type=int, default=100_000)
    parser.add_argument("--all-at-once", action="store_true")
    args = parser.parse_args()
    cluster_task.run, cluster_task.packed = cohort_answer.answer, cohort_answer.packed
    dask_engine._PAUSE = 0.01
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        load = os.getloadavg()[0]
        scan, record = measure_scans(args.scans, folder)
        print(f"{args.scans} heads of 256³ voxels, one thread, load {load:.1f} before:")
        print(f"  {scan.seconds:.1f} s a scan ({scan.processor:.1f} s of a processor), start included;")
        print(f"  at most {scan.peak / MB:.0f} MB of memory,")
        print(f"  {scan.bytes / MB:.2f} MB in {scan.files} files a scan")
        hours = args.cohort * scan.processor / 3600
        print(f"{args.cohort} scans: {hours:.0f} h of a processor, {args.cohort * scan.bytes / 1e9:.0f} GB")
        length = dask_engine.chunk_length(args.cohort, THREADS)
        print(f"The scheduler of {THREADS} threads with {args.cohort} scans, {length} a task:")
        seen = watch_scheduler(args.cohort, record, folder, args.all_at_once)
        sizes = (f"{size / MB:.0f} MB" for size in (seen.before, seen.most, seen.after))
        print("  {} before, at most {}, {} after;".format(*sizes))
        print(f"  {1000 * seen.seconds / args.cohort:.1f} ms a scan from the engine's end")


if __name__ == "__main__":
    main()
