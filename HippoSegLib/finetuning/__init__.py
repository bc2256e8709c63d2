"""Fine-tuning a model on a site's own labelled scans: check, split, learn, compare, keep or not.

:func:`fine_tune` is the way in, with a `Site`, `FineTuneSettings` and `RunOptions`. Importing this package
imports no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

#: Public name -> the module that has it.
_PUBLIC = {"FineTuneSettings": "settings", "RunOptions": "run_options", "Site": "site", "fine_tune": "run"}
__all__ = ["FineTuneSettings", "RunOptions", "Site", "fine_tune"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
