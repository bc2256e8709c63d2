"""What a search leaves in its folder: best settings, table of trials, two pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.plots import new_figure, png
from ..io.atomic import replacing
from .curves import DPI
from .optuna_package import without_notes
from .search_space import SEARCHED
from .settings import FineTuneSettings

BEST, TRIALS, HISTORY, IMPORTANCE = "settings.json", "trials.csv", "history.png", "importance.png"


def settings_of(trial: Any, start: FineTuneSettings) -> dict:
    return {**start.to_dict(), **trial.params}


def write_results(optuna: Any, study: Any, folder: Path, start: FineTuneSettings) -> None:
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    text = json.dumps(settings_of(study.best_trial, start), indent=2) + "\n"
    contents = {BEST: text.encode(), TRIALS: _table(complete).encode()}
    contents[HISTORY] = history_png([trial.value for trial in complete])
    importance = importances(optuna, study)
    if importance:
        contents[IMPORTANCE] = importance_png(importance)
    for name, data in contents.items():
        with replacing(folder / name, overwrite=True) as temporary:
            temporary.write_bytes(data)


def _table(trials: Sequence[Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "dice", "epochs", *SEARCHED])
    for trial in trials:
        values = [trial.params.get(name, "") for name in SEARCHED]
        writer.writerow([trial.number + 1, f"{trial.value:.5f}", trial.user_attrs.get("epochs", ""), *values])
    return text.getvalue()


def importances(optuna: Any, study: Any) -> dict[str, float]:
    """Part of each setting in what tells good trials from others (PED-ANOVA); {} with too few trials."""
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < 4 or len({trial.value for trial in complete}) < 2:
        return {}
    with without_notes():
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
