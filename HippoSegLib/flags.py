"""Remarks on a scan or its result: a code for programs, a severity, and a sentence for people.

Every stage of the pipeline may raise flags; they travel with codes from the reader to the table, so that no
decision is ever taken on the words of a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning"]
#: What became of a scan: `review` where a flag says that the result should not be used unseen.
Status = Literal["ok", "review", "failed"]


@dataclass(frozen=True)
class Flag:
    """One remark.

    Attributes:
        code: Stable short name, for programs.
        message: One sentence, for people.
        side: "left", "right", or None for the whole scan.
        severity: "warning" (the result should not be used before somebody has looked at it) or "info".
    """

    code: str
    message: str
    side: str | None = None
    severity: Severity = "warning"

    @property
    def name(self) -> str:
        """The code with its side, as tables hold it: ``quality:left``, ``contrast``."""
        return self.code if self.side is None else f"{self.code}:{self.side}"


def status_of(flags: Iterable[Flag]) -> Status:
    """`review` where a flag is a warning, else `ok`."""
    return "review" if any(flag.severity == "warning" for flag in flags) else "ok"


def flag_columns(flags: Iterable[Flag]) -> dict[str, str]:
    """The columns of a table that hold flags: `status`, `flags` (codes), `severity` (the worst one, or empty)
    and `remarks` (sentences)."""
    flags = list(flags)
    warned = status_of(flags) == "review"
    return {
        "status": status_of(flags),
        "flags": " ".join(dict.fromkeys(flag.name for flag in flags)),
        "severity": "warning" if warned else "info" if flags else "",
        "remarks": " ".join(dict.fromkeys(flag.message for flag in flags)),
    }


#: Codes that say that an outline, or the image under it, may be wrong; a hippocampus that is small, large or
#: unlike the other one is not among them: that may be so.
DOUBTED_OUTLINE = frozenset(
    ("quality", "disagreement", "unsure", "cut", "contrast", "localization", "not_found", "implausible")
    + ("voxel_size", "unit", "slices_missing", "preprocessing")
    + ("no_orientation", "orientation_contradicted", "orientations_mirrored")
)


def doubted_sides(names: Iterable[str]) -> frozenset[str]:
    """The sides whose outline may be wrong.

    Args:
        names: Of flags (`Flag.name`), as records and tables hold them.
    """
    found: set[str] = set()
    for name in names:
        code, _, side = name.partition(":")
        if code in DOUBTED_OUTLINE:
            found |= {side} if side else {"left", "right"}
    return frozenset(found)
