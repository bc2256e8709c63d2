"""What each number on the page is, in a sentence; only what stands on the page is explained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..results.assessment import LEAST_AGREEMENT

#: Tracing protocol -> where the outline ends.
PROTOCOL_WORDS = {
    "full": "the whole hippocampus, tail included",
    "msd": "the hippocampus without the tail beyond the border that the Medical Segmentation Decathlon draws",
}


@dataclass(frozen=True)
class Definition:
    """A number's name and what it is."""

    term: str
    words: str


_DEFINITIONS = {
    "volume": Definition("Volume", "number of outlined voxels times the volume of one voxel."),
    "parts": Definition("Anterior, posterior", "the head; the body and the tail."),
    "per_mille": Definition(
        "‰ of intracranial volume",
        "1000 × volume / intracranial volume, which evens out the size of the head.",
    ),
    "intracranial": Definition(
        "Intracranial volume", "estimated on the same scan by the network that finds the head; approximate."
    ),
    "asymmetry": Definition(
        "Asymmetry", "(right − left) / mean of both; positive where the right is larger."
    ),
    "agreement": Definition(
        "Agreement of the readers",
        "overlap (Dice, 0 none to 1 the same) of the outlines that two networks drew of the scan; a warning "
        f"below {LEAST_AGREEMENT:.2f}.",
    ),
}


def definitions(shown: Iterable[str], threshold: float | None) -> tuple[Definition, ...]:
    """The definitions of what is shown, in the order of the page.

    Args:
        shown: Codes: "volume", "parts", "per_mille", "intracranial", "asymmetry", "quality", "agreement".
        threshold: Below which the model's card says that an outline is uncertain, where it says so.
    """
    known = _DEFINITIONS | {"quality": _quality(threshold)}
    return tuple(known[code] for code in shown)


def _quality(threshold: float | None) -> Definition:
    words = "overlap (Dice, 0 none to 1 the same) with a manual outline that such results had in trials"
    warned = "." if threshold is None else f"; a warning below {threshold:.2f}."
    return Definition("Expected overlap", f"{words}{warned}")
