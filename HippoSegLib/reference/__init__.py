"""A site's own reference: what its controls' hippocampi measure, and how one person's compare with it."""

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
