"""Curves and pictures of a fine-tuning: PNG, and a TensorBoard log where TensorBoard is installed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..evaluation.plots import draw_bland_altman, new_figure, png
from ..io.atomic import replacing

_LOG = logging.getLogger(__package__)

#: Dots per inch of these pictures.
DPI = 110
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")


def curves_png(histories: Mapping[str, list[dict]], base_dice: float | None = None) -> bytes:
    """PNG of loss and validation Dice over the epochs, a line per training; the base model's Dice dashed."""
    figure = new_figure(9.5, 4)
    left, right = figure.subplots(1, 2)
    for color, (name, history) in zip(_COLORS * 3, histories.items(), strict=False):
        epochs = [row["epoch"] for row in history]
        left.plot(epochs, [row["train_loss"] for row in history], color=color, label=name)
        for row in history:
            if row["note"]:
                left.axvline(row["epoch"], color="tab:red", lw=0.8, ls=":")
        points = [(row["epoch"], row["val_whole"]) for row in history if row["val_whole"] != ""]
        if points:
            right.plot(*zip(*points, strict=True), color=color, label=name)
    left.set(xlabel="epoch", ylabel="loss", title="Training")
    right.set(xlabel="epoch", ylabel="Dice of the whole", title="Cases kept apart")
    if base_dice is not None:
        right.axhline(base_dice, color="black", ls="--", lw=1, label="base model")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    return png(figure, DPI)


def before_after_png(before: Sequence[dict], after: Sequence[dict]) -> bytes:
    """PNG: each case's Dice of the whole before and after, joined by a line."""
    figure = new_figure(4.6, 4.6)
    axes = figure.subplots()
    for old, new in zip(before, after, strict=True):
        color = _COLORS[2] if new["whole"] >= old["whole"] else _COLORS[5]
        axes.plot((0, 1), (old["whole"], new["whole"]), color=color, marker="o", ms=4, lw=1, alpha=0.8)
    means = [np.mean([row["whole"] for row in rows]) for rows in (before, after)]
    axes.plot(
        (0, 1), means, color="black", marker="D", ms=6, lw=2.5, label=f"mean {means[0]:.3f}, {means[1]:.3f}"
    )
    axes.set_xticks((0, 1), ("before", "after"))
    axes.set(xlim=(-0.25, 1.25), ylabel="Dice of the whole", title=f"{len(before)} cases kept apart")
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    return png(figure, DPI)


def bland_altman_png(before: Sequence[dict], after: Sequence[dict]) -> bytes:
    """PNG: difference of the volumes over their mean (Bland and Altman), before and after."""
    figure = new_figure(9.5, 4.2)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, title, rows in zip(panels, ("before", "after"), (before, after), strict=True):
        style = {"s": 26, "color": _COLORS[0], "lw": 0.5}
        draw_bland_altman(axes, [(rows, style)], title, "label")
    return png(figure, DPI)


def write_curves(folder: Path, histories: Mapping[str, list[dict]]) -> None:
    """Write ``curves.png`` of a run under way."""
    with replacing(folder / "curves.png", overwrite=True) as temporary:
        temporary.write_bytes(curves_png(histories))


def write_tensorboard(folder: Path, name: str, history: Sequence[dict], first: int = 0) -> bool:
    """Append the epochs from ``first`` on to the TensorBoard log of one training.

    Returns:
        False where TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        _LOG.info("TensorBoard is not installed: no log is kept for it.")
        return False
    with SummaryWriter(str(folder / "tensorboard" / name)) as writer:
        for row in history[first:]:
            values = {"loss": row["train_loss"], "learning_rate": row["learning_rate"]}
            values |= {f"dice/{k[4:]}": row[k] for k in row if k.startswith("val_") and row[k] != ""}
            for key, value in values.items():
                writer.add_scalar(key, value, row["epoch"])
    return True
