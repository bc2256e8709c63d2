"""What a comparison with a reference takes and gives: person, identity of the volumes, judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..models.fields import FieldError, Fields, number, text, whole

Sex = Literal["female", "male"]
SEXES: tuple[Sex, ...] = ("female", "male")
#: Measure -> its column in `results.volumes.COLUMNS`.
MEASURES = {
    "left": "left_mm3",
    "right": "right_mm3",
    "total": "total_mm3",
    "asymmetry": "asymmetry_index",
}
#: The largest volume or difference that a file may hold.
MOST = 1e9


@dataclass(frozen=True)
class Person:
    """Who was scanned, as far as a comparison needs it.

    Attributes:
        age: In years, None where it is not known.
        sex: None where it is not known.
    """

    age: float | None = None
    sex: Sex | None = None


@dataclass(frozen=True)
class Identity:
    """What made the volumes: those of another one are not to be compared.

    Attributes:
        model: Name of the model.
        version: Of HippoSeg.
        protocol: One of `models.protocols.PROTOCOLS`.
        readers: Names and first digits of the SHA-256 of all that read the scan, see `identity_of`; ""
            where it is not known.
    """

    model: str
    version: str
    protocol: str
    readers: str = ""


def identity_of(provenance: Mapping[str, Any]) -> Identity:
    """The identity of a result, from the provenance that its record holds; "" for what it does not say."""
    model = _group(provenance.get("model"))
    settings = _group(provenance.get("settings"))
    readers = " ".join(_reader(one) for one in (model, _group(settings.get("second_reader"))) if one)
    version = _group(provenance.get("versions")).get("HippoSeg", "")
    return Identity(
        str(model.get("name", "")), str(version or ""), str(settings.get("protocol", "")), readers
    )


def _group(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _reader(values: Mapping[str, Any]) -> str:
    return f"{values.get('name', '')}:{str(values.get('sha256', ''))[:12]}"


@dataclass(frozen=True)
class Remark:
    """A code for programs, a sentence for people."""

    code: str
    sentence: str

    @classmethod
    def read(cls, values: object, place: str) -> Remark:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        return cls(fields.text("code"), fields.text("sentence"))


@dataclass(frozen=True)
class Judged:
    """One measure of a person beside the controls'.

    Attributes:
        value: mm³; of the asymmetry (R - L) / ((R + L) / 2).
        percentile: 0..100, from the t distribution: part of people like this one who have a smaller value.
        percentile_low, percentile_high: 95 % confidence interval of the percentile.
        z: (value - expected) / standard deviation of a prediction.
        expected: Mean of people of this age, sex and head size.
        expected_low, expected_high: 95 % prediction interval.
    """

    value: float
    percentile: float
    percentile_low: float
    percentile_high: float
    z: float
    expected: float
    expected_low: float
    expected_high: float

    @classmethod
    def read(cls, values: object, place: str) -> Judged:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        percent = {
            name: fields.number(name, 0, 100) for name in ("percentile", "percentile_low", "percentile_high")
        }
        others = ("value", "z", "expected", "expected_low", "expected_high")
        return cls(**percent, **{name: fields.number(name, -MOST, MOST) for name in others})


@dataclass(frozen=True)
class Judgement:
    """How one scan's volumes compare with a reference.

    Attributes:
        controls: How many controls the reference has.
        person: Who was compared.
        measures: Measure of `MEASURES` -> how it compares; those that could not be compared are absent.
        withheld: Measure -> why it could not be compared.
        notes: What else a reader should know of the comparison.
        less_asymmetric_controls: How many controls have a smaller difference between the sides, None where
            the asymmetry is not compared.
        reference: First digits of the SHA-256 of the reference, see `Reference.digest`.
    """

    controls: int
    person: Person
    measures: Mapping[str, Judged] = field(default_factory=dict)
    withheld: Mapping[str, Remark] = field(default_factory=dict)
    notes: tuple[Remark, ...] = ()
    less_asymmetric_controls: int | None = None
    reference: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: what `judgement_of` reads; they stand in a scan's record under `reference`."""
        return asdict(self) | {"notes": [asdict(note) for note in self.notes]}


def judgement_of(values: object) -> Judgement | None:
    """The judgement that a record holds under `reference`; None where there is none, or it cannot be read."""
    try:
        fields = Fields(values)
        measures, withheld = fields.group("measures"), fields.group("withheld")
        person = fields.group("person")
        return Judgement(
            controls=fields.whole("controls", 1, 10**6),
            person=Person(person.optional("age", number(0, 130)), person.optional("sex", read_sex)),
            measures={name: measures.value(name, Judged.read) for name in MEASURES if name in measures},
            withheld={name: withheld.value(name, Remark.read) for name in MEASURES if name in withheld},
            notes=tuple(Remark.read(one, f"notes[{n}]") for n, one in enumerate(_list(fields, "notes"))),
            less_asymmetric_controls=fields.optional("less_asymmetric_controls", whole(0, 10**6)),
            reference=fields.text("reference", ""),
        )
    except FieldError:
        return None


def _list(fields: Fields, name: str) -> list[Any]:
    def check(value: object, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise FieldError(place, "is not a list")
        return value

    return fields.value(name, check)


def read_sex(value: object, place: str) -> Sex:
    """A check for a sex; raises FieldError."""
    for sex in SEXES:
        if text(value, place) == sex:
            return sex
    raise FieldError(place, "is neither female nor male")
