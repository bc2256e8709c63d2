"""What labels of different protocols say, and how a network that knows two is read."""

import numpy as np
import pytest

from HippoSegLib.errors import TrainingError
from HippoSegLib.labels import OUTLINE_CLASSES
from HippoSegLib.training.protocols import FULL, MSD


def test_bits_name_the_classes_a_voxel_may_be():
    label = np.array([0, 1, 2, 3])
    # background, anterior, posterior, beyond: 1, 2, 4, 8
    assert MSD.encode(label).tolist() == [1 + 8, 2, 4, 2 + 4]
    assert FULL.encode(label).tolist() == [1, 2 + 8, 4 + 8, 2 + 4 + 8]
    assert OUTLINE_CLASSES == ("background", "anterior", "posterior", "beyond_msd")


def test_an_unknown_value_is_refused():
    with pytest.raises(TrainingError, match="value 5"):
        FULL.encode(np.array([0, 5]))


@pytest.mark.parametrize(
    ("p", "msd", "full"),
    [
        ((0.1, 0.6, 0.2, 0.1), 1, 1),
        ((0.1, 0.3, 0.4, 0.2), 2, 2),
        ((0.1, 0.0, 0.1, 0.8), 0, 2),  # beyond, beside the tail
        ((0.1, 0.1, 0.0, 0.8), 0, 1),  # beyond, beside the head
        ((0.6, 0.0, 0.1, 0.3), 0, 0),
        ((0.3, 0.2, 0.2, 0.3), 0, 1),  # hippocampus by all three together only
    ],
)
def test_each_protocol_reads_its_own_outline(p, msd, full):
    probabilities = np.array(p, np.float32).reshape(4, 1, 1, 1)
    assert (MSD.read(probabilities).item(), FULL.read(probabilities).item()) == (msd, full)
