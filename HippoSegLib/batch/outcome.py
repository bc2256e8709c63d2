"""What became of one scan in a call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import HippoSegError
from ..flags import Status
from ..pipeline import SegmentationResult
from .columns import row_of
from .record import ScanRecord


@dataclass(frozen=True)
class Outcome:
    """What became of one scan in this call.

    Attributes:
        record: What is in the folder, or, where the scan was refused or its earlier result stays, would be.
        result: Labels and measurements, or
        error: why there are none.
        files: What was written.
        earlier_stays: The scan failed, or was refused, and has an earlier result, which is as it was.
    """

    record: ScanRecord
    result: SegmentationResult | None = None
    error: HippoSegError | None = None
    files: tuple[Path, ...] = ()
    earlier_stays: bool = False

    @property
    def scan(self) -> str:
        """The scan's name in the folder."""
        return self.record.scan

    @property
    def status(self) -> Status:
        """Of the scan: ok, review or failed."""
        return self.record.status

    @property
    def details(self) -> Path | None:
        """File that says more of an unexpected error."""
        return next((path for path in self.files if path.name.endswith(".log")), None)

    def as_row(self) -> dict[str, str]:
        """The scan's row of the table, everything as text."""
        return row_of(self.record)
