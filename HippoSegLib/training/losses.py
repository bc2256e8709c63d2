"""What the training minimises: cross-entropy plus soft Dice of the parts and of the whole."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from .cases import WHOLE_ONLY


def dice_and_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the loss averaged over samples, so that accumulated micro-batches equal one large batch.

    Where only the whole is labelled, only the whole is asked for: the probability of such a voxel is
    anterior + posterior together (a marginal loss, as Fidon et al., MICCAI 2021),
    and the Dice of the parts of such a sample does not count.

    Args:
        logits: (n, 3, z, y, x) float, any precision; computed on in float32.
        target: (n, z, y, x) int64: 0 background, 1 anterior, 2 posterior, ``WHOLE_ONLY``.
    """
    logits = logits.float()
    unknown = target == WHOLE_ONLY
    if unknown.any():
        logs = logits.log_softmax(dim=1)
        logs = torch.cat((logs, logs[:, 1:].logsumexp(dim=1, keepdim=True)), dim=1)
        cross_entropy = functional.nll_loss(logs, target)
    else:
        cross_entropy = functional.cross_entropy(logits, target)
    probability = logits.softmax(dim=1)[:, 1:]
    truth = functional.one_hot(target, WHOLE_ONLY + 1)[..., 1:].movedim(-1, 1).to(probability.dtype)
    # The whole hippocampus counts beside its parts: where they meet is arbitrary, its outline is not.
    probability = torch.cat((probability, probability.sum(dim=1, keepdim=True)), dim=1)
    truth = torch.cat((truth[:, :2], truth.sum(dim=1, keepdim=True)), dim=1)
    space = (2, 3, 4)
    overlap = (probability * truth).sum(space)
    # One voxel is added on both sides of the fraction: a part outside the patch is no division by zero.
    dice = (2 * overlap + 1) / (probability.sum(space) + truth.sum(space) + 1)
    if not unknown.any():
        return cross_entropy + 1 - dice.mean()
    known = ~unknown.flatten(1).any(dim=1)
    counted = torch.stack((known, known, torch.ones_like(known)), dim=1)
    return cross_entropy + 1 - ((dice * counted).sum(dim=1) / counted.sum(dim=1)).mean()


class PartialLabels:
    """Cross-entropy plus soft Dice where a label may leave several classes open.

    A voxel's cross-entropy is that of the classes it may be, taken together. The Dice of a structure counts
    in the samples whose label says of every voxel whether it belongs to the structure, and there alone.
    With labels that leave nothing open it is :func:`dice_and_cross_entropy`.

    Args:
        structures: Sets of classes whose Dice counts.
    """

    def __init__(self, structures: Sequence[Sequence[int]]):
        self.structures = [tuple(classes) for classes in structures]

    def __call__(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss averaged over samples.

        Args:
            logits: (n, classes, z, y, x) float, any precision; computed on in float32.
            target: (n, z, y, x) int64: bit k is set where the voxel may be of class k
                (`protocols.LabelProtocol.encode`).
        """
        logits = logits.float()
        bits = torch.arange(logits.shape[1], device=target.device).view(1, -1, 1, 1, 1)
        allowed = (target[:, None] >> bits) & 1 == 1
        logs = logits.log_softmax(dim=1)
        cross_entropy = -logs.masked_fill(~allowed, -torch.inf).logsumexp(dim=1).flatten(1).mean(dim=1)
        probability = logs.exp()
        dice, counted = zip(*(_dice(probability, allowed, s) for s in self.structures), strict=True)
        scores, weights = torch.stack(dice, dim=1), torch.stack(counted, dim=1).float()
        mean = (scores * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        return (cross_entropy + 1 - mean).mean()


def _dice(
    probability: torch.Tensor, allowed: torch.Tensor, classes: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft Dice (n,) of some classes together, and whether (n, bool) each sample's label defines them."""
    index = list(classes)
    inside = allowed[:, index].any(dim=1)
    others = [k for k in range(allowed.shape[1]) if k not in classes]
    outside = allowed[:, others].any(dim=1)
    defined = ~(inside & outside).flatten(1).any(dim=1)
    mine = probability[:, index].sum(dim=1)
    space = (1, 2, 3)
    overlap, total = (mine * inside).sum(space), mine.sum(space) + inside.sum(space)
    # As above: one voxel is added on both sides of the fraction.
    return (2 * overlap + 1) / (total + 1), defined
