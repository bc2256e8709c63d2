"""Label values, structure names and codes used by every output.

Whole hippocampi carry FreeSurfer's values; a part is the side's value times ten plus
1 (anterior, the head) or 2 (posterior, body and tail), following the parts of the Medical
Segmentation Decathlon, Task04.
"""

from __future__ import annotations

SIDES = ("left", "right")
PARTS = ("anterior", "posterior")

#: FreeSurfer values of the whole hippocampus.
WHOLE = {"left": 17, "right": 53}

#: Values written with ``--parts``: ``PART[side][part]``.
PART = {
    "left": {"anterior": 171, "posterior": 172},
    "right": {"anterior": 531, "posterior": 532},
}

#: Classes of the segmentation network: index in its output -> part.
NETWORK_CLASSES = ("background", "anterior", "posterior")
#: The same of a network that also knows the hippocampus beyond the border that MSD's protocol draws.
OUTLINE_CLASSES = (*NETWORK_CLASSES, "beyond_msd")

#: Okabe-Ito colours (distinguishable with every common colour-vision deficiency), RGB in 0..1.
COLORS = {
    "left": (0.902, 0.624, 0.0),  # orange
    "right": (0.337, 0.706, 0.914),  # sky blue
    171: (0.902, 0.624, 0.0),
    172: (0.941, 0.894, 0.259),  # yellow
    531: (0.337, 0.706, 0.914),
    532: (0.0, 0.447, 0.698),  # blue
}

#: SNOMED CT (as in DICOM): hippocampus and its laterality.
SNOMED_CATEGORY = ("SCT", "123037004", "Anatomical Structure")
SNOMED_HIPPOCAMPUS = ("SCT", "5366008", "Hippocampus")
SNOMED_SIDE = {"left": ("SCT", "7771000", "Left"), "right": ("SCT", "24028007", "Right")}
#: Qualifiers of the parts along the long axis.
SNOMED_PART = {"anterior": ("SCT", "255549009", "Anterior"), "posterior": ("SCT", "255551008", "Posterior")}


def other_side(side: str) -> str:
    """Return the opposite of ``side``."""
    return SIDES[1 - SIDES.index(side)]
