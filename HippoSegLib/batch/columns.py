"""The columns of `hippocampus.csv`: what each one holds, and a scan's row."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from ..flags import flag_columns
from ..results.volumes import COLUMNS
from ..results.wording import TABLE_NAMES, number, unit_of
from .record import ScanRecord
from .spreadsheet import harmless

#: Column -> (what it holds, its unit), in order; the data dictionary beside the table says the same.
_BEFORE = {
    "scan": ("Name of the scan in this folder; its files begin with it.", ""),
    "status": (
        "ok; review: a flag says that the result should not be used before somebody has looked at it; "
        "failed: there is no result.",
        "",
    ),
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
_AFTER = {
    "flags": ("Codes of what was noticed, separated by spaces, with the side: quality:left contrast.", ""),
    "severity": ("The worst flag: warning or info; error where the scan failed.", ""),
    "remarks": ("The flags in sentences; where the scan failed, why and what to do.", ""),
    "error": ("Code of the error where the scan failed.", ""),
    "model": ("Name of the model.", ""),
    "source": ("The scan's file or folder, as it was given.", ""),
}
#: Measurement -> its column.
_NAMES = {name: TABLE_NAMES.get(name, name) for name in COLUMNS}
_DESCRIPTIONS = {**_BEFORE, **{name: _MEASURED.get(name, ("", "")) for name in _NAMES.values()}, **_AFTER}
#: The table's own columns, in order.
FIELDS = tuple(_DESCRIPTIONS)
#: Columns of earlier versions, which wrote measurements in other units -> today's.
FORMER_FIELDS = TABLE_NAMES


def row_of(record: ScanRecord) -> dict[str, str]:
    """The row of a scan, everything as text; numbers with the digits that mean something."""
    row = dict.fromkeys(FIELDS, "") | {"scan": record.scan, "model": record.model}
    row |= flag_columns(record.flags)
    for name, column in _NAMES.items():
        value = record.measurements.get(name)
        if value is not None:
            row[column] = number(value, unit_of(name))
    if record.failure is not None:
        row |= {"severity": "error", "remarks": record.failure.message, "error": record.failure.code}
    row |= {"status": record.status, "source": record.source.path}
    return row | {name: harmless(row[name]) for name in _BEFORE | _AFTER}


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
