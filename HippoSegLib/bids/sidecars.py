"""What BIDS wants beside an image: sidecars, tables of labels, a scan's volumes with a dictionary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batch.columns import FIELDS, dictionary, row_of
from ..batch.record import RecordedSource, ScanRecord
from ..labels import COLORS, PART, SIDES, WHOLE
from ..results.volumes import COLUMNS

if TYPE_CHECKING:
    from ..pipeline import SegmentationResult

#: Label value -> its abbreviation, as file names have it too.
LABELS = {
    **{WHOLE[side]: f"HIP{side[0].upper()}" for side in SIDES},
    **{PART[side][part]: f"HIP{side[0].upper()}{part[0].upper()}" for side in SIDES for part in PART[side]},
}
#: Subcortical grey matter, in BIDS's table of standard segmentations.
_SUBCORTICAL = 9
#: What a table of BIDS has for what is not known.
MISSING = "n/a"
#: Columns of `hippocampus.csv` that tables of BIDS leave out: they have others for the same, or differ from
#: run to run.
_LEFT_OUT = {"scan", "path", "subject", "session", "review", "remarks", "seconds", "source", "error"}
KEYS = {
    "participant_id": "Whose scan it is.",
    "session_id": "Of which visit; n/a in a data set without sessions.",
    "source": "The scan, as a BIDS URI.",
}
MEASURES = tuple(name for name in FIELDS if name not in _LEFT_OUT)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file."""
    path.write_text(json_text(values), encoding="utf-8")


def json_text(values: Mapping[str, Any]) -> str:
    """A JSON file's text."""
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def dseg_sidecar(source: RecordedSource, result: SegmentationResult, parts: bool) -> dict[str, Any]:
    """The sidecar of a label image."""
    what = "anterior and posterior parts of both hippocampi" if parts else "both hippocampi"
    return _sidecar(source, result, f"Labels of {what}, outlined by HippoSeg.") | {"Manual": False}


def map_sidecar(source: RecordedSource, result: SegmentationResult, what: str, side: str) -> dict[str, Any]:
    """The sidecar of a map of one side.

    Args:
        what: "probability" or "uncertainty".
    """
    words = {
        "probability": f"Probability, 0 to 1, of the {side} hippocampus.",
        "uncertainty": f"Entropy in bits of the {side} hippocampus: 0 sure, 1 as good as guessed.",
    }
    return _sidecar(source, result, words[what])


def _sidecar(source: RecordedSource, result: SegmentationResult, words: str) -> dict[str, Any]:
    provenance = result.provenance
    return {
        "Description": words,
        "Sources": [source.path],
        "SpatialReference": "orig",
        "Model": provenance["model"]["name"],
        "ModelSHA256": provenance["model"]["sha256"],
        "Protocol": provenance.get("settings", {}).get("protocol"),
        "SoftwareVersion": provenance.get("versions", {}).get("HippoSeg"),
    }


def dseg_table(values: Iterable[int]) -> str:
    """The table of labels: index, name, abbreviation, colour, and the standard structure they belong to."""
    sides = {value: side for side in SIDES for value in (WHOLE[side], *PART[side].values())}
    parts = {value: part for side in SIDES for part, value in PART[side].items()}
    lines = ["index\tname\tabbreviation\tcolor\tmapping"]
    for value in values:
        side = sides[value]
        name = " ".join([side.capitalize(), *([parts[value]] if value in parts else []), "hippocampus"])
        color = "".join(f"{round(255 * part):02x}" for part in COLORS[value if value in COLORS else side])
        lines.append(f"{value}\t{name}\t{LABELS[value]}\t#{color}\t{_SUBCORTICAL}")
    return "\n".join(lines) + "\n"


def volumes_table(scan: str, result: SegmentationResult, source: RecordedSource) -> str:
    """The table of one scan's volumes."""
    measured = result.measurements.as_row()
    record = ScanRecord(
        scan,
        result.status,
        source,
        measurements={name: measured.get(name) for name in COLUMNS},
        flags=tuple(result.flags),
        provenance=result.provenance,
    )
    return tsv([*KEYS, *MEASURES], [volumes_row(record)])


def volumes_row(record: ScanRecord) -> dict[str, str]:
    """A scan's row: keys, then what was measured."""
    source = record.source
    row = {"participant_id": source.subject or "", "session_id": source.session or "", "source": source.path}
    measured = row_of(record)
    return row | {name: measured[name] for name in MEASURES}


def volumes_dictionary() -> dict[str, dict[str, str]]:
    """The data dictionary of these tables."""
    known = dictionary()
    return {name: {"Description": words} for name, words in KEYS.items()} | {
        name: known[name] for name in MEASURES
    }


def tsv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """A table of BIDS: tabs, and n/a for what is missing."""
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(row.get(name, "")) for name in columns) for row in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()) or MISSING
