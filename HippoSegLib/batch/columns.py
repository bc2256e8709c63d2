"""The columns of `hippocampus.csv`: what each one holds, and a scan's row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..flags import flag_columns
from ..io.spreadsheet import harmless, without_mark
from ..labels import SIDES
from ..reference.values import identity_of
from ..results.volumes import COLUMNS
from ..results.wording import AGREEMENT, SECONDS, TABLE_NAMES, number, unit_of
from .common_root import relative_to_common_root
from .record import ScanRecord

#: Column -> (what it holds, its unit), in order; the data dictionary beside the table says the same.
_BEFORE = {
    "scan": ("Name of the scan in this folder; its files begin with it.", ""),
    "path": ("The scan's file or folder, relative to the folder that all scans of the table lie in.", ""),
    "subject": ("Whose scan it is, as the data set calls them; empty where that is not known.", ""),
    "session": ("Of which visit, as the data set calls it; empty where that is not known.", ""),
    "status": (
        "ok; review: a flag says that the result should not be used before somebody has looked at it; "
        "failed: there is no result.",
        "",
    ),
    "review": ("What somebody said who looked at the result: pass or fail; empty where nobody did.", ""),
}
_MEASURED = {
    "left_mm3": ("Volume of the left hippocampus.", "mm^3"),
    "right_mm3": ("Volume of the right hippocampus.", "mm^3"),
    "total_mm3": ("Sum of both hippocampi.", "mm^3"),
    "asymmetry_percent": (
        "100 (right - left) / ((right + left) / 2): positive where the right is larger.",
        "%",
    ),
    "left_anterior_mm3": ("Volume of the anterior left hippocampus (the head).", "mm^3"),
    "left_posterior_mm3": ("Volume of the posterior left hippocampus (body and tail).", "mm^3"),
    "right_anterior_mm3": ("Volume of the anterior right hippocampus (the head).", "mm^3"),
    "right_posterior_mm3": ("Volume of the posterior right hippocampus (body and tail).", "mm^3"),
    "intracranial_ml": ("Intracranial volume, a rough one; empty where the field of view cuts it.", "mL"),
    "left_per_mille_of_intracranial": ("Left volume as part of the intracranial volume.", "1/1000"),
    "right_per_mille_of_intracranial": ("Right volume as part of the intracranial volume.", "1/1000"),
    "total_per_mille_of_intracranial": ("Sum of both as part of the intracranial volume.", "1/1000"),
    "left_quality": ("Overlap (Dice) with a manual outline to be expected of the left outline.", "1"),
    "right_quality": ("Overlap (Dice) with a manual outline to be expected of the right outline.", "1"),
}
_AGREEMENT = {
    f"{side}_agreement": (
        f"Overlap (Dice) of the two readers' outlines, {side}; empty where one reader read alone.",
        "1",
    )
    for side in SIDES
}
_AFTER = {
    "flags": ("Codes of what was noticed, separated by spaces, with the side: quality:left contrast.", ""),
    "severity": ("The worst flag: warning or info; error where the scan failed.", ""),
    "remarks": ("The flags in sentences; where the scan failed, why and what to do.", ""),
    "error": ("Code of the error where the scan failed.", ""),
    "model": ("Name of the model.", ""),
    "version": ("Version of HippoSeg.", ""),
    "protocol": ("full: the whole hippocampus; msd: without the tail beyond the border that MSD draws.", ""),
    "readers": ("Networks that read the scan, with the first digits of their SHA-256.", ""),
    "seconds": ("Seconds from reading the scan to the end of segmenting it and drawing its picture.", "s"),
    "source": ("The scan's file or folder, as it was given.", ""),
}
#: Measurement -> its column.
_NAMES = {name: TABLE_NAMES.get(name, name) for name in COLUMNS}
_DESCRIPTIONS = {
    **_BEFORE,
    **{name: _MEASURED.get(name, ("", "")) for name in _NAMES.values()},
    **_AGREEMENT,
    **_AFTER,
}
#: The table's own columns, in order.
FIELDS = tuple(_DESCRIPTIONS)
#: Columns that came after version 0.2.0: where a table of then has one of that name, it is the user's.
LATER_FIELDS = ("path", "subject", "session", "review", *_AGREEMENT, "version", "protocol", "readers")
LATER_FIELDS += ("seconds",)
#: Columns that no record holds: they are filled in as the table is built.
TABLE_FIELDS = ("path", "review")
#: Columns of earlier versions, which wrote measurements in other units -> today's.
FORMER_FIELDS = TABLE_NAMES


def row_of(record: ScanRecord) -> dict[str, str]:
    """The row of a scan, everything as text; numbers with the digits that mean something.

    The columns `TABLE_FIELDS` are empty: `completed` fills them in.
    """
    row = dict.fromkeys(FIELDS, "") | {"scan": record.scan, "model": record.model}
    row |= flag_columns(record.flags)
    for name, column in _NAMES.items():
        value = record.measurements.get(name)
        if value is not None:
            row[column] = number(value, unit_of(name))
    if record.failure is not None:
        row |= {"severity": "error", "remarks": record.failure.message, "error": record.failure.code}
    row |= {"status": record.status, "source": record.source.path}
    row |= {"subject": record.source.subject or "", "session": record.source.session or ""}
    row |= _provenance(record.provenance)
    return row | {name: harmless(row[name]) for name in _BEFORE | _AFTER}


def _provenance(provenance: Mapping[str, Any]) -> dict[str, str]:
    """The columns on how a result came about, as far as a record of whichever version knows."""

    def part(name: str) -> Mapping[str, Any]:
        found = provenance.get(name)
        return found if isinstance(found, Mapping) else {}

    made_by = identity_of(provenance)
    row = {"version": made_by.version, "protocol": made_by.protocol, "readers": made_by.readers}
    numbers = {f"{side}_agreement": (part("agreement").get(side), AGREEMENT) for side in SIDES}
    numbers["seconds"] = (provenance.get("seconds_total"), SECONDS)
    for column, (value, unit) in numbers.items():
        if isinstance(value, int | float) and math.isfinite(value):
            row[column] = number(value, unit)
    return row


def completed(rows: Mapping[str, Sequence[str]], verdicts: Mapping[str, str]) -> dict[str, list[str]]:
    """The rows of a table with the columns that depend on more than their own record.

    Args:
        rows: scan -> cells in the order of `FIELDS`.
        verdicts: scan -> what somebody said of its result.
    """
    source, path, review = (FIELDS.index(name) for name in ("source", *TABLE_FIELDS))
    places = {scan: without_mark(cells[source]) for scan, cells in rows.items() if cells[source]}
    paths = relative_to_common_root(places)
    found = {}
    for scan, cells in rows.items():
        found[scan] = list(cells)
        found[scan][path] = harmless(paths.get(scan, ""))
        found[scan][review] = verdicts.get(scan, "")
    return found


def in_todays_columns(row: Mapping[str, str]) -> dict[str, str]:
    """A row of an earlier version: what stands in a column of then is brought into that of today."""
    row = dict(row)
    for name, column in FORMER_FIELDS.items():
        with suppress(ValueError):
            text = row.pop(name, "")
            row.setdefault(column, number(float(text), unit_of(name)))
    return row


def dictionary() -> dict[str, dict[str, str]]:
    """The data dictionary: column -> description and unit, as BIDS writes it."""
    return {
        name: {"Description": words} | ({"Units": unit} if unit else {})
        for name, (words, unit) in _DESCRIPTIONS.items()
    }
