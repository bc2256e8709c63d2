"""The models the panel offers: bundled, fine-tuned on this computer, from a folder.

What the disk says is remembered until :func:`forget`: the panel is shown anew at every change in the scene.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass

from slicer.i18n import tr as _

from HippoSegLib.errors import HippoSegError
from HippoSegLib.models import store as checkpoint
from HippoSegLib.models.card import CARD, ModelCard, read_card
from HippoSegLib.models.user_models import default_model, user_models

from . import preprocessingsettings
from .sentences import errorText


@dataclass(frozen=True)
class Choice:
    """A model in the list: `value` is a bundled name or a folder."""

    label: str
    value: str


def forget() -> None:
    """Look at the disk again: the module is entered, or a model was made or chosen."""
    for remembered in (_choices, resolved, _read, _beside, _trainedWith):
        remembered.cache_clear()


def choices(folders: list[str]) -> list[Choice]:
    """The models to offer: those that came with HippoSeg, fine-tuned ones, and folders.

    Args:
        folders: Model folders chosen before; those that are gone are left out.
    """
    return list(_choices(tuple(folders)))


@functools.lru_cache(maxsize=8)
def _choices(folders: tuple[str, ...]) -> tuple[Choice, ...]:
    names = [checkpoint.DEFAULT, *(n for n in checkpoint.bundled_models() if n != checkpoint.DEFAULT)]
    found = [Choice(_("{name} (came with HippoSeg)").format(name=name), name) for name in names]
    own = [str(folder) for folder in user_models()]
    found += [Choice(_("{name} (yours)").format(name=os.path.basename(folder)), folder) for folder in own]
    for folder in folders:
        isThere = os.path.isfile(os.path.join(folder, CARD))
        if isThere and folder not in [choice.value for choice in found]:
            found.append(Choice(os.path.basename(folder.rstrip("/\\")), folder))
    return tuple(found)


@functools.lru_cache(maxsize=32)
def resolved(model: str) -> str:
    """The model that a setting means: where none was chosen, the user's own default, else the bundled one."""
    return model or str(default_model() or checkpoint.DEFAULT)


def card(model: str) -> ModelCard:
    """The card of a model; raises ModelError where there is none that can be read."""
    found = _read(resolved(model))
    if isinstance(found, HippoSegError):
        raise found
    return found


@functools.lru_cache(maxsize=32)
def _read(model: str) -> ModelCard | HippoSegError:
    try:
        return read_card(checkpoint.model_folder(model))
    except HippoSegError as error:
        return error


def secondReader(model: str) -> str:
    """Name of the model that reads each scan a second time; "" where there is none."""
    try:
        return card(model).second_reader or ""
    except HippoSegError:
        return ""


def packages(model: str, isSingle: bool = False) -> frozenset[str]:
    """Modules that a model's readers need beyond Slicer's own packages.

    Args:
        isSingle: Its second reader, if there is one, does not read.
    """
    names = _packages(resolved(model))
    second = "" if isSingle else secondReader(model)
    return names | _packages(_beside(resolved(model), second)) if second else names


@functools.lru_cache(maxsize=32)
def _beside(model: str, name: str) -> str:
    """The folder of another model beside one; what is wrong with it is said when it is loaded."""
    try:
        return str(checkpoint.model_folder(model).parent / name)
    except HippoSegError:
        return name


def _packages(model: str) -> frozenset[str]:
    found = _read(model)
    return (
        frozenset() if isinstance(found, HippoSegError) else frozenset(found.segmenter.preprocessing.packages)
    )


def plain(model: str, missing: Iterable[str]) -> str | None:
    """The model to go on with where packages are missing, one reader alone; None where there is none.

    That is the chosen one where its own reader needs none of them, else the bundled default.
    """
    for choice in (resolved(model), checkpoint.DEFAULT):
        if not packages(choice, isSingle=True) & set(missing) and not problem(choice):
            return choice
    return None


def trainedWith(steps: set[str]) -> str:
    """The model that came with HippoSeg and was trained with just these steps; "" where there is none."""
    return _trainedWith(frozenset(steps))


@functools.lru_cache(maxsize=8)
def _trainedWith(steps: frozenset[str]) -> str:
    for name in checkpoint.bundled_models():
        if problem(name):
            continue
        if preprocessingsettings.steps(card(name).segmenter.preprocessing.to_dict()) == steps:
            return name
    return ""


def problem(model: str) -> str:
    """Why a model cannot be used, in a sentence; "" where it can."""
    try:
        card(model)
    except HippoSegError as error:
        return errorText(error)
    return ""
