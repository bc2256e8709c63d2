"""The columns of `hippocampus.csv`: what each one holds, and a scan's row."""

from __future__ import annotations

from ..flags import flag_columns
from ..results.volumes import COLUMNS
from .record import ScanRecord

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
    "asymmetry_index": ("(right - left) / ((right + left) / 2): positive where the right is larger.", "1"),
    "left_anterior_mm3": ("Volume of the anterior left hippocampus (the head).", "mm^3"),
    "left_posterior_mm3": ("Volume of the posterior left hippocampus (body and tail).", "mm^3"),
    "right_anterior_mm3": ("Volume of the anterior right hippocampus (the head).", "mm^3"),
    "right_posterior_mm3": ("Volume of the posterior right hippocampus (body and tail).", "mm^3"),
    "intracranial_mm3": ("Intracranial volume, a rough one; empty where the field of view cuts it.", "mm^3"),
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
_DESCRIPTIONS = {**_BEFORE, **{name: _MEASURED.get(name, ("", "")) for name in COLUMNS}, **_AFTER}
#: The table's own columns, in order.
FIELDS = tuple(_DESCRIPTIONS)
#: What a spreadsheet would take for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def row_of(record: ScanRecord) -> dict[str, str]:
    """The row of a scan, everything as text; numbers with the digits that mean something."""
    row = dict.fromkeys(FIELDS, "") | {"scan": record.scan, "model": record.model}
    row |= flag_columns(record.flags)
    for name in COLUMNS:
        value = record.measurements.get(name)
        if value is not None:
            digits = 3 if "quality" in name else 4 if "index" in name or "per_mille" in name else 1
            row[name] = f"{value:.{digits}f}"
    if record.failure is not None:
        row |= {"severity": "error", "remarks": record.failure.message, "error": record.failure.code}
    row |= {"status": record.status, "source": record.source.path}
    return row | {name: _harmless(row[name]) for name in _BEFORE | _AFTER}


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def dictionary() -> dict[str, dict[str, str]]:
    """The data dictionary: column -> description and unit, as BIDS writes it."""
    return {
        name: {"Description": words} | ({"Units": unit} if unit else {})
        for name, (words, unit) in _DESCRIPTIONS.items()
    }
