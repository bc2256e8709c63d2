"""The record beside each scan's labels: what became of it, with what, and how. Tables are built from records.

A record is one JSON file, ``<scan>_hippocampus.json``. It holds the provenance of the result as it always
did, and what a table or a later run needs. Fields are added in later versions, never renamed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..flags import Flag, Status
from ..io.plain_text import plain_text
from ..results.volumes import COLUMNS

SCHEMA, VERSION = "hipposeg-scan", 1
ENDING = "_hippocampus.json"
#: A record is a few kilobytes; a larger file is something else.
_LARGEST = 4 << 20
_STATUSES, _SEVERITIES = ("ok", "review", "failed"), ("info", "warning")


class RecordError(ValueError):
    """The file is no record that is read here.

    Attributes:
        kind: "damaged" (no JSON), "foreign" (JSON of something else), "earlier" (a result's provenance as
            HippoSeg wrote it before there were records), or "later" (a newer version's record).
    """

    def __init__(self, kind: str):
        self.kind = kind
        super().__init__(kind)


@dataclass(frozen=True)
class RecordedSource:
    """The input of a result; see `batch.source.Source`.

    Attributes:
        path: As the user gave it.
        id: Hash of the absolute path and the series.
        kind: "file" or "folder".
        series: Which DICOM series, where it was said.
        sha256: Of the content, None where it could not be read.
        stamp: Of size and time.
        subject: Whose scan it is, as the data set calls them, where that is known.
        session: Of which visit, where that is known.
    """

    path: str
    id: str
    kind: str = "file"
    series: str | None = None
    sha256: str | None = None
    stamp: str | None = None
    subject: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why a scan has no result.

    Attributes:
        code: Stable short name, for programs.
        kind: Of the error: "input", "output", … (`errors.py`); its exit code goes by it.
        message: Cause and remedy, for people.
        details: Name of the file beside the record that says more, if there is one.
    """

    code: str
    kind: str
    message: str
    details: str | None = None


@dataclass(frozen=True)
class WrittenFile:
    """A file of a result, in the record's folder.

    Attributes:
        name: Its name.
        bytes: Its length.
        sha256: Of its bytes, as it was written.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ScanRecord:
    """What became of one scan.

    Attributes:
        scan: Its name in this folder.
        status: "ok", "review" or "failed".
        source: The input.
        measurements: Column of `results.volumes.COLUMNS` -> value, None where it is unknown.
        flags: Remarks.
        failure: Why there is no result, where `status` is "failed".
        files: What a file is ("labels", "picture", "left_probability", …) -> the file.
        request: What was asked for: model, parts, maps, points and so on, plain values. A result of the
            same input, model and request need not be made again.
        provenance: `model`, `versions`, `settings`, `seconds`, `input_geometry` and so on, see
            `results.provenance`; also whatever a later version may add.
    """

    scan: str
    status: Status
    source: RecordedSource
    measurements: Mapping[str, float | None] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    failure: Failure | None = None
    files: Mapping[str, WrittenFile] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """Name of the model, empty where none was used."""
        model = self.provenance.get("model")
        return str(model.get("name", "")) if isinstance(model, Mapping) else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: what `from_dict` reads."""
        entry = {
            "schema": SCHEMA,
            "schema_version": VERSION,
            "scan": self.scan,
            "status": self.status,
            "source": asdict(self.source),
            "measurements": dict(self.measurements),
            **self.provenance,
            "flags": [flag.message for flag in self.flags],
            "flag_details": [asdict(flag) for flag in self.flags],
            "error": None if self.failure is None else asdict(self.failure),
            "files": {what: asdict(file) for what, file in self.files.items()},
            "request": dict(self.request),
        }
        return _plain(entry)

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_record(path: str | Path) -> ScanRecord:
    """Read and check a record.

    Raises:
        RecordError: It is none. OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read(_LARGEST + 1)
    try:
        entry = json.loads(data.decode("utf-8")) if len(data) <= _LARGEST else None
    except (ValueError, RecursionError):
        raise RecordError("damaged") from None
    return record_of(entry)


def record_of(entry: object) -> ScanRecord:
    """The record of a JSON object, checked field by field.

    Raises:
        RecordError: It is none.
    """
    if not isinstance(entry, dict) or "schema" not in entry:
        earlier = isinstance(entry, dict) and {"model", "versions", "input_geometry"} <= set(entry)
        raise RecordError("earlier" if earlier else "foreign")
    if entry["schema"] != SCHEMA:
        raise RecordError("foreign")
    version = entry.get("schema_version")
    if isinstance(version, int) and version > VERSION:
        raise RecordError("later")
    try:
        return _checked(entry)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        raise RecordError("damaged") from None


def _checked(entry: dict[str, Any]) -> ScanRecord:
    own = {"schema", "schema_version", "scan", "status", "source", "measurements", "flags", "flag_details"}
    own |= {"error", "files", "request"}
    measurements = {name: _number(value) for name, value in entry["measurements"].items() if name in COLUMNS}
    error = entry["error"]
    record = ScanRecord(
        scan=_text(entry["scan"]),
        status=_one_of(entry["status"], _STATUSES),
        source=_source(entry["source"]),
        measurements=measurements,
        flags=tuple(_flag(flag) for flag in entry["flag_details"]),
        failure=None if error is None else _failure(error),
        files={_text(what): _file(file) for what, file in entry["files"].items()},
        request=dict(entry["request"]),
        provenance={key: value for key, value in entry.items() if key not in own},
    )
    if (record.status == "failed") != (record.failure is not None):
        raise ValueError
    return record


def _source(entry: Mapping[str, Any]) -> RecordedSource:
    kind = _one_of(entry["kind"], ("file", "folder"))
    # Fields that earlier versions did not write are None.
    names = ("series", "sha256", "stamp", "subject", "session")
    others = {name: _maybe_text(entry.get(name)) for name in names}
    return RecordedSource(_text(entry["path"]), _text(entry["id"]), kind, **others)


def _flag(entry: Mapping[str, Any]) -> Flag:
    severity = _one_of(entry["severity"], _SEVERITIES)
    return Flag(_text(entry["code"]), _text(entry["message"]), _maybe_text(entry.get("side")), severity)


def _failure(entry: Mapping[str, Any]) -> Failure:
    texts = {name: _text(entry[name]) for name in ("code", "kind", "message")}
    return Failure(**texts, details=_maybe_text(entry.get("details")))


def _file(entry: Mapping[str, Any]) -> WrittenFile:
    name, size = _text(entry["name"]), entry["bytes"]
    # A file of the record's own folder: a path could lead anywhere.
    if name in ("", ".", "..") or "/" in name or "\\" in name or isinstance(size, bool):
        raise ValueError
    if not isinstance(size, int):
        raise TypeError
    return WrittenFile(name, size, _text(entry["sha256"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _maybe_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _one_of(value: object, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ValueError
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _plain(value: Any) -> Any:
    """`value` with only what JSON has; a number that is none becomes null."""
    if isinstance(value, Mapping):
        return {plain_text(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # numpy's arrays and scalars
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return plain_text(value)
