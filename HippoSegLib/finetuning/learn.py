"""One training of a fine-tuning: a fold of the cross-validation, or the final model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ..labels import OUTLINE_CLASSES
from ..models.network import build
from ..models.store import Model
from ..training.batches import CropSampler, encoded
from ..training.cases import Case
from ..training.distributed import Team
from ..training.loop import Compute, Loop
from ..training.losses import PartialLabels, dice_and_cross_entropy
from ..training.protocols import STRUCTURES
from ..training.runstate import RunFolder
from ..training.settings import Settings
from ..training.trainer import native_bfloat16
from .judge import SiteEvaluator


class Clock:
    """Fraction done and remaining time of a work whose parts cost in proportion to their units."""

    def __init__(self, total: float, progress: Callable[[str, float], None] | None):
        self.total, self.done, self.progress = max(total, 1e-9), 0.0, progress
        self._measured = self._seconds = self._told = 0.0
        self._last = time.monotonic()

    def advance(self, units: float, measured: bool = True) -> None:
        """Note work done; what was done in an earlier run is not measured."""
        now = time.monotonic()
        self.done += units
        if measured:
            self._measured += units
            self._seconds += now - self._last
        self._last = now

    def tell(self, words: str) -> None:
        """Pass words on, with the remaining time where it is known."""
        if self.progress is None:
            return
        # The total falls when a training ends early; what was told never does.
        self._told = fraction = max(self._told, min(self.done / self.total, 1.0))
        if self._measured > 0.02 * self.total:
            left = max(self.total - self.done, 0.0) * self._seconds / self._measured
            words += f", about {_in_words(left)} left"
        self.progress(words, fraction)


def _in_words(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{max(seconds, 1):.0f} s"


class _Watched(RunFolder):
    """A run folder that says when an epoch has been saved."""

    def __init__(self, path: Path | None, saved: Callable[[list[dict]], None]):
        super().__init__(path)
        self._saved = saved

    def save(self, state: dict[str, Any]) -> None:
        super().save(state)
        self._saved(state["history"])


def learn(
    base: Model,
    train: Sequence[Case],
    held: Sequence[Case],
    settings: Settings,
    folder: Path | None,
    *,
    record: dict,
    device: str,
    micro_batch: int = 2,
    until: int | None = None,
    resume: bool = True,
    words: str = "",
    clock: Clock | None = None,
    saved: Callable[[list[dict]], None] = lambda history: None,
    cancel: Callable[[], bool] = lambda: False,
) -> Loop:
    """Train from the base model's weights, or go on where an earlier run of the same ended.

    Args:
        train, held: Cases to learn from and to judge by.
        folder: Run folder; None keeps nothing.
        record: What makes this run what it is beside the settings; another one's folder is refused.
        until: End after this epoch.
        words: What this training is, for the progress.
        saved: Called with the history after each epoch.

    Returns:
        The finished loop.

    Raises:
        TrainingError: Divergence, or a folder of another run. Cancelled. OutputError.
    """
    where = torch.device(device)
    torch.manual_seed(settings.seed)
    part = base.card.segmenter
    model = build(part.network, base.weights["segmenter"], settings.dropout)
    encode, loss = None, dice_and_cross_entropy
    if part.classes == OUTLINE_CLASSES:
        encode, loss = encoded, PartialLabels(STRUCTURES)
    loop = Loop(
        model,
        CropSampler(train, settings, (), encode),
        SiteEvaluator(held, settings.region_shape, settings.preprocessing),
        settings,
        Compute(where, native_bfloat16(where), micro_batch),
        loss,
    )
    units = len(train) + 0.35 * len(held)

    def tell(text: str, _fraction: float) -> None:
        if clock is not None and ":" in text and Team().rank == 0:
            clock.tell(f"{words}, {text}")

    def note(history: list[dict]) -> None:
        if clock is not None:
            clock.advance(units)
        saved(history)

    store = _Watched(folder, note)
    record = {**settings.to_dict(), **record, "until": until}
    state = loop.team.of_first(store.load(record, resume) if loop.team.rank == 0 else None)
    if state is not None:
        loop.restore(state)
        if clock is not None:
            clock.advance(units * loop.epoch, measured=False)
    elif loop.team.rank == 0:
        store.write_settings(record)
    loop.run(store, tell, cancel, until)
    if clock is not None and loop.epoch < (until or settings.num_epochs):
        clock.advance(units * ((until or settings.num_epochs) - loop.epoch), measured=False)
    return loop
