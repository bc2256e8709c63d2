"""Volumes of many scans, from HippoSeg's table or that of a BIDS group."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError
from ..flags import doubted_sides
from ..io.spreadsheet import without_mark
from .tables import NamedTable, number_in, read_named_table
from .values import Identity

#: Columns that are needed.
_NEEDED = ("status", "left_mm3", "right_mm3", "intracranial_ml", "model", "version", "protocol")


@dataclass(frozen=True)
class ScanVolumes:
    """A line of the table.

    Attributes:
        scan: Its name.
        subject, session: As they are called, "" where that is not known.
        status: "ok", "review" or "failed".
        review: "pass", "fail", or "".
        flags: Their names, such as ``quality:left``.
        measurements: Column of `results.volumes.COLUMNS` -> value, as far as it is there.
        identity: What made the volumes.
    """

    scan: str
    subject: str
    session: str
    status: str
    review: str
    flags: tuple[str, ...]
    measurements: Mapping[str, float]
    identity: Identity

    @property
    def doubted(self) -> frozenset[str]:
        """Sides whose outline may be wrong and was passed by nobody."""
        return frozenset() if self.review == "pass" else doubted_sides(self.flags)


@dataclass(frozen=True)
class VolumeTable:
    """The table as it stands in the file, and what its lines say."""

    table: NamedTable
    scans: tuple[ScanVolumes, ...]


def read_volumes(path: str | Path) -> VolumeTable:
    """Read a table of volumes.

    Args:
        path: `hippocampus.csv`, or the table that is made of a BIDS data set.

    Raises:
        InputError: It cannot be read, or is another table.
    """
    table = read_named_table(path, "table of volumes")
    missing = [name for name in _NEEDED if table.column(name) is None]
    if missing:
        raise InputError(
            f"The table of volumes has no column {', '.join(missing)}.",
            "Give the hippocampus.csv that HippoSeg wrote; where an earlier version did, let HippoSeg write "
            "into its folder again.",
            "volumes_columns",
        )
    return VolumeTable(table, tuple(_scan(table, line) for line in table.lines))


def measured(left: float | None, right: float | None, intracranial: float | None) -> dict[str, float]:
    """Measurements of a scan by their columns, from both sides and the intracranial volume, mm³."""
    volumes = {"left_mm3": left, "right_mm3": right, "intracranial_mm3": intracranial}
    found = {name: value for name, value in volumes.items() if value is not None and value > 0}
    if "left_mm3" in found and "right_mm3" in found:
        total, difference = found["left_mm3"] + found["right_mm3"], found["right_mm3"] - found["left_mm3"]
        found |= {"total_mm3": total, "asymmetry_index": difference / (total / 2)}
    return found


def _scan(table: NamedTable, line: tuple[str, ...]) -> ScanVolumes:
    def text(*names: str) -> str:
        return without_mark(table.cell(line, *names))

    millilitres = number_in(text("intracranial_ml"))
    scan = text("scan") or text("source")
    subject, session = text("subject", "participant_id"), text("session", "session_id")
    if not subject:
        subject, session = _entities(scan)
    return ScanVolumes(
        scan=scan,
        subject=subject,
        session=session,
        status=text("status"),
        review=text("review").lower(),
        flags=tuple(text("flags").split()),
        measurements=measured(
            number_in(text("left_mm3")),
            number_in(text("right_mm3")),
            None if millilitres is None else 1000 * millilitres,
        ),
        identity=Identity(text("model"), text("version"), text("protocol"), text("readers")),
    )


def _entities(scan: str) -> tuple[str, str]:
    """Subject and session in a BIDS name; the whole name and "" in any other."""
    subject = re.search(r"(?:^|[_/\\])sub-([A-Za-z0-9]+)", scan)
    session = re.search(r"[_/\\]ses-([A-Za-z0-9]+)", scan)
    return (subject[1] if subject else scan), (session[1] if session else "")


def one_identity(scans: list[ScanVolumes]) -> Identity:
    """The identity of all volumes.

    Raises:
        InputError: They are of several, or it is not known.
    """
    for field, what in (
        ("model", "models"),
        ("version", "versions of HippoSeg"),
        ("protocol", "protocols"),
        ("readers", "kinds of readers"),
    ):
        numbers: dict[str, int] = {}
        for scan in scans:
            value = getattr(scan.identity, field)
            numbers[value] = numbers.get(value, 0) + 1
        if len(numbers) > 1:
            words = ", ".join(f"{name or 'not known'}: {number}" for name, number in sorted(numbers.items()))
            raise InputError(
                f"The volumes are of several {what} ({words}); these are not to be mixed.",
                "Segment all scans with the same model, version and protocol.",
                "mixed_volumes",
            )
        if field != "readers" and "" in numbers:
            raise InputError(
                f"The table does not say of what {field} the volumes are.",
                "Let HippoSeg write the table anew, or segment the scans again.",
                "no_identity",
            )
    return replace(scans[0].identity)
