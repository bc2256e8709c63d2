"""Pages from records: read what lies beside them, check it, and write the pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..batch.layout import FLAT, Layout
from ..batch.record import RecordError, ScanRecord, read_record
from ..batch.verdicts import Verdict, assign, read_verdicts, result_id
from ..bids.layout import BIDS
from ..errors import InputError
from ..io.atomic import replacing
from ..io.names import shown
from ..reference import Judgement, Person, Reference, identity_of, judge, judgement_of
from .content import Beside, Page, Picture, doubted, page_of
from .model_words import card_of
from .page import Paper, html
from .pdf import print_pdf, require_browser

#: After the scan's name.
SUFFIX = "_report.html"
_NO_PICTURE = "There is no quality-control figure of this result: look at the outlines before you use it."
_OTHER_PICTURE = "The figure beside the record is not the one of this result, and is not shown."
_EDITED = "The label image was changed after it was measured: these numbers are those of the outline before."
_NO_LABELS = "The label image that was measured is not beside the record any more."
#: What a record that cannot be read is.
_REFUSED = {
    "damaged": ("is damaged", "Segment the scan again."),
    "foreign": ("is no record of a scan", "Give a file '<scan>_hippocampus.json' that HippoSeg wrote."),
    "earlier": ("is of an earlier version of HippoSeg", "Segment the scan again."),
    "later": ("is of a later version of HippoSeg", "Update HippoSeg."),
}


@dataclass(frozen=True)
class ReportOptions:
    """What is asked for beside the record.

    Attributes:
        name: The patient's, to stand on the page.
        model: Folder of the model, where it is none that HippoSeg knows by name.
        pdf: Also print the page as PDF, beside it.
        paper: Of the PDF.
        overwrite: Replace files that exist.
        reference: A site's reference to compare with.
        person: Age and sex, for that; what is unknown is taken from the record.
        change: Gives what is said of the change between the visits of a record's subject.
    """

    name: str = ""
    model: str | None = None
    pdf: bool = False
    paper: Paper = "a4"
    overwrite: bool = False
    reference: Reference | None = None
    person: Person = Person()
    change: Callable[[ScanRecord], tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Place:
    """Where a scan's record and its other files lie.

    Attributes:
        record: The record.
        root: The output folder.
        layout: Where in it the files of a scan are.
    """

    record: Path
    root: Path
    layout: Layout = FLAT

    def file(self, scan: str, name: str) -> Path:
        """One of the scan's files."""
        return self.layout.path(self.root, scan, name)


def find_records(path: Path) -> list[Place]:
    """The records that a path means: itself, or all in an output folder.

    Raises:
        InputError: There is none.
    """
    if not path.is_dir():
        return [_place_of(path)]
    for layout in (BIDS, FLAT):  # a derivative's `group_hippocampus.json` is no record
        found = [Place(record, path, layout) for _scan, record in layout.records(path)]
        if found:
            return found
    raise InputError(
        f"There is no record in the folder '{shown(path)}'.",
        "Give a folder with results of HippoSeg, or a file '<scan>_hippocampus.json'.",
        "no_record",
    )


def _place_of(record: Path) -> Place:
    """The output folder that a record belongs to: its own, or in a BIDS data set some levels up."""
    if record.name.endswith(BIDS.record_ending):
        below = BIDS.folder(record.name[: -len(BIDS.record_ending)], record.name)
        parents = record.resolve().parents
        levels = len(below.split("/")) if below else 0
        if below and len(parents) > levels and parents[levels] / below == parents[0]:
            return Place(record, parents[levels], BIDS)
    return Place(record, record.parent)


def load(path: Path) -> ScanRecord:
    """Read a record.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return read_record(path)
    except RecordError as error:
        cause, remedy = _REFUSED[error.kind]
        raise InputError(f"'{shown(path)}' {cause}.", remedy, "record") from None
    except OSError as error:
        raise InputError(
            f"'{shown(path)}' cannot be read ({error.strerror}).",
            "Give a file '<scan>_hippocampus.json' that HippoSeg wrote.",
            "record",
        ) from None


def page_from(record: ScanRecord, place: Place, options: ReportOptions) -> Page:
    """The page of a record.

    Args:
        record: Of the scan.
        place: Where its files lie.
        options: What is asked for.
    """
    model = record.provenance.get("model")
    sha256 = str(model.get("sha256", "")) if isinstance(model, dict) else ""
    verdict = _verdict(record, place)
    return page_of(
        record,
        Beside(
            picture=_picture(record, place),
            card=card_of(record.model, sha256, options.model) if record.model else None,
            name=options.name,
            judgement=_judgement(record, options, verdict),
            reference=options.reference,
            change=() if options.change is None else options.change(record),
            verdict=verdict,
            warnings=_label_warnings(record, place),
        ),
    )


def _judgement(record: ScanRecord, options: ReportOptions, verdict: Verdict | None) -> Judgement | None:
    """The comparison with the reference that is given, or else the one that the record holds."""
    stored = judgement_of(record.provenance.get("reference"))
    if options.reference is None or record.failure is not None:
        return stored
    known = Person() if stored is None else stored.person
    person = Person(
        known.age if options.person.age is None else options.person.age,
        known.sex if options.person.sex is None else options.person.sex,
    )
    return judge(
        options.reference,
        record.measurements,
        person,
        identity_of(record.provenance),
        doubted=doubted(record, verdict),
    )


def _verdict(record: ScanRecord, place: Place) -> Verdict | None:
    verdicts = {scan: one for scan, one in read_verdicts(place.root).items() if scan == record.scan}
    return assign(verdicts, {record.scan: result_id(record)}).counting.get(record.scan)


def write_report(place: Place, output: Path | None, options: ReportOptions) -> tuple[Path, ...]:
    """Write the page of a record, and its PDF where asked for.

    Args:
        place: Where the record lies.
        output: The page's file; None for one beside the record.
        options: What is asked for.

    Returns:
        The files that were written.

    Raises:
        InputError: The record cannot be read. OutputError: A file exists, or cannot be written.
        DependencyError: Jinja2 is missing, or for a PDF a browser.
    """
    record = load(place.record)
    browser = require_browser() if options.pdf else ""
    page = page_from(record, place, options)
    target = output or place.record.parent / f"{record.scan}{SUFFIX}"
    text = html(page)
    with replacing(target, options.overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    if not options.pdf:
        return (target,)
    printed = target.with_suffix(".pdf")
    with replacing(printed, options.overwrite) as temporary:
        print_pdf(html(page, options.paper), temporary, browser)
    return target, printed


def _picture(record: ScanRecord, place: Place) -> Picture:
    if record.failure is not None:
        return Picture()
    data = _bytes_of(record, place, "picture")
    if data is None:
        return Picture(note=_NO_PICTURE)
    if hashlib.sha256(data).hexdigest() != record.files["picture"].sha256:
        return Picture(note=_OTHER_PICTURE)
    return Picture(data)


def _label_warnings(record: ScanRecord, place: Place) -> tuple[str, ...]:
    if "labels" not in record.files:
        return ()
    data = _bytes_of(record, place, "labels")
    if data is None:
        return (_NO_LABELS,)
    same = hashlib.sha256(data).hexdigest() == record.files["labels"].sha256
    return () if same else (_EDITED,)


def _bytes_of(record: ScanRecord, place: Place, what: str) -> bytes | None:
    """Bytes of one of a record's files; None where it is not there."""
    file = record.files.get(what)
    try:
        return None if file is None else place.file(record.scan, file.name).read_bytes()
    except OSError:
        return None
