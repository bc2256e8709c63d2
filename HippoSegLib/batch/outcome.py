"""What became of one scan in a call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import HippoSegError
from ..flags import Status
from ..pipeline import SegmentationResult
from .columns import row_of
from .record import ScanRecord
from .resume import OTHER_INPUT, OTHER_MODEL, OTHER_SETTINGS

#: Codes of errors that leave all as it is: what stands under the scan's name is not to be replaced, not even
#: by a record of the refusal, or the input is no scan.
REFUSALS = ("exists", OTHER_INPUT, OTHER_MODEL, OTHER_SETTINGS, "not_ours", "edited", "later", "is_result")


@dataclass(frozen=True)
class Outcome:
    """What became of one scan in this call.

    Attributes:
        record: What is in the folder, or, where the scan was refused or its earlier result stays, would be.
        result: Labels and measurements, or
        error: why there are none.
        files: What was written.
        earlier_stays: The scan failed, or was refused, and has an earlier result, which is as it was.
        skipped: Nothing was done: the folder held what was asked for, which `record` says.
    """

    record: ScanRecord
    result: SegmentationResult | None = None
    error: HippoSegError | None = None
    files: tuple[Path, ...] = ()
    earlier_stays: bool = False
    skipped: bool = False

    @property
    def scan(self) -> str:
        """The scan's name in the folder."""
        return self.record.scan

    @property
    def status(self) -> Status:
        """Of the scan: ok, review or failed."""
        return self.record.status

    @property
    def what(self) -> str:
        """What the call did with it: "ok", "review" or "failed" as segmented now; "skipped"; or "refused", as
        another result stands in its place."""
        if self.skipped:
            return "skipped"
        return "refused" if self.error is not None and self.error.code in REFUSALS else self.status

    @property
    def is_failure(self) -> bool:
        """Whether the folder does not hold the result that was asked for."""
        return self.error is not None or self.status == "failed"

    @property
    def details(self) -> Path | None:
        """File that says more of an unexpected error."""
        return next((path for path in self.files if path.name.endswith(".log")), None)

    def as_row(self) -> dict[str, str]:
        """The scan's row of the table, everything as text."""
        return row_of(self.record)
