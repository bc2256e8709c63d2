"""What became of one scan in a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import HippoSegError
from ..flags import Status
from ..pipeline import SegmentationResult
from .columns import row_of
from .record import ScanRecord, record_of
from .resume import OTHER_INPUT, OTHER_MODEL, OTHER_SETTINGS

#: Codes of errors that leave all as it is: what stands under the scan's name is not to be replaced, not even
#: by a record of the refusal, or the input is no scan.
REFUSALS = ("exists", OTHER_INPUT, OTHER_MODEL, OTHER_SETTINGS, "not_ours", "edited", "later", "is_result")


_KINDS: list[type[HippoSegError]] = [HippoSegError, *HippoSegError.__subclasses__()]
_ERRORS = {kind.kind: kind for kind in _KINDS}


def error_dict(error: HippoSegError) -> dict[str, str]:
    """An error as plain values."""
    return {"kind": error.kind, "cause": error.cause, "remedy": error.remedy, "code": error.code}


def error_of(values: Mapping[str, str]) -> HippoSegError:
    """What `error_dict` gave, as an error of the same class."""
    return _ERRORS[values["kind"]](values["cause"], values["remedy"], values["code"])


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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for another process, without labels and measurements as they are in memory."""
        return {
            "record": self.record.to_dict(),
            "error": None if self.error is None else error_dict(self.error),
            "files": [str(path) for path in self.files],
            "earlier_stays": self.earlier_stays,
            "skipped": self.skipped,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """What `to_dict` gave; `result` is None."""
        error = None if values["error"] is None else error_of(values["error"])
        files = tuple(Path(path) for path in values["files"])
        return cls(
            record_of(values["record"]), None, error, files, values["earlier_stays"], values["skipped"]
        )

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
