"""Search for fine-tuning settings with Optuna, in an SQLite file that several processes may share."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import Cancelled, DependencyError, InputError, TrainingError
from ..evaluation.plots import new_figure, png, require_matplotlib
from ..io.atomic import replacing
from ..io.owned_folders import claim, refuse_foreign
from ..models.store import Model
from .curves import DPI
from .plan import Plan
from .process_lock import ProcessLock
from .run_options import RunOptions
from .settings import FineTuneSettings
from .site_case import SiteCase

STUDY, LOCK = "study.db", "study.lock"
BEST, TRIALS, HISTORY, IMPORTANCE = "settings.json", "trials.csv", "history.png", "importance.png"

#: Of its folder, in the marker and in messages.
KIND = "search folder"
_DEFAULT = RunOptions()


def import_optuna():
    """Return Optuna, its messages off; raises DependencyError where it is missing."""
    try:
        import optuna
    except (ImportError, OSError) as error:
        raise DependencyError(
            "The Python package optuna (searches for settings) is not installed or does not load.",
            'Install it with: pip install "hipposeg[train]".',
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def suggest(trial, start: FineTuneSettings) -> FineTuneSettings:
    """Settings of one trial; what is not searched is as in ``start``."""
    changes = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [2, 4, 8]),
        "decoder_epochs": trial.suggest_int("decoder_epochs", 0, 8),
        "encoder_rate": trial.suggest_float("encoder_rate", 0.02, 1.0, log=True),
        "anchor": trial.suggest_float("anchor", 0.01, 10.0, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.3),
        "augmentation": trial.suggest_float("augmentation", 0.2, 1.0),
    }
    return FineTuneSettings(**{**start.to_dict(), **changes})


#: Names of what is searched.
SEARCHED = (
    "learning_rate",
    "batch_size",
    "decoder_epochs",
    "encoder_rate",
    "anchor",
    "dropout",
    "augmentation",
)


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
    lock.acquire(run.cancel)
    try:
        study = _study(optuna, folder, base, cases, start, sampler_seed)
    finally:
        lock.release()
    complete, running = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.RUNNING

    def done(*more) -> int:
        return len(study.get_trials(deepcopy=False, states=(complete, *more)))

    def objective(trial) -> float:
        lock.release()  # the trial is in the study: whoever counts now counts it
        settings = suggest(trial, start)

        def tell(words: str, fraction: float) -> None:
            if run.progress is not None:
                run.progress(f"Trial {trial.number + 1}: {words}", min((done() + fraction) / trials, 1.0))

        options = replace(run, run_dir=None, progress=tell, epoch_done=None)
        trained = Plan(base, settings, cases, options).cross_validated(list(cases), final=False)
        trial.set_user_attr("epochs", trained.epochs)
        value = mean_of_subjects(trained.after)
        succeeded.append(trial.number)
        return value

    failures, waiting = 0, False
    succeeded: list[int] = []  # numbers of this process's trials
    while done() < trials and failures <= trials:
        # Counting and beginning a trial are one step, or two processes would begin the same last one.
        lock.acquire(run.cancel)
        try:
            _give_up_silent(optuna, study)
            if done(running) < trials:
                before = len(succeeded)
                study.optimize(objective, n_trials=1, catch=(TrainingError,))
                failures += len(succeeded) == before
                if succeeded:
                    _write(optuna, study, folder, start)
                waiting = False
                continue
        finally:
            lock.release()
        if run.progress is not None and not waiting:
            run.progress("Waiting for the trials of other processes", min(done() / trials, 1.0))
        waiting = True
        _pause(run.cancel)
    if not done():
        raise TrainingError("No trial of the search came to an end.", "Check the cases.", "no_trial")
    _write(optuna, study, folder, start)
    best = study.best_trial
    return {"value": best.value, "settings": _settings(best, start), "trials": done()}


def refuse_other_folder(folder: Path) -> None:
    """Raise OutputError where a folder holds something else than a search."""
    refuse_foreign(folder, KIND, _is_search)


def _is_search(folder: Path) -> bool:
    """Whether a folder without a marker is a search of an earlier version."""
    return (folder / LOCK).is_file()


@contextmanager
def _without_notes():
    """Without Optuna's notes that what is used is experimental: a user can do nothing about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _give_up_silent(optuna, study) -> None:
    """Give up the trials of processes that have died, so that nobody waits for them."""
    with _without_notes():
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
    with _without_notes():
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


def _settings(trial, start: FineTuneSettings) -> dict:
    return {**start.to_dict(), **trial.params}


def _write(optuna, study, folder: Path, start: FineTuneSettings) -> None:
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    text = json.dumps(_settings(study.best_trial, start), indent=2) + "\n"
    contents = {BEST: text.encode(), TRIALS: _table(complete).encode()}
    contents[HISTORY] = history_png([trial.value for trial in complete])
    importance = importances(optuna, study)
    if importance:
        contents[IMPORTANCE] = importance_png(importance)
    for name, data in contents.items():
        with replacing(folder / name, overwrite=True) as temporary:
            temporary.write_bytes(data)


def _table(trials) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "dice", "epochs", *SEARCHED])
    for trial in trials:
        values = [trial.params.get(name, "") for name in SEARCHED]
        writer.writerow([trial.number + 1, f"{trial.value:.5f}", trial.user_attrs.get("epochs", ""), *values])
    return text.getvalue()


def importances(optuna, study) -> dict[str, float]:
    """Part of each setting in what tells good trials from others (PED-ANOVA); {} with too few trials."""
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < 4 or len({trial.value for trial in complete}) < 2:
        return {}
    with _without_notes():
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def history_png(values: Sequence[float]) -> bytes:
    """PNG: the value of each trial, and the best so far."""
    figure = new_figure(6.5, 4)
    axes = figure.subplots()
    numbers = np.arange(1, len(values) + 1)
    axes.plot(numbers, values, "o", ms=4, color="#56b4e9", label="trial")
    axes.plot(numbers, np.maximum.accumulate(values), color="#d55e00", label="best so far")
    axes.set(xlabel="complete trials", ylabel="Dice of the whole", title="Search for settings")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    return png(figure, DPI)


def importance_png(importance: dict[str, float]) -> bytes:
    """PNG: bars of the importance of each setting."""
    figure = new_figure(6.5, 3.6)
    axes = figure.subplots()
    names = list(importance)[::-1]
    axes.barh(
        [name.replace("_", " ") for name in names], [importance[name] for name in names], color="#0072b2"
    )
    axes.set(xlabel="importance (PED-ANOVA)", title="What tells good settings from others")
    axes.grid(axis="x", alpha=0.3)
    return png(figure, DPI)
