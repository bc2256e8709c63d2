"""How long a fine-tuning on twenty crops takes, and how much memory.

    HIPPOSEG_DATA=... python Testing/benchmarks/finetune_speed.py [--model NAME] [--write]

Runs `hipposeg finetune` as a user does, from the shell, on crops of whole subjects that the base model's
card holds out of its training (of any others, where it holds out none), with the default settings on the
CPU. Printed are the seconds of the whole command and of each stage, the largest resident memory of its
process tree, and the load before and after. Measure on a quiet machine. `--crops` and `--epochs` make a
small trial run of it, which is not to be compared with the goals.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from testscans import ROOT, data_folder

from HippoSegLib.models.store import load_model
from HippoSegLib.training import data_splits
from HippoSegLib.training.cases import subject_of

CROPS, THREADS = 20, 2
GOAL_SECONDS, GOAL_GB = 600, 3.0
#: What a line of the command's output says about the stage that it ends or is part of.
STAGES = (
    (re.compile(r"Reading case \d+"), "reading the cases"),
    (re.compile(r"^case +subject"), "checking the cases"),
    (re.compile(r"(Cross-validation \d+ of \d+|Training|Final model), epoch"), None),
)


def choose(names: Iterable[str], held_out: Iterable[str], count: int) -> list[str]:
    """`count` crops, of held-out subjects first, both sides of a subject after one another."""
    held = set(held_out)
    order = sorted(names, key=lambda name: (name not in held, subject_of(name), name))
    return order[:count]


def stage_of(line: str) -> str | None:
    """The stage that a line of output belongs to; None where it says nothing of it."""
    for pattern, name in STAGES:
        match = pattern.search(line)
        if match:
            return name or match[1].lower()
    return None


def stages(lines: list[tuple[float, str]], end: float) -> dict[str, float]:
    """Seconds per stage from lines with the second at which they came; together they are `end`.

    The command reports a case when it begins to read it, and an epoch when it is over: what passes before
    the first line is the start, what passes after the last one is judging and writing. What passes between
    two stages counts to the later one: judging the folds to the final model.
    """
    seconds: dict[str, float] = {}
    last = 0.0
    for moment, line in lines:
        stage = stage_of(line)
        if stage is None:
            continue
        name = "start of Python, imports, base model" if not seconds else stage
        seconds[name] = seconds.get(name, 0.0) + moment - last
        last = moment
    seconds["judging, writing the model and the pictures"] = end - last
    return seconds


class TreeMemory(threading.Thread):
    """The largest resident memory of a process and its children together, bytes; pages they share count
    in each, so that it is never too small."""

    def __init__(self, pid: int, interval: float = 0.1):
        super().__init__(daemon=True)
        import psutil

        self._root, self._interval, self._gone = psutil.Process(pid), interval, psutil.NoSuchProcess
        self.peak = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(self._interval):
            try:
                processes = [self._root, *self._root.children(recursive=True)]
            except self._gone:
                return
            total = 0
            for process in processes:
                try:
                    total += process.memory_info().rss
                except self._gone:
                    continue
            self.peak = max(self.peak, total)


def run(command: list[str], environment: dict[str, str]) -> tuple[list[tuple[float, str]], float, int]:
    """Run it: lines of output with their seconds, seconds in all, peak memory in bytes.

    Raises:
        SystemExit: It failed; with its output.
    """
    begin = time.monotonic()
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    memory = TreeMemory(process.pid)
    memory.start()
    lines = []
    try:
        for line in process.stdout:
            lines.append((time.monotonic() - begin, line.rstrip()))
            print(lines[-1][1], file=sys.stderr, flush=True)
        code = process.wait()
    finally:
        process.kill()
        memory.ended.set()
        memory.join()
    seconds = time.monotonic() - begin
    if code:
        raise SystemExit(f"hipposeg finetune failed ({code}).")
    return lines, seconds, memory.peak


def load() -> float:
    """The machine's load over the last minute, NaN where it is not known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def report(args, crops: int, unseen: int, loads: tuple[float, float], seconds: float, parts, peak: int):
    """Lines of Markdown."""
    full = args.epochs is None and crops == CROPS
    words = [f"--{name} {value}" for name, value in (("model", args.model),) if value]
    words += [] if full else [f"--crops {crops}", f"--epochs {args.epochs}"]
    gigabytes = peak / 1e9
    lines = [
        "# Fine-tuning on twenty crops" if full else "# A trial run, not to be compared with the goals",
        f"{crops} crops ({unseen} of them held out of the base model's training), "
        + ("default settings" if args.epochs is None else f"{args.epochs} epochs at most")
        + f", CPU, {args.threads} threads of {os.cpu_count()} CPUs; load before {loads[0]:.1f}, "
        f"after {loads[1]:.1f}.",
        "",
        "    "
        + " ".join(["python Testing/benchmarks/finetune_speed.py", *words, f"--threads {args.threads}"]),
        "",
        "| | measured | goal |",
        "|---|---|---|",
    ]
    goals = ("", "")
    if full:
        met = [("missed", "met")[ok] for ok in (seconds < GOAL_SECONDS, gigabytes < GOAL_GB)]
        goals = (f"< {GOAL_SECONDS} s: {met[0]}", f"< {GOAL_GB:g} GB: {met[1]}")
    lines.append(f"| whole command | {seconds:.0f} s | {goals[0]} |")
    lines += [f"| – {name} | {part:.1f} s | |" for name, part in parts.items()]
    lines.append(f"| peak memory of the process tree | {gigabytes:.2f} GB | {goals[1]} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="base model: bundled name or folder (default: the bundled model)")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--crops", type=int, default=CROPS)
    parser.add_argument("--epochs", type=int, help="at most (default: the command's own)")
    parser.add_argument("--write", action="store_true", help="also write the report beside this script")
    args = parser.parse_args()
    data = data_folder() / data_splits.CROPS
    held_out = load_model(args.model).card.segmenter.training.validation_cases
    names = [path.name.removesuffix(".nii.gz") for path in (data / "images").glob("*.nii.gz")]
    chosen = choose(names, held_out, args.crops)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("images", "labels"):
            (folder / "site" / kind).mkdir(parents=True)
            for crop in chosen:
                shutil.copy(data / kind / f"{crop}.nii.gz", folder / "site" / kind)
        command = [sys.executable, "-u", "-m", "HippoSegLib", "finetune", str(folder / "site")]
        command += [
            "-o",
            str(folder / "model"),
            "--region",
            "--side",
            "left",
            "--label-map",
            "msd",
            "--anyway",
        ]
        command += ["--device", "cpu", "--threads", str(args.threads), "--no-default"]
        command += ["--base", args.model] if args.model else []
        command += ["--epochs", str(args.epochs)] if args.epochs else []
        environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
        before = load()
        lines, seconds, peak = run(command, environment)
    unseen = len(set(chosen) & set(held_out))
    text = "\n".join(
        report(args, len(chosen), unseen, (before, load()), seconds, stages(lines, seconds), peak)
    )
    print(text)
    if args.write:
        Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
