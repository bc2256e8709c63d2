"""How far a result can be trusted: entropy per voxel, a quality score per side, and flags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from ..flags import Flag
from ..geometry import masks
from ..geometry.roi import Roi, coverage, crop
from ..localization.placement import Placement
from ..models.prediction import Prediction
from .contrast import contrast_flags, no_t1, tissue_contrast
from .quality import QualityModel
from .quality_features import (
    MIN_VOXELS,
    block_ranks,
    entropy,
    likeness,
    long_axis_length,
    side_features,
)

#: An outline this many voxels from the edge of the image may be cut by it.
_NEAR_EDGE = 4
#: Two readers whose outlines overlap less (Dice) are said to disagree. On 120 real scans of strangers
#: (tumours, contrast agent, infants, other contrasts beside ordinary heads) every side that a person judged
#: poor lay under it, and all but about five of some 200 good ones at 0.92 or more.
LEAST_AGREEMENT = 0.90


@dataclass(frozen=True)
class Assessment:
    """The judgement of one result.

    Attributes:
        scores: side -> expected overlap (Dice) with a manual outline, 0..1; empty where the model has none.
        agreement: side -> Dice of the two readers' outlines, 0..1; empty where there is one reader.
        distances: side -> mm between the outline's centre and the place that the localiser gave.
        lengths: side -> mm along the long axis of what the first reader outlines by MSD's protocol; no entry
            where the image may cut it.
        flags: What a reader should know.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    agreement: Mapping[str, float] = field(default_factory=dict)
    distances: Mapping[str, float] = field(default_factory=dict)
    lengths: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()

    @property
    def is_judged(self) -> bool:
        """Whether quality score or agreement say something of the outlines."""
        return bool(self.scores or self.agreement)


def uncertainty_image(probability: sitk.Image) -> sitk.Image:
    """Entropy per voxel in bits, float32 0..1, on the grid of a probability map of the whole hippocampus."""
    image = sitk.GetImageFromArray(entropy(sitk.GetArrayViewFromImage(probability)))
    image.CopyInformation(probability)
    return image


def assess(
    head: sitk.Image,
    prediction: Prediction,
    quality: QualityModel | None,
    placement: Placement | None = None,
) -> Assessment:
    """Judge a result by what the pipeline has at hand.

    Args:
        head: The scan in canonical axes.
        prediction: Of its ROIs.
        quality: What the model's card says of it.
        placement: What the localiser found; None where it was not asked, or the user gave the places.
    """
    scores, likenesses, lengths = {}, {}, {}
    flags: list[Flag] = []
    for side, roi in prediction.rois.items():
        mask = prediction.maps[side].sum(axis=0) > 0.5
        if not mask.any():
            continue  # "not found" is said elsewhere
        inside = coverage(head, roi)
        if quality is not None:
            image = crop(head, roi)
            likenesses[side] = likeness(block_ranks(image, inside, roi.spacing), quality.pattern)
            features = side_features(image, prediction.score_maps[side], inside)
            # Without a shape to speak of, nothing good is to be expected.
            known_features = None if features is None else features | {"likeness": likenesses[side]}
            agreed = prediction.agreement.get(side)
            score = 0.0 if known_features is None else quality.score(known_features, agreed)
            scores[side] = round(score, 3)
        cut = _edge_flags(side, mask, inside)
        scored = prediction.score_maps[side].sum(axis=0) > 0.5
        if not cut and scored.sum() >= MIN_VOXELS:
            lengths[side] = roi.spacing * long_axis_length(scored)
        flags += cut
    distances = {} if placement is None else outline_distances(placement, prediction)
    known = {side: score for side, score in scores.items() if not math.isnan(score)}
    agreement = {side: round(value, 3) for side, value in prediction.agreement.items()}
    flags += _disagreement_flags(agreement)
    flags += _contrast_flags(head, placement, likenesses, quality)
    if quality is not None:
        flags += _score_flags(scores, agreement, quality)
        if placement is not None:
            flags += _place_flags(placement, distances, quality)
    return Assessment(known, agreement, distances, lengths, tuple(flags))


def _edge_flags(side: str, mask: np.ndarray, inside: np.ndarray) -> list[Flag]:
    # The outline keeps a little away from a hard edge: a hippocampus that ends near one may be cut.
    if inside.all() or not (masks.dilated(mask, _NEAR_EDGE) & ~inside).any():
        return []
    return [Flag("cut", f"The {side} hippocampus reaches the edge of the image: it may be cut.", side)]


def _score_flags(
    scores: Mapping[str, float], agreement: Mapping[str, float], quality: QualityModel
) -> list[Flag]:
    flags = []
    for side, score in scores.items():
        if score >= quality.least(agreement.get(side)):
            continue
        if math.isnan(score):
            text = f"The quality of the {side} outline could not be judged: check it."
        else:
            overlap = f"expected overlap with a manual outline about {score:.2f}"
            text = f"The {side} outline is uncertain ({overlap}): check it."
        flags.append(Flag("quality", text, side))
    return flags


def _disagreement_flags(agreement: Mapping[str, float]) -> list[Flag]:
    return [
        Flag(
            "disagreement",
            f"The two readers outline the {side} hippocampus differently (overlap {value:.2f}): check it.",
            side,
        )
        for side, value in agreement.items()
        if not value >= LEAST_AGREEMENT
    ]


def _contrast_flags(
    head: sitk.Image,
    placement: Placement | None,
    likenesses: Mapping[str, float],
    quality: QualityModel | None,
) -> list[Flag]:
    """By the tissues of the head, where the localiser understood it, and by the outlines' surroundings."""
    located = None if placement is None else placement.localization
    if located is not None and located.head_to_world is not None:
        seen = head if located.thinned is None else located.thinned
        found = contrast_flags(tissue_contrast(seen, located.head_to_world))
        if found:
            return found
    if quality is None or not likenesses or np.mean(list(likenesses.values())) >= quality.least_likeness:
        return []
    return [no_t1()]


def _place_flags(placement: Placement, distances: Mapping[str, float], quality: QualityModel) -> list[Flag]:
    flags = []
    if placement.localization.residual_mm > quality.max_misfit_mm:
        text = "The position of the head was recognised only roughly: check that the outlines are in place."
        flags.append(Flag("unsure", text))
    for side, distance in distances.items():
        if distance > quality.max_distance_mm:
            text = f"The {side} outline lies {distance:.0f} mm from where it was expected: check it."
            flags.append(Flag("unsure", text, side))
    return flags


def outline_distances(placement: Placement, prediction: Prediction) -> dict[str, float]:
    """side -> mm between the outline's centre and the place that the localiser gave."""
    distances = {}
    for side, roi in prediction.rois.items():
        mask = prediction.maps[side].sum(axis=0) > 0.5
        refinement = placement.refined.get(side)
        place = placement.localization.centres.get(side) if refinement is None else refinement.centre
        if place is not None and mask.any():
            distances[side] = round(float(np.linalg.norm(_centre(mask, roi) - place)), 2)
    return distances


def _centre(mask: np.ndarray, roi: Roi) -> np.ndarray:
    return roi.point(masks.centre(mask)[::-1])
