"""The reference: a linear model of each measure of the controls, as one checked file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import InputError
from ..io.names import shown
from ..models.fields import Extra, FieldError, Fields, kept_as_is, number, plain, sequence, text
from .values import MEASURES, MOST, Identity, Person, Remark

SCHEMA, VERSION = "hipposeg-reference", 1
#: A reference from fewer controls is refused; up to the second number its tails are said to be uncertain.
LEAST_CONTROLS, MANY_CONTROLS = 20, 200
#: Of a sex with fewer controls nobody is compared.
LEAST_OF_A_SEX = 5
Term = Literal["age", "log_intracranial", "male", "age_squared"]
#: Beside the intercept, in the order in which they are added as there are more controls.
TERMS: tuple[Term, ...] = ("age", "log_intracranial", "male", "age_squared")
#: A reference is some kilobytes; a larger file is something else.
_LARGEST = 4 << 20


@dataclass(frozen=True)
class Range:
    """The smallest and the largest value of the controls."""

    low: float
    high: float

    @classmethod
    def read(cls, value: object, place: str) -> Range:
        """Read from a JSON list of two numbers; raises FieldError."""
        low, high = sequence(number(-MOST, MOST), 2, 2)(value, place)
        if low > high:
            raise FieldError(place, "is not an ascending pair")
        return cls(low, high)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Calibration:
    """How well each control is predicted from all others.

    Attributes:
        inside: Of 100, in the 95 % prediction interval.
        below_5th, above_95th: Of 100, under the 5th and over the 95th percentile.
        normality: p of a test that the residuals are normally distributed; under 0.01 they are not.
        test: Which test: "shapiro-wilk" or "dagostino-pearson".
    """

    inside: float
    below_5th: float
    above_95th: float
    normality: float
    test: str

    @classmethod
    def read(cls, values: object, place: str) -> Calibration:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        percent = {name: fields.number(name, 0, 100) for name in ("inside", "below_5th", "above_95th")}
        return cls(**percent, normality=fields.number("normality", 0, 1), test=fields.text("test"))


@dataclass(frozen=True)
class Fit:
    """The linear model of one measure.

    Attributes:
        coefficients: Of the intercept, then of the reference's terms.
        sd: Residual standard deviation, mm³ (of the asymmetry: 1).
        calibration: From leaving out one control at a time.
    """

    coefficients: tuple[float, ...]
    sd: float
    calibration: Calibration

    @classmethod
    def read(cls, values: object, place: str) -> Fit:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        coefficients = fields.value("coefficients", sequence(number(-MOST, MOST), 1, len(TERMS) + 1))
        sd = fields.number("sd", 0, MOST)
        if sd <= 0:
            raise FieldError(fields.place("sd"), "is not above 0")
        return cls(coefficients, sd, fields.value("calibration", Calibration.read))


@dataclass(frozen=True)
class Reference:
    """What a site's controls measure. It holds no names, no dates and no single person's age.

    Attributes:
        identity: What made the volumes.
        count: Number of controls.
        men: How many of them are men.
        age: Years.
        intracranial: mm³.
        mean_age, mean_log_intracranial: What is subtracted from age (before it is squared, too) and
            logarithm of the intracranial volume in mm³.
        terms: Of the linear models, beside the intercept.
        inverse_moment: (p, p), (XᵀX)⁻¹ of the controls' design; it gives a person's leverage.
        fits: Measure of `MEASURES` -> its linear model.
        asymmetry_sizes: Ascending sizes of the controls' asymmetry, without sign.
        scanner: Field, such as "manufacturer" -> what the controls have there, where it was given.
        selection: How the controls were chosen, in the user's words.
        left_out: Why a scan was left out -> how many.
        remarks: What was to be said of the controls when the reference was made.
        made: Date, ISO 8601.
    """

    identity: Identity
    count: int
    men: int
    age: Range
    intracranial: Range
    mean_age: float
    mean_log_intracranial: float
    terms: tuple[Term, ...]
    inverse_moment: tuple[tuple[float, ...], ...]
    fits: Mapping[str, Fit]
    asymmetry_sizes: tuple[float, ...]
    scanner: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    selection: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    made: str = ""
    extra: Extra = kept_as_is()

    @property
    def degrees(self) -> int:
        """Degrees of freedom of every fit."""
        return self.count - 1 - len(self.terms)

    @property
    def has_sex(self) -> bool:
        """Whether what is expected depends on the sex."""
        return "male" in self.terms

    @cached_property
    def digest(self) -> str:
        """Twelve digits by which a judgement names the reference that it was made with."""
        return hashlib.sha256(self.to_json().encode("utf-8")).hexdigest()[:12]

    def row(self, person: Person, intracranial_mm3: float) -> np.ndarray:
        """(p,) the design's row of a person whose age is known, and whose sex is where it is needed."""
        age = (person.age or 0.0) - self.mean_age
        values = {
            "age": age,
            "age_squared": age**2,
            "male": float(person.sex == "male"),
            "log_intracranial": np.log(intracranial_mm3) - self.mean_log_intracranial,
        }
        return np.array([1.0, *(values[term] for term in self.terms)])

    def leverage(self, row: np.ndarray) -> float:
        """Variance of the expected value of a person, in units of the residual variance."""
        return float(row @ np.array(self.inverse_moment) @ row)

    def to_json(self) -> str:
        """The file's text."""
        values = {"schema": SCHEMA, "schema_version": VERSION, **plain(self)}
        both = {"age": self.age, "intracranial": self.intracranial}
        ranges = {name: [one.low, one.high] for name, one in both.items()}
        return json.dumps(values | ranges, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_reference(path: str | Path) -> Reference:
    """Read and check a reference that `hipposeg reference build` wrote.

    Raises:
        InputError: It is none, damaged, or of a later version.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
        values = json.loads(data.decode("utf-8")) if len(data) <= _LARGEST else None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"The reference '{shown(path)}' cannot be read.", _MAKE, "reference_unreadable"
        ) from error
    return reference_of(values, shown(path))


_MAKE = "Give the file of a reference that HippoSeg made."


def reference_of(values: object, name: str = "") -> Reference:
    """The reference of a JSON object, checked field by field.

    Args:
        values: JSON values.
        name: Of the file, for messages.

    Raises:
        InputError: It is none, damaged, or of a later version.
    """
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise InputError(f"'{name}' is no reference of HippoSeg.", _MAKE, "no_reference")
    try:
        fields = Fields({key: value for key, value in values.items() if key != "schema"})
        version = fields.whole("schema_version", 1, 10**6)
        if version > VERSION:
            raise InputError(
                f"The reference '{name}' is of a later version of HippoSeg.",
                "Update HippoSeg, or build the reference anew.",
                "reference_later",
            )
        return _checked(fields)
    except FieldError as error:
        raise InputError(
            f"The reference '{name}' is damaged: {error}.", "Build it anew.", "reference_damaged"
        ) from error


def _checked(fields: Fields) -> Reference:
    identity = fields.group("identity")
    scanner, left_out, fits = fields.group("scanner"), fields.group("left_out"), fields.group("fits")
    terms = fields.value("terms", sequence(_term, 1, len(TERMS)))
    p = len(terms) + 1
    inverse = fields.value("inverse_moment", sequence(sequence(number(-MOST, MOST), p, p), p, p))
    if not np.allclose(inverse, np.transpose(inverse)) or np.linalg.eigvalsh(inverse)[0] <= 0:
        raise FieldError(fields.place("inverse_moment"), "is not symmetric and positive")
    count = fields.whole("count", LEAST_CONTROLS, 10**6)
    reference = Reference(
        identity=Identity(*(identity.text(name) for name in ("model", "version", "protocol", "readers"))),
        count=count,
        men=fields.whole("men", 0, count),
        age=fields.value("age", Range.read),
        intracranial=fields.value("intracranial", Range.read),
        mean_age=fields.number("mean_age", 0, 130),
        mean_log_intracranial=fields.number("mean_log_intracranial", 0, 30),
        terms=terms,
        inverse_moment=inverse,
        fits={name: fits.value(name, Fit.read) for name in MEASURES},
        asymmetry_sizes=fields.value("asymmetry_sizes", sequence(number(0, 2), count, count)),
        scanner={name: scanner.value(name, sequence(text)) for name in scanner.names()},
        selection=fields.text("selection", ""),
        left_out={name: left_out.whole(name, 0, 10**7) for name in left_out.names()},
        remarks=fields.value("remarks", sequence(Remark.read), ()),
        made=fields.text("made", ""),
        extra=fields.rest(),
    )
    if len(set(terms)) < len(terms) or any(len(fit.coefficients) != p for fit in reference.fits.values()):
        raise FieldError(fields.place("terms"), "do not fit the coefficients")
    if reference.intracranial.low <= 0:
        raise FieldError(fields.place("intracranial"), "is not above 0")
    return reference


def _term(value: object, place: str) -> Term:
    for term in TERMS:
        if value == term:
            return term
    raise FieldError(place, "is no term that this HippoSeg knows")
