"""The segmenter on the ROIs of a head: crop, preprocess, predict, and crop again where needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..geometry.roi import Roi, crop
from ..preprocessing.chain import Preprocessing, channels
from .engines import Network, softmax
from .protocols import part_probabilities

#: A ROI whose hippocampus lies further than this from its middle is cropped again about it, once.
RECENTRE_MM = 3.0

#: Marks a stage of the work: its name in words and the fraction done so far.
Stage = Callable[[str, float], AbstractContextManager[None]]


@dataclass(frozen=True)
class Segmenter:
    """A network with what its input must be: the `preprocessing` of the crop."""

    network: Network
    preprocessing: Preprocessing


@dataclass(frozen=True)
class Prediction:
    """What the segmenter predicted, by side.

    Attributes:
        rois: Where, after a ROI was moved.
        inputs: (c, z, y, x) float32, the channels the network saw.
        maps: (2, z, y, x) float32, probabilities of anterior and posterior hippocampus, in its largest
            connected component only.
    """

    rois: Mapping[str, Roi]
    inputs: Mapping[str, np.ndarray]
    maps: Mapping[str, np.ndarray]


def _no_stage(_words: str, _fraction: float) -> AbstractContextManager[None]:
    return nullcontext()


def predict_rois(
    head: sitk.Image,
    rois: Mapping[str, Roi],
    segmenter: Segmenter,
    fixed: Collection[str] = (),
    stage: Stage = _no_stage,
) -> Prediction:
    """Predict each side, and once more where its hippocampus lies off the middle of its ROI.

    Args:
        head: Scalar 3D image in canonical axes.
        rois: side -> ROI.
        fixed: Sides whose ROI stays where it is: the refinement network put it about the hippocampus it
            saw, also in a contrast that misleads the segmenter; or it is the whole crop.
        stage: Marks the work, for progress and timing.
    """
    placed, pending = dict(rois), dict(rois)
    inputs: dict[str, np.ndarray] = {}
    maps: dict[str, np.ndarray] = {}
    for attempt in range(2):
        with stage("Preparing the regions", 0.4 + 0.25 * attempt):
            new = {side: channels(crop(head, roi), segmenter.preprocessing) for side, roi in pending.items()}
        with stage("Segmenting", 0.5 + 0.25 * attempt):
            maps |= predict(segmenter.network, new)
        inputs |= new
        placed |= pending
        pending = recentred(pending, maps, fixed)
        if not pending:
            break
    return Prediction(placed, inputs, maps)


def predict(network: Network, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Class probabilities (2, z, y, x) float32 (anterior, posterior) per side, its largest component only."""
    # One side after the other: no slower on a CPU than both at once, and 50 MB less.
    return {
        side: largest_component(part_probabilities(softmax(network(array)))) for side, array in inputs.items()
    }


def largest_component(p: np.ndarray) -> np.ndarray:
    """Keep the probabilities (c, z, y, x) of the largest connected hippocampus (and its soft rim)."""
    components, n = ndimage.label(p.sum(axis=0) > 0.5)
    if n < 2:
        return p
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    others = (components > 0) & (components != sizes.argmax())
    return np.where(ndimage.binary_dilation(others, iterations=2) & (components != sizes.argmax()), 0, p)


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
        offset = ndimage.center_of_mass(mask)[::-1] - (np.array(roi.size) - 1) / 2
        if np.linalg.norm(offset * roi.spacing) > RECENTRE_MM:
            origin = np.array(roi.origin) + roi.matrix @ offset
            moved[side] = replace(roi, origin=tuple(origin.tolist()))
    return moved
