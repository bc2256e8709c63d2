"""Flags on volumes that are hardly possible, and on a difference between the sides.

Limits of plausibility: mean volumes in the harmonised protocol are about 3060 mm³ in healthy elderly
people and 2300 mm³ in Alzheimer's disease (PubMed 25616957); 1500 and 6000 mm³ leave room for age,
protocol and disease on both ends.

A large difference between the sides is either a failed outline ("implausible") or a finding ("asymmetric"):
quality score and agreement of the readers tell them apart.
"""

from __future__ import annotations

from collections.abc import Collection

from ..flags import Flag
from .asymmetry import HEALTHY, HEALTHY_WORDS, asymmetry_sentence
from .volumes import Measurements

PLAUSIBLE_MM3 = (1500.0, 6000.0)
#: Beyond it, one look is asked for even where both outlines are sound.
MAX_ASYMMETRY = 0.30
PLAUSIBLE_INTRACRANIAL_MM3 = (0.9e6, 2.2e6)
#: Codes of the flags that are made here.
CODES = ("volume", "asymmetric", "implausible")


def volume_flags(measurements: Measurements, doubted: Collection[str] | None = None) -> list[Flag]:
    """Remarks on implausible volumes, and on a difference between the sides.

    Args:
        measurements: Of the scan.
        doubted: Sides whose outline may be wrong by what else was noticed, see `flags.doubted_sides`; None
            where nothing has judged the outlines.
    """
    found: list[Flag] = []
    low, high = PLAUSIBLE_MM3
    for side, volume in measurements.whole.items():
        if not low <= volume <= high:
            word = "small" if volume < low else "large"
            found.append(
                Flag(
                    "volume",
                    f"The {side} hippocampus is unusually {word} ({volume:.0f} mm³): check the outline.",
                    side,
                )
            )
    asymmetry = measurements.asymmetry
    if asymmetry is not None:
        found += _asymmetry_flags(asymmetry, doubted)
    return found


def _asymmetry_flags(asymmetry: float, doubted: Collection[str] | None) -> list[Flag]:
    words = asymmetry_sentence(asymmetry)
    words = words[0].upper() + words[1:]
    is_sound, is_extreme = doubted is not None and not doubted, abs(asymmetry) > MAX_ASYMMETRY
    if is_extreme and not is_sound:
        side = next(iter(doubted)) if doubted is not None and len(doubted) == 1 else None
        if side is None:
            return [Flag("implausible", f"{words}: an outline has probably failed, check both.")]
        return [Flag("implausible", f"{words}: the {side} outline has probably failed, check it.", side)]
    if is_extreme:
        text = f"{words}: both outlines seem to be sound; look at them before it is used."
        return [Flag("asymmetric", text)]
    if is_sound and abs(asymmetry) > HEALTHY:
        return [Flag("asymmetric", f"{words}; {HEALTHY_WORDS}.", severity="info")]
    return []
