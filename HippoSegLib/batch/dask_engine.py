"""Many scans on a cluster that has a scheduler: dask.distributed, an optional package.

A task of the scheduler is a chunk of scans, which a child process of the Dask worker segments one after the
other (`cluster_chunk`). Results go to the output folder; what travels back says what became of each scan, and
the future is released. Only so many chunks are with the scheduler at a time, however many scans there are.
Where a worker is lost, its chunk begins anew elsewhere: what was done is skipped, and a scan at which two
workers were lost is set aside.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import Cancelled, DependencyError, HippoSegError
from ..io.staging import staging_folder
from . import cluster_task
from .cluster_chunk import Chunk
from .outcome import Outcome
from .progress import Listener
from .scan_process import Setup
from .source import Source
from .workers import for_workers

Task = tuple[Source, str]

#: Scans in a chunk at most: some minutes of work, so that the scheduler has little to do.
_LONGEST_CHUNK = 20
#: Chunks per thread of the cluster, so that all are busy until the end.
_CHUNKS_PER_THREAD = 4
#: Chunks that are with the scheduler: so many per thread, and at least so many, so that a cluster can grow.
_AHEAD, _LEAST_AHEAD = 2, 64
#: Seconds: to find the scheduler; between two looks at what is done; without a scheduler until the run ends.
_CONNECT, _PAUSE, _WITHOUT = 30.0, 0.2, 60.0
#: A chunk that lost workers is given again: each scan can cost two.
_DEATHS_PER_SCAN = 2


def segment_on_dask(
    tasks: Sequence[Task], address: str, setup: Setup, listener: Listener
) -> Iterator[Outcome]:
    """Segment scans on a cluster; yields an outcome per scan as its chunk is done.

    Args:
        tasks: Scans with their names.
        address: Of the scheduler (``tcp://host:8786``), or the file that it wrote (``scheduler.json``).
        setup: What is to be done. Input and output must have the same paths on all machines.
        listener: What wants to know.

    Raises:
        DependencyError: dask.distributed is not installed. HippoSegError: There is no scheduler at the
            address (code "no_scheduler"), or it is gone. Cancelled; what the first scans say of model and
            device; OutputError: A worker does not see the output folder (code "not_shared").
    """
    distributed = _import_distributed()
    with _quiet(), _client(distributed, address) as client, staging_folder(setup.output, "cluster") as run:
        options = replace(for_workers(setup.options, 1), threads=setup.options.threads or 1)
        setup = replace(setup, output=setup.output.resolve(), options=options)
        work = _Run(distributed, client, listener, setup, run.resolve())
        try:
            yield from work.run([(replace(one, path=_absolute(one.path)), name) for one, name in tasks])
        finally:
            work.end()


def _absolute(path: Path) -> Path:
    """The same on all machines; links stay as they are, for their names may be what counts."""
    return Path(os.path.abspath(path))


def chunk_length(scans: int, threads: int) -> int:
    """Scans per chunk: long ones for many scans, shorter ones where all threads are to have some."""
    return max(1, min(_LONGEST_CHUNK, -(-scans // (_CHUNKS_PER_THREAD * max(1, threads)))))


def _import_distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise DependencyError(
            "dask.distributed is not installed or does not load.",
            'Install it, on all machines of the cluster: pip install "hipposeg[cluster]".',
            "no_dask",
        ) from error
    return distributed


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the client's own reports of lost connections, which are tracebacks: a sentence says it."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _client(distributed: Any, address: str) -> Any:
    where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
    try:
        return distributed.Client(**where, timeout=_CONNECT, set_as_default=False, name="hipposeg")
    except (OSError, ValueError, TypeError, distributed.TimeoutError) as error:
        raise HippoSegError(
            f"No scheduler of Dask answers at '{address}'.",
            "Check the address, and that the cluster is running.",
            "no_scheduler",
        ) from error


class _Run:
    """Chunks of scans, and those that are with the scheduler."""

    def __init__(self, distributed: Any, client: Any, listener: Listener, setup: Setup, run: Path):
        self._distributed, self._client, self._listener = distributed, client, listener
        self._setup, self._folder = setup, run
        #: Future -> its chunk, and how often that lost a worker.
        self._running: dict[Any, tuple[Chunk, int]] = {}
        self._number, self._alone_since = 0, 0.0

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        length = chunk_length(len(tasks), self._threads())
        waiting = deque(tasks)
        while waiting or self._running:
            while (
                waiting
                and self._is_connected
                and len(self._running) < max(_LEAST_AHEAD, _AHEAD * self._threads())
            ):
                scans = [waiting.popleft() for _ in range(min(length, len(waiting)))]
                self._submit(Chunk(self._setup, tuple(scans), self._folder), 0)
            for future in self._done():
                yield from self._outcomes(future)

    def end(self) -> None:
        """Take back what the scheduler has not begun. What is being done ends with its scan."""
        futures, self._running = list(self._running), {}
        if futures and self._is_connected:
            self._client.cancel(futures, force=True)

    def _threads(self) -> int:
        try:
            return sum(self._client.nthreads().values()) if self._is_connected else 0
        except OSError:
            return 0

    @property
    def _is_connected(self) -> bool:
        return self._client.status == "running"

    def _submit(self, chunk: Chunk, deaths: int) -> None:
        self._number += 1
        key = f"hipposeg-{self._folder.parent.name}-{self._number}"
        future = self._client.submit(cluster_task.run, cluster_task.packed(chunk), key=key, pure=False)
        self._running[future] = (chunk, deaths)

    def _done(self) -> list[Any]:
        """The futures that have come to an end, after a while maybe none.

        Raises:
            Cancelled. HippoSegError: The scheduler is gone.
        """
        self._listener.check()
        if not self._is_connected:
            self._wait_for_scheduler()
            return []
        self._alone_since = 0.0
        done = [future for future in self._running if future.status != "pending"]
        if not done:
            time.sleep(_PAUSE)
        return done

    def _wait_for_scheduler(self) -> None:
        """Wait a little, as the client connects again by itself; not for ever."""
        self._alone_since = self._alone_since or time.monotonic()
        if self._client.status == "closed" or time.monotonic() - self._alone_since > _WITHOUT:
            raise HippoSegError(
                "The scheduler of the cluster is gone.",
                "Start it, and give the command again: what is done is skipped.",
                "no_scheduler",
            )
        time.sleep(_PAUSE)

    def _outcomes(self, future: Any) -> Iterator[Outcome]:
        chunk, deaths = self._running.pop(future)
        if future.status == "finished":
            try:
                outcomes = [Outcome.from_dict(values) for values in future.result()]
            except OSError:  # the connection broke just now: the chunk is not lost
                self._running[future] = (chunk, deaths)
                time.sleep(_PAUSE)
                return
            future.release()
            if any(outcome.error is None for outcome in outcomes):
                self._setup = replace(self._setup, any_done=True)
            yield from outcomes
            return
        error = future.exception() if future.status == "error" else None
        future.release()
        if isinstance(error, HippoSegError) and not isinstance(error, Cancelled):
            raise error
        # The scheduler gave up after several workers, or was started anew.
        if deaths > _DEATHS_PER_SCAN * len(chunk.tasks):
            raise HippoSegError(
                "The workers of the cluster are lost one after the other, whatever they are given.",
                "Look at their logs: most likely they have too little memory.",
                "workers",
            ) from error
        if error is not None and not isinstance(error, self._distributed.KilledWorker):
            raise HippoSegError(
                f"A task of the cluster ended in an unexpected error ({type(error).__name__}).",
                "Check that the same versions of HippoSeg and Dask are on all machines, the scheduler's too.",
                "cluster",
            ) from error
        self._submit(chunk, deaths + 1)
