"""Building `hippocampus.csv` from the records in its folder, while the folder's lock is held."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError, OutputError
from ..io.folder_lock import FolderLock
from .columns import FIELDS, completed, dictionary, in_todays_columns, row_of
from .commit import finish_commits
from .files import labels_name
from .index import Entry, Index, Stamp, last_fields, read_index, stamp_of, write_index
from .record import ENDING, RecordError, read_record
from .tablefile import DICTIONARY, TABLE, Table, read_table, set_aside, table_bytes, write_bytes
from .verdicts import assign, read_verdicts, result_id

#: While the table is built, records come only where somebody else took the lock over.
_TRIES = 5
#: Said in place of what a record cannot tell.
UNREADABLE = {
    "damaged": (
        "failed",
        "record_damaged",
        "The record of this scan is damaged: segment it again, allowing to overwrite.",
    ),
    "earlier": (
        "review",
        "",
        "The result is of an earlier version of HippoSeg, whose volumes are not known here: segment the scan "
        "again, allowing to overwrite.",
    ),
    "later": ("review", "", "The record is of a later version of HippoSeg: update HippoSeg."),
}


def build_table(folder: Path, lock: FolderLock) -> Path:
    """Bring the table in line with the records; what the user added to it stays.

    A table that is damaged, or has rows of scans that are no longer there, is kept under another name
    before it is written anew. Nothing is written where nothing changes.

    Args:
        folder: The output folder.
        lock: Its lock, held.

    Returns:
        The table's path; there is no file where there are no records.

    Raises:
        OutputError: It cannot be written (as where it is open in a spreadsheet), or is not ours; or it is
            written, but `review.csv` is damaged, and the column of verdicts as it was.
    """
    path = folder / TABLE
    for _ in range(_TRIES):
        names = _names(folder)
        if finish_commits(folder, names):
            names = _names(folder)
        records = _stamps(folder, names)
        try:
            old = read_table(path, last_fields(folder))
        except OSError as error:
            raise _cannot_be_read(error) from error
        if not records and old.state == "missing":
            break
        refuse_foreign_table(old, bool(records))
        index = _rows(folder, records, old, lock)
        rows = {name[: -len(ENDING)]: entry.cells for name, entry in index.items()}
        rows |= {scan: cells for scan, cells in _without_record(old, names).items() if scan not in rows}
        results = dict.fromkeys(rows, "")
        results |= {name[: -len(ENDING)]: entry.result for name, entry in index.items()}
        verdicts, damaged = _verdicts(folder, old, results)
        rows = completed(rows, verdicts)
        if old.state in ("damaged", "foreign"):
            _keep(path, "damaged")
        elif set(old.rows) - set(rows):
            _keep(path, "before")
        empty = ("",) * len(old.users_columns)
        lines = [[*cells, *old.users_cells.get(scan, empty)] for scan, cells in sorted(rows.items())]
        write_bytes(path, table_bytes(lines, old.users_columns), to_disk=bool(old.users_columns))
        text = json.dumps(dictionary(), indent=2, ensure_ascii=False) + "\n"
        write_bytes(folder / DICTIONARY, text.encode("utf-8"))
        write_index(folder, index)
        if damaged is not None:
            raise damaged
        if _stamps(folder, _names(folder)) == records:
            break
    return path


def _verdicts(
    folder: Path, old: Table, results: Mapping[str, str]
) -> tuple[Mapping[str, str], OutputError | None]:
    """scan -> "pass" or "fail"; where the file of verdicts is damaged, what the table said, and the error."""
    try:
        verdicts = read_verdicts(folder)
    except InputError as error:
        said = {scan: row.get("review", "") for scan, row in old.rows.items()}
        return said, OutputError(error.cause, error.remedy, error.code)
    return {scan: one.verdict for scan, one in assign(verdicts, results).counting.items()}, None


def refuse_foreign_table(table: Table, has_records: bool) -> None:
    """Refuse a table of something else, in a folder where HippoSeg has not yet written.

    Raises:
        OutputError: It is one.
    """
    if table.state == "foreign" and not has_records:
        raise OutputError(
            f"'{TABLE}' in the output folder is another table.", "Choose another output folder.", "not_ours"
        )


def has_records(folder: Path) -> bool:
    """Whether there is any record in a folder."""
    return any(_is_record(name) for name in _names(folder))


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise _cannot_be_read(error) from error


def _cannot_be_read(error: OSError) -> OutputError:
    return OutputError(
        f"The output folder cannot be read ({error.strerror or type(error).__name__}).",
        "Change its permissions, or close the table in other programs.",
    )


def _is_record(name: str) -> bool:
    return name.endswith(ENDING) and not name.startswith(".")


def _stamps(folder: Path, names: list[str]) -> dict[str, Stamp]:
    found = {}
    for name in sorted(names):
        if _is_record(name):
            try:
                found[name] = stamp_of(os.stat(folder / name))
            except OSError:  # removed meanwhile, or a link to nowhere
                continue
    return found


def _rows(folder: Path, records: Mapping[str, Stamp], old: Table, lock: FolderLock) -> Index:
    known = read_index(folder)
    rows: Index = {}
    for name, stamp in records.items():
        if name in known and known[name].stamp == stamp:
            rows[name] = known[name]
            continue
        lock.keep()
        scan = name[: -len(ENDING)]
        try:
            record = read_record(folder / name)
            row = row_of(record) | {"scan": scan}
            rows[name] = Entry(stamp, [row[field] for field in FIELDS], result_id(record))
        except RecordError as error:
            if error.kind in UNREADABLE:
                rows[name] = Entry(None, _unreadable(scan, error.kind, old), "")
        except OSError:
            rows[name] = Entry(None, _unreadable(scan, "damaged", old), "")
    return rows


def _unreadable(scan: str, kind: str, old: Table) -> list[str]:
    """The row of a scan whose record cannot be read: what the table said, unless the record is damaged."""
    if kind != "damaged" and scan in old.rows:
        return _kept(old.rows[scan])
    status, code, remark = UNREADABLE[kind]
    row = dict.fromkeys(FIELDS, "") | {"scan": scan, "status": status, "error": code, "remarks": remark}
    row["severity"] = "error" if status == "failed" else "warning"
    return [row[field] for field in FIELDS]


def _without_record(old: Table, names: list[str]) -> dict[str, list[str]]:
    """Rows of results that have lost their record."""
    there = set(names)
    return {scan: _kept(row) for scan, row in old.rows.items() if labels_name(scan) in there}


def _kept(row: Mapping[str, str]) -> list[str]:
    """A row as it was, in today's columns: tables of earlier versions had sentences under `flags`."""
    row = in_todays_columns(row)
    if "remarks" not in row:
        row["remarks"] = row.pop("flags", "")
        if row["remarks"] and row.get("status") == "ok":
            row |= {"status": "review", "severity": "warning"}
    return [row.get(field, "") for field in FIELDS]


def _keep(path: Path, what: str) -> None:
    try:
        set_aside(path, what)
    except OSError as error:
        raise OutputError(
            f"'{path.name}' cannot be replaced ({error.strerror or type(error).__name__}).",
            "Close it in other programs.",
            "in_use",
        ) from error
