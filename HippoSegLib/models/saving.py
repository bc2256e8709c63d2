"""Writing models: a new folder, whole or not at all, or another card in the place of a model's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import OutputError
from ..io.atomic import replacing
from ..io.staging import staging_folder
from .card import CARD, ModelCard, Role, card_text
from .card_parts import FileCard
from .weights import FORMATS, file_sha256


def file_card(path: Path) -> FileCard:
    """What a card says of a weight file, which lies in the model's own folder."""
    return FileCard(file_sha256(path), path.stat().st_size, format=FORMATS[path.suffix])


def _is_alike(path: Path, sha256: str) -> bool:
    return path.is_file() and file_sha256(path) == sha256


def save_model(folder: Path, card: ModelCard, weights: Mapping[Role, Path], share: str | None = None) -> Path:
    """Write a model folder from weight files and a card, whole or not at all.

    Args:
        folder: The new model's folder; must not exist.
        card: The card; its `files` are made here.
        weights: Role -> weight file to copy in.
        share: Name of a model folder beside the new one: files that it holds alike are not copied, and
            the two models must stay together.

    Raises:
        OutputError: The folder exists or cannot be written.
        ValueError: The card is none that could be read again.
    """
    folder = Path(folder)
    if folder.exists():
        raise OutputError(
            f"Model folder '{folder.name}' exists.", "Give another name: a model is never overwritten."
        )
    try:
        with staging_folder(folder.parent, "model") as staging:
            temporary = staging / folder.name
            temporary.mkdir()
            files: dict[str, FileCard] = {}
            for role, source in weights.items():
                name = role + source.suffix
                files[name] = file_card(source)
                if share is not None and _is_alike(folder.parent / share / name, files[name].sha256):
                    files[name] = replace(files[name], shared_from=share)
                else:
                    shutil.copyfile(source, temporary / name)
            (temporary / CARD).write_text(card_text(replace(card, files=files)), encoding="utf-8")
            os.replace(temporary, folder)
    except OSError as error:
        raise OutputError(
            f"The model folder '{folder.name}' cannot be written.",
            "Check the folder's permissions and free space.",
        ) from error
    return folder


def replace_card(folder: Path, card: ModelCard) -> None:
    """Put another card in the place of a model's own; its files must be those that lie there.

    Raises:
        OutputError: It cannot be written.
    """
    with replacing(folder / CARD, overwrite=True) as temporary:
        temporary.write_text(card_text(card), encoding="utf-8")
