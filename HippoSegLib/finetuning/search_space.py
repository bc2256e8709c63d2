"""Which settings are searched, and within which bounds."""

from __future__ import annotations

from typing import Any

from .settings import FineTuneSettings

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


def suggest(trial: Any, start: FineTuneSettings) -> FineTuneSettings:
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
