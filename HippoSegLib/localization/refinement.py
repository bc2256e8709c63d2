"""The refinement network: puts each ROI where its hippocampus is.

The coarse network sees the whole head at 6.5 mm, a hippocampus in some twelve voxels. A second, tiny network
sees the 7 cm about the place found, at 3 mm, along the head's own axes and mirrored for the right side, and
predicts per voxel whether it is hippocampus. The centre of its mask replaces the coarse one; where it sees
nothing, the coarse one stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..geometry.roi import crop, roi_about
from ..models.card_parts import RefinerCard
from ..models.engines import Network, sigmoid
from .normalisation import normalise

#: Soft volume under which the network does not claim to see a hippocampus, mm³.
MIN_MASS_MM3 = 600.0
#: Where the centre lies this far from the middle of its crop, another crop is taken about it.
REPEAT_MM = 5.0
MAX_PASSES = 3
#: Further than this from the coarse centre it is another structure, not a correction.
MAX_CORRECTION_MM = 30.0


@dataclass(frozen=True)
class Refinement:
    """What the refinement network found.

    Attributes:
        centre: (3,) LPS mm.
        mass_mm3: Soft volume of the hippocampus it sees (a rough volume).
        certainty: Mean probability within its mask, 0.5..1.
    """

    centre: np.ndarray
    mass_mm3: float
    certainty: float


def refine(
    head: sitk.Image, centre: np.ndarray, axes: np.ndarray, side: str, network: Network, card: RefinerCard
) -> Refinement | None:
    """Find the hippocampus of `side` near `centre`.

    Args:
        head: Scalar 3D head in canonical axes, its background at 0.
        centre: (3,) LPS mm, where the coarse network puts it.
        axes: (3, 3) right, anterior, superior of the head, as `HeadPose.axes`.
        network: One channel, one class.
        card: Size and spacing of its input.

    Returns:
        The finding, or None where nothing like a hippocampus is seen.
    """
    found, middle = None, np.asarray(centre, float)
    for _ in range(MAX_PASSES):
        region = roi_about(middle, axes, side, card.roi_size, card.spacing_mm)
        array = normalise(crop(head, region))
        p = sigmoid(network(array[None])[0])
        mass = float(p.sum()) * region.spacing**3
        seen = p * (p > 0.2)
        if mass < MIN_MASS_MM3 or not seen.any():
            break
        index = [float((seen.sum(axis=other) @ np.arange(n)) / seen.sum()) for other, n in _margins(p.shape)]
        answer = region.point(index[::-1])
        if np.linalg.norm(answer - centre) > MAX_CORRECTION_MM:
            break
        sure = p[p > 0.5]
        found = Refinement(answer, mass, float(sure.mean()) if sure.size else 0.5)
        if np.linalg.norm(answer - middle) < REPEAT_MM:
            break
        middle = answer
    return found


def _margins(shape):
    """Per axis of (z, y, x): the axes to sum over, and its length."""
    return [(tuple(k for k in range(3) if k != axis), n) for axis, n in enumerate(shape)]
