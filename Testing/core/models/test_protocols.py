"""The outline by each protocol, from a network's classes."""

import numpy as np
import pytest

from HippoSegLib.models.protocols import PROTOCOLS, part_probabilities
from HippoSegLib.training.protocols import FULL, MSD


def classes(*p: float) -> np.ndarray:
    return np.array(p, np.float32).reshape(-1, 1, 1, 1)


def test_what_lies_beyond_goes_to_the_part_beside_it():
    tail = part_probabilities(classes(0.1, 0.0, 0.1, 0.8))
    head = part_probabilities(classes(0.1, 0.2, 0.05, 0.65))
    np.testing.assert_allclose(tail.ravel(), [0, 0.9], atol=1e-4)
    np.testing.assert_allclose(head.ravel(), [0.2 + 0.65 * 0.8, 0.05 + 0.65 * 0.2], atol=1e-4)


def test_msd_s_outline_leaves_it_out():
    np.testing.assert_allclose(part_probabilities(classes(0.1, 0.0, 0.1, 0.8), "msd").ravel(), [0, 0.1])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_network_of_one_protocol_has_one_outline(protocol):
    np.testing.assert_allclose(part_probabilities(classes(0.3, 0.2, 0.5), protocol).ravel(), [0.2, 0.5])


def test_the_training_reads_the_same_outline():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4, 6, 7, 8))
    p = (np.exp(logits) / np.exp(logits).sum(axis=0)).astype(np.float32)
    for protocol, name in ((FULL, "full"), (MSD, "msd")):
        parts = part_probabilities(p, name)
        assert parts.dtype == np.float32
        found = np.where(parts.sum(axis=0) > 0.5, parts.argmax(axis=0) + 1, 0)
        assert (found == protocol.read(p)).all()
        whole = p[1:3].sum(axis=0) + (p[3] if name == "full" else 0)
        np.testing.assert_allclose(parts.sum(axis=0), whole, rtol=1e-5)


@pytest.mark.parametrize(("p", "protocol"), [((0.5, 0.5), "full"), ((0.5, 0.2, 0.3), "aseg")])
def test_anything_else_is_a_mistake(p, protocol):
    with pytest.raises(ValueError, match="protocol"):
        part_probabilities(classes(*p), protocol)
