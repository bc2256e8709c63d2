"""Dice of a segmenter on labelled crops."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..io.atomic import replacing
from ..labels import OUTLINE_CLASSES
from ..preprocessing.chain import Preprocessing, channels
from .cases import WHOLE_ONLY, Case, fit
from .protocols import LabelProtocol

#: Columns of a table of scores, and what each compares.
STRUCTURES = ("whole", "anterior", "posterior")


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Dice coefficient of two masks of one shape; 1 where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int(np.logical_and(a, b).sum()) / total if total else 1.0


def dice_of_parts(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return Dice of the whole, the anterior (1) and the posterior (2) part of two label arrays.

    Where the truth has voxels of unknown part (``WHOLE_ONLY``), the parts' Dice is NaN.
    """
    if (truth >= WHOLE_ONLY).any():
        return {"whole": dice(found > 0, truth > 0), "anterior": math.nan, "posterior": math.nan}
    pairs = ((found > 0, truth > 0), (found == 1, truth == 1), (found == 2, truth == 2))
    return {name: dice(a, b) for name, (a, b) in zip(STRUCTURES, pairs, strict=True)}


def predict(
    model: torch.nn.Module,
    inputs: np.ndarray,
    device: str | torch.device = "cpu",
    mixed_precision: bool = False,
) -> np.ndarray:
    """Return class probabilities float32 (classes, z, y, x) of channels float32 (c, z, y, x)."""
    device = torch.device(device)
    training = model.training
    model.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=mixed_precision):
        logits = model(torch.from_numpy(inputs)[None].to(device))
    model.train(training)
    return logits[0].float().softmax(dim=0).cpu().numpy()


def labels_of(probabilities: np.ndarray, protocol: LabelProtocol) -> np.ndarray:
    """Return labels (z, y, x) of class probabilities (classes, z, y, x).

    Args:
        protocol: How a network that knows several is read.
    """
    if len(probabilities) == len(OUTLINE_CLASSES):
        return protocol.read(probabilities)
    return probabilities.argmax(axis=0)


class Evaluator:
    """Scores a model on crops as they are: padded with 0, or cut, to the network's region about their centre.

    Dice counts what a cut loses: the label is compared in the crop's own shape.

    Args:
        cases: Labelled crops.
        shape: Region (z, y, x).
        preprocessing: The model's.
    """

    def __init__(self, cases: Sequence[Case], shape: tuple[int, int, int], preprocessing: Preprocessing):
        self.cases = list(cases)
        self.inputs = [channels(fit(case.image, shape), preprocessing) for case in self.cases]

    def __call__(
        self, model: torch.nn.Module, device: str | torch.device = "cpu", mixed_precision: bool = False
    ) -> list[dict]:
        """Return a row per case: ``case``, ``subject`` and Dice of each of ``STRUCTURES``."""
        rows = []
        for case, inputs in zip(self.cases, self.inputs, strict=True):
            found = labels_of(predict(model, inputs, device, mixed_precision), case.protocol)
            found = fit(found, case.label.shape)
            rows.append({"case": case.name, "subject": case.subject, **dice_of_parts(found, case.label)})
        return rows


def means(rows: Sequence[dict]) -> dict[str, float]:
    """Return the mean of each of ``STRUCTURES`` over the rows of scores that have it; NaN where none has."""
    values = {name: [row[name] for row in rows if not math.isnan(row[name])] for name in STRUCTURES}
    return {name: float(np.mean(found)) if found else math.nan for name, found in values.items()}


def summary(rows: Sequence[dict]) -> dict[str, dict[str, float]]:
    """Return mean, standard deviation, median and minimum of each of ``STRUCTURES``."""
    result = {}
    for name in STRUCTURES:
        values = np.array([row[name] for row in rows])
        result[name] = {
            "mean": round(float(values.mean()), 4),
            "std": round(float(values.std(ddof=1)) if len(values) > 1 else 0.0, 4),
            "median": round(float(np.median(values)), 4),
            "min": round(float(values.min()), 4),
        }
    return result


def write_rows(rows: Sequence[dict], path: str | Path) -> None:
    """Write rows of one form as CSV; a file of ours in this place is replaced as a whole.

    Raises:
        OutputError: It cannot be written.
    """
    with (
        replacing(path, overwrite=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
