"""From a table of volumes and one of participants to a reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..io.atomic import refuse_existing, replacing
from ..results.wording import millilitres
from .fitting import Control, FarControl, fit_reference
from .participants import Participant, Participants, read_participants
from .reference import Reference
from .values import MEASURES
from .volumes import ScanVolumes, one_identity, read_volumes

#: Why a scan does not get into a reference -> in words.
LEFT_OUT = {
    "no_participant": "in no line of the table of participants",
    "not_a_control": "not chosen as a control",
    "failed": "failed",
    "review_fail": "failed by a reviewer",
    "doubted": "with a flag that the outline or the image may be wrong, and passed by no reviewer",
    "no_volumes": "without both volumes",
    "no_intracranial": "without an intracranial volume",
    "age_unknown": "without an age",
    "sex_unknown": "without a sex",
    "further_scan": "a further scan of the same participant",
}


@dataclass(frozen=True)
class Built:
    """A reference, and what its maker is told.

    Attributes:
        reference: To be written.
        far: Controls that the others would not let expect.
    """

    reference: Reference
    far: tuple[FarControl, ...]


def build_reference(scans: tuple[ScanVolumes, ...], participants: Participants) -> Built:
    """Make a reference from those scans whose participants are controls; one scan of each.

    Raises:
        InputError: There are too few, or their volumes are of several models, versions or protocols.
    """
    numbers: Counter[str] = Counter()
    chosen: dict[str, tuple[ScanVolumes, Participant]] = {}
    for scan in sorted(scans, key=lambda one: (one.subject, one.session, one.scan)):
        participant = participants.of(scan.subject, scan.session, scan.scan)
        reason = _why_not(scan, participant)
        if reason is None and scan.subject in chosen:
            reason = "further_scan"
        if reason is not None or participant is None:
            numbers[reason or "no_participant"] += 1
        else:
            chosen[scan.subject] = scan, participant
    if not chosen:
        raise InputError(
            f"No scan can be used as a control ({in_words(numbers)}).",
            "Check that participant_id and the scans' names are the same, and which controls are chosen.",
            "no_controls",
        )
    identity = one_identity([scan for scan, _ in chosen.values()])
    controls = [
        Control(participant.person, scan.measurements, scan.subject, participant.scanner)
        for scan, participant in chosen.values()
    ]
    try:
        return Built(*fit_reference(controls, identity, participants.selection, numbers))
    except InputError as error:
        if error.code == "few_controls" and numbers:
            cause = f"{error.cause} Left out: {in_words(numbers)}."
            raise InputError(cause, error.remedy, error.code) from error
        raise


def make_reference(
    table: Path, participants: Path, controls: tuple[str, ...], output: Path, overwrite: bool = False
) -> Built:
    """Make a reference from two tables, and write it.

    Args:
        table: Of volumes.
        participants: Age, sex, group.
        controls: Conditions, see `participants.read_participants`.
        output: The reference's file.
        overwrite: Replace it where it exists.

    Raises:
        InputError: A table cannot be used. OutputError: The file exists, or cannot be written.
    """
    refuse_existing(output, overwrite)
    built = build_reference(read_volumes(table).scans, read_participants(participants, controls))
    with replacing(output, overwrite) as temporary:
        temporary.write_text(built.reference.to_json(), encoding="utf-8")
    return built


def in_words(numbers: Mapping[str, int]) -> str:
    """How many scans were left out, and why: ``2 failed; 3 without an age``."""
    return "; ".join(f"{numbers[code]} {words}" for code, words in LEFT_OUT.items() if numbers.get(code))


def _why_not(scan: ScanVolumes, participant: Participant | None) -> str | None:
    """Why a scan cannot be a control's; None where it can."""
    if participant is None:
        return "no_participant"
    wrong = {
        "not_a_control": not participant.is_control,
        "failed": scan.status == "failed",
        "review_fail": scan.review == "fail",
        "doubted": bool(scan.doubted),
        "no_volumes": any(column not in scan.measurements for column in MEASURES.values()),
        "no_intracranial": "intracranial_mm3" not in scan.measurements,
        "age_unknown": participant.person.age is None,
        "sex_unknown": participant.person.sex is None,
    }
    return next((code for code, is_so in wrong.items() if is_so), None)


def built_lines(built: Built) -> list[str]:
    """What is said of a new reference."""
    reference = built.reference
    women, terms = reference.count - reference.men, ", ".join(reference.terms).replace("_", " ")
    lines = [
        f"{reference.count} controls ({women} women, {reference.men} men), {reference.age.low:g} to "
        f"{reference.age.high:g} years, head size {millilitres(reference.intracranial.low)} to "
        f"{millilitres(reference.intracranial.high)}.",
        f"Model {reference.identity.model}, version {reference.identity.version}, protocol "
        f"{reference.identity.protocol}. Volumes by: {terms}.",
    ]
    if reference.left_out:
        lines.append(f"Left out: {in_words(reference.left_out)}.")
    lines.append("Each control predicted from all others:")
    for name, fit in reference.fits.items():
        one = fit.calibration
        lines.append(
            f"  {name}: {one.inside:.0f} % in the 95 % interval, {one.below_5th:.0f} % under the 5th and "
            f"{one.above_95th:.0f} % over the 95th percentile; normality ({one.test}) p = {one.normality:.2g}"
        )
    lines += [f"NOTE: {remark.sentence}" for remark in reference.remarks]
    lines += [
        f"NOTE: control {far.name} is far from what the others let expect ({far.measure}, t = {far.t:+.1f}): "
        "look at its outline."
        for far in built.far
    ]
    return lines
