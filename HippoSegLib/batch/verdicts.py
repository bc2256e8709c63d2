"""What people said of the results in an output folder: `review.csv`, which the review page saves.

A verdict is of one result, not of a scan: after the scan was segmented anew with another outcome, it is said
to be of an earlier result, and does not count.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ..errors import InputError, OutputError
from ..io.atomic import replacing
from ..io.spreadsheet import csv_lines, harmless, without_mark
from .record import ScanRecord
from .tablefile import free_name

REVIEW = "review.csv"
#: Columns of the file, in order.
FIELDS = ("scan", "verdict", "comment", "when", "result")
_WORDS = ("pass", "fail", "")
_REMEDY = "Mend or rename it, and save the verdicts from the review page again."


@dataclass(frozen=True)
class Verdict:
    """What somebody said of a result.

    Attributes:
        verdict: "pass", "fail", or "" where there is only a comment.
        comment: In the reviewer's words.
        when: Date and time, ISO 8601 as the page writes it; empty where it was entered by hand.
        result: Of which result, see `result_id`; empty for a scan that has none, or where it was entered by
            hand.
        beside: What stands in columns that somebody added to the file: name -> text.
    """

    verdict: Literal["pass", "fail", ""]
    comment: str = ""
    when: str = ""
    result: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Assigned:
    """Verdicts brought together with the results that are there.

    Attributes:
        counting: Scan -> the verdict on its result.
        earlier: Scan -> a verdict on an earlier result of it, which does not count.
        unknown: Names in the file that are no scan's.
    """

    counting: Mapping[str, Verdict]
    earlier: Mapping[str, Verdict]
    unknown: tuple[str, ...]


def result_id(record: ScanRecord) -> str:
    """A short name of a result, by the content of its label image; empty where there is none.

    It begins with a letter, so that no spreadsheet takes it for a number.
    """
    labels = record.files.get("labels")
    return "" if labels is None else f"r{labels.sha256[:12]}"


def read_verdicts(folder: str | Path) -> dict[str, Verdict]:
    """The verdicts in an output folder: scan -> verdict; empty where nobody saved any.

    Where a scan has several lines, the latest counts (by `when`; else the one further down).

    Raises:
        InputError: `review.csv` is damaged, or says of a scan what cannot be understood (code "review_file").
    """
    return read_verdict_file(Path(folder) / REVIEW)


def read_verdict_file(path: Path) -> dict[str, Verdict]:
    """The same, of a file of any name."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"'{path.name}' cannot be read ({reason}).", "Close it in other programs.", "review_file"
        ) from error
    try:
        lines = csv_lines(data)
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"'{path.name}' is damaged: it is no table.", _REMEDY, "review_file") from None
    header = [name.strip().lower() for name in lines[0]] if lines else []
    if not {"scan", "verdict"} <= set(header):
        raise InputError(
            f"'{path.name}' is damaged: its first line does not name the columns scan and verdict.",
            _REMEDY,
            "review_file",
        )
    # Columns that somebody added keep their names as they are written; of two of one name the first counts.
    names = [name if name in FIELDS else lines[0][i].strip() for i, name in enumerate(header)]
    places = {name: names.index(name) for name in names if name}
    found: dict[str, Verdict] = {}
    for number, line in enumerate(lines[1:], start=2):
        cells = {name: line[place] if place < len(line) else "" for name, place in places.items()}
        scan, verdict = _line(cells, number, path.name)
        found[scan] = _later(found.get(scan), verdict)
    return found


def _later(one: Verdict | None, other: Verdict) -> Verdict:
    """Which of two verdicts on a scan counts, with what stands beside either."""
    if one is None:
        return other
    first, last = (one, other) if other.when >= one.when else (other, one)
    return replace(last, beside={**first.beside, **last.beside})


def assign(verdicts: Mapping[str, Verdict], results: Mapping[str, str]) -> Assigned:
    """Which verdicts count for the results that are there.

    Args:
        verdicts: From `read_verdicts`.
        results: Scan -> `result_id` of its result, for all scans of the folder.
    """
    counting, earlier, unknown = {}, {}, []
    for name, verdict in verdicts.items():
        scan = name if name in results else _before_the_spreadsheet(name, verdict, verdicts, results)
        if scan is None:
            unknown.append(name)
        elif verdict.result in ("", results[scan]):
            counting[scan] = verdict
        else:
            earlier[scan] = verdict
    return Assigned(counting, earlier, tuple(unknown))


def _before_the_spreadsheet(
    name: str, verdict: Verdict, verdicts: Mapping[str, Verdict], results: Mapping[str, str]
) -> str | None:
    """The scan whose name a spreadsheet took for a number (0012 became 12); None where that is not clear."""
    rest = [scan for scan in results if scan not in verdicts]
    found = [scan for scan in rest if verdict.result and results[scan] == verdict.result]
    found = found or [scan for scan in rest if scan.lstrip("0") == name]
    return found[0] if len(found) == 1 else None


def verdict_bytes(verdicts: Mapping[str, Verdict]) -> bytes:
    """The file of these verdicts: UTF-8 with a byte order mark, commas, in the order of the scans' names."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    added = list(dict.fromkeys(name for one in verdicts.values() for name in one.beside))
    writer.writerow([*FIELDS, *map(harmless, added)])
    for scan, one in sorted(verdicts.items()):
        cells = (scan, one.verdict, one.comment, one.when, one.result)
        writer.writerow([harmless(cell) for cell in (*cells, *(one.beside.get(name, "") for name in added))])
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8")


def take_over(folder: Path, files: Sequence[Path]) -> int:
    """Bring verdicts that were saved elsewhere, by one reviewer or several, into the folder's `review.csv`.

    Of several verdicts on a scan the latest counts; columns that somebody added stay. A file that is replaced
    stays as `review_before-1.csv`.

    Args:
        folder: An output folder.
        files: As the review page saved them.

    Returns:
        How many verdicts are new or changed.

    Raises:
        InputError: A file is missing or damaged; nothing is written then. OutputError: It cannot be written.
    """
    old = read_verdicts(folder)
    merged = dict(old)
    for path in files:
        if not path.is_file():
            raise InputError(f"There is no file '{path.name}'.", "Check its name.", "review_file")
        for scan, verdict in read_verdict_file(path).items():
            merged[scan] = _later(merged.get(scan), verdict)
    changes = sum(verdict != old.get(scan) for scan, verdict in merged.items())
    if changes:
        target = folder / REVIEW
        try:
            if target.exists():
                shutil.copy2(target, free_name(target, "before"))
        except OSError as error:
            raise OutputError(
                f"'{REVIEW}' cannot be replaced ({error.strerror or type(error).__name__}).",
                "Close it in other programs.",
                "in_use",
            ) from error
        with replacing(target, overwrite=True) as temporary:
            temporary.write_bytes(verdict_bytes(merged))
    return changes


def _line(cells: Mapping[str, str], number: int, file: str) -> tuple[str, Verdict]:
    """Scan and verdict of a line, the number of which is that of a spreadsheet's row."""
    scan, word = without_mark(cells["scan"]), cells["verdict"].strip().lower()
    if not scan.strip():
        raise InputError(f"'{file}' is damaged: row {number} names no scan.", _REMEDY, "review_file")
    if word not in _WORDS:
        raise InputError(
            f"'{file}', row {number}: the verdict is neither pass nor fail.", _REMEDY, "review_file"
        )
    comment = without_mark(cells.get("comment", "")).strip()
    when, result = cells.get("when", "").strip(), cells.get("result", "").strip()
    beside = {
        without_mark(name): without_mark(text).strip()
        for name, text in cells.items()
        if name not in FIELDS and text.strip()
    }
    return scan, Verdict(word, comment, when, result, beside)  # type: ignore[arg-type]
