"""What the training minimises: cross-entropy plus soft Dice of the parts and of the whole."""

from __future__ import annotations

import torch
from torch.nn import functional


def dice_and_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the loss averaged over samples, so that accumulated micro-batches equal one large batch.

    Args:
        logits: (n, 3, z, y, x) float, any precision; computed on in float32.
        target: (n, z, y, x) int64: 0 background, 1 anterior, 2 posterior.
    """
    logits = logits.float()
    cross_entropy = functional.cross_entropy(logits, target)
    probability = logits.softmax(dim=1)[:, 1:]
    truth = functional.one_hot(target, logits.shape[1])[..., 1:].movedim(-1, 1).to(probability.dtype)
    # The whole hippocampus counts beside its parts: where they meet is arbitrary, its outline is not.
    probability = torch.cat((probability, probability.sum(dim=1, keepdim=True)), dim=1)
    truth = torch.cat((truth, truth.sum(dim=1, keepdim=True)), dim=1)
    space = (2, 3, 4)
    overlap = (probability * truth).sum(space)
    # One voxel is added on both sides of the fraction: a part outside the patch is no division by zero.
    dice = (2 * overlap + 1) / (probability.sum(space) + truth.sum(space) + 1)
    return cross_entropy + 1 - dice.mean()
