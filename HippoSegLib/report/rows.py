"""The table of measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..batch.record import ScanRecord
from ..labels import PARTS, SIDES
from ..results.wording import number, unit_of


@dataclass(frozen=True)
class Row:
    """A row of the table: its name, and a text each for left, right and both."""

    name: str
    left: str = ""
    right: str = ""
    total: str = ""


def measured_rows(record: ScanRecord) -> list[Row]:
    measured = record.measurements
    if all(measured.get(f"{side}_mm3") is None for side in SIDES):
        return []
    rows = [_row("Volume, mm³", measured, "{}_mm3")]
    for part in PARTS:
        rows.append(_row(f"  {part}, mm³", measured, f"{{}}_{part}_mm3", both=False))
    rows.append(_row("‰ of intracranial volume", measured, "{}_per_mille_of_intracranial"))
    rows.append(_row("Expected overlap", measured, "{}_quality", both=False))
    values = {f"{side}_agreement": value for side, value in agreement(record).items()}
    rows.append(_row("Agreement of the readers", values, "{}_agreement", both=False, code="left_quality"))
    return [row for row in rows if row.left or row.right]


def _row(
    name: str, values: Mapping[str, float | None], column: str, both: bool = True, code: str | None = None
) -> Row:
    """A row from the columns of left, right and total, in the unit of a column (`code`, or the left one)."""
    unit = unit_of(code or column.format("left"))
    texts = []
    for which in (*SIDES, "total"):
        value = values.get(column.format(which)) if which != "total" or both else None
        texts.append("" if value is None else number(value, unit))
    first = values.get(column.format("left")) is not None or values.get(column.format("right")) is not None
    left, right = (text or ("not found" if first and column == "{}_mm3" else "") for text in texts[:2])
    return Row(name, left, right, texts[2])


def agreement(record: ScanRecord) -> dict[str, float]:
    """Side -> overlap of the two readers' outlines, as far as the record says it."""
    found = record.provenance.get("agreement")
    values = found if isinstance(found, Mapping) else {}
    numbers = {side: values.get(side) for side in SIDES}
    return {
        side: float(value)
        for side, value in numbers.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
