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

from .. import __version__
from ..errors import OutputError
from .columns import FIELDS
from .tablefile import write_bytes

INDEX = ".hippocampus.index.json"

#: Time, length and number of a record's file.
Stamp = tuple[int, int, int]
#: File of a record -> its stamp, and its row's cells in the order of `FIELDS`.
Index = dict[str, tuple[Stamp, list[str]]]


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
            name: (tuple(stamp), cells)
            for name, (stamp, cells) in values["rows"].items()
            if len(cells) == len(FIELDS) and all(isinstance(cell, str) for cell in cells)
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


def write_index(folder: Path, index: Mapping[str, tuple[Stamp, list[str]]]) -> None:
    """Write the rows; nothing is said where that fails."""
    values = {"version": __version__, "fields": FIELDS, "rows": index}
    with suppress(OutputError):
        write_bytes(folder / INDEX, json.dumps(values, separators=(",", ":")).encode("ascii"))
