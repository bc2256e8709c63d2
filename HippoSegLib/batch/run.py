"""Many scans, one output folder: files and a record per scan, one table; a failed scan is a row, not the end.

Any number of processes may write to one folder. Whatever ends them, and whenever: the same call again brings
everything in order.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..errors import HippoSegError, OutputError
from ..io.images import read_scan
from ..io.names import shown
from ..models.engines import Engine, choose
from ..options import SegmentOptions
from .folder import OutputFolder
from .naming import assign_names, candidates
from .outcome import Outcome
from .progress import Listener
from .request import BatchOptions, split_changes
from .runner import Progress, Runner
from .sharing import apart_from_others, in_shard, worker_count
from .source import Source
from .tablefile import TABLE

__all__ = ["TABLE", "BatchOptions", "Outcome", "segment_files", "segment_sources"]

#: A run that is cancelled waits no longer for other processes than this to bring the table up to date.
_SECONDS_AT_AN_END = 10.0
#: With less space than this, in bytes, no scan's files can be written.
_LEAST_FREE = 1 << 20


def segment_files(
    paths: Iterable[str | Path | Source],
    output: str | Path,
    options: SegmentOptions | None = None,
    batch: BatchOptions | None = None,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
    **changes,
) -> Iterator[Outcome]:
    """Segment scans; yields an `Outcome` per scan as it is done, first those of which nothing is to be done.

    A scan's files appear all together or not at all, and with them its record, from which the table
    `hippocampus.csv` is built now and then, and at the end. Nothing is written beside the inputs. What was
    done before with the same content, model and settings is skipped.

    Args:
        paths: Files, or folders with a DICOM series; or sources, which say more of them.
        output: Folder for the results; made if it is missing.
        options: What is to be done; maps that are asked for are written as
            `<scan>_left_probability.nii.gz`, `<scan>_left_uncertainty.nii.gz` and `…_right_…`.
        batch: Figure, overwriting, series, workers and so on.
        progress: Called with the scan's name, the stage in words and the fraction done.
        cancel: Polled between stages; True ends the run.
        changes: Fields of `SegmentOptions` and `BatchOptions` in place of those of `options` and `batch`.

    Raises:
        InputError: A scan is given twice. OutputError: The folder cannot be used or has no space left, or, in
        the end, the table not be written. ModelError, DependencyError, DeviceError: No scan can be segmented.
        Cancelled. All other errors are in the outcomes.
    """
    options, batch = split_changes(options, batch, changes)
    series = None if batch.series is None else str(batch.series)
    sources = [path if isinstance(path, Source) else Source(Path(path), series) for path in paths]
    return segment_sources(sources, output, options, batch, Listener(progress=progress, cancel=cancel))


def segment_sources(
    sources: Sequence[Source],
    output: str | Path,
    options: SegmentOptions,
    batch: BatchOptions,
    listener: Listener,
) -> Iterator[Outcome]:
    """As `segment_files`, of inputs that were found by `finding.scans.find_scans`."""
    folder = OutputFolder(output, batch.layout)
    runner = Runner(folder, options, batch, listener.cancel)
    if len(sources) == 1 and not sources[0].path.exists():
        # No scan, most likely a slip of the pen: nothing is made for it.
        try:
            read_scan(sources[0].path)
        except HippoSegError as error:
            yield runner.refused(sources[0], candidates(sources[0])[0], error)
            return
    # What is wrong with the call as a whole is said before anything is made.
    assign_names(sources, lambda name, source: "free")
    output = folder.path.resolve()
    for source in sources:
        _refuse_output_within(source, output)
    folder.open()
    named = zip(sources, assign_names(sources, folder.holder), strict=True)
    tasks = [task for task in named if batch.shard is None or in_shard(task[0], *batch.shard)]
    listener.begin(len(tasks))
    try:
        waiting = []
        for source, name in tasks:
            listener.check()
            settled = runner.settled(source, name)
            if settled is None:
                waiting.append((source, name))
            else:
                yield settled
        for outcome in _segmented(waiting, folder, options, batch, listener):
            yield outcome
            if _is_full(outcome, folder.path):
                raise OutputError(
                    "There is no space left for results: the scans that remain were not begun.",
                    "Free disk space and do the same again: it goes on where it stopped.",
                    "no_space",
                )
    except BaseException:
        with suppress(OutputError):
            folder.update_table(timeout=_SECONDS_AT_AN_END)
        raise
    folder.update_table()


def _segmented(
    tasks: Sequence[tuple[Source, str]],
    folder: OutputFolder,
    options: SegmentOptions,
    batch: BatchOptions,
    listener: Listener,
) -> Iterator[Outcome]:
    """Segment in this process, or in several."""
    if not tasks:
        return
    if batch.dask is not None:
        from .dask_engine import segment_on_dask
        from .scan_process import Setup

        yield from segment_on_dask(tasks, batch.dask, Setup(folder.path, options, batch), listener)
        return
    options = _on_gpu_if_worth_it(options, len(tasks))
    runner = Runner(folder, options, batch, listener.cancel)
    on_cpu = not isinstance(options.engine, Engine) or options.engine.device == "cpu"
    count = min(batch.workers or worker_count(len(tasks), on_cpu), len(tasks))
    # A crash of one scan must not end the rest, unless the work is to be done in this very process.
    if count > 1 or (batch.workers is None and len(tasks) > 1):
        from .scan_process import Setup
        from .workers import segment_in_workers

        setup = Setup(folder.path, options, batch)
        yield from segment_in_workers(tasks, count, setup, runner, listener)
        return
    waiting = deque(tasks)
    while waiting:
        listener.check()
        outcome = runner.run(*waiting.popleft(), listener.progress)
        yield outcome
        if outcome.skipped:
            apart_from_others(waiting)


def _is_full(outcome: Outcome, output: Path) -> bool:
    """Whether a scan's files could not be written for want of space: those of the next ones will not be."""
    if not isinstance(outcome.error, OutputError):
        return False
    return outcome.error.code == "no_space" or shutil.disk_usage(output).free < _LEAST_FREE


def _refuse_output_within(source: Source, output: Path) -> None:
    """Refuse to write into a folder that is a scan itself."""
    if source.path.is_dir() and source.path.resolve() in (output, *output.parents):
        read_scan(source.path, series=source.series)  # a folder of something else has a sentence of its own
        raise OutputError(
            f"The output folder lies in '{shown(source.path)}', which is read as a scan.",
            "Choose an output folder elsewhere.",
            "within_scan",
        )


def _on_gpu_if_worth_it(options: SegmentOptions, scans: int) -> SegmentOptions:
    """The options with a GPU for all scans where they are many enough; a CPU is chosen scan by scan."""
    if isinstance(options.engine, Engine):
        return options
    engine = choose(options.engine, options.device, options.threads, scans)
    return options if engine.device == "cpu" else replace(options, engine=engine)
