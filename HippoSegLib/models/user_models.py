"""Models made on this computer: the folder where fine-tuning puts them and the panel finds them."""

from __future__ import annotations

import os
from pathlib import Path

from ..io.atomic import replacing
from .store import whole_models

#: File in that folder with the name of the model to offer first.
_DEFAULT = "default.txt"


def user_models_folder() -> Path:
    """Folder of the user's own models: ``HIPPOSEG_MODELS`` if set, else ``.hipposeg/models`` at home."""
    return Path(os.environ.get("HIPPOSEG_MODELS") or Path.home() / ".hipposeg" / "models")


def user_models() -> list[Path]:
    """The model folders in it that are there as a whole, by name; empty where there is none."""
    return whole_models(user_models_folder())


def default_model() -> Path | None:
    """The user's own model that is offered first, or None where it is the one that came with HippoSeg."""
    try:
        name = (user_models_folder() / _DEFAULT).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return next((folder for folder in user_models() if folder.name == name), None)


def make_default(model: Path | None) -> None:
    """Offer a model of the user's folder first, or (None) the one that came with HippoSeg.

    Raises:
        OutputError: The folder cannot be written.
    """
    user_models_folder().mkdir(parents=True, exist_ok=True)
    with replacing(user_models_folder() / _DEFAULT, overwrite=True) as temporary:
        temporary.write_text("" if model is None else Path(model).name, encoding="utf-8")
