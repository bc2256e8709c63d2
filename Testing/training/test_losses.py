"""The loss against its formula written out by hand."""

import numpy as np
import pytest
import torch

from HippoSegLib.training.losses import PartialLabels, dice_and_cross_entropy
from HippoSegLib.training.outline import STRUCTURES
from HippoSegLib.training.protocols import FULL, MSD


def by_hand(logits, target):
    """Cross-entropy plus one minus the mean Dice of anterior, posterior and whole, for one sample."""
    e = np.exp(logits - logits.max(axis=0))
    p = e / e.sum(axis=0)
    cross_entropy = -np.log(np.take_along_axis(p, target[None], 0)).mean()
    dice = []
    for mine, truth in ((p[1], target == 1), (p[2], target == 2), (p[1] + p[2], target > 0)):
        dice.append((2 * mine[truth].sum() + 1) / (mine.sum() + truth.sum() + 1))
    return cross_entropy + 1 - np.mean(dice)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 6, 5, 4, generator=generator) * 3
    target = torch.randint(0, 3, (4, 6, 5, 4), generator=generator)
    target[3] = 0  # a sample without any hippocampus
    return logits, target


def test_formula(batch):
    logits, target = batch
    expected = np.mean([by_hand(a, b) for a, b in zip(logits.double().numpy(), target.numpy(), strict=True)])
    assert dice_and_cross_entropy(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_right_answers_cost_nothing():
    target = torch.randint(0, 3, (2, 6, 5, 4))
    logits = torch.nn.functional.one_hot(target, 3).movedim(-1, 1) * 60.0
    assert dice_and_cross_entropy(logits, target).item() == pytest.approx(0, abs=1e-5)
    assert dice_and_cross_entropy(-logits, target).item() > 10


def test_accumulated_parts_are_the_whole(batch):
    logits, target = batch
    one = logits.clone().requires_grad_()
    dice_and_cross_entropy(one, target).backward()
    parts = logits.clone().requires_grad_()
    for part in (slice(0, 1), slice(1, 4)):
        share = (part.stop - part.start) / 4
        (dice_and_cross_entropy(parts[part], target[part]) * share).backward()
    torch.testing.assert_close(one.grad, parts.grad)


def test_half_precision_logits_are_computed_on_in_full(batch):
    logits, target = batch
    half = logits.bfloat16()
    assert dice_and_cross_entropy(half, target).item() == dice_and_cross_entropy(half.float(), target).item()


# --- partial labels


def test_labels_that_leave_nothing_open_give_the_usual_loss(batch):
    logits, target = batch
    partial = PartialLabels(((1,), (2,), (1, 2)))
    assert partial(logits, 1 << target).item() == pytest.approx(dice_and_cross_entropy(logits, target).item())


def test_only_what_a_label_says_is_asked_for():
    """By hand, for one crop of each protocol: sums of probabilities against what the label says."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4, 3, 4, 5))
    p = np.exp(logits) / np.exp(logits).sum(axis=0)
    label = rng.integers(0, 3, (3, 4, 5))
    found = PartialLabels(STRUCTURES)

    def loss(protocol, label):
        return found(torch.from_numpy(logits[None]), torch.from_numpy(protocol.encode(label)[None])).item()

    def dice(mine, truth):
        return (2 * mine[truth].sum() + 1) / (mine.sum() + truth.sum() + 1)

    q = np.stack((p[0] + p[3], p[1], p[2]))
    cross_entropy = -np.log(np.take_along_axis(q, label[None], 0)).mean()
    scores = dice(p[1], label == 1), dice(p[2], label == 2), dice(p[1] + p[2], label > 0)
    assert loss(MSD, label) == pytest.approx(cross_entropy + 1 - np.mean(scores), rel=1e-5)
    whole = np.where(label > 0, 3, 0)
    inside = 1 - p[0]
    cross_entropy = -np.log(np.where(whole > 0, inside, p[0])).mean()
    assert loss(FULL, whole) == pytest.approx(cross_entropy + 1 - dice(inside, whole > 0), rel=1e-5)


def test_gradients_are_finite_and_leave_open_what_is_open():
    logits = torch.randn(1, 4, 3, 4, 5, requires_grad=True)
    encoded = torch.from_numpy(FULL.encode(np.full((1, 3, 4, 5), 3)))
    PartialLabels(STRUCTURES)(logits, encoded).backward()
    inside = logits.detach().softmax(dim=1)[:, 1:]
    # All are hippocampus: the three classes are raised in proportion to what they have, none is preferred.
    share = logits.grad[:, 1:] / inside
    assert torch.isfinite(logits.grad).all() and (logits.grad[:, 0] > 0).all()
    torch.testing.assert_close(share, share[:, :1].expand_as(share))


def test_partial_labels_are_a_mean_over_samples(batch):
    logits, target = batch
    logits = torch.cat((logits, logits[:, :1]), dim=1)
    encoded = torch.stack([torch.from_numpy((MSD, FULL)[k % 2].encode(target[k].numpy())) for k in range(4)])
    partial = PartialLabels(STRUCTURES)
    single = [partial(logits[k : k + 1], encoded[k : k + 1]).item() for k in range(4)]
    assert partial(logits, encoded).item() == pytest.approx(np.mean(single), rel=1e-5)
