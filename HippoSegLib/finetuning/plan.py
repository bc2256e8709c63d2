"""Which trainings a fine-tuning consists of: a held-out part, or cross-validation and a final model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..models.network import build
from ..models.store import Model
from ..preprocessing.chain import Preprocessing
from ..training.cases import hold_out, split_by_subject
from ..training.loop import Loop
from .agreement import BY_CHANCE, belonging, found_in
from .comparison import SiteEvaluator
from .run_options import RunOptions
from .settings import FineTuneSettings
from .site_case import SiteCase
from .sources import VALIDATION
from .training_run import Clock, TrainingJob, learn


@dataclass(frozen=True)
class Trained:
    """What the trainings gave.

    Attributes:
        weights: State of the network to be kept.
        before, after: Rows of `SiteEvaluator` of cases that the judged weights did not learn from.
        epochs: Epochs behind the weights.
        how: How the judged cases were kept apart, in words.
        warning: Why no gain is to be believed, in a sentence; "" where there is no reason.
        histories: Name of each training -> its history.
    """

    weights: dict
    before: list[dict]
    after: list[dict]
    epochs: int
    how: str
    warning: str = ""
    histories: dict[str, list[dict]] = field(default_factory=dict)


def region_of(base: Model) -> tuple[tuple[int, int, int], Preprocessing]:
    """Region (z, y, x) and preprocessing that a model's card demands."""
    part = base.card.segmenter
    return part.roi_size, part.preprocessing


def network_of(base: Model, weights: dict):
    """Return the base model's kind of network with other weights, in evaluation mode."""
    return build(base.card.segmenter.network, weights)


@dataclass(frozen=True)
class Plan:
    """The trainings of one fine-tuning, their folders and their progress."""

    base: Model
    settings: FineTuneSettings
    cases: Sequence[SiteCase]
    options: RunOptions

    def run(self) -> Trained:
        """Do all trainings; see `training_run.learn` for the errors."""
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

    def _job(
        self,
        name: str,
        title: str,
        train: Sequence[SiteCase],
        held: Sequence[SiteCase],
        until: int | None = None,
    ) -> TrainingJob:
        record = {
            "base_sha256": self.base.sha256,
            "train_sha256": [case.sha256 for case in train],
            "validation_sha256": [case.sha256 for case in held],
        }
        crops, held_crops = ([case.crop for case in cases] for cases in (train, held))
        settings = self.settings.of_training(self.base.card.segmenter)
        return TrainingJob(name, title, crops, held_crops, settings, record, until)

    def scores_before(self, held: Sequence[SiteCase]) -> list[dict]:
        """Rows of the base model."""
        evaluate = SiteEvaluator([case.crop for case in held], *region_of(self.base))
        device = self.options.device
        return evaluate(self.base.module("segmenter", device), device)

    def _held_out(self, train: list[SiteCase], held: list[SiteCase], how: str) -> Trained:
        """One training; the epoch that is best on the held-out cases is kept."""
        job = self._job("training", "Training", train, held)
        clock = Clock(job.units * job.epochs, self.options.progress)
        loop = learn(self.base, job, self.options, clock)
        best = loop.best["epoch"]
        how = f"{how}; the epoch was chosen on them"
        histories = {"training": loop.history}
        after = loop.scores[best - 1]
        warning = self._unrelated([(loop, held)])
        return Trained(loop.best["weights"], self.scores_before(held), after, best, how, warning, histories)

    def cross_validated(self, cases: list[SiteCase], final: bool = True) -> Trained:
        """Cross-validation by subject, then a final model on all cases for as many epochs as did best.

        Args:
            final: Off, the weights are left empty (for the search of settings).
        """
        settings = self.settings
        subjects = [case.subject for case in cases]
        folds = split_by_subject(subjects, settings.folds, settings.seed)
        folds_held = [[cases[i] for i in fold] for fold in folds]
        jobs = []
        for number, held in enumerate(folds_held):
            train = [case for i, case in enumerate(cases) if i not in set(folds[number])]
            title = f"Cross-validation {number + 1} of {len(folds)}"
            jobs.append(self._job(f"fold_{number}", title, train, held))
        total = sum(job.units * job.epochs for job in jobs)
        total += settings.num_epochs * 0.7 * len(cases) if final else 0
        clock = Clock(total, self.options.progress)
        loops = [learn(self.base, job, self.options, clock) for job in jobs]
        histories = {job.name: loop.history for job, loop in zip(jobs, loops, strict=True)}
        epochs = best_epoch([loop.scores for loop in loops])
        # A fold that ended early stays at what it had learned by then.
        after = [row for loop in loops for row in loop.scores[min(epochs, len(loop.scores)) - 1]]
        how = (
            f"cross-validation in {len(folds)} folds by subject; one number of epochs for all folds was "
            "chosen on them; the model kept learned from all cases for that long"
        )
        before = self.scores_before([case for held in folds_held for case in held])
        warning = self._unrelated(list(zip(loops, folds_held, strict=True)))
        if not final:
            return Trained({}, before, after, epochs, how, warning, histories)
        clock.total = clock.done + epochs * len(cases)
        job = self._job("final", "Final model", cases, [], until=epochs)
        loop = learn(self.base, job, self.options, clock)
        histories["final"] = loop.history
        weights = {name: value.detach().cpu().clone() for name, value in loop.ema.state_dict().items()}
        return Trained(weights, before, after, epochs, how, warning, histories)

    def _unrelated(self, folds: Sequence[tuple[Loop, list[SiteCase]]]) -> str:
        """A warning where what was learned has nothing to do with the single scan, else "".

        A network can come closer to labels of other scans by drawing the mean of them all.
        """
        masks, labels = [], []
        for loop, held in folds:
            network = network_of(self.base, loop.best["weights"]).to(self.options.device)
            for case in held:
                masks.append(found_in(case.crop.image, self.base, network, self.options.device))
                labels.append(case.crop.label)
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
