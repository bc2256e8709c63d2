"""Answers of networks, and their inputs, kept over all files of tests that a process runs."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from HippoSegLib.models import prediction
from HippoSegLib.models.numpy_engine import NumpyUNet
from HippoSegLib.preprocessing.chain import Preprocessing

#: Arrays that are kept; a head needs fifteen, of some megabytes each.
_KEPT = 150

_compute, _channels = NumpyUNet.__call__, prediction.channels
_answers: dict[tuple[Any, ...], np.ndarray] = {}
#: The first array of a network's weights, by its id -> the array, while it lives, and the weights' hash.
_known: dict[int, tuple[weakref.ref[np.ndarray], bytes]] = {}


def _hash_of(weights: Mapping[str, np.ndarray]) -> bytes:
    """What tells weights from all others, however often they are loaded."""
    first = next(iter(weights.values()))
    kept = _known.get(id(first))
    if kept is not None and kept[0]() is first:
        return kept[1]
    found = hashlib.sha256()
    for name, array in sorted(weights.items()):
        found.update(f"{name} {array.shape} {array.dtype} ".encode())
        found.update(np.ascontiguousarray(array))
    _known[id(first)] = weakref.ref(first), found.digest()
    return found.digest()


def _voxels(image: np.ndarray) -> tuple[Any, ...]:
    """What tells an array from all that differ in a bit."""
    return image.shape, image.dtype.str, hashlib.sha256(np.ascontiguousarray(image)).digest()


def _kept(key: tuple[Any, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
    if key in _answers:
        _answers[key] = _answers.pop(key)  # what is asked for most lately goes last
    else:
        _answers[key] = make()
        if len(_answers) > _KEPT:
            del _answers[next(iter(_answers))]
    return _answers[key].copy()


def answer(network: NumpyUNet, image: np.ndarray) -> np.ndarray:
    """In place of `NumpyUNet.__call__`: the answer to the very same voxels is given again."""
    return _kept((_hash_of(network._state), *_voxels(image)), lambda: _compute(network, image))


def channels(array: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """In place of `prediction.channels`, likewise."""
    return _kept((repr(preprocessing), *_voxels(array)), lambda: _channels(array, preprocessing))
