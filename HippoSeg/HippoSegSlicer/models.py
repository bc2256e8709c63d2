"""The models the panel offers: bundled, fine-tuned on this computer, from a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass

from slicer.i18n import tr as _

from HippoSegLib import checkpoint
from HippoSegLib.errors import HippoSegError
from HippoSegLib.usermodels import user_models


@dataclass(frozen=True)
class Choice:
    """A model in the list: `value` is "" for the default one, else a bundled name or a folder."""

    label: str
    value: str


def choices(folders: list[str]) -> list[Choice]:
    """The models to offer: the default one, others that came with HippoSeg, fine-tuned ones, and folders.

    Args:
        folders: Model folders chosen before; those that are gone are left out.
    """
    found = [Choice(_("{name} (came with HippoSeg)").format(name=checkpoint.DEFAULT), "")]
    found += [Choice(name, name) for name in checkpoint.bundled_models() if name != checkpoint.DEFAULT]
    own = [str(folder) for folder in user_models()]
    found += [Choice(_("{name} (yours)").format(name=os.path.basename(folder)), folder) for folder in own]
    for folder in folders:
        if folder and folder not in own and os.path.isfile(os.path.join(folder, checkpoint.CARD)):
            found.append(Choice(os.path.basename(folder.rstrip("/\\")), folder))
    return found


def card(model: str) -> dict:
    """The card of a model; raises ModelError where there is none that can be read."""
    return checkpoint.read_card(checkpoint.model_folder(model or None))


def problem(model: str) -> str:
    """Why a model cannot be used, in a sentence; "" where it can."""
    try:
        card(model)
    except HippoSegError as error:
        return str(error)
    return ""
