"""The difference between the sides in words: its size, its definition, and whether the outlines stand."""

from __future__ import annotations

from ..batch.record import ScanRecord
from ..results.wording import ASYMMETRY, number

#: Of the absolute asymmetry in the healthy, the 90th percentile (Dallas Heart Study, FreeSurfer, PMC7964497).
HEALTHY_90TH = 0.088
_HEALTHY = (
    f"For comparison: nine of ten healthy people differ by less than {100 * HEALTHY_90TH:.0f} % (Dallas "
    "Heart Study; another program's outlines)."
)
#: Flags that put an outline in question: then a large difference may be a failed outline.
_OUTLINE_CODES = ("quality", "disagreement", "cut", "contrast", "unsure", "volume", "asymmetry")


def smaller_words(asymmetry: float) -> str:
    """Which side is smaller, by what part of the mean of both: ``left 12.0 % smaller than right``.

    Args:
        asymmetry: (R - L) / ((R + L) / 2).
    """
    percent = number(abs(asymmetry), ASYMMETRY)
    if float(percent) == 0:
        return "both sides equally large"
    smaller, larger = ("left", "right") if asymmetry > 0 else ("right", "left")
    return f"{smaller} {percent} % smaller than {larger}"


def asymmetry_sentences(record: ScanRecord, rank: str = "") -> list[str]:
    """What to say of the difference between the sides; empty where one side is missing.

    Args:
        record: Of the scan.
        rank: How the difference compares with that of controls, in words; "" where it is not compared.
    """
    asymmetry = record.measurements.get("asymmetry_index")
    if asymmetry is None:
        return []
    words = smaller_words(asymmetry)
    signed = f"{'+' if asymmetry > 0 else ''}{number(asymmetry, ASYMMETRY)}"
    found = [f"Asymmetry: {words} ({signed} % of the mean of both).", rank or _HEALTHY]
    if abs(asymmetry) > HEALTHY_90TH and in_question(record):
        found.append(
            "The outlines are in question, see the warnings: this difference may come from a failed outline."
        )
    return found


def in_question(record: ScanRecord) -> bool:
    """Whether a warning says that an outline may have failed."""
    return any(flag.code in _OUTLINE_CODES and flag.severity == "warning" for flag in record.flags)
