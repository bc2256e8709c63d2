"""One training of a fine-tuning: a fold of the cross-validation, or the final model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..labels import OUTLINE_CLASSES
from ..models.network import build
from ..models.store import Model
from ..training.batches import CropSampler, encoded
from ..training.cases import Case
from ..training.loop import Compute, Loop
from ..training.losses import PartialLabels, dice_and_cross_entropy
from ..training.protocols import STRUCTURES
from ..training.runstate import RunFolder
from ..training.settings import TrainingSettings
from ..training.trainer import native_bfloat16
from .comparison import SiteEvaluator
from .run_options import Progress, RunOptions


class Clock:
    """Fraction done and remaining time of a work whose parts cost in proportion to their units."""

    def __init__(self, total: float, progress: Progress | None):
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


@dataclass(frozen=True)
class TrainingJob:
    """What one training learns from, and how long.

    Attributes:
        name: Of its folder within the run's.
        title: What this training is, for the progress.
        train, held: Cases to learn from and to judge by.
        settings: Of the training loop.
        record: What makes this run what it is beside the settings; another one's folder is refused.
        until: End after this epoch.
    """

    name: str
    title: str
    train: Sequence[Case]
    held: Sequence[Case]
    settings: TrainingSettings
    record: dict = field(default_factory=dict)
    until: int | None = None

    @property
    def units(self) -> float:
        """Cost of an epoch, in training cases."""
        return len(self.train) + 0.35 * len(self.held)

    @property
    def epochs(self) -> int:
        """The last epoch."""
        return self.until or self.settings.num_epochs


def learn(base: Model, job: TrainingJob, run: RunOptions, clock: Clock | None = None) -> Loop:
    """Train from the base model's weights, or go on where an earlier run of the same ended.

    Args:
        run: Its folder has a folder per training; None keeps nothing.

    Returns:
        The finished loop.

    Raises:
        TrainingError: Divergence, or a folder of another run. Cancelled. OutputError.
    """
    clock = clock or Clock(job.units * job.epochs, None)
    loop = _loop(base, job, run)
    first = loop.team.rank == 0

    def tell(text: str, _fraction: float) -> None:
        if ":" in text and first:
            clock.tell(f"{job.title}, {text}")

    def saved(history: list[dict]) -> None:
        clock.advance(job.units)
        if run.epoch_done is not None:
            run.epoch_done(job.name, history)

    folder = _Watched(None if run.run_dir is None else run.run_dir / job.name, saved)
    record = {**job.settings.to_dict(), **job.record, "until": job.until}
    state = loop.team.of_first(folder.load(record, run.resume) if first else None)
    if state is not None:
        loop.restore(state)
        clock.advance(job.units * loop.epoch, measured=False)
    elif first:
        folder.write_settings(record)
    loop.run(folder, tell, run.cancel, job.until)
    if loop.epoch < job.epochs:
        clock.advance(job.units * (job.epochs - loop.epoch), measured=False)
    return loop


def _loop(base: Model, job: TrainingJob, run: RunOptions) -> Loop:
    """The loop at its start, with the base model's weights."""
    settings, device = job.settings, torch.device(run.device)
    torch.manual_seed(settings.seed)
    part = base.card.segmenter
    model = build(part.network, base.weights["segmenter"], settings.dropout)
    encode, loss = None, dice_and_cross_entropy
    if part.classes == OUTLINE_CLASSES:
        encode, loss = encoded, PartialLabels(STRUCTURES)
    return Loop(
        model,
        CropSampler(job.train, settings, (), encode),
        SiteEvaluator(job.held, settings.region_shape, settings.preprocessing),
        settings,
        Compute(device, native_bfloat16(device), run.micro_batch),
        loss,
    )
