"""How many scans of a call ended how, and why some have no result."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..errors import SOME_FAILED
from .outcome import Outcome

#: How a scan ended in a call, see `Outcome.what` -> words.
_ENDS = {
    "ok": "ok",
    "review": "to be reviewed",
    "failed": "failed",
    "refused": "refused",
    "skipped": "done before",
}


class Summary:
    """Counts of a call.

    Attributes:
        ends: How scans ended, see `Outcome.what` -> how many.
        reasons: Code of an error -> how many scans have no result, or not the one asked for, because of it.
    """

    def __init__(self) -> None:
        self.ends, self.reasons = Counter[str](), Counter[str]()
        self._codes: list[int] = []

    def add(self, outcome: Outcome) -> None:
        """Count a scan."""
        self.ends[outcome.what] += 1
        if outcome.error is not None:
            self.reasons[outcome.error.code] += 1
            self._codes.append(outcome.error.exit_code)
        elif outcome.record.failure is not None:
            self.reasons[outcome.record.failure.code] += 1
            self._codes.append(SOME_FAILED)

    @property
    def total(self) -> int:
        """Scans in all."""
        return sum(self.ends.values())

    @property
    def exit_code(self) -> int:
        """0 where every scan has the result that was asked for, of this call or an earlier one; the error's
        own code where a single scan has none; else `SOME_FAILED`."""
        if not self._codes:
            return 0
        return self._codes[0] if self.total == 1 else SOME_FAILED

    def lines(self) -> list[str]:
        """For instance "500 scans: 460 ok, 30 to be reviewed, 8 failed, 2 done before." and the reasons."""
        parts = [f"{self.ends[end]} {words}" for end, words in _ENDS.items() if self.ends[end]]
        text = [f"{self.total} scan{'' if self.total == 1 else 's'}: {', '.join(parts) or 'nothing to do'}."]
        if self.reasons:
            reasons = ", ".join(f"{count} x {code}" for code, count in self.reasons.most_common())
            text.append(f"Without the result that was asked for: {reasons}.")
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"total": self.total, "ends": dict(self.ends), "reasons": dict(self.reasons)}
