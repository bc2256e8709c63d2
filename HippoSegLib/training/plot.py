"""Curves of a training run: ``python -m HippoSegLib.training.plot RUN [-o FILE.png]``."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..io.atomic import replacing
from .evaluation import STRUCTURES
from .runstate import LOG

#: In the run folder, drawn anew each time.
PICTURE = "log.png"


def read_log(path: str | Path) -> list[dict]:
    """Read the log of a run: a dict per epoch, numbers as float, ``None`` where nothing was measured.

    Raises:
        InputError: There is no log, or it is not one.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [
            {k: v if k == "note" else float(v) if v != "" else None for k, v in row.items()} for row in rows
        ]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"The log {Path(path).name} cannot be read.", "Name the folder of a run with a finished epoch."
        ) from error


def plot_log(run: str | Path, target: str | Path) -> None:
    """Draw loss, learning rate and validation Dice of a run folder over its epochs into a PNG.

    Raises:
        InputError: The run has no log.
        OutputError: The picture cannot be written, or is there already and not in the run folder.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_log(Path(run) / LOG)
    if not rows:
        raise InputError("The log has no epoch.", "Wait for the first epoch to end.")
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)  # no display, and no global state
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [row["train_loss"] for row in rows], label="training loss")
    left.set(xlabel="epoch", ylabel="loss", title="Training")
    rate = left.twinx()
    rate.plot(epochs, [row["learning_rate"] for row in rows], color="tab:gray", ls=":", label="learning rate")
    rate.set_ylabel("learning rate")
    for row in rows:
        if row["note"]:
            left.axvline(row["epoch"], color="tab:red", lw=0.8)
    left.legend(handles=[*left.lines[:1], *rate.lines], loc="upper right")
    for name in STRUCTURES:
        points = [(row["epoch"], row[f"val_{name}"]) for row in rows if row[f"val_{name}"] is not None]
        right.plot(*zip(*points, strict=True) if points else ([], []), marker=".", label=name)
    right.set(xlabel="epoch", ylabel="Dice", title="Validation (averaged weights)")
    right.legend(loc="lower right")
    right.grid(alpha=0.3)
    own = Path(target) == Path(run) / PICTURE
    with replacing(target, overwrite=own) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    """Plot a run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("-o", "--output", type=Path, help="picture (default: RUN/log.png)")
    args = parser.parse_args(argv)
    target = args.output or args.run / PICTURE
    plot_log(args.run, target)
    print(target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
