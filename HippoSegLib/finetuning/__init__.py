"""Fine-tuning a model on a site's own labelled scans: check, split, learn, judge, keep or not.

:func:`fine_tune` is the door. Importing this package imports no torch.
"""

from __future__ import annotations

__all__ = ["fine_tune"]


def __getattr__(name: str):
    if name == "fine_tune":
        from .run import fine_tune

        return fine_tune
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
