"""The part of a model's card from which the quality score of a result is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .fields import Extra, FieldError, Fields, kept_as_is, number, plain, sequence, text, whole

#: Features that a score can be made of; `results.quality_features` measures them.
FEATURES = (
    "expected_overlap",
    "doubt_per_surface",
    "doubt_in_core",
    "doubt_outside",
    "soft_volume",
    "uncertain_share",
    "volume",
    "length",
    "slenderness",
    "flatness",
    "tilt",
    "roughness",
    "anterior_share",
    "anterior_ahead",
    "parts_doubt",
    "rank",
    "brighter",
    "grain",
    "edge",
    "above",
    "below",
    "mixed",
    "purer_elsewhere",
    "edge_elsewhere",
    "outside_share",
    "likeness",
)
#: Larger numbers than this are none that a fit gives.
_MOST = 1e6


@dataclass(frozen=True)
class FeatureCard:
    """One feature of the regression: what is usual in good results, and its weights."""

    middle: float
    scale: float
    weight: float
    weight_of_amount: float

    @classmethod
    def read(cls, value: object, place: str) -> FeatureCard:
        """Read from a JSON list; raises FieldError."""
        middle, scale, weight, amount = sequence(number(-_MOST, _MOST), 4, 4)(value, place)
        if scale <= 0:
            raise FieldError(f"{place}[1]", "is not above 0")
        return cls(middle, scale, weight, amount)


@dataclass(frozen=True)
class AgreementCard:
    """How the score changes where two readers outline: a regression on the score of the first one (its
    logarithm of the odds) and on their agreement.

    Attributes:
        middle, scale: What is usual in good results, and how much it varies.
        of_score, of_agreement, intercept: The regression's weights and constant.
        threshold: Expected overlap under which a side is flagged.
    """

    middle: float
    scale: float
    of_score: float
    of_agreement: float
    intercept: float
    threshold: float

    @classmethod
    def read(cls, values: object, place: str) -> AgreementCard:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        return cls(
            middle=fields.number("middle", 0, 1),
            scale=fields.number("scale", 1e-6, 1),
            of_score=fields.number("of_score", -_MOST, _MOST),
            of_agreement=fields.number("of_agreement", -_MOST, _MOST),
            intercept=fields.number("intercept", -_MOST, _MOST),
            threshold=fields.number("threshold", 0, 1),
        )


@dataclass(frozen=True)
class QualityCard:
    """What a quality score is made of; `results.quality.QualityModel` computes it.

    Attributes:
        features: Name -> its part of the regression.
        intercept: The regression's constant.
        threshold: Expected overlap under which a side is flagged.
        least_likeness: Correlation with the pattern under which an image is taken for no T1.
        pattern_shape: (z, y, x) blocks.
        rank_percent: Mean rank of each block in T1 images, -50 to 50; None where nothing is known.
        max_misfit_mm, max_distance_mm: Of the localiser's fit; between its place and the outline's. None
            sets no limit.
        agreement: What a second reader adds; None where the score takes no account of one.
        subjects: Names of those on whose cases it was fitted.
    """

    features: Mapping[str, FeatureCard]
    intercept: float
    threshold: float
    least_likeness: float
    pattern_shape: tuple[int, int, int]
    rank_percent: tuple[float | None, ...]
    max_misfit_mm: float | None = None
    max_distance_mm: float | None = None
    agreement: AgreementCard | None = None
    subjects: tuple[str, ...] = ()
    extra: Extra = kept_as_is()

    @classmethod
    def read(cls, values: object, place: str = "quality") -> QualityCard:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        named = fields.group("features")
        if not named.names():
            raise FieldError(fields.place("features"), "is empty")
        for name in named.names():
            if name not in FEATURES:
                raise FieldError(named.place(name), "is no feature that this HippoSeg measures")
        pattern = fields.group("t1_pattern")
        z, y, x = pattern.value("shape", sequence(whole(1, 100), 3, 3))
        return cls(
            features={name: named.value(name, FeatureCard.read) for name in named.names()},
            intercept=fields.number("intercept", -_MOST, _MOST),
            threshold=fields.number("threshold", 0, 1),
            least_likeness=fields.number("least_likeness", -1, 1),
            pattern_shape=(z, y, x),
            rank_percent=pattern.value("rank_percent", sequence(_rank, z * y * x, z * y * x)),
            max_misfit_mm=fields.optional("max_misfit_mm", number(0, 1000)),
            max_distance_mm=fields.optional("max_distance_mm", number(0, 1000)),
            agreement=fields.optional("agreement", AgreementCard.read),
            subjects=fields.value("subjects", sequence(text), ()),
            extra=fields.rest(),
        )

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file: a list of four numbers per feature."""
        rows = {
            name: [one.middle, one.scale, one.weight, one.weight_of_amount]
            for name, one in self.features.items()
        }
        known: dict[str, Any] = {
            "features": rows,
            "feature_columns": ["middle", "scale", "weight", "weight of the amount"],
            "intercept": self.intercept,
            "threshold": self.threshold,
            "least_likeness": self.least_likeness,
            "max_misfit_mm": self.max_misfit_mm,
            "max_distance_mm": self.max_distance_mm,
            "t1_pattern": {"shape": list(self.pattern_shape), "rank_percent": list(self.rank_percent)},
        }
        if self.agreement is not None:
            known["agreement"] = asdict(self.agreement)
        if self.subjects:
            known["subjects"] = list(self.subjects)
        return known | {name: plain(value) for name, value in self.extra.items()}


def _rank(value: object, place: str) -> float | None:
    return None if value is None else number(-100, 100)(value, place)
