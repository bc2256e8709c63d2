"""What a worker of a cluster does with a chunk of scans: each in a child process, results to the folder.

Before a scan is begun, a file in the run's folder says so; it is removed when the scan is done. Where such a
file is found at the beginning of a chunk, the worker that was at this scan has been lost.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import HippoSegError, OutputError
from .folder import OutputFolder
from .outcome import Outcome
from .progress import Listener
from .runner import Runner
from .scan_process import Setup
from .source import Source
from .workers import segment_in_workers

#: A scan at which so many workers were lost is set aside.
DEATHS = 2
#: How often it is looked whether the run still goes on, seconds.
_LOOK = 5.0


@dataclass(frozen=True)
class Chunk:
    """Scans for one task.

    Attributes:
        setup: What is to be done.
        tasks: Scans with their names.
        run: The run's folder, which is there as long as the run goes on.
        version: Of HippoSeg, where the task was made.
    """

    setup: Setup
    tasks: tuple[tuple[Source, str], ...]
    run: Path
    version: str = __version__


def segment_chunk(chunk: Chunk) -> list[dict[str, Any]]:
    """Segment the scans of a chunk; returns their outcomes as plain values.

    Raises:
        OutputError: The output folder is not to be seen here (code "not_shared"). HippoSegError: HippoSeg is
            of another version here. Cancelled: The run has come to its end. What concerns all scans.
    """
    if chunk.version != __version__:
        raise HippoSegError(
            f"HippoSeg is of version {chunk.version} here and {__version__} on the cluster.",
            "Install the same version everywhere.",
            "other_version",
        )
    if not chunk.run.is_dir():
        if chunk.setup.output.is_dir():
            return []  # the run has come to its end meanwhile
        raise OutputError(
            "A machine of the cluster does not see the output folder.",
            "Give input and output on a drive that all machines have under the same path.",
            "not_shared",
        )
    folder = OutputFolder(chunk.setup.output, chunk.setup.batch.layout)
    folder.open()
    runner = Runner(folder, chunk.setup.options, chunk.setup.batch, None)
    outcomes, waiting = [], []
    for source, name in chunk.tasks:
        outcome = runner.settled(source, name)
        if outcome is not None and outcome.skipped:
            outcome = replace(outcome, skipped=False)  # done in this run, by a worker that was lost then
        if outcome is None and _deaths(chunk.run, source) >= DEATHS:
            outcome = runner.failed(source, name, _set_aside(), None, 0.0)
        if outcome is None:
            waiting.append((source, name))
        else:
            outcomes.append(outcome.to_dict())
    outcomes += [outcome.to_dict() for outcome in _segmented(chunk, waiting, runner)]
    return outcomes


def _segmented(chunk: Chunk, tasks: list[tuple[Source, str]], runner: Runner) -> list[Outcome]:
    outcomes: list[Outcome] = []
    if not tasks:
        return outcomes
    left = {source.id: source for source, _ in tasks}
    begun = {tasks[0][0].id}
    _begin(chunk.run, tasks[0][0])
    for outcome in segment_in_workers(tasks, 1, chunk.setup, runner, Listener(cancel=_Ended(chunk.run))):
        outcomes.append(outcome)
        source = left.pop(outcome.record.source.id, None)
        if source is not None:
            _done(chunk.run, source)
        following = next(iter(left.values()), None)
        if following is not None and following.id not in begun:
            begun.add(following.id)
            _begin(chunk.run, following)
    return outcomes


def _set_aside() -> HippoSegError:
    return HippoSegError(
        f"The scan was set aside: {DEATHS} machines of the cluster were lost while they worked on it.",
        "Segment it by itself; if memory is short, give a smaller or cropped image.",
        "set_aside",
    )


def _path(run: Path, source: Source) -> Path:
    return run / f"at-{hashlib.sha256(source.id.encode('ascii')).hexdigest()[:24]}"


def _deaths(run: Path, source: Source) -> int:
    """How many workers were lost at a scan."""
    with suppress(OSError):
        return _path(run, source).stat().st_size
    return 0


def _begin(run: Path, source: Source) -> None:
    """Note that a scan is being worked on: a byte more each time."""
    with suppress(OSError), open(_path(run, source), "ab") as file:
        file.write(b".")
        file.flush()
        os.fsync(file.fileno())


def _done(run: Path, source: Source) -> None:
    with suppress(OSError):
        os.unlink(_path(run, source))


class _Ended:
    """Whether the run has come to its end, looked up now and then."""

    def __init__(self, run: Path):
        self._run, self._at, self._ended = run, time.monotonic(), False

    def __call__(self) -> bool:
        if time.monotonic() - self._at > _LOOK:
            self._at, self._ended = time.monotonic(), not self._run.is_dir()
        return self._ended
