"""Tables that come from elsewhere: lines with named columns, whatever spreadsheet or program wrote them."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..io.names import shown
from ..io.spreadsheet import csv_lines

#: A table of a hundred thousand scans has some 50 MB.
_LARGEST = 200 << 20
#: What stands for nothing, in lower case.
_NOTHING = ("", "n/a", "na", "nan", "none", "null", "-")


@dataclass(frozen=True)
class NamedTable:
    """A table.

    Attributes:
        name: Of its file, for messages.
        header: Names of the columns as they stand in the file.
        lines: Cells, as many in each line as there are columns.
    """

    name: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]

    def column(self, *names: str) -> int | None:
        """Number of the first of some columns that is there; case, spaces and underscores do not count."""
        known = [plain_name(one) for one in self.header]
        return next((known.index(plain_name(name)) for name in names if plain_name(name) in known), None)

    def cell(self, line: Sequence[str], *names: str) -> str:
        """A line's cell in a column, "" where there is nothing, or no such column."""
        at = self.column(*names)
        text = "" if at is None else printable(line[at])
        return "" if text.lower() in _NOTHING else text


def plain_name(column: str) -> str:
    """A column's name for comparisons: ``Magnetic Field_Strength`` is ``magneticfieldstrength``."""
    return "".join(letter for letter in column.lower() if letter.isalnum())


def read_named_table(path: str | Path, what: str) -> NamedTable:
    """Read a table with a line of headings.

    Args:
        path: CSV or TSV.
        what: It is to be, for messages.

    Raises:
        InputError: It cannot be read, or is none.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise csv.Error
        lines = csv_lines(path.read_bytes())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InputError(
            f"The {what} '{shown(path)}' cannot be read{f' ({reason})' if reason else ''}.",
            "Give a table of text, with commas or tabs between the columns.",
            "table_unreadable",
        ) from error
    if len(lines) < 2:
        raise InputError(
            f"The {what} '{shown(path)}' has no lines under its headings.",
            "Give the right table.",
            "table_empty",
        )
    header = tuple(name.strip() for name in lines[0])
    width = len(header)
    cells = tuple(tuple([*line, *[""] * width][:width]) for line in lines[1:])
    return NamedTable(shown(path), header, cells)


def printable(text: str) -> str:
    """Text in one line, without what no file of text or no terminal should get."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def number_in(text: str) -> float | None:
    """The number in a cell, None where there is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def bare(name: str, prefix: str = "sub-") -> str:
    """The name of a participant (or a session) without its BIDS prefix."""
    return name.strip().removeprefix(prefix)
