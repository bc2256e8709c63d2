"""Rows of records that were read before, so that a table of thousands of scans is soon built.

A hidden file beside the table. It is a cache: where it is missing, damaged or of another version, the
records are read again; a record that was replaced has another stamp.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .. import __version__
from ..errors import OutputError
from .columns import FIELDS
from .tablefile import write_bytes

INDEX = ".hippocampus.index.json"

#: Time, length and number of a record's file.
Stamp = tuple[int, int, int]


class Entry(NamedTuple):
    """What is known of a record.

    Attributes:
        stamp: Of its file; None where the row is not to be kept.
        cells: Its row, in the order of `FIELDS`.
        result: See `verdicts.result_id`.
    """

    stamp: Stamp | None
    cells: list[str]
    result: str


#: File of a record -> what is known of it.
Index = dict[str, Entry]


def stamp_of(entry: os.stat_result) -> Stamp:
    """What changes where a file is replaced."""
    return entry.st_mtime_ns, entry.st_size, entry.st_ino


def read_index(folder: Path) -> Index:
    """The rows that are known; empty where they are not to be had."""
    try:
        values = json.loads((folder / INDEX).read_bytes())
        if values["version"] != __version__ or tuple(values["fields"]) != FIELDS:
            return {}
        return {
            name: Entry(tuple(stamp), cells, result)
            for name, (stamp, cells, result) in values["rows"].items()
            if len(cells) == len(FIELDS) and all(isinstance(cell, str) for cell in (*cells, result))
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def last_fields(folder: Path) -> tuple[str, ...] | None:
    """The columns that HippoSeg last wrote into the table; None where that is not known."""
    try:
        fields = json.loads((folder / INDEX).read_bytes())["fields"]
        return tuple(str(name) for name in fields)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_index(folder: Path, index: Mapping[str, Entry]) -> None:
    """Write the rows; nothing is said where that fails."""
    rows = {name: entry for name, entry in index.items() if entry.stamp is not None}
    values = {"version": __version__, "fields": FIELDS, "rows": rows}
    with suppress(OutputError):
        write_bytes(folder / INDEX, json.dumps(values, separators=(",", ":")).encode("ascii"))
