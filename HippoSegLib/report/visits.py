"""The change between visits of each subject in an output folder, in sentences for the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..batch.record import ScanRecord
from ..batch.tablefile import TABLE
from ..bids.group import TABLE as BIDS_TABLE
from ..reference.change import ChangeOverTime, change_over_time
from ..reference.change_words import change_lines
from ..reference.repeatability import repeatability_of
from ..reference.tables import bare
from ..reference.visits import visits_by_subject
from ..reference.volumes import read_volumes

_NOBODY = "No change per year: the result does not say whose scan it is."
_NOT_THERE = "No change per year: the table of the folder has no scan of this subject."


@dataclass(frozen=True)
class Visits:
    """Where the times of scans stand.

    Attributes:
        table: A table of visits, see `reference.visits`.
        same_scanner: The user says that one scanner and protocol made all scans of a subject.
        sd_percent: Standard deviation of a volume measured again at one's own site; None for the card's.
    """

    table: Path
    same_scanner: bool = False
    sd_percent: float | None = None


def changes_in(root: Path, visits: Visits) -> Callable[[ScanRecord], tuple[str, ...]]:
    """A function from a record in an output folder to what is said of its subject's change.

    Raises:
        InputError: A table is missing or cannot be read.
    """
    tables = [root / name for name in (TABLE, BIDS_TABLE)]
    table = next((path for path in tables if path.exists()), tables[0])
    subjects = visits_by_subject(read_volumes(table).scans, visits.table)
    said: dict[str, tuple[str, ...]] = {}

    def change(record: ScanRecord) -> tuple[str, ...]:
        subject = bare(record.source.subject or "")
        if not subject:
            return (_NOBODY,)
        if subject not in subjects:
            return (_NOT_THERE,)
        if subject not in said:
            own = subjects[subject]
            known = repeatability_of(own[-1].scan.identity, visits.sd_percent)
            said[subject] = sentences(change_over_time(own, known, visits.same_scanner))
        return said[subject]

    return change


def sentences(found: ChangeOverTime) -> tuple[str, ...]:
    """What is said of a change: one sentence on the volumes, and the remarks."""
    lines = change_lines(found)
    count = len(found.changes)
    if not count:
        return tuple(lines)
    first, volumes, notes = lines[0], lines[1 : 1 + count], lines[1 + count :]
    return (f"Change between visits ({first}): {'; '.join(volumes)}.", *notes)
