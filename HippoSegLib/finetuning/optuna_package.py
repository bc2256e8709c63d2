"""Optuna, where it is installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import DependencyError


def import_optuna() -> Any:
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


@contextmanager
def without_notes() -> Iterator[None]:
    """Without Optuna's notes that what is used is experimental: a user can do nothing about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
