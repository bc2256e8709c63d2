"""The loss against its formula written out by hand."""

import numpy as np
import pytest
import torch

from HippoSegLib.training.losses import dice_and_cross_entropy


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
