"""What the commands that segment print: progress, a line per scan, a summary; and their exit code."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SOME_FAILED
from ..labels import SIDES
from ..reference.values import judgement_of
from ..reference.words import judgement_lines
from ..results.asymmetry import asymmetry_sentence
from ..results.wording import volume_words
from .remedies import in_words

if TYPE_CHECKING:
    from ..batch.found import Found
    from ..batch.outcome import Outcome
    from ..batch.progress import BatchProgress
    from ..batch.request import BatchOptions
    from ..errors import HippoSegError
    from ..options import SegmentOptions

#: The line on a terminal is written so often at most, seconds.
_PAUSE = 0.1
_LONGEST_LINE = 100
#: Errors of one kind are printed up to so many.
_PRINTED = 20
#: How a scan ended in a call -> words.
_ENDS = {
    "ok": "ok",
    "review": "to be reviewed",
    "failed": "failed",
    "refused": "refused",
    "skipped": "done before",
}


def run_batch(
    found: Found, output: Path, options: SegmentOptions, batch: BatchOptions, quiet: bool = False
) -> int:
    """Segment what was found, print what becomes of it, and return the exit code.

    It tells whether the folder now holds what was asked for: 0 where every scan has its result, of this call
    or an earlier one; the error's own code where a single scan has none; `SOME_FAILED` where some of several
    have none.
    """
    from ..batch.cohort import segment_cohort
    from ..batch.tablefile import TABLE

    several, codes = len(found.sources) > 1, list[int]()
    line, summary = BatchLine(sys.stderr, several), Summary()
    try:
        tell = None if quiet else line.show
        for outcome in segment_cohort(found, output, options, batch, tell):
            line.clear()
            summary.add(outcome)
            if outcome.is_failure:
                codes.append(SOME_FAILED if outcome.error is None else outcome.error.exit_code)
            if outcome.error is not None:
                summary.print_failure(outcome, outcome.error)
            elif not several:
                _print_result(outcome)
            elif not (outcome.skipped or quiet or sys.stdout.isatty()):
                print(f"{line.words}: {_in_one_line(outcome)}", flush=True)
    finally:
        line.clear()
    if several:
        print("\n".join(summary.lines()))
    if (output / TABLE).exists():
        print(f"Table: {output / TABLE}")
    if not codes:
        return 0
    return SOME_FAILED if several else codes[0]


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
    judgement = judgement_of(outcome.record.provenance.get("reference"))
    for line in [] if judgement is None else judgement_lines(judgement):
        print(f"  reference: {line}")
    for path in outcome.files:
        if path.suffix == ".png":
            print(f"  picture: {path}")


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
    words += [] if asymmetry is None else [asymmetry_sentence(asymmetry)]
    codes = " ".join(flag.name for flag in record.flags) if with_flags else ""
    return f"{text}: {', '.join(words)}{f' [{codes}]' if codes else ''}"


def _print_failure(outcome: Outcome, error: HippoSegError) -> None:
    """Why a scan has no result, on standard error."""
    print(f"hipposeg: {outcome.scan}: {in_words(error)}", file=sys.stderr)
    if outcome.earlier_stays:
        print("  The earlier result stays as it was.", file=sys.stderr)
    if outcome.details is not None:
        print(f"  Report: {outcome.details}", file=sys.stderr)


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


class Summary:
    """How many scans ended how, and why some have no result."""

    def __init__(self) -> None:
        self._ends, self._reasons = Counter[str](), Counter[str]()

    def add(self, outcome: Outcome) -> None:
        """Count a scan."""
        self._ends[outcome.what] += 1
        if outcome.is_failure:
            failure = outcome.record.failure
            self._reasons[outcome.error.code if outcome.error else failure.code if failure else ""] += 1

    def print_failure(self, outcome: Outcome, error: HippoSegError) -> None:
        """Print why a scan has no result; of one kind up to so many, for the summary counts them."""
        times = self._reasons[error.code]
        if times <= _PRINTED:
            _print_failure(outcome, error)
        if times == _PRINTED:
            print(f"  More of this kind ({error.code}) are counted at the end.", file=sys.stderr)

    def lines(self) -> list[str]:
        """For instance "500 scans: 460 ok, 30 to be reviewed, 8 failed, 2 done before"."""
        count = sum(self._ends.values())
        parts = [f"{self._ends[end]} {words}" for end, words in _ENDS.items() if self._ends[end]]
        text = [f"{count} scan{'' if count == 1 else 's'}: {', '.join(parts) or 'nothing to do'}."]
        if self._reasons:
            reasons = ", ".join(f"{count} x {code}" for code, count in self._reasons.most_common())
            text.append(f"Without the result that was asked for: {reasons}.")
        return text
