"""What the panel's worker does for many scans on the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

#: Progress is told so often at most, seconds.
_PAUSE = 0.2
#: Failures that are told in the answer, at most: the table has all.
_TOLD = 200


def cohort_task(
    request: Mapping,
    folder: str,
    progress: Callable[[str, float], None],
    cancel: Callable[[], bool],
) -> dict:
    """Find scans and segment them, see :func:`HippoSegLib.batch.cohort.segment_cohort`.

    Args:
        request: ``inputs`` (paths), ``output`` (a folder), ``options`` (fields of `SegmentOptions` and
            `BatchOptions`: ``workers`` and so on), ``match``, a pattern, and ``rows``, whether the answer is
            to hold all rows of the table.
        progress: Told the words of `BatchProgress` ("17 of 500, 12 per minute, …") and the part done.

    Returns:
        ``total``, ``ends`` and ``reasons`` (counts, see `batch.summary.Summary`), ``words`` (lines for
        people), ``failures`` (``scan``, ``code`` and ``message`` of the first ones), ``left_out`` (reason ->
        count), ``table`` and, where that is asked for, ``rows`` with ``what`` each scan ended as.

    Raises:
        See :func:`HippoSegLib.batch.cohort.segment_cohort`.
    """
    progress("Loading libraries", 0.0)
    from ..batch.cohort import BatchProgress, find_scans, segment_cohort
    from ..batch.summary import Summary
    from ..batch.tablefile import TABLE

    progress("Looking for scans", 0.0)
    output = Path(request["output"])
    found = find_scans(request["inputs"], output, request.get("match"))
    summary, failures, told = Summary(), list[dict[str, str]](), [0.0]
    rows: list[dict[str, str]] = []

    def tell(now: BatchProgress) -> None:
        if time.monotonic() - told[0] > _PAUSE or now.done == now.total:
            told[0] = time.monotonic()
            progress(now.words(), now.done / max(now.total, 1))

    for outcome in segment_cohort(found, output, progress=tell, cancel=cancel, **request.get("options", {})):
        summary.add(outcome)
        if request.get("rows"):
            rows.append({**outcome.as_row(), "what": outcome.what})
        if outcome.is_failure and len(failures) < _TOLD:
            error = outcome.error or outcome.record.failure
            code = "" if error is None else error.code
            message = str(outcome.error) if outcome.error else getattr(outcome.record.failure, "message", "")
            failures.append({"scan": outcome.scan, "code": code, "message": message})
    return {
        **summary.to_dict(),
        "words": summary.lines(),
        "failures": failures,
        "left_out": found.reasons,
        "table": str(output / TABLE),
        "rows": rows,
    }
