"""The difference between the sides in words, always with the words of its definition.

Definitions differ: HippoSeg's and volBrain's is (R - L) / ((R + L) / 2), others' (L - R) / (L + R), which is
minus half of it. How much the healthy differ: the 90th percentile of the size is 0.088 by this definition, by
FreeSurfer in the Dallas Heart Study (PMC7964497); by HippoSeg it is not known.
"""

from __future__ import annotations

from collections.abc import Collection

from .wording import ASYMMETRY, number

DEFINITION = "(right - left) / mean of both"
#: Nine of ten healthy people have a smaller one, without sign.
HEALTHY = 0.088
HEALTHY_WORDS = "nine of ten healthy people differ by less than about 9 % (Dallas Heart Study, by FreeSurfer)"


def asymmetry_sentence(asymmetry: float) -> str:
    """``left 12.0 % smaller than right ((right - left) / mean of both: +12.0 %)``."""
    percent = number(abs(asymmetry), ASYMMETRY)
    signed = f"{DEFINITION}: {float(number(asymmetry, ASYMMETRY)):+.1f} %"
    if float(percent) == 0:
        return f"both sides equally large ({DEFINITION}: 0.0 %)"
    smaller, larger = ("left", "right") if asymmetry > 0 else ("right", "left")
    return f"{smaller} {percent} % smaller than {larger} ({signed})"


def unreferenced_sentence(asymmetry: float, doubted: Collection[str] = ()) -> str:
    """The difference where there is no reference: its size, and what is known of the healthy.

    Args:
        asymmetry: (R - L) / ((R + L) / 2).
        doubted: Sides whose outline may be wrong.
    """
    words = f"{asymmetry_sentence(asymmetry)}; {HEALTHY_WORDS}"
    if doubted:
        which = " and ".join(sorted(doubted))
        words += f"; the {which} outline may be wrong: the difference may come from that"
    return words
