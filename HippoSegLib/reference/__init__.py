"""A site's own reference: what its controls' hippocampi measure, and how one person's compare with it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .judging import judge
    from .reference import Reference, read_reference
    from .values import MEASURES, Identity, Judged, Judgement, Person, Remark, identity_of, judgement_of

__all__ = [
    "MEASURES",
    "Identity",
    "Judged",
    "Judgement",
    "Person",
    "Reference",
    "Remark",
    "identity_of",
    "judge",
    "judgement_of",
    "read_reference",
]
#: What is not in `values`: segmenting needs that alone, and loads no more.
_ELSEWHERE = {"judge": "judging", "Reference": "reference", "read_reference": "reference"}


def __getattr__(name: str):
    if name in __all__:
        return getattr(importlib.import_module(f".{_ELSEWHERE.get(name, 'values')}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
