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
from ..labels import NETWORK_CLASSES
from ..models.unet3d import UNet3D, count_parameters
from ..preprocessing.chain import Preprocessing
from .cases import CLASSES, Case, load_cases
from .evaluation import Evaluator, summary, write_rows
from .runstate import read_command, read_run

#: Settings that stand in the card outside its ``training`` part.
_ELSEWHERE = ("preprocessing", "region_shape", "widths")
WEIGHTS, CARD, SCORES = "segmenter.pt", "card.json", "held_out.csv"


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Raise OutputError where the folder holds a model that may not be replaced."""
    if not overwrite and (folder / WEIGHTS).exists():
        raise OutputError(f"{folder} already holds a model.", "Choose another folder, or use --overwrite.")


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
    model = UNet3D(len(preprocessing.channels), CLASSES, settings["widths"], settings["dropout"]).eval()
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    card = {
        "classes": list(NETWORK_CLASSES),
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
        if evaluate_on:
            rows = Evaluator(evaluate_on, tuple(settings["region_shape"]), preprocessing)(model)
            card["metrics"] = {"held_out_dice": summary(rows), "cases": len(rows)}
            write_rows(rows, folder / SCORES)
        temporary = folder / (WEIGHTS + ".part")
        torch.save(weights, temporary)
        card["sha256"] = {WEIGHTS: hashlib.sha256(temporary.read_bytes()).hexdigest()}
        card_part = folder / (CARD + ".part")
        card_part.write_text(json.dumps(card, indent=1), encoding="utf-8")
        os.replace(temporary, folder / WEIGHTS)
        os.replace(card_part, folder / CARD)
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
