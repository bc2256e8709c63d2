"""What stands on a scan's page, as plain texts, from its record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..batch.record import ScanRecord
from ..batch.verdicts import Verdict
from ..flags import doubted_sides
from ..models.card import ModelCard
from ..reference import Judgement, Reference
from ..results.wording import millilitres
from .asymmetry import asymmetry_sentences
from .comparison import (
    asymmetry_rank,
    comparison_definitions,
    comparison_rows,
    comparison_sentences,
    curve_caption,
)
from .curves import Plot, plots
from .definitions import Definition, definitions
from .model_words import model_sentences
from .provenance_words import provenance_words
from .rows import Row, agreement, measured_rows

_STATUS = {
    "ok": "No warnings.",
    "review": "Look at the outlines before you use these numbers.",
    "failed": "This scan has no result.",
}
_NO_CARD = "The card of this model is not on this computer: look up what it was trained on."


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
        change: Sentences on the change between visits.
        plots, caption: Percentiles over age, where there is a reference, and for whom they are.
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
    change: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    caption: str = ""
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
        judgement: How the volumes compare with a reference, where one was used.
        reference: That reference, for the curves.
        change: Sentences on the change between visits, where that was asked for.
        verdict: What a person said of this result.
        warnings: Sentences on the files of the result.
    """

    picture: Picture = field(default_factory=Picture)
    card: ModelCard | None = None
    name: str = ""
    judgement: Judgement | None = None
    reference: Reference | None = None
    change: tuple[str, ...] = ()
    verdict: Verdict | None = None
    warnings: tuple[str, ...] = ()


def page_of(record: ScanRecord, beside: Beside) -> Page:
    """The page of a scan.

    Args:
        record: Of the scan.
        beside: What is not in the record.
    """
    warnings = _warnings(record, beside)
    notes = [flag.message for flag in record.flags if flag.severity == "info"]
    if beside.verdict is not None and beside.verdict.verdict == "pass":
        notes.append(_verdict_words("A person looked at the outlines and passed them", beside.verdict))
    status = "review" if warnings and record.status == "ok" else record.status
    page = Page(
        title=record.scan,
        person=_person(record, beside),
        status=status,
        status_words=_STATUS[status],
        warnings=tuple(warnings),
        notes=tuple(notes),
        picture=beside.picture,
        model=_model(record, beside.card),
        provenance=provenance_words(record),
    )
    return page if record.failure is not None else _with_measurements(page, record, beside)


def _with_measurements(page: Page, record: ScanRecord, beside: Beside) -> Page:
    judgement, reference = beside.judgement, beside.reference
    rows = measured_rows(record)
    if judgement is not None:
        rows[1:1] = comparison_rows(judgement)
    intracranial = record.measurements.get("intracranial_mm3")
    drawn: tuple[Plot, ...] = ()
    caption = ""
    if judgement is not None and reference is not None and intracranial is not None:
        drawn = plots(reference, judgement, intracranial)
        caption = curve_caption(judgement, intracranial) if drawn else ""
    explained = definitions(_shown(record), _threshold(beside.card, bool(agreement(record))))
    return replace(
        page,
        rows=tuple(rows),
        findings=tuple(_findings(record, beside)) if rows else (),
        change=beside.change if rows else (),
        plots=drawn,
        caption=caption,
        definitions=(*explained[:1], *comparison_definitions(judgement, reference), *explained[1:]),
    )


def _warnings(record: ScanRecord, beside: Beside) -> list[str]:
    found = [] if record.failure is None else [record.failure.message]
    if beside.verdict is not None and beside.verdict.verdict == "fail":
        found.append(_verdict_words("A person looked at the outlines and failed them", beside.verdict))
    found += beside.warnings
    return found + [flag.message for flag in record.flags if flag.severity == "warning"]


def _verdict_words(words: str, verdict: Verdict) -> str:
    return f"{words}: {verdict.comment}" if verdict.comment else f"{words}."


def _person(record: ScanRecord, beside: Beside) -> tuple[tuple[str, str], ...]:
    who = beside.judgement.person if beside.judgement is not None else None
    pairs = (
        ("Name", beside.name),
        ("Subject", record.source.subject or ""),
        ("Session", record.source.session or ""),
        ("Age", "" if who is None or who.age is None else f"{who.age:g}"),
        ("Sex", "" if who is None or who.sex is None else who.sex),
        ("Date" if record.failure else "Segmented", str(record.provenance.get("finished", ""))[:10]),
    )
    return tuple(pair for pair in pairs if pair[1])


def _shown(record: ScanRecord) -> list[str]:
    """Codes of what the table holds, see `definitions`."""
    has = {name for name, value in record.measurements.items() if value is not None}
    columns = (
        ("volume", {"left_mm3", "right_mm3"}),
        ("parts", {"left_anterior_mm3", "right_anterior_mm3"}),
        ("intracranial", {"intracranial_mm3"}),
        ("per_mille", {"left_per_mille_of_intracranial", "right_per_mille_of_intracranial"}),
        ("asymmetry", {"asymmetry_index"}),
        ("quality", {"left_quality", "right_quality"}),
    )
    found = [code for code, names in columns if names & has]
    return [*found, "agreement"] if agreement(record) else found


def _findings(record: ScanRecord, beside: Beside) -> list[str]:
    intracranial = record.measurements.get("intracranial_mm3")
    found = [] if intracranial is None else [f"Intracranial volume {millilitres(intracranial)}."]
    found += asymmetry_sentences(record, asymmetry_rank(beside.judgement), doubted(record, beside.verdict))
    return [*found, *comparison_sentences(beside.judgement)]


def doubted(record: ScanRecord, verdict: Verdict | None) -> frozenset[str]:
    """Sides whose outline may be wrong, as the flags say; none where a person has passed it."""
    if verdict is not None and verdict.verdict == "pass":
        return frozenset()
    return doubted_sides(flag.name for flag in record.flags)


def _threshold(card: ModelCard | None, two_readers: bool) -> float | None:
    if card is None or card.quality is None:
        return None
    of_two = card.quality.agreement
    return of_two.threshold if two_readers and of_two is not None else card.quality.threshold


def _model(record: ScanRecord, card: ModelCard | None) -> tuple[str, ...]:
    if card is not None:
        return model_sentences(card)
    return (_NO_CARD,) if record.model else ()
