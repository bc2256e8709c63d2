"""A model's card in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from ..preprocessing.steps import STEPS
from .card import ROLES, ModelCard
from .card_parts import SegmenterCard
from .repeatability_card import RepeatabilityCard

_ROLES_IN_WORDS = {
    "segmenter": "segmenter",
    "localizer": "localiser",
    "refiner": "refinement network of the localiser",
}


def card_lines(card: ModelCard) -> list[str]:
    """What the card says, without the lists of cases."""
    return [f"{title + ':' if title else '':16}{words}" for title, words in _rows(card) if words]


def _rows(card: ModelCard) -> Iterator[tuple[str, str]]:
    yield "Model", card.name
    yield "", card.title
    yield "Intended use", card.intended_use
    yield "Licence", card.licence
    heads = "whole heads, or crops" if card.localizer else "crops of one hippocampus; no whole heads"
    yield "Takes", heads
    for role in ROLES:
        shape = card.network(role)
        if shape is not None:
            words = f"{_ROLES_IN_WORDS[role]}, {shape.parameters} learned values"
            yield "Network", words
    part = card.segmenter
    yield "Input", _input(part)
    yield "Classes", ", ".join(part.classes)
    yield from _training(part)
    yield "Quality score", "yes" if card.quality else "no"
    yield "Second reader", card.second_reader or ""
    yield "Measured again", _repeatability(card.repeatability)
    for name, file in card.files.items():
        beside = f", in the folder {file.shared_from}" if file.shared_from else ""
        yield "File", f"{name}{beside}, SHA-256 {file.sha256}"


def _repeatability(part: RepeatabilityCard | None) -> str:
    if part is None:
        return ""
    sides = f"a side's volume {part.side_sd_percent:.2f} %, both together {part.total_sd_percent:.2f} %"
    return f"standard deviation of {sides} ({part.how})"


def _input(part: SegmenterCard) -> str:
    channels = [
        " + ".join(STEPS[one["step"]].title for one in steps) or "as it is"
        for steps in part.preprocessing.channels
    ]
    z, y, x = part.roi_size
    size = f"{x} x {y} x {z} voxels (x, y, z) of {part.spacing_mm:g} mm"
    return f"{size}; {'; '.join(f'channel {n}: {words}' for n, words in enumerate(channels, start=1))}"


def _training(part: SegmenterCard) -> Iterator[tuple[str, str]]:
    training = part.training
    yield "Trained by", training.command
    if training.train_cases:
        earlier = len(training.all_train_cases) - len(training.train_cases)
        also = f", {earlier} more before" if earlier else ""
        yield (
            "Trained on",
            f"{len(training.train_cases)} cases{also}; {len(training.validation_cases)} held out",
        )
    yield "Held out", _held_out(part)
    if part.fine_tuning is not None:
        yield "Fine-tuned", part.fine_tuning.words


def _held_out(part: SegmenterCard) -> str:
    """Mean Dice of the held-out cases; "" where the card does not tell it in the usual form."""
    scores = part.metrics.get("held_out_dice")
    if not isinstance(scores, dict):
        return ""
    means = [
        f"{name} {row['mean']:.3f}"
        for name, row in scores.items()
        if isinstance(row, dict) and isinstance(row.get("mean"), float)
    ]
    return f"Dice {', '.join(means)}" if means else ""
