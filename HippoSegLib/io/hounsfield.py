"""Whether grey values are Hounsfield units: a CT, which is not what HippoSeg is made for."""

from __future__ import annotations

import numpy as np

from ..flags import Flag
from .background import background_level

CT_FLAG = Flag("contrast", "The image looks like a CT (Hounsfield units); HippoSeg is made for T1 MRI.")
#: Hounsfield units of air as stored, and above air: all tissue, fat to brain and muscle, bone.
AIR = (-1100.0, -900.0)
TISSUE, SOFT, BONE = 300.0, (850.0, 1150.0), 1300.0
#: Least share of soft tissue among tissue (CT heads 0.75; T1 heads, however they are scaled, 0.28), and where
#: the scale was shifted (DICOM's 1024, unsigned numbers), least share of bone too.
LEAST_SOFT, LEAST_BONE = 0.5, 0.03


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether an image (z, y, x) holds Hounsfield units, as they are or with a constant added."""
    sample = np.asarray(array[::4, ::4, ::4], np.float64)
    air = float(background_level(sample))
    above = sample - air
    tissue = above[above > TISSUE]
    if not tissue.size:
        return False
    soft = np.mean((tissue >= SOFT[0]) & (tissue <= SOFT[1]))
    unshifted = AIR[0] <= air <= AIR[1]
    return bool(soft >= LEAST_SOFT and (unshifted or np.mean(tissue >= BONE) >= LEAST_BONE))
