"""A cohort killed again and again, and in shards: the same results as of one undisturbed process?

    HIPPOSEG_DATA=... python Testing/benchmarks/cohort.py [--count 60] [--kills 10] [--shards 8]

Scans are made from the real heads (`Testing/tools/make_cohort.py`): links, some damaged, some of another
contrast, two of one subject in two sessions. Three runs of ``hipposeg batch``: one process, undisturbed; two
workers, where at random instants the whole run or one of its workers is killed, and the same command given
again; all shards at once on one folder, two of them killed and given again. The table must be the same to the
byte in all but the column of seconds, and each scan's label image the same.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "tools")]
from make_cohort import make_cohort, real_heads  # noqa: E402

BATCH = [sys.executable, "-m", "HippoSegLib", "batch"]
#: Exit codes of a run that came to its end: all have results, or some cannot have any.
_DONE = (0, 10)


@dataclass
class Run:
    """One way to segment a cohort.

    Attributes:
        out: The output folder.
        seconds: Until all was done.
        calls: How often the command was given.
        killed: What was killed -> how often.
    """

    out: Path
    seconds: float = 0.0
    calls: int = 0
    killed: Counter[str] = field(default_factory=Counter)


def start(command: list[str], run: Run, log: Path) -> subprocess.Popen:
    """Give the command; what it prints is appended to a file."""
    run.calls += 1
    with open(log, "ab") as file:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)


def finish(process: subprocess.Popen, log: Path) -> None:
    """Wait for the end.

    Raises:
        RuntimeError: It is not the end of a run that came through.
    """
    if process.wait() not in _DONE:
        raise RuntimeError(f"exit code {process.returncode}:\n{log.read_text(errors='replace')[-2000:]}")


def undisturbed(command: list[str], out: Path, log: Path) -> Run:
    """One process, to its end."""
    run, begin = Run(out), time.monotonic()
    finish(start([*command, "-o", str(out), "--workers", "1"], run, log), log)
    run.seconds = time.monotonic() - begin
    return run


def killed(command: list[str], out: Path, log: Path, kills: int, pause: float, seed: int = 0) -> Run:
    """Two workers; run or worker killed at random instants, and given again until all is done.

    Args:
        pause: Seconds from one kill to the next, in the mean.
    """
    run, begin, chance = Run(out), time.monotonic(), random.Random(seed)
    command = [*command, "-o", str(out), "--workers", "2"]
    process = start(command, run, log)
    while sum(run.killed.values()) < kills:
        time.sleep(chance.uniform(0.2, 1.8) * pause)
        if process.poll() is not None:
            break
        workers = psutil.Process(process.pid).children()
        if workers and chance.random() < 0.4:
            os.kill(chance.choice(workers).pid, signal.SIGKILL)
            run.killed["a worker"] += 1
            continue
        process.kill()
        process.wait()
        run.killed["the run"] += 1
        process = start(command, run, log)
    finish(process, log)
    run.seconds = time.monotonic() - begin
    return run


def sharded(command: list[str], out: Path, log: Path, shards: int, pause: float, seed: int = 1) -> Run:
    """All shards at once, two of them killed and given again."""
    run, begin, chance = Run(out), time.monotonic(), random.Random(seed)

    def one(number: int) -> subprocess.Popen:
        words = [*command, "-o", str(out), "--workers", "1", "--shard", f"{number}/{shards}"]
        return start(words, run, log)

    processes = {number: one(number) for number in range(1, shards + 1)}
    for number in chance.sample(sorted(processes), 2):
        time.sleep(chance.uniform(0.5, 1.5) * pause)
        if processes[number].poll() is None:
            processes[number].kill()
            processes[number].wait()
            run.killed["a shard"] += 1
        processes[number] = one(number)
    for process in processes.values():
        finish(process, log)
    run.seconds = time.monotonic() - begin
    return run


def table_without_seconds(folder: Path) -> bytes:
    """The table's bytes, the cells of the column `seconds` emptied."""
    data = (folder / "hippocampus.csv").read_bytes()
    lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    at = lines[0].index("seconds") if "seconds" in lines[0] else None
    text = io.StringIO(newline="")
    csv.writer(text).writerows(
        lines[:1] + [[cell if i != at else "" for i, cell in enumerate(line)] for line in lines[1:]]
    )
    return text.getvalue().encode("utf-8")


def labels(folder: Path) -> dict[str, str]:
    """Scan -> SHA-256 of its label image, as its record says."""
    found = {}
    for path in sorted(folder.glob("*_hippocampus.json")):
        record = json.loads(path.read_text("utf-8"))
        found[record["scan"]] = record["files"].get("labels", {}).get("sha256", "")
    return found


def differences(run: Run, other: Run) -> list[str]:
    """In what a run's results are not those of another: nothing, as it should be."""
    found = []
    if table_without_seconds(run.out) != table_without_seconds(other.out):
        found.append("table")
    if labels(run.out) != labels(other.out):
        found.append("labels")
    files = [{path.name for path in one.out.iterdir() if path.name != "index.html"} for one in (run, other)]
    if files[0] != files[1]:
        found.append(f"files {sorted(files[0] ^ files[1])[:5]}")
    return found


def statuses(folder: Path) -> dict[str, int]:
    """Status and, of failed ones, code -> how many."""
    text = (folder / "hippocampus.csv").read_text("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    counts = Counter(f"{row['status']} ({row['error']})" if row["error"] else row["status"] for row in rows)
    return dict(sorted(counts.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="of hipposeg batch")
    args = parser.parse_args()
    heads = real_heads(Path(os.environ.get("HIPPOSEG_DATA", "")))
    if not heads:
        sys.exit("HIPPOSEG_DATA does not name the folder with real scans.")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder, log = Path(scratch), Path(scratch) / "log.txt"
        make_cohort(folder / "scans", args.count, heads)
        command = [*BATCH, str(folder / "scans"), "--no-page", "--threads", "1", *args.options]
        serial = undisturbed(command, folder / "serial", log)
        pause = serial.seconds / (args.kills + 2) / 2
        runs = {
            "one process, undisturbed": serial,
            "two workers, killed": killed(command, folder / "killed", log, args.kills, pause),
            f"{args.shards} shards at once": sharded(command, folder / "shards", log, args.shards, pause),
        }
        print(f"# {args.count} scans, killed and in shards\n")
        print(f"    python Testing/benchmarks/cohort.py {' '.join(sys.argv[1:])}\n")
        counts = ", ".join(f"{count} {status}" for status, count in statuses(serial.out).items())
        print(f"{counts}. {os.cpu_count()} CPUs, load before {load:.1f}, after {os.getloadavg()[0]:.1f}.\n")
        print("| run | calls | killed | seconds | differs from the first in |\n|---|---|---|---|---|")
        wrong = []
        for name, run in runs.items():
            hits = ", ".join(f"{what} {count} times" for what, count in run.killed.items()) or "nothing"
            found = differences(run, serial)
            wrong += found
            print(f"| {name} | {run.calls} | {hits} | {run.seconds:.0f} | {', '.join(found) or 'nothing'} |")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
