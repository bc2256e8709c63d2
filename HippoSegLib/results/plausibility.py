"""Flags on volumes that are hardly possible.

Limits of plausibility: mean volumes in the harmonised protocol are about 3060 mm³ in healthy elderly
people and 2300 mm³ in Alzheimer's disease (PubMed 25616957); 1500 and 6000 mm³ leave room for age,
protocol and disease on both ends.
"""

from __future__ import annotations

from ..flags import Flag
from .volumes import Measurements

PLAUSIBLE_MM3 = (1500.0, 6000.0)
MAX_ASYMMETRY = 0.30
PLAUSIBLE_INTRACRANIAL_MM3 = (0.9e6, 2.2e6)


def volume_flags(measurements: Measurements) -> list[Flag]:
    """Remarks on implausible volumes and side ratios."""
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
    if asymmetry is not None and abs(asymmetry) > MAX_ASYMMETRY:
        larger = "right" if asymmetry > 0 else "left"
        found.append(
            Flag(
                "asymmetry",
                f"The {larger} hippocampus is much larger than the other side: check both outlines.",
            )
        )
    return found
