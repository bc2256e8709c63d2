"""Search for fine-tuning settings with Optuna, in an SQLite file that several processes may share."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Cancelled, InputError, TrainingError
from ..evaluation.plots import require_matplotlib
from ..io.owned_folders import claim, refuse_foreign
from ..models.store import Model
from .optuna_package import import_optuna, without_notes
from .plan import Plan
from .process_lock import ProcessLock
from .run_options import RunOptions
from .search_results import settings_of, write_results
from .search_space import SEARCHED, suggest
from .settings import FineTuneSettings
from .site_case import SiteCase

_LOG = logging.getLogger(__package__)

STUDY, LOCK = "study.db", "study.lock"

#: Of its folder, in the marker and in messages.
KIND = "search folder"
_DEFAULT = RunOptions()


def search(
    cases: Sequence[SiteCase],
    base: Model,
    folder: Path,
    trials: int,
    *,
    start: FineTuneSettings | None = None,
    run: RunOptions = _DEFAULT,
    sampler_seed: int | None = None,
) -> dict:
    """Go on with the search until ``trials`` trials are complete, counting those of all processes.

    Processes that share a search begin no more trials than are wanted: at its end they wait for one
    another, so that each writes and returns the same.
    A trial cross-validates by subject; its value is the mean Dice of the whole per subject. The first
    one has the settings of ``start``. A killed search, started again, goes on; the trial that was
    under way is given up. Writes the best settings, a table and two pictures into ``folder``.

    Args:
        start: Settings of the first trial, and of what is not searched.
        run: Device, micro-batch, progress and cancelling; the trainings keep no state.
        sampler_seed: Of the choice of trials; None, so that processes that share a search do not choose
            the same.

    Returns:
        ``value`` and ``settings`` of the best trial, and ``trials``, the number of complete ones.

    Raises:
        DependencyError: No Optuna. InputError: The folder holds the search of another site or base model.
        TrainingError: No trial came to an end. Cancelled.
        OutputError: The folder holds something else than a search, or cannot be written.
    """
    optuna = import_optuna()
    require_matplotlib()
    start = start or FineTuneSettings()
    claim(folder, KIND, _is_search)
    lock = ProcessLock(folder / LOCK)
    with lock.held(run.cancel):
        study = _study(optuna, folder, base, cases, start, sampler_seed)
    trial = _Trial(cases, base, start, run, lock)
    failures, waiting = 0, False
    while _complete(study) < trials and failures <= trials:
        # Counting and beginning a trial are one step, or two processes would begin the same last one.
        with lock.held(run.cancel):
            _give_up_silent(optuna, study)
            if _complete(study, running=True) < trials:
                before = trial.succeeded
                study.optimize(trial.of(trials), n_trials=1, catch=(TrainingError,))
                if trial.succeeded == before:
                    failures += 1
                    _LOG.warning("A trial of the search did not come to an end.")
                if trial.succeeded:
                    write_results(optuna, study, folder, start)
                waiting = False
                continue
        if run.progress is not None and not waiting:
            run.progress("Waiting for the trials of other processes", min(_complete(study) / trials, 1.0))
        waiting = True
        _pause(run.cancel)
    if not _complete(study):
        raise TrainingError("No trial of the search came to an end.", "Check the cases.", "no_trial")
    write_results(optuna, study, folder, start)
    best = study.best_trial
    return {"value": best.value, "settings": settings_of(best, start), "trials": _complete(study)}


class _Trial:
    """A trial of this process: cross-validation by subject with the settings that Optuna suggests.

    Attributes:
        succeeded: How many came to an end.
    """

    def __init__(
        self,
        cases: Sequence[SiteCase],
        base: Model,
        start: FineTuneSettings,
        run: RunOptions,
        lock: ProcessLock,
    ):
        self._cases, self._base, self._start, self._run, self._lock = cases, base, start, run, lock
        self.succeeded = 0

    def of(self, trials: int) -> Callable[[Any], float]:
        """The function that Optuna maximises, as one of so many trials."""

        def value(trial) -> float:
            self._lock.release()  # the trial is in the study: whoever counts now counts it

            def tell(words: str, fraction: float) -> None:
                if self._run.progress is not None:
                    done = (_complete(trial.study) + fraction) / trials
                    self._run.progress(f"Trial {trial.number + 1}: {words}", min(done, 1.0))

            options = replace(self._run, run_dir=None, progress=tell, epoch_done=None)
            plan = Plan(self._base, suggest(trial, self._start), self._cases, options)
            trained = plan.cross_validated(list(self._cases), final=False)
            trial.set_user_attr("epochs", trained.epochs)
            self.succeeded += 1
            return mean_of_subjects(trained.after)

        return value


def _complete(study, running: bool = False) -> int:
    """How many trials of all processes are complete, or also running."""
    states = {"COMPLETE", "RUNNING"} if running else {"COMPLETE"}
    return sum(trial.state.name in states for trial in study.get_trials(deepcopy=False))


def refuse_other_folder(folder: Path) -> None:
    """Raise OutputError where a folder holds something else than a search."""
    refuse_foreign(folder, KIND, _is_search)


def _is_search(folder: Path) -> bool:
    """Whether a folder without a marker is a search of an earlier version."""
    return (folder / LOCK).is_file()


def _give_up_silent(optuna, study) -> None:
    """Give up the trials of processes that have died, so that nobody waits for them."""
    with without_notes():
        optuna.storages.fail_stale_trials(study)


def _pause(cancel: Callable[[], bool], seconds: float = 1.0) -> None:
    """Let the other processes end their trials; one may fail, and then there is work again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if cancel():
            raise Cancelled()
        time.sleep(0.1)


def mean_of_subjects(rows: Sequence[dict]) -> float:
    """Mean over subjects of the mean Dice of the whole of their cases."""
    subjects: dict[str, list[float]] = {}
    for row in rows:
        subjects.setdefault(row["subject"], []).append(row["whole"])
    return float(np.mean([np.mean(values) for values in subjects.values()]))


def _study(optuna, folder: Path, base: Model, cases: Sequence[SiteCase], start: FineTuneSettings, seed):
    """The study in the folder, made if it is not there."""
    hashes = "".join(sorted(case.sha256 for case in cases))
    identity = {
        "base": base.sha256,
        "site": hashlib.sha256(hashes.encode()).hexdigest(),
        "start": {k: v for k, v in start.to_dict().items() if k not in SEARCHED},
    }
    # A process that was killed is noticed by its silence, and its trial given up.
    with without_notes():
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{folder.absolute() / STUDY}",
            heartbeat_interval=15,
            grace_period=60,
            engine_kwargs={"connect_args": {"timeout": 60}},
        )
    study = optuna.create_study(
        storage=storage,
        study_name="finetune",
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed),
    )
    known = study.user_attrs.get("identity")
    if known is None:  # the caller holds the lock: no other process does this now
        study.set_user_attr("identity", identity)
        study.enqueue_trial({name: getattr(start, name) for name in SEARCHED}, skip_if_exists=True)
    elif known != json.loads(json.dumps(identity)):
        raise InputError(
            f"'{folder.name}' holds a search on other cases, another base model or other fixed settings.",
            "Choose another folder.",
        )
    return study
