"""The outline by a tracing protocol, from the classes of a network that knows more than one.

``full`` is the whole hippocampus, ``msd`` what the Medical Segmentation Decathlon's protocol draws: without
part of the tail. A network with MSD's classes alone has but one outline.
"""

from __future__ import annotations

import numpy as np

#: The default first.
PROTOCOLS = ("full", "msd")


def part_probabilities(probabilities: np.ndarray, protocol: str = PROTOCOLS[0]) -> np.ndarray:
    """Return the probabilities of the anterior and the posterior part (2, z, y, x).

    What lies beyond MSD's border is divided between the parts as they are probable in its place, so that the
    tail goes to the posterior part. The sum over the parts is the probability of the whole.

    Args:
        probabilities: (classes, z, y, x) float32 in the order of `labels.OUTLINE_CLASSES`, or without its
            last class.
        protocol: One of `PROTOCOLS`.

    Raises:
        ValueError: There is no such protocol, or the classes are not three or four.
    """
    if protocol not in PROTOCOLS or len(probabilities) not in (3, 4):
        raise ValueError(f"{len(probabilities)} classes, protocol {protocol!r}")
    parts = probabilities[1:3]
    if protocol == "msd" or len(probabilities) == 3:
        return parts
    # Half each where neither part is at all probable.
    share = (parts + 1e-6) / (parts + 1e-6).sum(axis=0)
    whole: np.ndarray = parts + share * probabilities[3]
    return whole
