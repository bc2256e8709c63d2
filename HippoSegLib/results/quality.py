"""The quality score of a side: its expected overlap with a manual outline.

The score is the Dice coefficient with a manual outline that results with such probability maps and such an
image had, in trials with scans damaged on purpose (`training/quality.py` makes them and fits the
coefficients). They are a plain logistic regression on the few named features of `quality_features.py` and
stand in the model's card under "quality"; a model without them gives no score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..models.quality_card import AgreementCard, FeatureCard, QualityCard


def terms(values: np.ndarray, middle: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The regression's terms (n, 2 k) of features (n, k): how far each is from what is usual, and in amount.

    Logarithms keep what was never seen before from deciding alone.
    """
    z = unusual(values, middle, scale)
    return np.concatenate([z, np.abs(z)], axis=-1)


def unusual(values, middle, scale):
    """How far values are from what is usual, in its spread, by the logarithm."""
    z = (np.asarray(values) - middle) / scale
    return np.sign(z) * np.log1p(np.abs(z))


@dataclass(frozen=True)
class QualityModel:
    """The "quality" part of a model's card, ready to compute with.

    Attributes:
        names: The features, k of them.
        middle, scale: (k,) what is usual in good results, and how much they vary.
        weights: (2 k,) of `terms`; intercept: the regression's constant.
        threshold: Expected overlap under which a side is flagged.
        pattern: (z, y, x) mean `block_ranks` of T1 regions; NaN where nothing is known.
        least_likeness: Correlation with the pattern under which an image is taken for no T1.
        max_misfit_mm, max_distance_mm: Of the localiser's fit; between its place and the outline's.
        agreement: What a second reader adds to the score, None where nothing.
    """

    names: tuple[str, ...]
    middle: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: float
    threshold: float
    pattern: np.ndarray
    least_likeness: float
    max_misfit_mm: float = float("inf")
    max_distance_mm: float = float("inf")
    agreement: AgreementCard | None = None

    def score(self, features: Mapping[str, float], agreement: float | None = None) -> float:
        """Expected Dice with a manual outline, 0..1.

        Args:
            features: Name -> value; all of `names`.
            agreement: Dice of the two readers' outlines; None where one read.
        """
        odds = self.log_odds(features)
        if self.agreement is not None and agreement is not None:
            one = self.agreement
            odds = one.of_score * odds + one.of_agreement * unusual(agreement, one.middle, one.scale)
            odds += one.intercept
        return float(1 / (1 + np.exp(-odds)))

    def log_odds(self, features: Mapping[str, float]) -> float:
        """The logarithm of the odds of the score of one reader."""
        values = np.array([features[name] for name in self.names])
        return float(terms(values, self.middle, self.scale) @ self.weights + self.intercept)

    def least(self, agreement: float | None = None) -> float:
        """The score under which a side is flagged."""
        return self.threshold if self.agreement is None or agreement is None else self.agreement.threshold

    def to_card(self) -> QualityCard:
        """As it stands in a card: rounded, ranks as whole percents (None where unknown)."""
        k = len(self.names)
        rows = np.column_stack([self.middle, self.scale, self.weights[:k], self.weights[k:]])
        z, y, x = self.pattern.shape
        percents = (None if np.isnan(v) else round(100 * float(v)) for v in self.pattern.ravel())
        return QualityCard(
            features={
                name: FeatureCard(*(float(f"{v:.5g}") for v in row))
                for name, row in zip(self.names, rows, strict=True)
            },
            intercept=round(self.intercept, 4),
            threshold=self.threshold,
            least_likeness=self.least_likeness,
            pattern_shape=(z, y, x),
            rank_percent=tuple(percents),
            max_misfit_mm=self.max_misfit_mm if np.isfinite(self.max_misfit_mm) else None,
            max_distance_mm=self.max_distance_mm if np.isfinite(self.max_distance_mm) else None,
            agreement=self.agreement,
        )

    @classmethod
    def from_card(cls, card: QualityCard | None) -> QualityModel | None:
        """The score that a card describes; None where it describes none."""
        if card is None:
            return None
        rows = list(card.features.values())
        weights = [one.weight for one in rows] + [one.weight_of_amount for one in rows]
        ranks = [np.nan if v is None else v / 100 for v in card.rank_percent]
        return cls(
            names=tuple(card.features),
            middle=np.array([one.middle for one in rows], float),
            scale=np.array([one.scale for one in rows], float),
            weights=np.array(weights, float),
            intercept=float(card.intercept),
            threshold=float(card.threshold),
            pattern=np.array(ranks, float).reshape(card.pattern_shape),
            least_likeness=float(card.least_likeness),
            max_misfit_mm=float("inf") if card.max_misfit_mm is None else float(card.max_misfit_mm),
            max_distance_mm=float("inf") if card.max_distance_mm is None else float(card.max_distance_mm),
            agreement=card.agreement,
        )
