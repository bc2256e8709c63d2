"""Tables that users open and save in spreadsheets, with whatever separator and encoding they chose."""

from __future__ import annotations

import csv
import io

#: What a spreadsheet would take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_lines(data: bytes) -> list[list[str]]:
    """The lines of a table that hold anything, cell by cell.

    Commas, semicolons or tabs; UTF-8 with or without byte order mark, UTF-16 (Excel's "Unicode text") or
    Windows' Western encoding; any ends of lines.

    Raises:
        UnicodeDecodeError, csv.Error: It is no text, or quotes are not closed.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16")
    elif b"\0" in data:
        raise csv.Error("no text")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252")  # what spreadsheets write on Windows
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    return [line for line in rows if any(line)]


def harmless(text: str) -> str:
    """A cell's text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def without_mark(text: str) -> str:
    """The text that `harmless` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text
