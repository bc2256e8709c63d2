"""The folder of a training run: its settings, its state for resuming, its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ..errors import OutputError, TrainingError
from ..io.atomic import replacing
from ..io.owned_folders import MARKER, claim, refuse_foreign
from .evaluation import write_rows

STATE, SETTINGS, LOG, COMMAND = "state.pt", "settings.json", "log.csv", "command.txt"

#: Of the folder, in its marker and in messages.
KIND = "training run"

#: Every file that is written into it.
FILES = (STATE, SETTINGS, LOG, COMMAND, MARKER)


class RunFolder:
    """Reads and writes one run folder; every file appears whole or not at all.

    Args:
        path: A new or an empty folder, or that of a run; ``None`` keeps nothing.

    Raises:
        OutputError: The folder cannot be made, or holds something else than a run.
    """

    def __init__(self, path: str | Path | None):
        self.path = None if path is None else Path(path)
        if self.path is not None:
            claim(self.path, KIND, _is_run)

    def load(self, settings: dict, resume: bool) -> dict[str, Any] | None:
        """Return the saved state, or ``None`` where the run starts anew.

        Raises:
            TrainingError: The folder holds a run with other settings, a state that cannot be read,
                or any run while ``resume`` is off.
        """
        if self.path is None or not (self.path / STATE).exists():
            return None
        if not resume:
            raise TrainingError(
                f"'{self.path.name}' already holds a training run.",
                "Choose another folder, or let it resume.",
            )
        try:
            state = torch.load(self.path / STATE, map_location="cpu", weights_only=True)
            saved = json.loads((self.path / SETTINGS).read_text(encoding="utf-8"))
        except Exception as error:
            raise TrainingError(
                f"The run in '{self.path.name}' cannot be read.", "Choose another folder."
            ) from error
        differing = [key for key in settings if saved.get(key) != json.loads(json.dumps(settings[key]))]
        if differing:
            raise TrainingError(
                f"'{self.path.name}' holds a run with other settings ({', '.join(sorted(differing))}).",
                "Choose another folder, or repeat the run's settings to resume it.",
            )
        return state

    def write_settings(self, settings: dict) -> None:
        """Write ``settings.json``."""
        if self.path is not None:
            with replacing(self.path / SETTINGS, overwrite=True) as temporary:
                temporary.write_text(json.dumps(settings, indent=1), encoding="utf-8")

    def write_command(self, command: str) -> None:
        """Write the command that makes this run, for the card."""
        if self.path is not None:
            with replacing(self.path / COMMAND, overwrite=True) as temporary:
                temporary.write_text(command + "\n", encoding="utf-8")

    def save(self, state: dict[str, Any]) -> None:
        """Write the state, and its history as the log.

        Raises:
            OutputError: The folder is full or not writable.
        """
        if self.path is None:
            return
        try:
            if state["history"]:
                write_rows(state["history"], self.path / LOG)
            with replacing(self.path / STATE, overwrite=True) as temporary:
                torch.save(state, temporary)
        except OutputError as error:
            raise OutputError(
                f"The run folder '{self.path.name}' cannot be written.", "Free some space."
            ) from error


def refuse_other_folder(path: str | Path) -> None:
    """Raise OutputError where a folder holds something else than a run; nothing is made."""
    refuse_foreign(path, KIND, _is_run)


def _is_run(folder: Path) -> bool:
    """Whether a folder without a marker is a run of an earlier version."""
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        return {"num_epochs", "preprocessing", "region_shape"} <= set(settings)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def read_run(path: str | Path) -> tuple[dict, dict]:
    """Return (settings, state) of a run folder; raises TrainingError where there is none."""
    path = Path(path)
    if not (path / STATE).exists() or not (path / SETTINGS).exists():
        raise TrainingError(f"{path} holds no training run with a finished epoch.", "Name a run folder.")
    try:
        settings = json.loads((path / SETTINGS).read_text(encoding="utf-8"))
        return settings, torch.load(path / STATE, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(f"The run in {path} cannot be read.", "Train it again.") from error


def read_command(path: str | Path) -> str:
    """Return the command that makes the run in this folder, or "" where none is known."""
    path = Path(path) / COMMAND
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""
