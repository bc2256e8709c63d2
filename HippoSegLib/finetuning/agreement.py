"""How well a network's masks agree with the labels of their own scans, and with those of other scans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..models.store import Model
from ..preprocessing.chain import channels
from ..training.cases import fit
from ..training.protocols import FULL

if TYPE_CHECKING:
    import torch

#: Labels that agree with their own scans no better than labels dealt at random would, with this
#: probability, are taken to belong to other scans.
BY_CHANCE = 0.05


def found_in(image: np.ndarray, base: Model, network: torch.nn.Module, device: str) -> np.ndarray:
    """What a network of the base model's kind finds in a case's region: bool, in its shape (z, y, x)."""
    from ..training.evaluation import labels_of, predict  # imports torch

    part = base.card.segmenter
    inputs = channels(fit(image, part.roi_size), part.preprocessing)
    return fit(labels_of(predict(network, inputs, device), FULL) > 0, image.shape)


def belonging(masks: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> tuple[float, float]:
    """How much better masks agree with their own labels than with the other cases'.

    Each mask is compared with every label, both shifted to a common centre.

    Returns:
        Mean Dice with the own labels minus that with the others', and the chance that labels dealt at
        random would agree as well (permutation test, 2000 deals).
    """
    size = (48, 64, 48)
    a, b = (
        np.stack([_centred(array, size) for array in arrays]).astype(np.float32) for arrays in (masks, labels)
    )
    count = len(a)
    a, b = a.reshape(count, -1), b.reshape(count, -1)
    table = 2 * (a @ b.T) / np.maximum(a.sum(axis=1)[:, None] + b.sum(axis=1)[None], 1)
    own = float(np.trace(table)) / count
    others = (float(table.sum()) - own * count) / (count * (count - 1))
    rng = np.random.default_rng(0)
    dealt = [table[np.arange(count), rng.permutation(count)].mean() for _ in range(2000)]
    return own - others, float((np.sum(np.array(dealt) >= own - 1e-9) + 1) / 2001)


def _centred(array: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    points = np.argwhere(array > 0)
    result = np.zeros(size, bool)
    if len(points):
        moved = points - np.round(points.mean(axis=0)).astype(int) + np.array(size) // 2
        moved = moved[((moved >= 0) & (moved < size)).all(axis=1)]
        result[tuple(moved.T)] = True
    return result
