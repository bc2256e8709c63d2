"""What the commands that segment print: progress, a line per scan, a summary; and their exit code."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import HippoSegError
from ..flags import doubted_sides
from ..labels import SIDES
from ..results.asymmetry import asymmetry_sentence, unreferenced_sentence
from ..results.wording import volume_words
from .remedies import in_words

if TYPE_CHECKING:
    from ..batch.finding.found import Found
    from ..batch.outcome import Outcome
    from ..batch.progress import BatchProgress
    from ..batch.request import BatchOptions
    from ..options import SegmentOptions

#: The line on a terminal is written so often at most, seconds.
_PAUSE = 0.1
_LONGEST_LINE = 100
#: Errors of one kind are printed up to so many.
_PRINTED = 20


def run_batch(
    found: Found,
    output: Path,
    options: SegmentOptions,
    batch: BatchOptions,
    quiet: bool = False,
    with_page: bool = False,
) -> int:
    """Segment what was found, print what becomes of it, and return the exit code, see `Summary.exit_code`.

    Args:
        found: Scans.
        output: The output folder.
        options: For each scan.
        batch: For all.
        quiet: Print failures, the summary and where the table lies, and no more.
        with_page: Write the review page at the end.
    """
    from ..batch.cohort import segment_cohort
    from ..batch.memory import keep_freed_memory
    from ..batch.summary import Summary
    from ..batch.tablefile import TABLE

    keep_freed_memory()
    several = len(found.sources) > 1
    line, summary, not_compared = BatchLine(sys.stderr, several), Summary(), 0
    try:
        tell = None if quiet else line.show
        for outcome in segment_cohort(found, output, options, batch, tell):
            line.clear()
            summary.add(outcome)
            not_compared += outcome.skipped and not _is_compared(outcome, batch)
            if outcome.error is not None:
                _print_failure(outcome, outcome.error, summary.reasons[outcome.error.code])
            elif not several:
                _print_result(outcome)
            elif not (outcome.skipped or quiet or sys.stdout.isatty()):
                print(f"{line.words}: {_in_one_line(outcome)}", flush=True)
    finally:
        line.clear()
    if several:
        print("\n".join(summary.lines()))
    if not_compared:
        words = f"Not compared with this reference, as they were done before: {not_compared} scans"
        print(f"{words}. 'hipposeg reference apply' compares the table.")
    if (output / TABLE).exists():
        print(f"Table: {output / TABLE}")
    if with_page and summary.total and output.is_dir():
        _write_page(output, batch)
    return summary.exit_code


def _is_compared(outcome: Outcome, batch: BatchOptions) -> bool:
    """Whether a result of before is compared with the reference that is given, if one is."""
    if batch.comparison is None or outcome.record.failure is not None:
        return True
    from ..reference.values import judgement_of

    judgement = judgement_of(outcome.record.provenance.get("reference"))
    return judgement is not None and judgement.reference == batch.comparison.reference.digest


def _write_page(output: Path, batch: BatchOptions) -> None:
    """Write the review page; a batch does not fail for the want of it."""
    from ..review.page import write_page

    try:
        print(f"Review page: {write_page(output, batch.layout)}")
    except HippoSegError as error:
        print(f"hipposeg: There is no review page: {in_words(error)}", file=sys.stderr)


def print_found(found: Found, with_paths: bool = False) -> None:
    """Print how many scans were found, and what is not segmented, with the reasons."""
    count = len(found.sources)
    print(f"{count} scan{'' if count == 1 else 's'} found.")
    if found.left_out:
        reasons = ", ".join(f"{count} {words}" for words, count in found.reasons.items())
        print(f"{len(found.left_out)} left out: {reasons}.")
    for one in found.left_out if with_paths else found.left_out[:0]:
        print(f"  {one.path}{f', series {one.series}' if one.series else ''}: {one.reason}")


def _print_result(outcome: Outcome) -> None:
    """Print what became of a single scan: its volumes and flags, and where its picture lies."""
    print(_in_one_line(outcome, with_flags=False))
    for flag in outcome.record.flags:
        print(f"  {'note' if flag.severity == 'info' else 'WARNING'}: {flag.message}")
    for line in _comparison(outcome):
        print(f"  {line}")
    for path in outcome.files:
        if path.suffix == ".png":
            print(f"  picture: {path}")


def _comparison(outcome: Outcome) -> list[str]:
    """How the volumes compare with a reference; without one, how large the difference of the sides is."""
    compared = outcome.record.provenance.get("reference")
    if compared is not None:
        from ..reference.values import judgement_of
        from ..reference.words import judgement_lines

        judgement = judgement_of(compared)
        if judgement is not None:
            return [f"reference: {line}" for line in judgement_lines(judgement)]
    asymmetry = outcome.record.measurements.get("asymmetry_index")
    doubted = doubted_sides(flag.name for flag in outcome.record.flags)
    return [] if asymmetry is None else [f"asymmetry: {unreferenced_sentence(asymmetry, doubted)}"]


def _in_one_line(outcome: Outcome, with_flags: bool = True) -> str:
    record = outcome.record
    text = f"{outcome.scan}: {outcome.status}{' (done before)' if outcome.skipped else ''}"
    if record.failure is not None:
        return f"{text}: {record.failure.message}"
    volumes = (
        (side, record.measurements.get(f"{side}_mm3"))
        for side in SIDES
        if f"{side}_mm3" in record.measurements
    )
    words = [
        f"{side} not found" if volume is None else f"{side} {volume_words(volume)}"
        for side, volume in volumes
    ]
    asymmetry = record.measurements.get("asymmetry_index")
    words += [] if asymmetry is None or not with_flags else [asymmetry_sentence(asymmetry)]
    codes = " ".join(flag.name for flag in record.flags) if with_flags else ""
    return f"{text}: {', '.join(words)}{f' [{codes}]' if codes else ''}"


def _print_failure(outcome: Outcome, error: HippoSegError, number: int) -> None:
    """Why a scan has no result, on standard error; of one kind the first ones only.

    Args:
        outcome: Of the scan.
        error: Why.
        number: Which one of its kind it is.
    """
    if number > _PRINTED:
        return
    print(f"hipposeg: {outcome.scan}: {in_words(error)}", file=sys.stderr)
    if outcome.earlier_stays:
        print("  The earlier result stays as it was.", file=sys.stderr)
    if outcome.details is not None:
        print(f"  Report: {outcome.details}", file=sys.stderr)
    if number == _PRINTED:
        print(f"  More of this kind ({error.code}) are only counted.", file=sys.stderr)


class BatchLine:
    """One line on a terminal that is rewritten; where the output is no terminal, a line per scan says it.

    Attributes:
        words: How far the work is.
    """

    def __init__(self, stream: Any, several: bool):
        self._stream, self._several, self._live = stream, several, stream.isatty()
        self._last, self._at = "", 0.0
        self.words = ""

    def show(self, progress: BatchProgress) -> None:
        """Show how far the work is."""
        self.words = progress.words()
        if self._several:
            text = f"{self.words}{f' ({progress.scan})' if progress.stage else ''}"
        elif not progress.stage:
            return
        else:
            text = f"{progress.scan}: {progress.stage} ({100 * progress.fraction:.0f} %)"
        if self._live:
            if time.monotonic() - self._at < _PAUSE and self._several:
                return
            self._at, text = time.monotonic(), text[:_LONGEST_LINE]
            self._stream.write("\r" + text.ljust(len(self._last)))
        elif not self._several and progress.stage != "Done":
            self._stream.write(text + "\n")
        self._last = text
        self._stream.flush()

    def clear(self) -> None:
        """Take the live line away before something else is printed."""
        if self._live and self._last:
            self._stream.write("\r" + " " * len(self._last) + "\r")
            self._last = ""
