"""Which trainings a fine-tuning consists of: a held-out part, or cross-validation and a final model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..models.network import build
from ..models.store import Model
from ..preprocessing.chain import Preprocessing
from ..training.cases import hold_out, split_by_subject
from .check import BY_CHANCE, belonging, found_in
from .judge import SiteEvaluator
from .learn import Clock, learn
from .prepare import SiteCase
from .settings import FineTuneSettings
from .sources import VALIDATION


@dataclass
class Trained:
    """What the trainings gave.

    Attributes:
        weights: State of the network to be kept.
        before, after: Rows of `SiteEvaluator` of cases that the judged weights did not learn from.
        epochs: Epochs behind the weights.
        how: How the judged cases were kept apart, in words.
        doubts: Why no gain is to be believed, in a sentence; "" where there is no reason.
        histories: Name of each training -> its history.
    """

    weights: dict
    before: list[dict]
    after: list[dict]
    epochs: int
    how: str
    doubts: str = ""
    histories: dict[str, list[dict]] = field(default_factory=dict)


def region_of(base: Model) -> tuple[tuple[int, int, int], Preprocessing]:
    """Region (z, y, x) and preprocessing that a model's card demands."""
    part = base.card.segmenter
    return part.roi_size, part.preprocessing


def network_of(base: Model, weights: dict):
    """Return the base model's kind of network with other weights, in evaluation mode."""
    return build(base.card.segmenter.network, weights)


@dataclass
class Plan:
    """The trainings of one fine-tuning, their folders and their progress."""

    base: Model
    settings: FineTuneSettings
    cases: Sequence[SiteCase]
    run_dir: Path | None
    device: str
    micro_batch: int = 2
    resume: bool = True
    progress: Callable[[str, float], None] | None = None
    epoch_done: Callable[[str, list[dict]], None] | None = None
    cancel: Callable[[], bool] | None = None

    def run(self) -> Trained:
        """Do all trainings; see `learn.learn` for the errors."""
        validation = [case for case in self.cases if case.role == VALIDATION]
        training = [case for case in self.cases if case.role != VALIDATION]
        if validation:
            return self._held_out(training, validation, "validation cases that were given apart")
        subjects = [case.subject for case in training]
        if len(set(subjects)) >= self.settings.small_site:
            train, held = hold_out(subjects, self.settings.validation_fraction, self.settings.seed)
            part = f"{len(held)} cases of {len({subjects[i] for i in held})} subjects, kept apart"
            return self._held_out([training[i] for i in train], [training[i] for i in held], part)
        return self.cross_validated(training)

    def _learn(self, name: str, words: str, train, held, clock: Clock, until: int | None = None):
        record = {
            "base_sha256": self.base.sha256,
            "train_sha256": [case.sha256 for case in train],
            "validation_sha256": [case.sha256 for case in held],
        }
        return learn(
            self.base,
            [case.case for case in train],
            [case.case for case in held],
            self.settings.of_training(self.base.card.segmenter),
            None if self.run_dir is None else self.run_dir / name,
            record=record,
            device=self.device,
            micro_batch=self.micro_batch,
            until=until,
            resume=self.resume,
            words=words,
            clock=clock,
            saved=lambda history: self.epoch_done and self.epoch_done(name, history),
            cancel=self.cancel or (lambda: False),
        )

    def judged_before(self, held: Sequence[SiteCase]) -> list[dict]:
        """Rows of the base model."""
        evaluate = SiteEvaluator([case.case for case in held], *region_of(self.base))
        return evaluate(self.base.module("segmenter", self.device), self.device)

    def _held_out(self, train: list[SiteCase], held: list[SiteCase], how: str) -> Trained:
        """One training; the epoch that is best on the held-out cases is kept."""
        epochs = self.settings.num_epochs
        clock = Clock((len(train) + 0.35 * len(held)) * epochs, self.progress)
        loop = self._learn("training", "Training", train, held, clock)
        best = loop.best["epoch"]
        how = f"{how}; the epoch was chosen on them"
        histories = {"training": loop.history}
        after = loop.scores[best - 1]
        doubts = self._doubts([(loop, held)])
        return Trained(loop.best["weights"], self.judged_before(held), after, best, how, doubts, histories)

    def cross_validated(self, cases: list[SiteCase], final: bool = True) -> Trained:
        """Cross-validation by subject, then a final model on all cases for as many epochs as did best.

        Args:
            final: Off, the weights are left empty (for the search of settings).
        """
        settings = self.settings
        subjects = [case.subject for case in cases]
        folds = split_by_subject(subjects, settings.folds, settings.seed)
        total = settings.num_epochs * sum(len(cases) - 0.65 * len(fold) for fold in folds)
        total += settings.num_epochs * 0.7 * len(cases) if final else 0
        clock = Clock(total, self.progress)
        loops, folds_held, histories = [], [], {}
        for number, fold in enumerate(folds):
            held = [cases[i] for i in fold]
            train = [case for i, case in enumerate(cases) if i not in set(fold)]
            words = f"Cross-validation {number + 1} of {len(folds)}"
            loops.append(self._learn(f"fold_{number}", words, train, held, clock))
            histories[f"fold_{number}"] = loops[-1].history
            folds_held.append(held)
        epochs = best_epoch([loop.scores for loop in loops])
        # A fold that ended early stays at what it had learned by then.
        after = [row for loop in loops for row in loop.scores[min(epochs, len(loop.scores)) - 1]]
        how = (
            f"cross-validation in {len(folds)} folds by subject; one number of epochs for all folds was "
            "chosen on them; the model kept learned from all cases for that long"
        )
        before = self.judged_before([case for held in folds_held for case in held])
        doubts = self._doubts(list(zip(loops, folds_held, strict=True)))
        if not final:
            return Trained({}, before, after, epochs, how, doubts, histories)
        clock.total = clock.done + epochs * len(cases)
        loop = self._learn("final", "Final model", cases, [], clock, until=epochs)
        histories["final"] = loop.history
        weights = {name: value.detach().cpu().clone() for name, value in loop.ema.state_dict().items()}
        return Trained(weights, before, after, epochs, how, doubts, histories)

    def _doubts(self, folds: Sequence[tuple]) -> str:
        """Whether what was learned has anything to do with the single scan.

        A network can come closer to labels of other scans by drawing the mean of them all.
        """
        masks, labels = [], []
        for loop, held in folds:
            network = network_of(self.base, loop.best["weights"]).to(self.device)
            for case in held:
                masks.append(found_in(case.case.image, self.base, network, self.device))
                labels.append(case.case.label)
        if len(masks) < 5 or belonging(masks, labels)[1] <= BY_CHANCE:
            return ""
        return (
            "What it finds agrees with the labels of these scans no better than with those of other scans: "
            "the labels seem to be exchanged between scans."
        )


def best_epoch(scores: Sequence[Sequence[list[dict]]]) -> int:
    """The epoch (from 1) with the highest mean Dice of the whole over the cases of all folds.

    Args:
        scores: Per fold and epoch the rows of its cases; a fold that ended early counts with its last.
    """
    longest = max(len(fold) for fold in scores)
    means = [
        np.mean([row["whole"] for fold in scores for row in fold[min(epoch, len(fold) - 1)]])
        for epoch in range(longest)
    ]
    return int(np.argmax(means)) + 1
