"""Whether a head is a T1: how bright its tissues are against each other, where they lie in the mean head.

In a T1 of an adult, white matter is brighter than grey, fluid darker than both, and bone dark. A map of
where each tissue lies, on the coarse network's grid in the mean head, is compared with the head brought
there: grey values within the skull are explained by white matter and fluid against grey matter, after
whatever changes slowly from place to place (shading) was taken from all of them. No other contrast has all
three: T2, FLAIR, proton density, echo-planar and diffusion images and computed tomograms show grey matter
brighter than white, T2 of the unborn has bright fluid, and a wide window of a tomogram bright bone. The
measure needs no outline, and hardly any resolution; `Testing/benchmarks/contrast.py` shows its values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import SimpleITK as sitk

from ..flags import Flag
from ..geometry.filters import gaussian
from ..geometry.pose import Affine
from ..localization.coarse import CoarseGrid
from ..localization.upright import about_middle, upright
from ..models.store import bundled_folder

#: Tissues of the map, in its order.
TISSUES = ("white", "grey", "fluid", "bone")
#: Least contrast of white matter against grey, most of fluid, in standard deviations of the grey values, and
#: most brightness of bone, as a share of the brain's, of what is taken for a T1. Of 31 real T1 heads none
#: had less than 1.9, more than -1.1, or more than 0.6.
LEAST_WHITE, MOST_FLUID, MOST_BONE = 0.5, -0.1, 1.0
#: White matter is at least so bright against grey as a share of how dark fluid is: noise takes from both.
#: Of real T1 heads none had less than 0.49, of drawn ones none less than 0.22.
LEAST_SHARE = 0.2
#: Voxels count as brain, and as bone, that are so more than this in the mean head.
_BRAIN, _BONE = 0.85, 0.4
#: Changes over more than this are shading, in voxels (standard deviation of a Gaussian).
_SLOW = 1.5
#: Fewer voxels in view say nothing.
_MIN_VOXELS = 300
_FILE = "tissue_map.npz"


@dataclass(frozen=True)
class TissueMap:
    """Where tissues lie in the mean head: `shares` (4, n, n, n) float32 in 0..1, in the order of `TISSUES`,
    on a grid about the head's middle, its x to the right, y forward, z up."""

    shares: np.ndarray
    grid: CoarseGrid


@dataclass(frozen=True)
class TissueContrast:
    """Brightness of tissues: of `white` matter and `fluid` against grey matter, in standard deviations of the
    grey values; of `bone` as a share of the brain's, 0 where none shows."""

    white: float
    fluid: float
    bone: float

    @property
    def like_t1(self) -> bool:
        """Whether a T1 looks so."""
        least = max(LEAST_WHITE, -LEAST_SHARE * self.fluid)
        return self.white >= least and self.fluid <= MOST_FLUID and self.bone <= MOST_BONE


@lru_cache(maxsize=1)
def tissue_map() -> TissueMap:
    """The map that came with HippoSeg, which `python -m HippoSegLib.training.tissue_map` makes."""
    with np.load(bundled_folder().parent / "TissueMap" / _FILE, allow_pickle=False) as stored:
        percents, spacing = stored["percent"], float(stored["spacing_mm"])
    return TissueMap(percents.astype(np.float32) / 100, CoarseGrid(percents.shape[-1], spacing))


def tissue_contrast(head: sitk.Image, head_to_world: Affine) -> TissueContrast | None:
    """Measure a head.

    Args:
        head: In canonical axes, its background at 0.
        head_to_world: From mm in the mean head to LPS mm, as the localiser found it.

    Returns:
        The contrast, or None where too little of the brain is in view.
    """
    where = tissue_map()
    return contrast_of(upright(head, about_middle(head_to_world), where.grid), where.shares)


def contrast_of(image: np.ndarray, shares: np.ndarray) -> TissueContrast | None:
    """The same of an image (n, n, n) on the grid of `TissueMap.shares`, 0 outside its field of view."""
    white, grey, fluid, bone = shares
    brain = (white + grey + fluid > _BRAIN) & (image > 0)
    if np.count_nonzero(brain) < _MIN_VOXELS:
        return None
    values, *tissues = _unshaded((image, white, fluid), brain)
    values = np.clip(values, *np.percentile(values, (1, 99)))
    spread = float(values.std())
    middle = float(np.median(image[brain]))
    if spread <= 1e-6 * middle:
        return None
    design = np.stack([*tissues, np.ones(len(values))], axis=1)
    slopes, *_ = np.linalg.lstsq(design, values, rcond=None)
    return TissueContrast(
        float(slopes[0]) / spread, float(slopes[1]) / spread, float(np.median(image[bone > _BONE])) / middle
    )


def contrast_flags(contrast: TissueContrast | None) -> list[Flag]:
    """The remark on a head that is no T1."""
    if contrast is None or contrast.like_t1:
        return []
    return [no_t1()]


def no_t1() -> Flag:
    """The remark on an image that looks like another contrast."""
    text = "The image does not look like a T1 (another contrast, or strong shading): check the outlines."
    return Flag("contrast", text)


def _unshaded(images: Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
    """What is left in a mask of images (n, n, n) without their slow changes there: (images, k)."""
    weights = mask.astype(np.float32)
    total = gaussian(weights, _SLOW)[mask]
    left = [image[mask] - gaussian(image * weights, _SLOW)[mask] / total for image in images]
    return np.stack(left).astype(np.float64)
