"""Reading and writing `hippocampus.csv`, which users open, sort and extend in spreadsheets.

It is read with any of the separators and encodings that a spreadsheet may have given it, and written
with commas in UTF-8 with a byte order mark, without which Excel garbles letters outside of English.
"""

from __future__ import annotations

import csv
import io
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import OutputError
from ..io.spreadsheet import csv_lines
from ..results.volumes import COLUMNS
from .columns import FIELDS, FORMER_FIELDS, LATER_FIELDS

TABLE, DICTIONARY = "hippocampus.csv", "hippocampus.json"
#: Beginning and end of the names of files that are being written.
NEW = (".hippocampus-", ".new")
_KEY = "scan"
#: The columns of version 0.1.0, which had sentences under `flags`.
_FIRST_FIELDS = ("scan", "status", *COLUMNS, "flags", "model")


@dataclass(frozen=True)
class Table:
    """A table as it stands on the disk.

    Attributes:
        state: "missing"; "damaged" (no text, or nothing in it); "foreign" (a table without scans); "ours".
        users_columns: Names of the columns that HippoSeg does not write, in order; a name may be empty.
        users_cells: scan -> the cells of those columns.
        rows: scan -> column of ours, of earlier versions too -> text; the row that stands first, where a scan
            has several.
    """

    state: Literal["missing", "damaged", "foreign", "ours"] = "missing"
    users_columns: tuple[str, ...] = ()
    users_cells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read_table(path: Path, written: Sequence[str] | None = None) -> Table:
    """Read the table.

    Args:
        path: The file.
        written: The columns that HippoSeg last wrote, where that is known. One that came later and stands in
            the table already is the user's, and is renamed.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Table()
    try:
        lines = csv_lines(data)
    except (UnicodeDecodeError, csv.Error):
        return Table("damaged")
    if not lines:
        return Table("damaged")
    if _KEY not in lines[0]:
        return Table("foreign")
    if written is None:
        written = _written(lines[0])
    return _table(lines, written)


def _written(header: Sequence[str]) -> Sequence[str]:
    """The columns that HippoSeg wrote into a table of unknown version."""
    if "remarks" not in header:
        return _FIRST_FIELDS
    later = () if set(LATER_FIELDS) <= set(header) else LATER_FIELDS
    return [name for name in (*FIELDS, *FORMER_FIELDS) if name not in later]


def _table(lines: list[list[str]], written: Sequence[str]) -> Table:
    header = [name.strip() for name in lines[0]]
    width = max(len(line) for line in lines)
    header += [""] * (width - len(header))
    header = [f"{n}_user" if n in FIELDS and n not in written else n for n in header]
    names = (*FIELDS, *(name for name in FORMER_FIELDS if name in written))
    own = {name: header.index(name) for name in names if name in header}
    others = [i for i in range(width) if i not in own.values()]
    # Spreadsheets may write columns in which nothing is at all.
    others = [i for i in others if header[i] or any(len(line) > i and line[i] for line in lines[1:])]
    rows: dict[str, dict[str, str]] = {}
    cells: dict[str, tuple[str, ...]] = {}
    for line in lines[1:]:
        line = line + [""] * (width - len(line))
        scan = line[own[_KEY]]
        rows.setdefault(scan, {name: line[i] for name, i in own.items()})
        entered = tuple(line[i] for i in others)
        if not any(cells.get(scan, ())):
            cells[scan] = entered
    return Table("ours", tuple(header[i] for i in others), cells, rows)


def table_bytes(rows: Iterable[Sequence[str]], users_columns: Sequence[str] = ()) -> bytes:
    """The table's file: our columns, then the user's."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*FIELDS, *users_columns])
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8")


def write_bytes(path: Path, data: bytes, to_disk: bool = False) -> None:
    """Replace a file as a whole, if it holds something else; who looks sees the old one or the new one.

    To be called while the folder's lock is held: `commit.finish_commits` removes what a kill leaves.

    Args:
        path: The file.
        data: What it is to hold.
        to_disk: Have it written to the disk now, for it could not be made anew after a loss of power.

    Raises:
        OutputError: It cannot be written.
    """
    with suppress(OSError):
        if path.read_bytes() == data:
            return
    temporary = path.with_name(f"{NEW[0]}{uuid.uuid4().hex}{NEW[1]}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            if to_disk:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise OutputError(
            f"'{path.name}' cannot be written ({error.strerror or type(error).__name__}).",
            "Close it in other programs, check the disk, and give the command again.",
            "in_use",
        ) from error


def set_aside(path: Path, what: str) -> Path:
    """Rename a file, so that what stands in it is not lost: ``hippocampus_<what>-1.csv``.

    Raises:
        OSError: It cannot be renamed.
    """
    target = free_name(path, what)
    os.rename(path, target)
    return target


def free_name(path: Path, what: str) -> Path:
    """A name for an earlier state of a file, that no file has: ``hippocampus_<what>-1.csv``."""
    number = 1
    while (target := path.with_name(f"{path.stem}_{what}-{number}{path.suffix}")).exists():
        number += 1
    return target
