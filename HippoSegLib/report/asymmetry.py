"""The difference between the sides, for the page."""

from __future__ import annotations

from collections.abc import Collection

from ..batch.record import ScanRecord
from ..results.asymmetry import asymmetry_sentence, unreferenced_sentence


def asymmetry_sentences(record: ScanRecord, rank: str, doubted: Collection[str]) -> list[str]:
    """What to say of the difference between the sides; empty where one side is missing.

    Args:
        record: Of the scan.
        rank: How the difference compares with that of controls, in words; "" where it is not compared.
        doubted: Sides whose outline may be wrong.
    """
    asymmetry = record.measurements.get("asymmetry_index")
    if asymmetry is None:
        return []
    if rank:
        return [f"Asymmetry: {asymmetry_sentence(asymmetry)}.", rank]
    return [f"Asymmetry: {unreferenced_sentence(asymmetry, doubted)}."]
