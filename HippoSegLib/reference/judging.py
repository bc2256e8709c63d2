"""How one person's volumes compare with a reference, or why they do not."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Mapping

import numpy as np

from ..results.wording import millilitres
from .reference import LEAST_OF_A_SEX, MANY_CONTROLS, Reference
from .statistics import percentile, percentile_interval, t_quantile
from .values import MEASURES, Identity, Judged, Judgement, Person, Remark


def judge(
    reference: Reference,
    measurements: Mapping[str, float | None],
    person: Person,
    identity: Identity,
    scanner: Mapping[str, str] | None = None,
    doubted: Collection[str] = (),
) -> Judgement:
    """Compare a scan's volumes with a reference.

    Args:
        reference: The controls.
        measurements: Column of `results.volumes.COLUMNS` -> value, None or absent where it is unknown.
        person: Who was scanned.
        identity: What made the volumes, see `values.identity_of`.
        scanner: Field, such as "manufacturer" -> what it is, where it is known.
        doubted: Sides whose outline may be wrong, see `flags.doubted_sides`.
    """
    intracranial = measurements.get("intracranial_mm3")
    reason = _why_not(reference, intracranial, person, identity)
    measures: dict[str, Judged] = {}
    withheld: dict[str, Remark] = {}
    for name, column in MEASURES.items():
        value = measurements.get(column)
        if reason is not None:
            withheld[name] = reason
        elif value is None or not math.isfinite(value):
            withheld[name] = Remark("no_value", "It could not be measured in this scan.")
        elif intracranial is not None:
            measures[name] = judged(reference, name, value, person, intracranial)
    less = None
    if "asymmetry" in measures:
        less = bisect_left(reference.asymmetry_sizes, abs(measures["asymmetry"].value))
    notes = (*_outline_notes(doubted), *_notes(reference, scanner or {})) if measures else ()
    return Judgement(reference.count, person, measures, withheld, notes, less, reference.digest)


def judged(
    reference: Reference, measure: str, value: float, person: Person, intracranial_mm3: float
) -> Judged:
    """Compare one value; person and head size are known and within the controls' ranges."""
    expected, sd, leverage = _prediction(reference, measure, person, intracranial_mm3)
    z = (value - expected) / (sd * np.sqrt(1 + leverage))
    low, high = percentile_interval((value - expected) / sd, leverage, reference.degrees)
    reach = t_quantile(reference.degrees) * sd * np.sqrt(1 + leverage)
    return Judged(
        value=float(value),
        percentile=float(percentile(z, reference.degrees)),
        percentile_low=low,
        percentile_high=high,
        z=float(z),
        expected=expected,
        expected_low=float(expected - reach),
        expected_high=float(expected + reach),
    )


def curve(
    reference: Reference, measure: str, person: Person, intracranial_mm3: float, percents: tuple[float, ...]
) -> dict[float, list[tuple[float, float]]]:
    """Percentiles over age, for a plot: percent -> (age, value) at 25 ages from the youngest control's to the
    oldest's, for people of this sex and head size."""
    from scipy import special

    lines: dict[float, list[tuple[float, float]]] = {percent: [] for percent in percents}
    for age in np.linspace(reference.age.low, reference.age.high, 25):
        at = Person(float(age), person.sex)
        expected, sd, leverage = _prediction(reference, measure, at, intracranial_mm3)
        for percent in percents:
            t = float(special.stdtrit(reference.degrees, percent / 100))
            lines[percent].append((float(age), float(expected + t * sd * np.sqrt(1 + leverage))))
    return lines


def _prediction(
    reference: Reference, measure: str, person: Person, intracranial_mm3: float
) -> tuple[float, float, float]:
    """Expected value, residual standard deviation, leverage."""
    row = reference.row(person, intracranial_mm3)
    fit = reference.fits[measure]
    return float(row @ np.array(fit.coefficients)), fit.sd, reference.leverage(row)


def _why_not(
    reference: Reference, intracranial: float | None, person: Person, identity: Identity
) -> Remark | None:
    """Why nothing can be compared; None where it can."""
    return _other_volumes(reference.identity, identity) or _outside(reference, intracranial, person)


def _other_volumes(ours: Identity, theirs: Identity) -> Remark | None:
    for code, what, wanted, found in (
        ("other_model", "model", ours.model, theirs.model),
        ("other_version", "version of HippoSeg", ours.version, theirs.version),
        ("other_protocol", "protocol", ours.protocol, theirs.protocol),
    ):
        if wanted != found:
            known = f"'{found}'" if found else "an unknown one"
            return Remark(
                code,
                f"The reference is for the {what} '{wanted}', the volumes are of {known}.",
            )
    if ours.readers and theirs.readers and ours.readers != theirs.readers:
        return Remark(
            "other_readers",
            "The reference is for other networks or another number of readers than those of the volumes.",
        )
    return None


def _outside(reference: Reference, intracranial: float | None, person: Person) -> Remark | None:
    if person.age is None or not math.isfinite(person.age):
        return Remark("age_unknown", "The age is not known.")
    if reference.has_sex and person.sex is None:
        return Remark("sex_unknown", "The sex is not known.")
    numbers = {"female": reference.count - reference.men, "male": reference.men}
    rare = [sex for sex, number in numbers.items() if number < LEAST_OF_A_SEX]
    if rare and person.sex in (None, *rare):
        return Remark("sex_outside", f"Hardly any of the controls is {rare[0]}; this person is or may be.")
    if person.age not in reference.age:
        return Remark(
            "age_outside",
            f"The age ({person.age:.1f} years) is outside the controls' ({reference.age.low:.1f} to "
            f"{reference.age.high:.1f}).",
        )
    if intracranial is None or not math.isfinite(intracranial):
        return Remark("no_intracranial", "The head size is not known: the field of view may cut the head.")
    if intracranial not in reference.intracranial:
        low, high = millilitres(reference.intracranial.low), millilitres(reference.intracranial.high)
        return Remark(
            "head_outside",
            f"The head size ({millilitres(intracranial)}) is outside the controls' ({low} to {high}).",
        )
    return None


def _outline_notes(doubted: Collection[str]) -> list[Remark]:
    """That a comparison is worth as much as the outline."""
    found = []
    for side in sorted(doubted):
        text = f"The {side} outline may be wrong: look at it before its percentile is used."
        found.append(Remark("doubted_outline", text))
    return found


def _notes(reference: Reference, scanner: Mapping[str, str]) -> tuple[Remark, ...]:
    notes = list(reference.remarks)
    if reference.count < MANY_CONTROLS:
        notes.insert(
            0,
            Remark(
                "few_controls",
                f"The reference has {reference.count} controls: how sure a percentile is, its interval says; "
                "near 0 and 100 it is uncertain.",
            ),
        )
    for field, values in reference.scanner.items():
        found = scanner.get(field, "")
        if found and found not in values:
            notes.append(
                Remark("other_scanner", f"The scan's {field.replace('_', ' ')} is none of the controls'.")
            )
    return tuple(notes)
