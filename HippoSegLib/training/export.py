"""From a run folder to a model's weights and its part of the card.

``python -m HippoSegLib.training.export RUN -o FOLDER`` writes the averaged weights of the last
finished epoch, also while the run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch

from ..errors import OutputError
from ..io.staging import staging_folder
from ..labels import OUTLINE_CLASSES
from ..models.unet3d import UNet3D, count_parameters
from ..preprocessing.chain import Preprocessing
from .cases import Case, load_cases
from .evaluation import Evaluator, summary, write_rows
from .runstate import read_command, read_run

#: Settings that stand in the card outside its ``training`` part.
_ELSEWHERE = ("preprocessing", "region_shape", "widths")
WEIGHTS, CARD, SCORES = "segmenter.pt", "card.json", "held_out.csv"


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Refuse a folder with files that would be replaced and may not be.

    Raises:
        OutputError: It holds a model while `overwrite` is False, or files of the same names that are
            not of a model.
    """
    there = [name for name in (WEIGHTS, CARD, SCORES) if (folder / name).exists()]
    if there and not _is_exported(folder / CARD):
        raise OutputError(
            f"'{folder.name}' has a file of the name '{there[0]}' that is not of a model.",
            "Choose another folder.",
            "not_ours",
        )
    if (folder / WEIGHTS).exists() and not overwrite:
        raise OutputError(
            f"'{folder.name}' already holds a model.", "Choose another folder, or use --overwrite."
        )


def _is_exported(card: Path) -> bool:
    try:
        values = json.loads(card.read_text(encoding="utf-8"))
        return {"classes", "preprocessing", "training"} <= set(values)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def export_run(
    settings: dict,
    state: dict,
    folder: str | Path,
    *,
    evaluate_on: Sequence[Case] | None = None,
    command: str = "",
    overwrite: bool = False,
) -> dict:
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
    classes = OUTLINE_CLASSES[: len(weights["head.bias"])]
    model = UNet3D(len(preprocessing.channels), len(classes), settings["widths"], settings["dropout"]).eval()
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    card = {
        "classes": list(classes),
        "widths": settings["widths"],
        "parameters": count_parameters(model),
        "region_size": settings["region_shape"],  # (z, y, x) voxels, geometry of a left hippocampus
        "spacing_mm": 1.0,
        "preprocessing": settings["preprocessing"],
        "training": {
            "command": command,
            "epochs_done": state["epoch"],
            "seconds": round(sum(row["seconds"] for row in state["history"])),
            **{key: settings[key] for key in settings if key not in _ELSEWHERE},
        },
        "metrics": {},
        "versions": {
            name: metadata.version(name) for name in ("torch", "numpy", "scikit-image", "PyWavelets")
        },
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        if evaluate_on:
            rows = Evaluator(evaluate_on, tuple(settings["region_shape"]), preprocessing)(model)
            card["metrics"] = {"held_out_dice": summary(rows), "cases": len(rows)}
        with staging_folder(folder, "model") as staging:
            if rows:
                write_rows(rows, staging / SCORES)
            torch.save(weights, staging / WEIGHTS)
            card["sha256"] = {WEIGHTS: hashlib.sha256((staging / WEIGHTS).read_bytes()).hexdigest()}
            (staging / CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")
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
        f"epoch {card['training']['epochs_done']} of {settings['num_epochs']}: {json.dumps(card['metrics'])}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
