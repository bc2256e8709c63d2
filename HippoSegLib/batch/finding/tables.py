"""Lists and tables of scans: a path per line, or columns with paths, subjects and sessions."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError
from ...io.names import shown
from ...io.spreadsheet import csv_lines
from ..source import Source
from .bids import entities

SUFFIXES = (".txt", ".csv", ".tsv")
#: What is looked for -> the names that its column may have, in lower case, the better one first.
_COLUMNS = {
    "path": ("path", "file", "filename", "filepath", "scan", "image", "t1", "t1w", "source"),
    "subject": ("subject", "participant_id", "subject_id", "participant", "patient", "id"),
    "session": ("session", "session_id", "ses", "visit", "timepoint"),
    "series": ("series", "series_number"),
}
#: A longer list than this is something else.
_LARGEST = 256 << 20


def read_list(path: Path) -> list[Source]:
    """The scans that a list or a table names.

    Args:
        path: A text file with one path per line (lines that begin with ``#`` are remarks), or a table with a
            line of headings: a column `path`, and `subject`, `session` and `series` where they are known.
            Paths are relative to the file's folder, or, where there is nothing, to the current one.

    Raises:
        InputError: It is no such file (code "no_table"), or names no scan. OSError: It cannot be read.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= _LARGEST else b"\0"
        if path.name.lower().endswith(".txt"):
            return _of_list(path, _text(data).splitlines())
        lines = csv_lines(data)
    except (UnicodeDecodeError, csv.Error):
        raise _none(path, "is no text") from None
    places = _columns(lines[0]) if lines else {}
    if "path" not in places:
        raise _none(path, "has no column with paths")
    entries = [
        {name: line[at].strip() for name, at in places.items() if at < len(line) and line[at].strip()}
        for line in lines[1:]
    ]
    sources = [_source(path.parent, row) for row in entries if "path" in row]
    if not sources:
        raise _none(path, "names no scan")
    return sources


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # Excel's "Unicode text"
        return data.decode("utf-16")
    if b"\0" in data:
        raise csv.Error("no text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")  # what programs write on Windows


def _of_list(path: Path, lines: Sequence[str]) -> list[Source]:
    paths = [line.strip().strip('"') for line in lines]
    sources = [_source(path.parent, {"path": one}) for one in paths if one and not one.startswith("#")]
    if not sources:
        raise _none(path, "names no scan")
    return sources


def _columns(header: Sequence[str]) -> dict[str, int]:
    names = [name.strip().lower().replace(" ", "_") for name in header]
    found = {}
    for wanted, choices in _COLUMNS.items():
        name = next((choice for choice in choices if choice in names), None)
        if name is not None:
            found[wanted] = names.index(name)
    return found


def _source(folder: Path, row: dict[str, str]) -> Source:
    path = Path(row["path"]).expanduser()
    if not path.is_absolute() and (os.path.lexists(folder / path) or not os.path.lexists(path)):
        path = folder / path
    subject, session = entities(path.name)
    return Source(path, row.get("series"), row.get("subject", subject), row.get("session", session))


def _none(path: Path, why: str) -> InputError:
    return InputError(
        f"'{shown(path)}' is no list of scans: it {why}.",
        "Give a text file with one path per line, or a table with a column 'path'.",
        "no_table",
    )
