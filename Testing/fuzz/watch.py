"""Runs cases in watched processes: what ends one, takes too long or too much memory, is a finding."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: Outcomes that are none.
FAILURES = ("foreign", "died", "hang", "memory")


@dataclass(frozen=True)
class Limits:
    """Seconds for starting a process, for reading, for the pipeline, and kB of memory."""

    start: float = 120.0
    read: float = 20.0
    pipeline: float = 120.0
    memory_kb: int = 2 * 1024 * 1024


@dataclass
class Result:
    """What came of a case: "ok" (read), "refused", or one of `FAILURES`, and after which step."""

    number: int
    kind: str = "?"
    steps: tuple[str, ...] = ()
    outcome: str = "ok"
    step: str = "made"
    code: str = ""
    text: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    peak_kb: int = 0
    pipeline: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome in FAILURES


class Child:
    """One process that takes cases."""

    def __init__(self, limits: Limits, code: Path):
        self._limits = limits
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(code), str(HERE)]))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(HERE / "child.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            cwd=tempfile.gettempdir(),
        )
        self._buffer = b""
        if self._next(limits.start).get("step") != "ready":
            raise RuntimeError(f"the watched process does not start: {self._last_words()}")

    def run(self, order: dict) -> Result:
        """Let it run a case; afterwards `alive` says whether it can take another."""
        result = Result(order["case"])
        self._process.stdin.write((json.dumps(order) + "\n").encode())
        self._process.stdin.flush()
        wait = {"made": self._limits.read, "read": self._limits.pipeline, "segmented": self._limits.read}
        limit = self._limits.start  # making the first case makes the good inputs
        while True:
            answer = self._next(limit)
            step = answer.pop("step")
            if step == "done":
                return result
            if step in ("died", "hang"):
                result.outcome, result.text = step, answer["text"]
                return result
            result.step, limit = step, wait[step]
            if step == "made":
                result.kind, result.steps = answer["kind"], tuple(answer["steps"])
                continue
            result.seconds[step] = answer["seconds"]
            result.peak_kb = max(result.peak_kb, answer["peak_kb"])
            if step == "segmented":
                result.pipeline = answer["outcome"]
            if step == "read" or answer["outcome"] == "foreign":
                result.outcome = answer["outcome"]
                result.code, result.text = answer.get("code", ""), answer.get("text", "")
            if result.peak_kb > self._limits.memory_kb and not result.failed:
                result.outcome, result.text = "memory", f"{result.peak_kb} kB"

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()

    def _next(self, seconds: float) -> dict:
        """The next line, or "hang" or "died" in its place."""
        end = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                self._process.kill()
                self._process.wait()
                return {"step": "hang", "text": f"no answer within {seconds:g} s"}
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            if not piece:
                code = self._process.wait()
                return {"step": "died", "text": f"exit code {code}; {self._last_words()}"}
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-3000:].decode("utf-8", "replace")


def run_cases(
    numbers: Iterable[int],
    order: dict,
    jobs: int,
    limits: Limits,
    told: Callable[[Result], None],
    code: Path = ROOT,
) -> list[Result]:
    """Run the cases with these numbers.

    Args:
        numbers: Of the cases.
        order: What they have in common: "base", "seed", "pipeline".
        jobs: Processes at a time.
        limits: Of each case.
        told: Called with each result, from one thread at a time.
        code: The folder that holds the HippoSegLib to be tried.
    """
    queue: SimpleQueue[int] = SimpleQueue()
    for number in numbers:
        queue.put(number)
    results, lock = [], threading.Lock()

    def work(folder: str) -> None:
        child = None
        try:
            while True:
                try:
                    number = queue.get_nowait()
                except Empty:
                    return
                if child is None or not child.alive:
                    child = Child(limits, code)
                result = child.run(order | {"case": number, "folder": folder})
                if result.failed:
                    child.close()
                    child = None
                with lock:
                    results.append(result)
                    told(result)
        finally:
            if child is not None:
                child.close()

    with tempfile.TemporaryDirectory(prefix="hipposeg-fuzz-") as folder:
        threads = [threading.Thread(target=work, args=(folder,)) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return results
