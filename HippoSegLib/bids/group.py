"""The group level: one table of all scans, from the records in the output alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..batch.commit import finish_commits
from ..batch.record import RecordError, ScanRecord, read_record
from ..batch.tablefile import write_bytes
from ..batch.verdicts import Verdict, assign, read_verdicts, result_id
from ..io.folder_lock import FolderLock, folder_lock
from .description import is_ours
from .errors import DatasetError, NoInputError, NothingSelectedError
from .filters import Filters
from .layout import BIDS
from .names import parse
from .sidecars import KEYS, MEASURES, json_text, tsv, volumes_dictionary, volumes_row

TABLE, DICTIONARY = "group_hippocampus.tsv", "group_hippocampus.json"
EXCLUDED, EXCLUDED_DICTIONARY = "group_excluded.tsv", "group_excluded.json"
_REASONS = {
    "reason": "failed: there is no result; review: somebody who saw it said fail; record: its record is "
    "damaged.",
    "comment": "Why it failed, with the error's code; or what the reviewer wrote.",
}


@dataclass(frozen=True)
class Group:
    """What the group level found.

    Attributes:
        included: Scans of the table.
        excluded: Scans that are left out -> "failed", "review" or "record".
        to_review: Scans of the table that a flag says somebody should look at, and nobody did.
        earlier: Scans whose verdict is on an earlier result.
    """

    included: tuple[str, ...]
    excluded: dict[str, str]
    to_review: tuple[str, ...]
    earlier: tuple[str, ...]


def build_group(output: Path, filters: Filters) -> Group:
    """Write the table of all scans, and that of those that are left out.

    A scan that failed is left out, and so is one whose result somebody judged to be poor (`review.csv`).

    Args:
        output: The derivative.
        filters: Which scans; only labels of subjects and sessions count.

    Raises:
        NoInputError, DatasetError: It is no derivative of HippoSeg. NothingSelectedError: No scan is meant.
        InputError: `review.csv` is damaged. OutputError: A table cannot be written.
    """
    if not output.is_dir():
        raise NoInputError(f"'{output.name}' is no folder.", "Run the participant level first.", "no_dataset")
    if not is_ours(output):
        raise DatasetError(
            "The output folder holds no results of hipposeg-bids.",
            "Run the participant level first.",
            "no_results",
        )
    with folder_lock(output) as lock:
        finish_commits(output, [path.name for path in output.glob(".hippocampus-commit-*")])
        return _written(output, filters, lock)


def _written(output: Path, filters: Filters, lock: FolderLock) -> Group:
    records, unreadable = _records(output, filters, lock)
    results = {scan: result_id(record) for scan, record in records.items()}
    verdicts = assign(read_verdicts(output), results)
    rows: list[dict[str, str]] = []
    left_out: list[dict[str, str]] = []
    excluded: dict[str, str] = {}
    for scan, record in records.items():
        verdict = verdicts.counting.get(scan, Verdict(""))
        row = volumes_row(record)
        if record.failure is not None:
            excluded[scan] = "failed"
            left_out.append(
                row | {"reason": "failed", "comment": f"{record.failure.code}: {record.failure.message}"}
            )
        elif verdict.verdict == "fail":
            excluded[scan] = "review"
            left_out.append(row | {"reason": "review", "comment": verdict.comment})
        else:
            rows.append(row | {"review": verdict.verdict})
    for scan in unreadable:
        excluded[scan] = "record"
        left_out.append(_keys_of(scan) | {"reason": "record"})
    if not rows and not left_out:
        raise NothingSelectedError(
            "There is no result of the subjects and sessions that are meant.", "Check the labels.", "no_match"
        )
    _write(output, rows, sorted(left_out, key=lambda row: row["source"]))
    to_review = [s for s, r in records.items() if r.status == "review" and s not in excluded]
    looked_at = {s for s, verdict in verdicts.counting.items() if verdict.verdict}
    return Group(
        tuple(scan for scan in records if scan not in excluded),
        excluded,
        tuple(scan for scan in to_review if scan not in looked_at),
        tuple(verdicts.earlier),
    )


def _records(output: Path, filters: Filters, lock: FolderLock) -> tuple[dict[str, ScanRecord], list[str]]:
    found: dict[str, ScanRecord] = {}
    unreadable = []
    for scan, path in BIDS.records(output):
        name = parse(f"{scan}_T1w.nii.gz")
        if name is None or not filters.select(name):
            continue
        lock.keep()
        try:
            found[scan] = read_record(path)
        except (OSError, RecordError):
            unreadable.append(scan)
    return found, unreadable


def _keys_of(scan: str) -> dict[str, str]:
    name = parse(f"{scan}_T1w.nii.gz")
    if name is None:
        return {"source": scan}
    return {"participant_id": name.subject, "session_id": name.session or "", "source": scan}


def _write(output: Path, rows: list[dict[str, str]], left_out: list[dict[str, str]]) -> None:
    said = {"Description": "What somebody said who looked at the result: pass; n/a where nobody did."}
    words = volumes_dictionary()
    reasons = {name: {"Description": text} for name, text in _REASONS.items()}
    keys = {name: words[name] for name in KEYS}
    files = {
        TABLE: tsv([*KEYS, *MEASURES, "review"], rows),
        DICTIONARY: json_text(words | {"review": said}),
        EXCLUDED: tsv([*KEYS, *_REASONS], left_out),
        EXCLUDED_DICTIONARY: json_text(keys | reasons),
    }
    for name, text in files.items():
        write_bytes(output / name, text.encode("utf-8"))
