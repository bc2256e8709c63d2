"""Samples of an epoch, prepared in the background while the network works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np

from ..preprocessing.chain import channels
from .augmentation import sample
from .background_context import BackgroundContext
from .cases import Case
from .settings import TrainingSettings

T = TypeVar("T")


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """Return the order in which the cases of an epoch are seen."""
    return np.random.default_rng((seed, epoch)).permutation(count).tolist()


def make_sample(
    case: Case, position: int, epoch: int, settings: TrainingSettings, contexts: Sequence[BackgroundContext]
) -> tuple[np.ndarray, np.ndarray]:
    """Return channels float32 (c, z, y, x) and label int64 (z, y, x) of one sample.

    It depends on the case, the settings (seed among them), the epoch and the position in it alone.
    """
    rng = np.random.default_rng((settings.seed, epoch, position))
    image, label = sample(case, settings.region_shape, rng, settings.augmentation, contexts)
    return channels(image, settings.preprocessing), label.astype(np.int64)


class Sampler(Protocol):
    """What an epoch consists of. A sample must depend on the epoch and its position alone, so that a
    resumed training sees what an uninterrupted one would have seen."""

    def __len__(self) -> int:
        """Return the number of samples of an epoch."""

    def __call__(self, epoch: int, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return channels float32 (c, z, y, x) and target int64 (z, y, x); called from another thread."""


def encoded(case: Case, label: np.ndarray) -> np.ndarray:
    """Return the target of a network that knows several protocols: see `protocols.LabelProtocol.encode`."""
    return case.protocol.encode(label)


class CropSampler:
    """Each case once an epoch, augmented.

    Args:
        cases: Labelled crops.
        settings: Seed, region, augmentation and preprocessing among them.
        contexts: Background context the crops are set into.
        encode: Makes the target of a case and its augmented label uint8 (z, y, x); default: the label.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        settings: TrainingSettings,
        contexts: Sequence[BackgroundContext] = (),
        encode: Callable[[Case, np.ndarray], np.ndarray] | None = None,
    ):
        self.cases, self.settings, self.contexts, self.encode = cases, settings, contexts, encode
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return len(self.cases)

    def order(self, epoch: int) -> list[int]:
        """Return the cases' numbers in the order in which an epoch sees them."""
        return epoch_order(len(self.cases), self.settings.seed, epoch)

    def __call__(self, epoch: int, position: int) -> tuple[np.ndarray, np.ndarray]:
        if self._order[0] != epoch:
            self._order = epoch, self.order(epoch)
        case = self.cases[self._order[1][position]]
        inputs, label = make_sample(case, position, epoch, self.settings, self.contexts)
        return inputs, label if self.encode is None else self.encode(case, label)


def ahead(make: Callable[[int], T], count: int, depth: int = 8) -> Generator[T, None, None]:
    """Yield ``make(0) … make(count - 1)`` in order, computed up to ``depth`` ahead in one other thread.

    NumPy, PyTorch and PyWavelets release the interpreter while they compute, so a thread is enough,
    and it needs no start-up code on Windows or inside Slicer.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="samples") as pool:
        waiting: deque = deque()
        try:
            for i in range(count):
                waiting.append(pool.submit(make, i))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
