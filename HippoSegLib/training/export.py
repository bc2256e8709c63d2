"""From a run folder to a model for crops: weights and card.

``python -m HippoSegLib.training.export RUN -o FOLDER`` writes the averaged weights of the last
finished epoch, also while the run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import torch

from ..errors import ModelError, OutputError
from ..io.staging import staging_folder
from ..labels import OUTLINE_CLASSES
from ..models.card import CARD, ModelCard, card_text, printable_name, read_card
from ..models.card_parts import SegmenterCard
from ..models.network import build
from ..models.saving import file_card
from ..models.training_card import TrainingCard
from ..preprocessing.chain import Preprocessing
from .cases import Case, load_cases
from .evaluation import Evaluator, summary, write_rows
from .runstate import read_command, read_run

#: Settings that stand in the card outside its ``training`` part.
_ELSEWHERE = ("preprocessing", "region_shape", "widths", "train_cases", "validation_cases")
_PACKAGES = ("torch", "numpy", "scikit-image", "PyWavelets")
WEIGHTS, SCORES = "segmenter.pt", "held_out.csv"


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Refuse a folder with files that would be replaced and may not be.

    Raises:
        OutputError: It holds a model while `overwrite` is False, or files of the same names that are
            not of a model.
    """
    there = [name for name in (WEIGHTS, CARD, SCORES) if (folder / name).exists()]
    if there and not _is_exported(folder):
        raise OutputError(
            f"'{folder.name}' has a file of the name '{there[0]}' that is not of a model.",
            "Choose another folder.",
            "not_ours",
        )
    if (folder / WEIGHTS).exists() and not overwrite:
        raise OutputError(
            f"'{folder.name}' already holds a model.",
            "Choose another folder, or allow overwriting.",
            "exists",
        )


def _is_exported(folder: Path) -> bool:
    """Whether a folder holds a segmenter that was trained here, not a model for heads or a fine-tuned one."""
    try:
        card = read_card(folder)
    except ModelError:
        return False
    return set(card.files) == {WEIGHTS} and card.segmenter.fine_tuning is None


def export_run(
    settings: dict,
    state: dict,
    folder: str | Path,
    *,
    evaluate_on: Sequence[Case] | None = None,
    command: str = "",
    overwrite: bool = False,
) -> ModelCard:
    """Write ``segmenter.pt`` (float16 state) and ``card.json`` of a run.

    The weights are the moving average at the last epoch, which no held-out case has chosen; the
    figures are those of the written, rounded weights in float32.

    Args:
        settings, state: Of the run folder.
        folder: Model folder, made if it is not there.
        evaluate_on: Held-out cases; their scores are written beside the model as ``held_out.csv``.
        command: What repeats the training.
        overwrite: Whether a model there may be replaced.

    Returns:
        The card.

    Raises:
        OutputError: The folder cannot be written or already holds a model.
    """
    folder = Path(folder)
    refuse_existing(folder, overwrite)
    weights = {name: value.half() for name, value in state["ema"].items()}
    preprocessing = Preprocessing.from_dict(settings["preprocessing"])
    part = SegmenterCard(
        widths=tuple(settings["widths"]),
        roi_size=tuple(settings["region_shape"]),
        spacing_mm=1.0,
        preprocessing=preprocessing,
        classes=OUTLINE_CLASSES[: len(weights["head.bias"])],
        training=TrainingCard(
            command=command,
            seconds=round(sum(row["seconds"] for row in state["history"])),
            epochs_done=state["epoch"],
            train_cases=tuple(settings["train_cases"]),
            validation_cases=tuple(settings["validation_cases"]),
            extra={key: settings[key] for key in settings if key not in _ELSEWHERE},
        ),
        versions={name: metadata.version(name) for name in _PACKAGES},
    )
    part = replace(part, parameters=part.network.parameters)
    model = build(part.network, weights)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        if evaluate_on:
            rows = Evaluator(evaluate_on, tuple(settings["region_shape"]), preprocessing)(model)
            part = replace(part, metrics={"held_out_dice": summary(rows), "cases": len(rows)})
        with staging_folder(folder, "model") as staging:
            if rows:
                write_rows(rows, staging / SCORES)
            torch.save(weights, staging / WEIGHTS)
            card = ModelCard(
                name=printable_name(folder),
                title=f"Crops of one hippocampus, T1; trained on {len(part.training.train_cases)} of them",
                intended_use="Crops of one hippocampus, of the kind it was trained on; not whole heads.",
                parameters=part.parameters,
                segmenter=part,
                files={WEIGHTS: file_card(staging / WEIGHTS)},
            )
            (staging / CARD).write_text(card_text(card), encoding="utf-8")
            # The card is first: its SHA-256 tells that weights beside it are not yet these, and where it
            # stands, what stands beside it is known to be ours.
            for name in (CARD, SCORES, WEIGHTS):
                if (staging / name).exists():
                    os.replace(staging / name, folder / name)
                else:
                    (folder / name).unlink(missing_ok=True)  # of the model that is replaced
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f"The model folder {folder} cannot be written.", "Choose another folder."
        ) from error
    return card


def main(argv: Sequence[str] | None = None) -> int:
    """Export a run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="model folder to write")
    parser.add_argument(
        "--data", type=Path, help="training data folder: evaluate on the run's held-out cases"
    )
    parser.add_argument("--overwrite", action="store_true")
    args = parser.parse_args(argv)
    settings, state = read_run(args.run)
    held = None
    if args.data is not None:
        wanted = set(settings["validation_cases"])
        held = [case for case in load_cases(args.data) if case.name in wanted]
    card = export_run(
        settings,
        state,
        args.output,
        evaluate_on=held,
        command=read_command(args.run),
        overwrite=args.overwrite,
    )
    print(
        f"epoch {card.segmenter.training.epochs_done} of {settings['num_epochs']}: "
        f"{json.dumps(card.segmenter.metrics)}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
