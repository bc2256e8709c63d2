"""Making a reference from controls: which linear model, how well it fits, and what is to be said of it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from .reference import LEAST_CONTROLS, LEAST_OF_A_SEX, TERMS, Calibration, Fit, Range, Reference, Term
from .statistics import LEVEL, LeastSquares, inverse_moment, least_squares, percentile, t_quantile
from .values import MEASURES, Identity, Person, Remark

#: A term is added to the model for every so many controls.
CONTROLS_PER_TERM = 10
#: Under this p something is said not to be so.
_DOUBTED = 0.01
#: Shapiro and Wilk's test is made for no more values than this.
_MOST_FOR_SHAPIRO = 5000


@dataclass(frozen=True)
class Control:
    """One control.

    Attributes:
        person: With age and sex.
        measurements: Column of `results.volumes.COLUMNS` -> value; those of `MEASURES` and the intracranial
            volume are there.
        name: Of the participant; it does not get into the reference.
        scanner: Field -> value, where it is known.
    """

    person: Person
    measurements: Mapping[str, float]
    name: str = ""
    scanner: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FarControl:
    """A control that the others would not let expect: its outline may have failed.

    Attributes:
        name: Of the participant.
        measure: One of `MEASURES`.
        t: Of the prediction from all others.
    """

    name: str
    measure: str
    t: float


def fit_reference(
    controls: Sequence[Control],
    identity: Identity,
    selection: str = "",
    left_out: Mapping[str, int] | None = None,
) -> tuple[Reference, tuple[FarControl, ...]]:
    """Fit every measure's linear model.

    The model has a term for every ten controls, in the order age, logarithm of the intracranial volume, sex
    (with five or more of each), age squared; what does not differ between the controls is left out.

    Args:
        controls: Of one model, version and protocol.
        identity: Of their volumes.
        selection: How they were chosen, in words.
        left_out: Why a scan was left out -> how many.

    Raises:
        InputError: There are too few, or they do not differ.
    """
    count = len(controls)
    if count < LEAST_CONTROLS:
        raise InputError(
            f"There are {count} controls that can be used; a reference needs {LEAST_CONTROLS} or more.",
            "Add controls, or look why others were left out.",
            "few_controls",
        )
    ages = np.array([control.person.age for control in controls], dtype=float)
    volumes = np.array([control.measurements["intracranial_mm3"] for control in controls])
    males = np.array([control.person.sex == "male" for control in controls])
    columns = {
        "age": ages - ages.mean(),
        "log_intracranial": np.log(volumes) - np.log(volumes).mean(),
        "male": males.astype(float),
        "age_squared": (ages - ages.mean()) ** 2,
    }
    terms = _terms(columns)
    design = _design(columns, terms)
    fits, far = {}, []
    remarks: dict[str, list[str]] = {"not_normal": [], "not_calibrated": []}
    for name, column in MEASURES.items():
        values = np.array([control.measurements[column] for control in controls])
        squares = least_squares(design, values)
        if not squares.sd > 1e-9 * max(1.0, float(np.abs(values).max())):
            raise InputError(
                f"All controls have the same value ({name}).", "Give the volumes of real scans.", "no_spread"
            )
        calibration = _calibration(squares)
        fits[name] = Fit(tuple(map(float, squares.coefficients)), squares.sd, calibration)
        far += _far(controls, name, squares)
        if calibration.normality < _DOUBTED:
            remarks["not_normal"].append(name)
        if _is_off(calibration.inside, count):
            remarks["not_calibrated"].append(name)
    scanner = _scanners(controls)
    reference = Reference(
        identity=identity,
        count=count,
        men=int(males.sum()),
        age=Range(float(ages.min()), float(ages.max())),
        intracranial=Range(float(volumes.min()), float(volumes.max())),
        mean_age=float(ages.mean()),
        mean_log_intracranial=float(np.log(volumes).mean()),
        terms=terms,
        inverse_moment=tuple(tuple(map(float, row)) for row in inverse_moment(design)),
        fits=fits,
        asymmetry_sizes=tuple(sorted(abs(c.measurements[MEASURES["asymmetry"]]) for c in controls)),
        scanner=scanner,
        selection=selection,
        left_out=dict(left_out or {}),
        remarks=_remarks(remarks, scanner),
        made=datetime.date.today().isoformat(),
    )
    return reference, tuple(far)


def _terms(columns: Mapping[str, np.ndarray]) -> tuple[Term, ...]:
    count = len(columns["age"])
    men = int(columns["male"].sum())
    chosen: tuple[Term, ...] = ()
    for term in TERMS:
        if len(chosen) == count // CONTROLS_PER_TERM:
            break
        if term == "male" and min(men, count - men) < LEAST_OF_A_SEX:
            continue
        if term == "age_squared" and "age" not in chosen:
            continue
        design = _design(columns, (*chosen, term))
        design = design / np.maximum(np.linalg.norm(design, axis=0), 1e-300)
        if np.linalg.matrix_rank(design, tol=1e-6) == design.shape[1]:
            chosen = (*chosen, term)
    if not chosen:
        raise InputError(
            "All controls have the same age and head size.", "Give those of real scans.", "no_spread"
        )
    return chosen


def _design(columns: Mapping[str, np.ndarray], terms: Sequence[str]) -> np.ndarray:
    return np.column_stack([np.ones(len(columns["age"])), *(columns[term] for term in terms)])


def _calibration(squares: LeastSquares) -> Calibration:
    from scipy import stats

    percents = percentile(squares.left_out, squares.degrees - 1)
    inside = np.abs(squares.left_out) <= t_quantile(squares.degrees - 1)
    if len(percents) <= _MOST_FOR_SHAPIRO:
        test, p = "shapiro-wilk", stats.shapiro(squares.standardised).pvalue
    else:
        test, p = "dagostino-pearson", stats.normaltest(squares.standardised).pvalue
    return Calibration(
        inside=round(100 * float(inside.mean()), 2),
        below_5th=round(100 * float((percents < 5).mean()), 2),
        above_95th=round(100 * float((percents > 95).mean()), 2),
        normality=float(p),
        test=test,
    )


def _is_off(inside: float, count: int) -> bool:
    from scipy import stats

    return bool(stats.binomtest(round(inside * count / 100), count, LEVEL).pvalue < _DOUBTED)


def _far(controls: Sequence[Control], measure: str, squares: LeastSquares) -> list[FarControl]:
    from scipy import special

    limit = special.stdtrit(squares.degrees - 1, 1 - _DOUBTED / 2 / len(controls))
    return [
        FarControl(control.name, measure, round(float(t), 2))
        for control, t in zip(controls, squares.left_out, strict=True)
        if abs(t) > limit
    ]


def _scanners(controls: Sequence[Control]) -> dict[str, tuple[str, ...]]:
    names = sorted({name for control in controls for name in control.scanner})
    return {
        name: tuple(sorted({control.scanner.get(name, "") for control in controls} - {""})) for name in names
    }


def _remarks(found: Mapping[str, Sequence[str]], scanner: Mapping[str, Sequence[str]]) -> tuple[Remark, ...]:
    remarks = []
    if found["not_normal"]:
        names = ", ".join(found["not_normal"])
        text = (
            f"The controls are not normally distributed ({names}): percentiles near 0 and 100 may be wrong."
        )
        remarks.append(Remark("not_normal", text))
    if found["not_calibrated"]:
        names = ", ".join(found["not_calibrated"])
        text = f"Controls left out of the model are not predicted as often as they should be ({names})."
        remarks.append(Remark("not_calibrated", text))
    if any(len(values) > 1 for values in scanner.values()):
        text = (
            "The controls come from more than one scanner: differences between scanners widen the intervals."
        )
        remarks.append(Remark("several_scanners", text))
    return tuple(remarks)
