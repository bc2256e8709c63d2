"""How well the volumes of a result would be measured again: as the user states it, or the model's card."""

from __future__ import annotations

from ..errors import ModelError
from ..models.card import read_card
from ..models.repeatability_card import RepeatabilityCard
from ..models.store import model_folder
from .values import Identity


def repeatability_of(identity: Identity, own: float | None = None) -> RepeatabilityCard | None:
    """How well volumes are measured again; None where that is not known.

    Args:
        identity: What made them.
        own: Standard deviation at the user's own site, %, where it is known.
    """
    if own is not None:
        readers = max(1, len(identity.readers.split()))
        return RepeatabilityCard(own, 10**6, own, 10**6, 1, identity.protocol, readers, "stated by the user")
    try:
        card = read_card(model_folder(identity.model))
    except ModelError:
        return None
    made_by = identity.readers.split()
    is_that = not made_by or made_by[0] == f"{identity.model}:{card.weights_sha256[:12]}"
    return card.repeatability if is_that else None
