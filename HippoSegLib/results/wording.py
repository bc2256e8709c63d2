"""Numbers in words: one unit and one number of digits for each, in panel, table, CSV, figure and report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """How a measurement is shown.

    Attributes:
        symbol: As people write it; "" for a number without a unit.
        code: As tables write it.
        factor: What the measured value is multiplied with.
        digits: Behind the point.
    """

    symbol: str
    code: str
    factor: float
    digits: int


VOLUME = Unit("mm³", "mm^3", 1, 0)
ASYMMETRY = Unit("%", "%", 100, 1)
INTRACRANIAL = Unit("mL", "mL", 0.001, 0)
PER_MILLE = Unit("‰", "1/1000", 1, 3)
QUALITY = Unit("", "1", 1, 2)
#: Of two readers' outlines: the limit under which a flag says so has two digits.
AGREEMENT = Unit("", "1", 1, 3)
SECONDS = Unit("s", "s", 1, 1)
#: Of a measurement that was added and has its unit in its name.
OTHER = Unit("", "", 1, 3)

#: Measurement of `volumes.COLUMNS` -> its name in a table, where that differs: there the unit is in the name.
TABLE_NAMES = {"asymmetry_index": "asymmetry_percent", "intracranial_mm3": "intracranial_ml"}


def unit_of(name: str) -> Unit:
    """The unit of a measurement of `volumes.COLUMNS`."""
    if name.endswith("_quality"):
        return QUALITY
    if name.endswith("_per_mille_of_intracranial"):
        return PER_MILLE
    if name in TABLE_NAMES:
        return ASYMMETRY if name == "asymmetry_index" else INTRACRANIAL
    return VOLUME if name.endswith("_mm3") else OTHER


def number(value: float, unit: Unit) -> str:
    """A measured value in a unit, without its symbol: ``3576``, ``-2.0``."""
    # Without adding 0, a rounded zero may bear a minus.
    return f"{round(value * unit.factor, unit.digits) + 0.0:.{unit.digits}f}"


def volume_words(mm3: float) -> str:
    """A hippocampal volume: ``3576 mm³``."""
    return f"{number(mm3, VOLUME)} mm³"


def millilitres(mm3: float) -> str:
    """An intracranial volume: ``1514 mL``."""
    return f"{number(mm3, INTRACRANIAL)} mL"


def quality_words(quality: float) -> str:
    """An expected overlap, 0..1: ``0.91``."""
    return number(quality, QUALITY)


def asymmetry_words(asymmetry: float) -> str:
    """Which side is larger, by what part of the mean of both: ``left 2.0 % larger``.

    Args:
        asymmetry: (R - L) / ((R + L) / 2).
    """
    percent = number(abs(asymmetry), ASYMMETRY)
    if float(percent) == 0:
        return "both sides equally large"
    return f"{'right' if asymmetry > 0 else 'left'} {percent} % larger"
