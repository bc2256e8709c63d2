"""Numbers in words: one unit and one number of digits for each, in panel, table, figure and report."""

from __future__ import annotations


def volume_words(mm3: float) -> str:
    """A hippocampal volume: ``3576 mm³``."""
    return f"{mm3:.0f} mm³"


def millilitres(mm3: float) -> str:
    """An intracranial volume: ``1514 mL``."""
    return f"{mm3 / 1000:.0f} mL"


def asymmetry_words(asymmetry: float) -> str:
    """Which side is larger, by what part of the mean of both: ``left 2.0 % larger``.

    Args:
        asymmetry: (R - L) / ((R + L) / 2).
    """
    percent = f"{100 * abs(asymmetry):.1f}"
    if float(percent) == 0:
        return "both sides equally large"
    return f"{'right' if asymmetry > 0 else 'left'} {percent} % larger"
