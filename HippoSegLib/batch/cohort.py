"""A cohort: whatever scans there are in, results, one table and a summary out.

For the command line, the panel and Python alike::

    from HippoSegLib.batch.cohort import segment_cohort

    for outcome in segment_cohort(["/data/study"], "/data/results", workers=2, progress=tell, cancel=stopped):
        print(outcome.scan, outcome.what)          # "ok", "review", "failed", "skipped" or "refused"

`tell` is called with a `progress.BatchProgress`: counts, speed and time left; `.words()` is one line for
people and `.to_dict()` plain values for a message to another process. An `Outcome` has `.record` (volumes,
flags, failure), `.as_row()` (the row of the table) and `.files`. The same call again skips what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..options import SegmentOptions
from .finding.scans import Found, find_scans
from .outcome import Outcome
from .progress import BatchProgress, Listener
from .request import BatchOptions, split_changes
from .run import segment_sources

__all__ = ["BatchOptions", "BatchProgress", "Found", "Outcome", "find_scans", "segment_cohort"]


def segment_cohort(
    inputs: Sequence[str | Path] | Found,
    output: str | Path,
    options: SegmentOptions | None = None,
    batch: BatchOptions | None = None,
    progress: Callable[[BatchProgress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    **changes,
) -> Iterator[Outcome]:
    """Find scans and segment them; yields an `Outcome` per scan as it is settled.

    Args:
        inputs: As in `finding.scans.find_scans`, or what that returned.
        output: Folder for the results; made if it is missing.
        options: What is to be done with each scan.
        batch: Workers, shard, overwriting and so on.
        progress: Called as something changes.
        cancel: Polled several times a second; True ends the run, with what is done in the table.
        changes: Fields of `SegmentOptions` and `BatchOptions`: ``workers=2``, ``parts=True``.

    Raises:
        InputError: Nothing is found, or the same as in `run.segment_files`.
    """
    options, batch = split_changes(options, batch, changes)
    found = inputs if isinstance(inputs, Found) else find_scans(inputs, output)
    listener = Listener(cancel=cancel, on_progress=progress)
    for outcome in segment_sources(found.sources, output, options, batch, listener):
        listener.settled(outcome)
        yield outcome
