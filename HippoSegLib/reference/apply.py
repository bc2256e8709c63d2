"""A table of volumes with the percentiles of a reference beside them, as a new file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ..errors import InputError
from ..io.atomic import replacing
from ..io.spreadsheet import harmless
from .comparison import Comparison
from .values import Judgement
from .volumes import VolumeTable
from .words import cells, columns

#: What a cell without a value holds, in tables of BIDS.
_NOTHING = {"\t": "n/a", ",": ""}


def judge_table(volumes: VolumeTable, comparison: Comparison) -> tuple[Judgement, ...]:
    """Compare every scan of a table, in its order."""
    return tuple(comparison.of_scan(scan) for scan in volumes.scans)


def write_judged(volumes: VolumeTable, judgements: tuple[Judgement, ...], output: Path) -> Path:
    """Write the table with the columns of `words.columns` behind its own.

    Args:
        volumes: The table.
        judgements: Of its lines.
        output: A new file; ``.tsv`` is written with tabs and ``n/a``, all else with commas.

    Raises:
        InputError: The table has columns of a comparison already. OutputError: The file exists, or cannot be
        written.
    """
    added = columns()
    if set(added) & set(volumes.table.header):
        raise InputError(
            "The table has columns of a comparison with a reference already.",
            "Give the table that HippoSeg wrote.",
            "judged_table",
        )
    separator = "\t" if output.suffix.lower() == ".tsv" else ","
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator="\n" if separator == "\t" else "\r\n")
    writer.writerow([*volumes.table.header, *added])
    for line, judgement in zip(volumes.table.lines, judgements, strict=True):
        new = [cell or _NOTHING[separator] for cell in cells(judgement)]
        # Numbers may begin with a minus; only words could be taken for a formula.
        writer.writerow([*line, *(cell if _is_number(cell) else harmless(cell) for cell in new)])
    with replacing(output) as temporary:
        mark = b"" if separator == "\t" else b"\xef\xbb\xbf"
        temporary.write_bytes(mark + text.getvalue().encode("utf-8"))
    return output


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
