"""An output folder that any number of processes may write to: who owns a name, and putting results there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from ..errors import OutputError
from ..io.folder_lock import TIMEOUT, FolderLock, folder_lock
from ..io.staging import sweep
from .commit import commit, commit_name, finish_commits
from .layout import FLAT, Layout
from .naming import Holder, name_key
from .record import RecordError, ScanRecord, read_record
from .source import Source, file_sha256
from .table import build_table, has_records, refuse_foreign_table
from .tablefile import TABLE, read_table, set_aside

#: The table is built anew after a scan where that takes less than this part of the time; and at the end.
_PART_OF_TIME = 0.05


class NameTaken(Exception):
    """Another process has given the name to another scan meanwhile."""


@dataclass(frozen=True)
class Existing:
    """What stands under a scan's name.

    Attributes:
        kind: "nothing", "record", or why the record cannot be read (`record.RecordError`); "unrecorded" for a
            label image without any record.
        record: The record, where it can be read.
        has_labels: Whether there is a label image.
    """

    kind: Literal["nothing", "record", "unrecorded", "damaged", "foreign", "earlier", "later"]
    record: ScanRecord | None = None
    has_labels: bool = False


class OutputFolder:
    """The folder of one batch.

    Args:
        path: The folder; `open` makes it.
        layout: Where a scan's files lie in it.
    """

    def __init__(self, path: str | Path, layout: Layout = FLAT):
        self.path, self.layout = Path(path), layout
        self._names: dict[str, str] = {}
        self._seconds = 0.0  # that the table took

    def open(self) -> None:
        """Make the folder, look whether it can be used, and finish what a killed run left half done.

        Raises:
            OutputError: It cannot be used.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The output folder '{self.path.name}' cannot be made ({error.strerror}).",
                "Choose another folder, or change its permissions.",
            ) from error
        with folder_lock(self.path):
            with suppress(OSError):
                refuse_foreign_table(read_table(self.path / TABLE), has_records(self.path))
            finish_commits(self.path, os.listdir(self.path))
            names = self.layout.names(self.path)
        sweep(self.path)
        self._names |= {name_key(name): name for name in names}

    def holder(self, name: str, source: Source) -> Holder:
        """Whom a name belongs to.

        A result whose record cannot be read belongs to whoever asks: that it exists is said later.
        """
        there = self._names.get(name_key(name))
        if there is None:
            return "free"
        record = self.look(there).record
        if record is not None:
            return "own" if _is_same(record, source) else "other"
        return "free" if there == name else "other"

    def is_of(self, record: ScanRecord, source: Source) -> bool:
        """Whether a record is of a source, wherever the drive is mounted now."""
        return _is_same(record, source)

    def look(self, name: str) -> Existing:
        """What stands under a name now."""
        has_labels = self._path(name, self.layout.labels_name(name)).exists()
        try:
            return Existing("record", read_record(self.layout.record_path(self.path, name)), has_labels)
        except FileNotFoundError:
            return Existing("unrecorded" if has_labels else "nothing", None, has_labels)
        except RecordError as error:
            return Existing(error.kind, None, has_labels)  # type: ignore[arg-type]
        except OSError:
            return Existing("damaged", None, has_labels)

    def refuse_existing(self, name: str, overwrite: bool) -> Existing:
        """Refuse to replace a result that exists, and files that are not known to be HippoSeg's.

        Raises:
            OutputError: Codes "exists", "not_ours", "edited", "later".
        """
        found = self.look(name)
        if found.kind == "foreign" or (found.has_labels and not self._has_made_labels(found)):
            is_record = found.kind == "foreign"
            file = self.layout.record_name(name) if is_record else self.layout.labels_name(name)
            raise OutputError(
                f"'{file}' in the output folder is not known to be HippoSeg's: no record names it.",
                "Move it to another folder, or choose another output folder.",
                "not_ours",
            )
        if found.has_labels and not overwrite:
            raise OutputError(
                f"A result for '{name}' exists in the output folder.",
                "Choose another folder, or allow overwriting.",
                "exists",
            )
        if found.kind == "later":
            raise OutputError(
                f"The result for '{name}' is of a later version of HippoSeg.",
                "Update HippoSeg, or choose another output folder.",
                "later",
            )
        if found.record is not None and found.has_labels and self._is_edited(found.record):
            raise OutputError(
                f"The label image of '{name}' was edited after HippoSeg wrote it.",
                "Move it to another folder: what was drawn by hand is never replaced.",
                "edited",
            )
        return found

    def _has_made_labels(self, found: Existing) -> bool:
        if found.record is not None:
            return "labels" in found.record.files
        return found.kind != "unrecorded"

    def _is_edited(self, record: ScanRecord) -> bool:
        try:
            labels = record.files["labels"]
            return file_sha256(self._path(record.scan, labels.name)) != labels.sha256
        except OSError:
            return False

    def put(self, staged: Path, record: ScanRecord, source: Source, overwrite: bool) -> tuple[Path, ...]:
        """Put a scan's files in their places, in one step.

        Args:
            staged: Folder with all of them, and the record.
            record: The same.
            source: The scan.
            overwrite: Replace a result that exists. That of a scan that failed never does.

        Returns:
            The files, the label image first.

        Raises:
            NameTaken: The name now belongs to another scan.
            OutputError: A result exists, or the files cannot be written.
        """
        with self._locked() as lock:
            finish_commits(self.path, [commit_name(record.scan)])
            found = self.look(record.scan)
            if found.kind != "nothing":
                self._names[name_key(record.scan)] = record.scan
            if found.record is not None and not _is_same(found.record, source):
                raise NameTaken
            found = self.refuse_existing(record.scan, overwrite)
            self._refuse_others_files(staged, record.scan, found)
            if found.kind == "damaged":
                with suppress(OSError):
                    set_aside(self.layout.record_path(self.path, record.scan), "damaged")
            old = self._old_files(record.scan, found)
            commit(self.path, staged, record.scan, old, partial(self.layout.folder, record.scan))
            self._names[name_key(record.scan)] = record.scan
            self._build_if_due(lock)
        files = [file.name for file in record.files.values()]
        names = [*files[:1], self.layout.record_name(record.scan), *files[1:]]
        return tuple(self._path(record.scan, name) for name in names)

    def _path(self, scan: str, name: str) -> Path:
        return self.layout.path(self.path, scan, name)

    def _refuse_others_files(self, staged: Path, scan: str, found: Existing) -> None:
        """Refuse to replace a file of that name which is of no earlier result."""
        own = self._old_files(scan, found)
        for name in sorted(os.listdir(staged)):
            is_new = name not in own and name != self.layout.record_name(scan)
            if is_new and self._path(scan, name).exists():
                raise OutputError(
                    f"'{name}' in the output folder is not known to be HippoSeg's: no record names it.",
                    "Move it to another folder, or choose another output folder.",
                    "not_ours",
                )

    def _old_files(self, scan: str, found: Existing) -> set[str]:
        if found.record is not None:
            return {file.name for file in found.record.files.values() if file.name.startswith(scan)}
        if found.kind in ("earlier", "damaged"):  # they name no files
            return {f"{scan}{ending}" for ending in self.layout.endings.values()}
        return set()

    def update_table(self, timeout: float = TIMEOUT) -> None:
        """Build the table.

        Args:
            timeout: Seconds to wait for other processes.

        Raises:
            OutputError: It cannot be written.
        """
        with self._locked(timeout) as lock:
            self._build(lock)

    @contextmanager
    def _locked(self, timeout: float = TIMEOUT) -> Iterator[FolderLock]:
        with folder_lock(self.path, timeout) as lock:
            if lock.was_left_behind:  # else nothing can be half done: that is only where the lock is held
                with suppress(OSError):
                    finish_commits(self.path, os.listdir(self.path))
            yield lock

    def _build_if_due(self, lock: FolderLock) -> None:
        """Build the table, unless that was done lately, by whichever process, for the time that it takes."""
        if not self.layout.has_table:
            return
        try:
            age = time.time() - (self.path / TABLE).stat().st_mtime
        except OSError:
            age = float("inf")
        if not 0 <= age < self._seconds / _PART_OF_TIME:
            with suppress(OutputError):  # said at the end, if it is still so
                self._build(lock)

    def _build(self, lock: FolderLock) -> None:
        if not self.layout.has_table:
            return
        start = time.monotonic()
        build_table(self.path, lock)
        self._seconds = time.monotonic() - start


def _is_same(record: ScanRecord, source: Source) -> bool:
    """Whether a record is of this input: of its place, or, where the drive is mounted elsewhere, of the same
    content under the same name as it was given."""
    if record.source.id == source.id:
        return True
    if record.source.path != source.given or record.source.series != source.series:
        return False
    if source.kind == "folder":
        return record.source.stamp is not None and record.source.stamp == source.stamp()
    return record.source.sha256 is not None and record.source.sha256 == source.sha256()
