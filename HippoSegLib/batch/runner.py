"""One scan after the other through the pipeline and into an output folder, whatever happens to each."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import (
    Cancelled,
    DependencyError,
    DeviceError,
    HippoSegError,
    InputError,
    ModelError,
    OutputError,
)
from ..io.images import read_scan
from ..io.names import shown
from ..io.plain_text import plain_text
from ..io.staging import staging_folder
from ..options import SegmentOptions
from ..pipeline import SegmentationResult, segment
from ..results.provenance import versions
from ..results.volumes import COLUMNS
from .failure import as_error, report
from .files import is_result
from .folder import NameTaken, OutputFolder
from .naming import assign_names
from .objects import dicom_source, write_dicom_objects
from .outcome import REFUSALS, Outcome
from .record import Failure, RecordedSource, ScanRecord
from .request import BatchOptions
from .resume import Wanted
from .source import Source

#: Called with the scan's name, the stage in words and the fraction done.
Progress = Callable[[str, str, float], None]


class Runner:
    """Segments one scan after the other into a folder."""

    def __init__(
        self,
        folder: OutputFolder,
        options: SegmentOptions,
        batch: BatchOptions,
        cancel: Callable[[], bool] | None,
        any_done: bool = False,
    ):
        self._folder, self._options, self._batch, self._cancel = folder, options, batch, cancel
        self._layout = folder.layout
        self._wanted = Wanted(options, batch)
        self._request = self._wanted.request
        #: Whether a scan was segmented, and whether the one at hand is read.
        self._any_done, self._is_read = any_done, False

    def run(self, source: Source, name: str, progress: Progress | None) -> Outcome:
        """Segment a scan and write its files, or the record of its failure.

        Raises:
            Cancelled, KeyboardInterrupt. ModelError, DependencyError, DeviceError: Where no scan was
            segmented before, none will be. OutputError: The folder is locked for good.
        """
        settled = self.settled(source, name)
        if settled is not None:
            return settled
        start = time.monotonic()
        self._is_read = False
        try:
            outcome = self._segmented(source, name, progress)
            self._any_done = True
            return outcome
        except Cancelled:
            raise
        except Exception as caught:
            failure = as_error(caught)
            details = report(caught) if failure.code == "unexpected" else None
            # With the frames of what failed goes the memory that they hold.
            for one in (caught, failure):
                one.__traceback__ = one.__context__ = one.__cause__ = None
        if self._concerns_all(failure):
            raise failure
        if failure.code == "exists":  # another process was faster
            return self.settled(source, name) or self.refused(source, name, failure)
        return self.failed(source, name, failure, details, time.monotonic() - start)

    def settled(self, source: Source, name: str) -> Outcome | None:
        """The outcome of a scan of which nothing is to be done: it is done, or is refused; else None.

        Raises:
            ModelError: There is no such model.
        """
        try:
            _refuse_result(source.path)
            found = self._folder.look(name)
            record = found.record
            if not self._batch.overwrite and record is not None and self._folder.is_of(record, source):
                if record.status == "failed":
                    if not self._batch.retry_failed and self._wanted.is_asked_for(record, source):
                        return Outcome(record, skipped=True)
                elif found.has_labels:
                    self._wanted.refuse_another(record, source)
                    return Outcome(record, skipped=True)
            self._folder.refuse_existing(name, self._batch.overwrite)
        except ModelError:
            raise
        except HippoSegError as error:
            return self.refused(source, name, error)
        return None

    def _concerns_all(self, error: HippoSegError) -> bool:
        """Whether no other scan can do better: the model or the device cannot be used, or the folder."""
        if error.code == "locked":
            return True
        by_choice = isinstance(error, ModelError | DependencyError | DeviceError)
        is_first = self._is_read and not self._any_done
        return by_choice and is_first and error.code != "out_of_memory"

    def _segmented(self, source: Source, name: str, progress: Progress | None) -> Outcome:
        start = time.monotonic()
        tell = None if progress is None else (lambda words, fraction: progress(name, words, fraction))
        scan = read_scan(source.path, self._options.region, source.series)
        self._is_read = True
        series = dicom_source(scan, self._batch)
        facts = _recorded(source, source.sha256(scan.image))
        result = self._compared(segment(scan, self._options, tell, self._cancel), facts, name)
        measured = result.measurements.as_row()
        # The record has the flags with codes, and writes their sentences too.
        provenance = {key: value for key, value in result.provenance.items() if key != "flags"}
        while True:
            with staging_folder(self._folder.path) as staging:
                self._layout.write(staging, name, scan.image, result, facts, self._batch.picture)
                if series is not None:
                    write_dicom_objects(staging, name, result, provenance, series, self._batch)
                record = ScanRecord(
                    scan=name,
                    status=result.status,
                    source=facts,
                    measurements={column: _finite(measured.get(column)) for column in COLUMNS},
                    flags=tuple(result.flags),
                    files=self._layout.written(staging, name),
                    request=self._request,
                    provenance={**provenance, **_times(start)},
                )
                self._write_record(staging, record)
                try:
                    files = self._folder.put(staging, record, source, self._batch.overwrite)
                    return Outcome(record, result, None, files)
                except NameTaken:
                    (name,) = assign_names([source], self._folder.holder)
            self._folder.refuse_existing(name, self._batch.overwrite)

    def _compared(self, result: SegmentationResult, facts: RecordedSource, name: str) -> SegmentationResult:
        """The result with its comparison with a reference in the provenance, where there is one."""
        comparison = self._batch.comparison
        if comparison is None:
            return result
        names = facts.subject or "", facts.session or "", name
        flags = tuple(flag.name for flag in result.flags)
        judgement = comparison.of_result(names, result.measurements.as_row(), result.provenance, flags)
        return replace(result, provenance={**result.provenance, "reference": judgement.to_dict()})

    def failed(
        self, source: Source, name: str, error: HippoSegError, details: str | None, seconds: float
    ) -> Outcome:
        """Write the record of a failure; where that is not possible, or a result exists, it is only told."""
        found = self._folder.look(name)
        has_result = found.has_labels and (found.record is None or self._folder.is_of(found.record, source))
        if has_result or error.code in REFUSALS:
            return self.refused(source, name, error, has_result)
        facts = _recorded(source, source.sha256())
        while True:
            record = self._record_of(facts, name, error, seconds)
            try:
                with staging_folder(self._folder.path) as staging:
                    if details is not None:
                        (staging / f"{name}{self._layout.endings['details']}").write_text(
                            f"{name}\n{details}", encoding="utf-8", errors="backslashreplace"
                        )
                    record = self._record_of(facts, name, error, seconds, staging)
                    self._write_record(staging, record)
                    return Outcome(record, None, error, self._folder.put(staging, record, source, False))
            except NameTaken:
                (name,) = assign_names([source], self._folder.holder)
            except (OutputError, OSError):
                return Outcome(record, None, error)

    def refused(
        self, source: Source, name: str, error: HippoSegError, earlier_stays: bool = False
    ) -> Outcome:
        """The outcome of a scan of which nothing is written."""
        stays = earlier_stays or (error.code in REFUSALS and error.code not in ("not_ours", "is_result"))
        return Outcome(self._record_of(_recorded(source, None), name, error, 0.0), None, error, (), stays)

    def _record_of(
        self,
        facts: RecordedSource,
        name: str,
        error: HippoSegError,
        seconds: float,
        staging: Path | None = None,
    ) -> ScanRecord:
        files = {} if staging is None else self._layout.written(staging, name)
        details = files["details"].name if "details" in files else None
        message = plain_text(error) + (f" (Report: '{details}'.)" if details else "")
        return ScanRecord(
            scan=name,
            status="failed",
            source=facts,
            failure=Failure(error.code, error.kind, message, details),
            files=files,
            request=self._request,
            provenance={"versions": versions(), **_times(time.monotonic() - seconds)},
        )

    def _write_record(self, folder: Path, record: ScanRecord) -> None:
        name = self._layout.record_name(record.scan)
        (folder / name).write_text(record.to_json(), encoding="utf-8")


def _refuse_result(path: Path) -> None:
    """Refuse what HippoSeg wrote: ``*.nii.gz`` finds it too, where results lie beside scans."""
    if is_result(path):
        raise InputError(
            f"'{shown(path)}' is a result of HippoSeg, not a scan.", "Give the T1 image itself.", "is_result"
        )


def _recorded(source: Source, sha256: str | None) -> RecordedSource:
    return RecordedSource(
        source.given,
        source.id,
        source.kind,
        source.series,
        sha256,
        source.stamp(),
        source.subject,
        source.session,
    )


def _times(start: float) -> dict[str, object]:
    """Seconds since a moment of the monotonic clock, and the time of day."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "seconds_total": round(time.monotonic() - start, 3),
        "finished": now.isoformat(timespec="seconds"),
    }


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None
