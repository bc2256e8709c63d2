"""When, and by which scanner, each scan of a subject was made: from a table of visits."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import InputError
from .participants import age_of, scanner_of
from .tables import NamedTable, bare, number_in, read_named_table
from .volumes import ScanVolumes

_DATES = ("acq_time", "acquisition_date", "scan_date", "study_date", "date")
_NAMES = ("participant_id", "subject", "subject_id", "scan")
_DAYS_PER_YEAR = 365.25
TimeKind = Literal["date", "age", "years"]


@dataclass(frozen=True)
class Visit:
    """A scan of a subject.

    Attributes:
        scan: Its volumes.
        years: Since a moment that is the same for all scans of the subject; None where it is not known.
        kind: What that was taken from: scans of several kinds are not to be compared.
        is_coarse: The age is in whole years.
        scanner: Field -> value.
    """

    scan: ScanVolumes
    years: float | None = None
    kind: TimeKind | None = None
    is_coarse: bool = False
    scanner: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Line:
    years: float | None
    kind: TimeKind | None
    is_coarse: bool
    scanner: Mapping[str, str]


def visits_by_subject(scans: tuple[ScanVolumes, ...], path: str | Path) -> dict[str, list[Visit]]:
    """The scans of each subject, in the order of their times.

    Args:
        scans: Of a table of volumes.
        path: A table with participant_id and session_id (or `scan`, the scan's name), and a date
            (`acq_time` as BIDS has it, or `date`), or `age` with decimals, or `years`.

    Raises:
        InputError: It cannot be read, or lacks a column.
    """
    table = read_named_table(path, "table of visits")
    if table.column(*_NAMES) is None or table.column(*_DATES, "age", "years") is None:
        raise InputError(
            "The table of visits has no column with subjects, or none with times.",
            "Name the columns participant_id, session_id, and acq_time (a date) or age (with decimals).",
            "visits_columns",
        )
    lines: dict[tuple[str, str], _Line] = {}
    for line in table.lines:
        key = bare(table.cell(line, *_NAMES)), bare(table.cell(line, "session_id", "session"), "ses-")
        lines.setdefault(key, _line(table, line))
    found: dict[str, list[Visit]] = {}
    for scan in scans:
        keys = (bare(scan.subject), bare(scan.session, "ses-")), (bare(scan.scan), "")
        one = next((lines[key] for key in keys if key in lines), None)
        visit = Visit(scan) if one is None else Visit(scan, one.years, one.kind, one.is_coarse, one.scanner)
        found.setdefault(bare(scan.subject), []).append(visit)
    return {
        subject: sorted(visits, key=lambda visit: (visit.years is None, visit.years or 0.0))
        for subject, visits in sorted(found.items())
    }


def _line(table: NamedTable, line: tuple[str, ...]) -> _Line:
    scanner = scanner_of(table, line)
    date = date_of(table.cell(line, *_DATES))
    if date is not None:
        return _Line(date.toordinal() / _DAYS_PER_YEAR, "date", False, scanner)
    years = number_in(table.cell(line, "years"))
    if years is not None:
        return _Line(years, "years", False, scanner)
    text = table.cell(line, "age")
    age = age_of(text)
    if age is not None:
        return _Line(age, "age", not re.search(r"[.,]", text), scanner)
    return _Line(None, None, False, scanner)


def date_of(text: str) -> datetime.date | None:
    """The day in a cell: ``2024-05-17T09:30:00``, ``2024-05-17``, ``20240517``; None for anything else."""
    match = re.fullmatch(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ].*)?", text.strip())
    if match is None:
        return None
    try:
        return datetime.date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
