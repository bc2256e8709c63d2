"""What was found where scans were looked for: scans, and what is none, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..source import Source


@dataclass(frozen=True)
class LeftOut:
    """Something that is not segmented.

    Attributes:
        path: The file or folder, as it was found.
        code: Why, for programs.
        reason: Why, in words.
        series: Which DICOM series of the folder, where it is one.
    """

    path: str
    code: str
    reason: str
    series: str | None = None


@dataclass(frozen=True)
class Found:
    """Scans to be segmented, and what is not."""

    sources: tuple[Source, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def reasons(self) -> dict[str, int]:
        """Reason in words -> how many were left out for it, the most frequent first."""
        return dict(Counter(one.reason for one in self.left_out).most_common())


def joined(parts: Iterable[Found]) -> Found:
    """Several as one, in their order."""
    parts = list(parts)
    return Found(
        tuple(source for part in parts for source in part.sources),
        tuple(one for part in parts for one in part.left_out),
    )
