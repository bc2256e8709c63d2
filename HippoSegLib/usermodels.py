"""Models made on this computer: the folder where fine-tuning puts them and the panel finds them."""

from __future__ import annotations

import os
from pathlib import Path


def user_models_folder() -> Path:
    """Folder of the user's own models: ``HIPPOSEG_MODELS`` if set, else ``.hipposeg/models`` at home."""
    return Path(os.environ.get("HIPPOSEG_MODELS") or Path.home() / ".hipposeg" / "models")


def user_models() -> list[Path]:
    """The model folders in it, by name; empty where there is none."""
    from .checkpoint import CARD

    return sorted(card.parent for card in user_models_folder().glob(f"*/{CARD}"))
