"""What stands on a scan's page, as plain texts, from its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..batch.record import ScanRecord
from ..labels import PARTS, SIDES
from ..models.card import ModelCard
from ..results.wording import number, unit_of
from .asymmetry import asymmetry_sentences
from .definitions import PROTOCOL_WORDS, Definition, definitions
from .model_words import model_sentences

_NO_REFERENCE = (
    "No reference was used: this page does not say whether these volumes are small or large for this "
    "person's age, sex and head size."
)
_STATUS = {
    "ok": "No warnings.",
    "review": "Look at the outlines before you use these numbers.",
    "failed": "This scan has no result.",
}


@dataclass(frozen=True)
class Row:
    """A row of the table: its name, and a text each for left, right and both."""

    name: str
    left: str = ""
    right: str = ""
    total: str = ""


@dataclass(frozen=True)
class Picture:
    """The quality-control figure.

    Attributes:
        data: Of the PNG file; empty where there is none to show.
        note: Why it is not shown.
    """

    data: bytes = b""
    note: str = ""


@dataclass(frozen=True)
class Page:
    """What stands on the page.

    Attributes:
        title: Name of the scan.
        person: Label and value: what identifies the scan, and the patient's name where that was asked for.
        status, status_words: "ok", "review" or "failed", and what that asks of the reader.
        warnings, notes: Sentences; warnings are to be read first.
        picture: The figure.
        rows: The table of measurements.
        findings: Sentences about the measurements.
        definitions: What each number is.
        model: Sentences about the model.
        provenance: Label and value: versions, protocol and so on.
    """

    title: str
    person: tuple[tuple[str, str], ...]
    status: str
    status_words: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    picture: Picture = field(default_factory=Picture)
    rows: tuple[Row, ...] = ()
    findings: tuple[str, ...] = ()
    definitions: tuple[Definition, ...] = ()
    model: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Beside:
    """What stands on the page beside what the record says.

    Attributes:
        picture: The figure.
        card: Of the model, where it is at hand.
        name: The patient's, where it was asked for.
        change: A sentence on the change since an earlier visit, where there is one.
        warnings: Sentences on the files of the result.
    """

    picture: Picture = field(default_factory=Picture)
    card: ModelCard | None = None
    name: str = ""
    change: str = ""
    warnings: tuple[str, ...] = ()


def page_of(record: ScanRecord, beside: Beside) -> Page:
    """The page of a scan.

    Args:
        record: Of the scan.
        beside: What is not in the record.
    """
    said = {which: [f.message for f in record.flags if f.severity == which] for which in ("warning", "info")}
    warnings = [*beside.warnings, *said["warning"]]
    if record.failure is not None:
        warnings.insert(0, record.failure.message)
    status = "review" if warnings and record.status == "ok" else record.status
    shown = _shown(record)
    return Page(
        title=record.scan,
        person=_person(record, beside.name),
        status=status,
        status_words=_STATUS[status],
        warnings=tuple(warnings),
        notes=tuple(said["info"]),
        picture=beside.picture,
        rows=tuple(_rows(record)),
        findings=tuple(_findings(record, beside)),
        definitions=definitions(shown, _threshold(beside.card)),
        model=_model(record, beside.card),
        provenance=tuple(_provenance(record)),
    )


def _person(record: ScanRecord, name: str) -> tuple[tuple[str, str], ...]:
    finished = str(record.provenance.get("finished", ""))[:10]
    pairs = (
        ("Name", name),
        ("Subject", record.source.subject or ""),
        ("Session", record.source.session or ""),
        ("Date" if record.failure else "Segmented", finished),
    )
    return tuple(pair for pair in pairs if pair[1])


def _rows(record: ScanRecord) -> list[Row]:
    measured = record.measurements
    if all(measured.get(f"{side}_mm3") is None for side in SIDES):
        return []
    rows = [_row("Volume, mm³", measured, "{}_mm3")]
    for part in PARTS:
        rows.append(_row(f"  {part}, mm³", measured, f"{{}}_{part}_mm3", both=False))
    rows.append(_row("‰ of intracranial volume", measured, "{}_per_mille_of_intracranial"))
    rows.append(_row("Expected overlap", measured, "{}_quality", both=False))
    agreement = _mapping(record.provenance.get("agreement"))
    values = {f"{side}_agreement": _float(agreement.get(side)) for side in SIDES}
    rows.append(_row("Agreement of the readers", values, "{}_agreement", both=False, code="left_quality"))
    return [row for row in rows if row.left or row.right]


def _row(
    name: str, values: Mapping[str, float | None], column: str, both: bool = True, code: str | None = None
) -> Row:
    """A row from the columns of left, right and total, in the unit of a column (`code`, or the left one)."""
    unit = unit_of(code or column.format("left"))
    texts = []
    for which in (*SIDES, "total"):
        value = values.get(column.format(which)) if which != "total" or both else None
        texts.append("" if value is None else number(value, unit))
    first = values.get(column.format("left")) is not None or values.get(column.format("right")) is not None
    left, right = (text or ("not found" if first and column == "{}_mm3" else "") for text in texts[:2])
    return Row(name, left, right, texts[2])


def _shown(record: ScanRecord) -> list[str]:
    measured = record.measurements
    has = {name for name, value in measured.items() if value is not None}
    found = []
    for code, columns in (
        ("volume", {"left_mm3", "right_mm3"}),
        ("parts", {"left_anterior_mm3", "right_anterior_mm3"}),
        ("intracranial", {"intracranial_mm3"}),
        ("per_mille", {"left_per_mille_of_intracranial", "right_per_mille_of_intracranial"}),
        ("asymmetry", {"asymmetry_index"}),
        ("quality", {"left_quality", "right_quality"}),
    ):
        if columns & has:
            found.append(code)
    if _mapping(record.provenance.get("agreement")):
        found.append("agreement")
    return found


def _findings(record: ScanRecord, beside: Beside) -> list[str]:
    measured = record.measurements
    if record.failure is not None or not _rows(record):
        return []
    found = []
    intracranial = measured.get("intracranial_mm3")
    if intracranial is not None:
        found.append(f"Intracranial volume {number(intracranial, unit_of('intracranial_mm3'))} mL.")
    found += asymmetry_sentences(record)
    found.append(_NO_REFERENCE)
    if beside.change:
        found.append(beside.change)
    return found


def _threshold(card: ModelCard | None) -> float | None:
    return None if card is None or card.quality is None else card.quality.threshold


def _model(record: ScanRecord, card: ModelCard | None) -> tuple[str, ...]:
    if card is not None:
        return model_sentences(card)
    if record.model:
        return ("The card of this model is not on this computer: look up what it was trained on.",)
    return ()


def _provenance(record: ScanRecord) -> list[tuple[str, str]]:
    provenance = record.provenance
    settings, versions = _mapping(provenance.get("settings")), _mapping(provenance.get("versions"))
    geometry = _mapping(provenance.get("input_geometry"))
    second = _mapping(settings.get("second_reader"))
    readers = " and ".join(str(one) for one in (record.model, second.get("name")) if one)
    protocol = str(settings.get("protocol", ""))
    words = f"{protocol}: {PROTOCOL_WORDS[protocol]}" if protocol in PROTOCOL_WORDS else protocol
    pairs = [
        ("HippoSeg", str(versions.get("HippoSeg", ""))),
        (
            "Model",
            f"{readers} ({str(_mapping(provenance.get('model')).get('sha256', ''))[:12]})" if readers else "",
        ),
        ("Protocol", words if record.model else ""),
        ("Scan", _voxels(geometry)),
        ("Scan's SHA-256", (record.source.sha256 or "")[:16]),
        ("Packages", _packages(versions) if record.model else ""),
    ]
    return [pair for pair in pairs if pair[1]]


def _voxels(geometry: Mapping[str, Any]) -> str:
    size, spacing = geometry.get("size"), geometry.get("spacing_mm")
    try:
        shape = " × ".join(f"{int(n)}" for n in size or ())
        return f"{shape} voxels of {' × '.join(f'{float(s):.3g}' for s in spacing or ())} mm" if shape else ""
    except (TypeError, ValueError):
        return ""


def _packages(versions: Mapping[str, Any]) -> str:
    names = ("Python", "numpy", "scipy", "SimpleITK")
    return ", ".join(f"{name} {versions[name]}" for name in names if name in versions)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
