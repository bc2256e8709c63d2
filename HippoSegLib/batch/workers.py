"""Several processes that segment side by side; one that dies is replaced, and nobody else's scan is blamed.

Each worker loads the models once and is given one scan at a time, so it is known which scan a dead one was
at. That alone proves nothing: the system may have ended it for the memory that another one took, or an
earlier scan have left damage behind. So the scan is tried again at the end, alone, in a new process. Only if
that dies too, the scan is a failed one, with the reason.
"""

from __future__ import annotations

import platform
import queue
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .. import __version__
from ..errors import DeviceError, HippoSegError
from ..io.ending import CRASHED, KILLED, NO_MEMORY, Ending, kills_for_memory
from ..io.staging import sweep
from ..models.engines import Engine
from ..models.store import Model
from ..options import SegmentOptions
from .outcome import Outcome, error_of
from .progress import Listener
from .runner import Runner
from .scan_process import Setup
from .sharing import apart_from_others, threads_per_worker
from .source import Source
from .worker_handle import Event, WorkerHandle

Task = tuple[Source, str]

#: How often it is looked whether the run is cancelled or a worker takes too long, seconds.
_PAUSE = 0.2
#: Seconds that workers get to stop at an end.
_GRACE = 3.0
#: So many workers that die before they are ready end the run.
_FALSE_STARTS = 3


def segment_in_workers(
    tasks: Sequence[Task], count: int, setup: Setup, runner: Runner, listener: Listener
) -> Iterator[Outcome]:
    """Segment scans with `count` processes; yields an outcome per scan as it is done.

    Args:
        tasks: Scans with their names.
        count: Processes.
        setup: What they are to do.
        runner: Of this process: it writes the records of scans that ended their worker.
        listener: What wants to know.

    Raises:
        Cancelled; what the first scans say of model and device; HippoSegError: Workers do not start.
    """
    pool = _Pool(count, replace(setup, options=for_workers(setup.options, count)), runner, listener)
    try:
        yield from pool.run(tasks)
        pool.stop()
        for task in pool.suspects:
            yield from pool.run_alone(task)
    finally:
        pool.stop(at_once=True)
        sweep(setup.output)


def for_workers(options: SegmentOptions, count: int) -> SegmentOptions:
    """The options for each of several processes: their threads, and a model that each one loads itself."""
    threads = threads_per_worker(count, options.threads)
    model = options.model.folder if isinstance(options.model, Model) else options.model
    engine = options.engine
    if isinstance(engine, Engine):
        engine = replace(engine, threads=threads)
    return replace(options, threads=threads, model=model, engine=engine)


def what_ended(end: Ending, timeout: float | None) -> HippoSegError:
    """The error of a scan that ended its worker twice.

    Args:
        end: How the second one ended.
        timeout: Seconds after which it was ended, where it was for that.
    """
    if timeout is not None:
        return HippoSegError(
            f"The scan was not done after {timeout:.0f} seconds, twice.",
            "Look at the scan; if it is sound, send it to the developers.",
            "timeout",
        )
    if end.how == NO_MEMORY:
        return DeviceError(
            "The system ended the process that worked on the scan for want of memory, twice.",
            "Close other programs, or give a smaller or cropped image.",
            "out_of_memory",
        )
    remedy = "If it repeats, send the report to the developers."
    if end.how == CRASHED:
        return HippoSegError(
            f"The process that worked on the scan crashed ({end.signal}), twice.", remedy, "crashed"
        )
    if end.how == KILLED:
        remedy = "Most likely memory ran out: close other programs, or give a smaller or cropped image."
        return HippoSegError(
            f"The process that worked on the scan was ended from outside ({end.signal}), twice.",
            remedy,
            "killed",
        )
    return HippoSegError(
        f"The process that worked on the scan ended by itself (code {end.code}), twice.", remedy, "exited"
    )


class _Pool:
    """Workers, and what they are at.

    Attributes:
        suspects: Scans whose worker died.
    """

    def __init__(self, count: int, setup: Setup, runner: Runner, listener: Listener):
        self._count, self._setup, self._runner, self._listener = count, setup, runner, listener
        self._workers: list[WorkerHandle] = []
        self._events: queue.Queue[Event] = queue.Queue()
        self._false_starts, self._any_done = 0, setup.any_done
        self._kills = (kills_for_memory(),) * 2
        self.suspects: list[Task] = []

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """The outcomes of scans, but for those that become suspects."""
        waiting = deque(tasks)
        while waiting or any(worker.task for worker in self._workers):
            for worker in self._idle(len(waiting)):
                worker.give(waiting.popleft())
            said, message = self._next()
            if said is None:
                continue
            if message is not None:
                for outcome in self._said(said, message):
                    yield outcome
                    if outcome.skipped:
                        apart_from_others(waiting)
                continue
            self._bury(said)
            if said.task is not None:
                (self.suspects.append if said.is_ready else waiting.appendleft)(said.task)

    def run_alone(self, task: Task) -> Iterator[Outcome]:
        """The outcome of a scan in a process of its own, or the failure that it ended that one, too."""
        worker = self._idle(1, 1)[0]
        worker.give(task)
        while worker.task is not None:
            said, message = self._next()
            if said is worker and message is not None:
                yield from self._said(worker, message)
            elif said is worker:
                end = self._bury(worker)
                timeout = self._setup.batch.timeout if worker.timed_out else None
                error = what_ended(end, timeout)
                seconds = time.monotonic() - worker.since
                yield self._runner.failed(*task, error, self._report(worker, end), seconds)
                break
        self.stop()

    def stop(self, at_once: bool = False) -> None:
        """End all workers.

        Args:
            at_once: In the middle of their scans, too.
        """
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.finish(cancel=at_once)
        end = time.monotonic() + _GRACE
        try:
            while at_once and any(worker.lives for worker in workers) and time.monotonic() < end:
                time.sleep(0.02)
        finally:
            for worker in workers:
                worker.end(kill=at_once)

    def _idle(self, wanted: int, most: int = 0) -> list[WorkerHandle]:
        """Workers without a scan, new ones where there are fewer than there may be."""
        idle = [worker for worker in self._workers if worker.task is None and worker.lives]
        room = (most or self._count) - len(self._workers)
        setup = replace(self._setup, any_done=self._any_done)
        for _ in range(min(room, wanted - len(idle))):
            worker = WorkerHandle(setup, self._events)
            self._workers.append(worker)
            idle.append(worker)
        return idle[:wanted]

    def _next(self) -> Event:
        """What a worker said, or its end as (worker, None); (None, None) after a while without either.

        Raises:
            Cancelled.
        """
        self._listener.check()
        for worker in self._workers:
            worker.end_if_late(self._setup.batch.timeout)
        try:
            return self._events.get(timeout=_PAUSE)
        except queue.Empty:
            self._kills = (self._kills[1], kills_for_memory())
            return None, None

    def _said(self, worker: WorkerHandle, message: dict) -> Iterator[Outcome]:
        if "ready" in message:
            worker.is_ready, worker.since, self._false_starts = True, time.monotonic(), 0
        elif "progress" in message and self._listener.progress is not None:
            self._listener.progress(*message["progress"])
        elif "outcome" in message:
            worker.task = None
            outcome = Outcome.from_dict(message["outcome"])
            self._any_done |= outcome.error is None
            yield outcome
        elif "fatal" in message and worker.task is not None:
            error, task, worker.task = error_of(message["fatal"]), worker.task, None
            if not self._any_done or error.code == "locked":
                raise error
            yield self._runner.failed(*task, error, None, time.monotonic() - worker.since)

    def _bury(self, worker: WorkerHandle) -> Ending:
        """Take leave of a worker that has ended.

        Raises:
            HippoSegError: One after the other dies before it has begun.
        """
        if worker in self._workers:
            self._workers.remove(worker)
        end = worker.wait(self._memory_ran_out)
        self._false_starts += not worker.is_ready
        if self._false_starts >= _FALSE_STARTS:
            raise HippoSegError(
                f"The worker processes do not start (code {end.code}).",
                "Use one worker; if that works, send the report to the developers.",
                "workers",
            )
        return end

    def _memory_ran_out(self) -> bool:
        return kills_for_memory() > self._kills[0] >= 0

    def _report(self, worker: WorkerHandle, end: Ending) -> str:
        """For the developers: how the process ended, and where in the code."""
        head = f"HippoSeg {__version__}, Python {platform.python_version()}, {sys.platform}"
        lines = [head, "", f"{end.how} {end.signal or end.code}", *worker.last_words()]
        return "\n".join(lines) + "\n"
