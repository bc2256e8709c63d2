"""The segmenter on the ROIs of a head: crop, preprocess, predict, and crop again where needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk

from ..geometry import masks
from ..geometry.roi import Roi, crop
from ..preprocessing.chain import Preprocessing, channels
from .engines import Network, softmax
from .protocols import PROTOCOLS, part_probabilities

#: A ROI whose hippocampus lies further than this from its middle is cropped again about it, once.
RECENTRE_MM = 3.0

#: Marks a stage of the work: its name in words and the fraction done so far.
Stage = Callable[[str, float], AbstractContextManager[None]]


@dataclass(frozen=True)
class Segmenter:
    """A reader: a network with what its input must be, the `preprocessing` of the crop."""

    network: Network
    preprocessing: Preprocessing


@dataclass(frozen=True)
class Prediction:
    """What the readers predicted, by side.

    Attributes:
        rois: Where, after a ROI was moved.
        inputs: (c, z, y, x) float32, the channels the first reader's network saw.
        maps: (2, z, y, x) float32, probabilities of anterior and posterior hippocampus by the protocol asked
            for, the mean of the readers, in the largest connected component only.
        score_maps: The same of the first reader alone, by MSD's protocol: what the quality score judges, as
            it was fitted on such maps.
        agreement: Dice of two readers' outlines, 0..1; no entry where there is one reader.
    """

    rois: Mapping[str, Roi]
    inputs: Mapping[str, np.ndarray]
    maps: Mapping[str, np.ndarray]
    score_maps: Mapping[str, np.ndarray]
    agreement: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reading:
    """One side as all readers see it; see `Prediction`."""

    inputs: np.ndarray
    maps: np.ndarray
    score_maps: np.ndarray
    agreement: float | None


def _no_stage(_words: str, _fraction: float) -> AbstractContextManager[None]:
    return nullcontext()


def predict_rois(
    head: sitk.Image,
    rois: Mapping[str, Roi],
    readers: Sequence[Segmenter],
    protocol: str = PROTOCOLS[0],
    fixed: Collection[str] = (),
    stage: Stage = _no_stage,
) -> Prediction:
    """Predict each side, and once more where its hippocampus lies off the middle of its ROI.

    Args:
        head: Scalar 3D image in canonical axes.
        rois: side -> ROI.
        readers: One, or two whose mean is taken.
        protocol: Of the outline, see `protocols.PROTOCOLS`.
        fixed: Sides whose ROI stays where it is: the refinement network put it about the hippocampus it
            saw, also in a contrast that misleads the segmenter; or it is the whole crop.
        stage: Marks the work, for progress and timing.
    """
    placed, pending = dict(rois), dict(rois)
    readings: dict[str, _Reading] = {}
    for attempt in range(2):
        # One side after the other: no slower on a CPU than both at once, and 50 MB less.
        for index, (side, roi) in enumerate(pending.items()):
            begun = 0.4 + 0.25 * (attempt + index / len(pending))  # the fraction done, which only grows
            with stage("Preparing the regions", begun):
                cropped = crop(head, roi)
                inputs = [channels(cropped, reader.preprocessing) for reader in readers]
            with stage("Segmenting", begun + 0.03):
                readings[side] = _read(readers, inputs, protocol)
        placed |= pending
        pending = recentred(pending, {side: one.maps for side, one in readings.items()}, fixed)
        if not pending:
            break
    return Prediction(
        placed,
        {side: one.inputs for side, one in readings.items()},
        {side: one.maps for side, one in readings.items()},
        {side: one.score_maps for side, one in readings.items()},
        {side: one.agreement for side, one in readings.items() if one.agreement is not None},
    )


def _read(readers: Sequence[Segmenter], inputs: Sequence[np.ndarray], protocol: str) -> _Reading:
    classes = [softmax(reader.network(array)) for reader, array in zip(readers, inputs, strict=True)]
    own = [largest_component(part_probabilities(p, protocol)) for p in classes]
    score_maps = largest_component(part_probabilities(classes[0], "msd"))
    if len(readers) == 1:
        return _Reading(inputs[0], own[0], score_maps, None)
    mean = np.stack([part_probabilities(p, protocol) for p in classes]).mean(axis=0, dtype=np.float32)
    first, second = (maps.sum(axis=0) > 0.5 for maps in own)
    return _Reading(inputs[0], largest_component(mean), score_maps, overlap(first, second))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Dice coefficient of two bool arrays of one shape; 1 where both are empty: they agree."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / total if total else 1.0


def largest_component(p: np.ndarray) -> np.ndarray:
    """Keep the probabilities (c, z, y, x) of the largest connected hippocampus (and its soft rim)."""
    components, n = masks.components(p.sum(axis=0) > 0.5)
    if n < 2:
        return p
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    others = (components > 0) & (components != sizes.argmax())
    return np.where(masks.dilated(others, 2) & (components != sizes.argmax()), 0, p)


def recentred(
    rois: Mapping[str, Roi], maps: Mapping[str, np.ndarray], fixed: Collection[str] = ()
) -> dict[str, Roi]:
    """ROIs to be cropped anew, about their hippocampus, because it lies off their middle.

    Args:
        rois: side -> ROI.
        maps: side -> (2, z, y, x) class probabilities in it.
        fixed: Sides whose ROI stays where it is.
    """
    moved = {}
    for side, roi in rois.items():
        mask = maps[side].sum(axis=0) > 0.5
        if side in fixed or not mask.any():
            continue
        offset = masks.centre(mask)[::-1] - (np.array(roi.size) - 1) / 2
        if np.linalg.norm(offset * roi.spacing) > RECENTRE_MM:
            origin = np.array(roi.origin) + roi.matrix @ offset
            moved[side] = replace(roi, origin=tuple(origin.tolist()))
    return moved
