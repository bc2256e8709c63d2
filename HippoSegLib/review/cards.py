"""What the review page knows of each scan, worst first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..batch.common_root import relative_to_common_root
from ..batch.layout import FLAT, Layout
from ..batch.record import RecordError, ScanRecord, read_record
from ..batch.table import UNREADABLE
from ..batch.verdicts import result_id
from ..bids.layout import BIDS
from ..errors import OutputError
from ..flags import Flag
from ..labels import SIDES
from ..reference.values import Judgement, judgement_of
from ..reference.words import judgement_lines
from ..report.write import SUFFIX as REPORT
from ..results.volumes import COLUMNS
from ..results.wording import TABLE_NAMES, unit_of

_RANK = {"error": 0, "warning": 1, "info": 2, "": 3}


@dataclass(frozen=True)
class Card:
    """A scan on the page.

    Attributes:
        scan: Its name.
        status: "ok", "review" or "failed".
        severity: Of the worst flag: "error" (no result), "warning", "info" or "".
        flags: Remarks.
        failure: (code, sentence) where there is no result.
        result: See `batch.verdicts.result_id`.
        report: Its report (`hipposeg report`), relative to the page; None where there is none.
        picture: The quality-control picture, relative to the page with ``/``; None where there is none.
        values: Measured column -> value in the column's unit, unrounded; no entry where it is unknown.
        facts: Subject, session, path, model, version, where they are known.
        comparison: With a reference, in sentences; empty where there was none.
        seconds: That the scan took, where known.
    """

    scan: str
    status: str
    severity: str
    flags: tuple[Flag, ...] = ()
    failure: tuple[str, str] | None = None
    result: str = ""
    picture: str | None = None
    report: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    comparison: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def worst(self) -> tuple[int, float, int, str]:
        """Sorts the worst first: by severity, then by the lowest expected overlap or agreement of a side."""
        names = [f"{side}_{what}" for side in SIDES for what in ("quality", "agreement")]
        lowest = min((self.values[name] for name in names if name in self.values), default=1.0)
        warnings = sum(flag.severity == "warning" for flag in self.flags)
        return _RANK[self.severity], lowest, -warnings, self.scan


def cards_of(folder: Path, layout: Layout | None = None) -> list[Card]:
    """The scans of an output folder, worst first.

    Args:
        folder: The folder.
        layout: Where its files lie; found out where it is not given.

    Raises:
        OutputError: The folder cannot be read.
    """
    try:
        read = [_read(folder, path, scan, one) for one, scan, path in _records(folder, layout)]
    except OSError as error:
        raise OutputError(
            f"The folder '{folder.name}' cannot be read ({error.strerror or type(error).__name__}).",
            "Give a folder with results of HippoSeg.",
        ) from error
    cards = [card for card in read if card is not None]
    paths = relative_to_common_root({card.scan: card.facts["path"] for card in cards if "path" in card.facts})
    cards = [
        replace(card, facts=card.facts | {"path": paths[card.scan]}) if card.scan in paths else card
        for card in cards
    ]
    return sorted(cards, key=lambda card: card.worst)


def _records(folder: Path, layout: Layout | None) -> list[tuple[Layout, str, Path]]:
    """The records with the layout, by which the scans' names are theirs."""
    # A derivative's `group_hippocampus.json` is no record, though it is called like one.
    for one in (BIDS, FLAT) if layout is None else (layout,):
        found = [(one, scan, path) for scan, path in one.records(folder)]
        if found:
            return found
    return []


def _read(folder: Path, path: Path, scan: str, layout: Layout) -> Card | None:
    """The card of a record; one that cannot be read has a card that says so."""
    try:
        card = card_of(read_record(path), scan)
        report = _place(layout, scan, f"{scan}{REPORT}")
        return replace(
            card,
            picture=None if card.picture is None else _place(layout, scan, card.picture),
            report=report if (folder / report).is_file() else None,
        )
    except RecordError as error:
        kind = error.kind
    except OSError:
        kind = "damaged"
    if kind not in UNREADABLE:
        return None
    status, code, sentence = UNREADABLE[kind]
    if status == "failed":
        return Card(scan, status, "error", failure=(code, sentence))
    return Card(scan, status, "warning", (Flag(f"record_{kind}", sentence),))


def _place(layout: Layout, scan: str, name: str) -> str:
    """Where a scan's file lies, relative to the page, with ``/``."""
    folder = layout.folder(scan, name)
    return f"{folder}/{name}" if folder else name


def card_of(record: ScanRecord, scan: str | None = None) -> Card:
    """The card of a scan's record; `scan` is its name by the file, where that differs."""
    warned = any(flag.severity == "warning" for flag in record.flags)
    severity = "warning" if warned else "info" if record.flags else ""
    picture = record.files.get("picture")
    failure = record.failure
    judgement = judgement_of(record.provenance.get("reference"))
    return Card(
        scan=record.scan if scan is None else scan,
        status=record.status,
        severity=severity if failure is None else "error",
        flags=record.flags,
        failure=None if failure is None else (failure.code, failure.message),
        result=result_id(record),
        picture=None if picture is None else picture.name,
        values=_values(record, judgement),
        facts=_facts(record),
        comparison=() if judgement is None else tuple(judgement_lines(judgement)),
        seconds=_number(record.provenance.get("seconds_total")),
    )


def _values(record: ScanRecord, judgement: Judgement | None) -> dict[str, float]:
    values = {}
    for name in COLUMNS:
        value = record.measurements.get(name)
        if value is not None:
            values[TABLE_NAMES.get(name, name)] = value * unit_of(name).factor
    agreement = record.provenance.get("agreement")
    for side in SIDES:
        known = _number(agreement.get(side)) if isinstance(agreement, Mapping) else None
        if known is not None:
            values[f"{side}_agreement"] = known
    for name, judged in () if judgement is None else judgement.measures.items():
        values |= {f"{name}_percentile": judged.percentile, f"{name}_z": judged.z}
    return values


def _facts(record: ScanRecord) -> dict[str, str]:
    versions = record.provenance.get("versions")
    facts = {
        "subject": record.source.subject,
        "session": record.source.session,
        "path": record.source.path,
        "model": record.model,
        "version": versions.get("HippoSeg") if isinstance(versions, Mapping) else None,
    }
    return {name: str(value) for name, value in facts.items() if value}


def _number(value: object) -> float | None:
    """The value, where it is a number that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
