"""What a label says: for each of its values, the classes of the network that such a voxel may be.

Tracing protocols differ in what they call hippocampus. The Medical Segmentation Decathlon's (MSD) leaves
out part of the tail, which other protocols include. A network with the class ``beyond`` learns from both:
each label is compared only in what it says (partial labels; Shi et al., Medical Image Analysis 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import TrainingError

#: Classes of the network that knows two protocols (`labels.OUTLINE_CLASSES`).
BACKGROUND, ANTERIOR, POSTERIOR, BEYOND = range(4)


@dataclass(frozen=True)
class LabelProtocol:
    """One way of labelling.

    Attributes:
        name: For tables and cards.
        meaning: Per label value (0 background, 1 anterior, 2 posterior, 3 hippocampus of a part that is
            not known, 4 hippocampus beyond MSD's border) the classes that it may be.
        hippocampus: The classes that this protocol counts as hippocampus.
    """

    name: str
    meaning: tuple[tuple[int, ...], ...]
    hippocampus: tuple[int, ...]

    def encode(self, label: np.ndarray) -> np.ndarray:
        """Return the classes each voxel may be as bits, int64: bit k stands for class k.

        Raises:
            TrainingError: The label has a value that the protocol does not know.
        """
        if int(label.max()) >= len(self.meaning):
            raise TrainingError(
                f"The label has the value {int(label.max())}, which the protocol {self.name} does not know.",
                "Relabel the case.",
            )
        bits = np.array([sum(1 << k for k in classes) for classes in self.meaning], np.int64)
        return bits[label]

    def read(self, probabilities: np.ndarray) -> np.ndarray:
        """Return labels uint8 (z, y, x), as this protocol has them, of class probabilities (4, z, y, x).

        What lies beyond MSD's border belongs to the part that is the more probable in its place.
        """
        p = np.asarray(probabilities)
        parts = np.where(p[ANTERIOR] >= p[POSTERIOR], ANTERIOR, POSTERIOR)
        inside = p[list(self.hippocampus)].sum(axis=0) > 0.5
        return np.where(inside, parts, BACKGROUND).astype(np.uint8)


#: Structures whose Dice counts in training, where a label defines them.
STRUCTURES = ((ANTERIOR,), (POSTERIOR,), (ANTERIOR, POSTERIOR), (ANTERIOR, POSTERIOR, BEYOND))

#: What lies beyond MSD's border is background there.
MSD = LabelProtocol(
    "msd",
    ((BACKGROUND, BEYOND), (ANTERIOR,), (POSTERIOR,), (ANTERIOR, POSTERIOR)),
    (ANTERIOR, POSTERIOR),
)
#: The whole hippocampus; what lies beyond MSD's border may be of either part.
FULL = LabelProtocol(
    "full",
    (
        (BACKGROUND,),
        (ANTERIOR, BEYOND),
        (POSTERIOR, BEYOND),
        (ANTERIOR, POSTERIOR, BEYOND),
        (BEYOND,),
    ),
    (ANTERIOR, POSTERIOR, BEYOND),
)
