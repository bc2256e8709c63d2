"""How far a result can be trusted: doubt per voxel, expected overlap per side, and flags.

The score of a side is the Dice coefficient with a manual outline that results with such probability maps
and such an image had, in trials with scans damaged on purpose (`training/quality.py` makes them and fits
the coefficients). They are a plain logistic regression on the few named features of `qualityfeatures.py`
and stand in the model's card under "quality"; a model without them gives no score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import ModelError
from ..geometry.roi import Region, coverage, cut
from ..localization.coarse import Localization
from .flags import Flag
from .quality_features import block_ranks, entropy, likeness, side_features

#: An outline this many voxels from the edge of the image may be cut by it.
_NEAR_EDGE = 4


def uncertainty_image(probability: sitk.Image) -> sitk.Image:
    """Doubt per voxel, float32 0..1, on the grid of a probability map of the whole hippocampus."""
    image = sitk.GetImageFromArray(entropy(sitk.GetArrayViewFromImage(probability)))
    image.CopyInformation(probability)
    return image


def terms(values: np.ndarray, middle: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The regression's terms (n, 2 k) of features (n, k): how far each is from what is usual, and in amount.

    Logarithms keep what was never seen before from deciding alone.
    """
    z = (values - middle) / scale
    z = np.sign(z) * np.log1p(np.abs(z))
    return np.concatenate([z, np.abs(z)], axis=-1)


@dataclass(frozen=True)
class QualityModel:
    """The "quality" part of a model's card.

    Attributes:
        names: The features, k of them.
        middle, scale: (k,) what is usual in good results, and how much they vary.
        weights: (2 k,) of `terms`; intercept: the regression's constant.
        threshold: Expected overlap under which a side is flagged.
        pattern: (z, y, x) mean `block_ranks` of T1 regions; NaN where nothing is known.
        least_likeness: Correlation with the pattern under which an image is taken for no T1.
        max_misfit_mm, max_distance_mm: Of the localiser's fit; between its place and the outline's.
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

    def score(self, features: Mapping[str, float]) -> float:
        """Expected Dice with a manual outline, 0..1."""
        values = np.array([features[name] for name in self.names])
        return float(
            1 / (1 + np.exp(-(terms(values, self.middle, self.scale) @ self.weights + self.intercept)))
        )

    def to_dict(self) -> dict:
        """As it stands in a card: plain numbers, ranks as whole percents (None where unknown)."""
        k = len(self.names)
        rows = np.column_stack([self.middle, self.scale, self.weights[:k], self.weights[k:]])
        percents = [None if np.isnan(v) else round(100 * float(v)) for v in self.pattern.ravel()]
        return {
            "features": {
                n: [float(f"{v:.5g}") for v in row] for n, row in zip(self.names, rows, strict=True)
            },
            "feature_columns": ["middle", "scale", "weight", "weight of the amount"],
            "intercept": round(self.intercept, 4),
            "threshold": self.threshold,
            "least_likeness": self.least_likeness,
            "max_misfit_mm": self.max_misfit_mm if np.isfinite(self.max_misfit_mm) else None,
            "max_distance_mm": self.max_distance_mm if np.isfinite(self.max_distance_mm) else None,
            "t1_pattern": {"shape": list(self.pattern.shape), "rank_percent": percents},
        }

    @classmethod
    def from_card(cls, card: Mapping) -> QualityModel | None:
        """The part of a model's card, or None where it has none.

        Raises:
            ModelError: It is there, but damaged.
        """
        part = card.get("quality")
        if part is None:
            return None
        try:
            rows = np.array(list(part["features"].values()), float)
            pattern = part["t1_pattern"]
            ranks = [np.nan if v is None else v / 100 for v in pattern["rank_percent"]]
            limits = {k: float(part[k]) for k in ("max_misfit_mm", "max_distance_mm") if part[k] is not None}
            return cls(
                names=tuple(part["features"]),
                middle=rows[:, 0],
                scale=rows[:, 1],
                weights=np.concatenate([rows[:, 2], rows[:, 3]]),
                intercept=float(part["intercept"]),
                threshold=float(part["threshold"]),
                pattern=np.array(ranks, float).reshape(pattern["shape"]),
                least_likeness=float(part["least_likeness"]),
                **limits,
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ModelError(
                "The quality part of the model's card is damaged.",
                "Reinstall HippoSeg, or choose another model.",
            ) from error


@dataclass
class Assessment:
    """Per side `scores` (expected overlap, 0..1; empty without a model for it) and `distances` (mm between
    outline and localiser's place, where there is one), and `flags`."""

    scores: dict[str, float] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)


def assess(
    head: sitk.Image,
    regions: Mapping[str, Region],
    maps: Mapping[str, np.ndarray],
    quality: QualityModel | None,
    found: Localization | None = None,
) -> Assessment:
    """Judge a result by what the street has at hand.

    Args:
        head: The scan in canonical axes.
        regions, maps: side -> region, and (2, z, y, x) probabilities on its grid.
        quality: What the model's card says of it.
        found: What the localiser found; None where it was not asked, or the user gave the places.
    """
    result, alike = Assessment(), {}
    if found is not None:
        result.distances = place_distances(found, regions, maps)
    for side, region in regions.items():
        p = maps[side].sum(axis=0)
        if not (p > 0.5).any():
            continue  # "not found" is said elsewhere
        inside = coverage(head, region)
        # The outline keeps a little away from a hard edge: a hippocampus that ends near one may be cut.
        cut_off = bool((ndimage.binary_dilation(p > 0.5, iterations=_NEAR_EDGE) & ~inside).any())
        if quality is not None:
            image = cut(head, region)
            features = side_features(image, maps[side], inside)
            alike[side] = likeness(block_ranks(image, inside, region.spacing), quality.pattern)
            # Without a shape to speak of, nothing good is to be expected.
            score = 0.0 if features is None else quality.score(features | {"likeness": alike[side]})
            result.scores[side] = round(score, 3)
        if cut_off and not inside.all():
            text = f"The {side} hippocampus reaches the edge of the image: it may be cut."
            result.flags.append(Flag("cut", text, side))
    if quality is not None:
        result.flags += _score_flags(result.scores, quality) + _contrast_flags(alike, quality)
        if found is not None:
            result.flags += _place_flags(found, result.distances, quality)
    return result


def _score_flags(scores: Mapping[str, float], quality: QualityModel) -> list[Flag]:
    return [
        Flag(
            "quality",
            f"The {side} outline is uncertain (expected overlap with a manual outline about {score:.2f}): "
            "check it.",
            side,
        )
        for side, score in scores.items()
        if score < quality.threshold
    ]


def _contrast_flags(alike: Mapping[str, float], quality: QualityModel) -> list[Flag]:
    if not alike or np.mean(list(alike.values())) >= quality.least_likeness:
        return []
    text = "The image does not look like a T1 (another contrast, or strong shading): check the outlines."
    return [Flag("contrast", text)]


def _place_flags(found: Localization, distances: Mapping[str, float], quality: QualityModel) -> list[Flag]:
    flags = []
    if found.misfit_mm > quality.max_misfit_mm:
        text = "The position of the head was recognised only roughly: check that the outlines are in place."
        flags.append(Flag("unsure", text))
    for side, distance in distances.items():
        if distance > quality.max_distance_mm:
            text = f"The {side} outline lies {distance:.0f} mm from where it was expected: check it."
            flags.append(Flag("unsure", text, side))
    return flags


def place_distances(found: Localization, regions, maps) -> dict[str, float]:
    """side -> mm between the outline's centre and the place the localiser (its closer look) gave."""
    distances = {}
    for side, region in regions.items():
        mask = maps[side].sum(axis=0) > 0.5
        place = found.closer[side].centre if side in found.closer else found.centres.get(side)
        if place is not None and mask.any():
            centre = region.point(ndimage.center_of_mass(mask)[::-1])
            distances[side] = round(float(np.linalg.norm(centre - place)), 2)
    return distances
