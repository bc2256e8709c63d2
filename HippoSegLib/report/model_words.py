"""What a model was trained on, what it reached and what it is not for, from its card."""

from __future__ import annotations

from ..errors import ModelError
from ..models.card import ModelCard, read_card
from ..models.store import model_folder
from ..models.user_models import user_models_folder


def card_of(name: str, sha256: str, folder: str | None = None) -> ModelCard | None:
    """The card of the model that made a result; None where it is not at hand.

    Args:
        name: Of the model, as the record has it.
        sha256: Of its weights, as the record has it: another model of that name is not taken for it.
        folder: Where to look first.
    """
    for place in (folder, name, str(user_models_folder() / name)):
        if place:
            try:
                card = read_card(model_folder(place))
            except (ModelError, OSError):
                continue
            if card.weights_sha256 == sha256:
                return card
    return None


def model_sentences(card: ModelCard) -> tuple[str, ...]:
    """Sentences for people, the most important first."""
    found = [card.intended_use, _trained_on(card), _reached(card)]
    if card.segmenter.fine_tuning is not None:
        found.append(card.segmenter.fine_tuning.words)
    return tuple(one for one in found if one)


def _trained_on(card: ModelCard) -> str:
    training = card.segmenter.training
    if not training.train_cases:
        return ""
    protocols = training.extra.get("protocols")
    by = ""
    if isinstance(protocols, dict) and protocols:
        by = f" ({', '.join(f'{count} by the protocol {name}' for name, count in protocols.items())})"
    return f"Trained on {len(training.train_cases)} outlined hippocampi{by}. {card.licence}".strip()


def _reached(card: ModelCard) -> str:
    """Dice on heads with manual labels; "" where the card does not tell it in the usual form."""
    try:
        dice = card.figures["labelled_heads"]["both"]["dice"]
        heads, mean, low, high = dice["n"] // 2, dice["mean"], dice["min"], dice["max"]
        return (
            f"On {heads} heads with manual outlines of others, which it had not seen: overlap (Dice) "
            f"{mean:.2f} ({low:.2f} to {high:.2f})."
        )
    except (KeyError, TypeError, ValueError):
        return ""
