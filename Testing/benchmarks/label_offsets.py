"""How far the crops' labels lie off their images: what a rigid shift of the result would gain.

    HIPPOSEG_DATA=... python Testing/benchmarks/label_offsets.py cv0 cv1 cv2 cv3 cv4 [--write]

A folder is what ``hipposeg train`` wrote for one of five folds. Each of its held-out crops is segmented, and
the probabilities are shifted until their Dice with the manual label is highest. If that were chance or the
network's doing, the two sides of a person would know nothing of each other; if label and image of a person
do not lie upon each other, they agree (right ones are stored mirrored, so x turns its sign). The same of the
model that ships, on whole heads: measured only, nothing is chosen by it. With --write the tables go to
label_offsets.md and a row per crop to label_offsets.csv beside this file.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import ablation  # first: it sets the threads before numpy and torch load
import numpy as np
import SimpleITK as sitk
import torch
from last_epochs import fold_of, network_of, settings_of
from scipy import ndimage
from scipy.stats import spearmanr
from tables import HERE, option_of, write_keeping_words

from HippoSegLib.evaluation.metrics import dice
from HippoSegLib.labels import SIDES
from HippoSegLib.models.inference import predict
from HippoSegLib.models.store import load_model
from HippoSegLib.pipeline import segment
from HippoSegLib.preprocessing.chain import Preprocessing, channels
from HippoSegLib.training.cases import fit, load_cases, split_by_subject
from HippoSegLib.training.roles import CROPS, LABELLED_HEADS, UNLABELLED_HEADS

#: Steps of the search, in voxels of 1 mm.
STEPS = (0.5, 0.25)
#: Every shift counts that gains more than this.
LEAST_GAIN = 1e-4
AXES = ("z", "y", "x")
#: Cases under this Dice are listed, as are offsets from this length (mm) on.
LOW, FAR = 0.85, 0.8
#: Voxels about a head's label in which the shift is looked for.
MARGIN = 8


@dataclass(frozen=True)
class Offset:
    """Of one case: Dice as it is and after the best `shift` (z, y, x) in mm of the result."""

    case: str
    subject: str
    fold: int
    before: float
    after: float
    shift: tuple[float, float, float]

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.shift))


def best_shift(probability: np.ndarray, truth: np.ndarray) -> tuple[tuple[float, ...], float, float]:
    """Shift (z, y, x) in voxels that fits best, Dice without and with it.

    Args:
        probability: (z, y, x) float of the whole hippocampus. truth: (z, y, x) bool.
    """
    shift, before = np.zeros(3), dice(probability > 0.5, truth)
    best = before
    for step in STEPS:
        better = True
        while better:
            better = False
            for move in np.concatenate((np.eye(3), -np.eye(3))) * step:
                moved = ndimage.shift(probability, shift + move, order=1) > 0.5
                if moved.any() and (found := dice(moved, truth)) > best + LEAST_GAIN:
                    shift, best, better = shift + move, found, True
    return tuple(shift.tolist()), before, best


def of_fold(folder: Path, cases, split) -> list[Offset]:
    """The offsets of the crops that a fold's model held out."""
    fold, command, weights = fold_of(folder)
    preprocessing = Preprocessing.named(option_of(command, "--preprocessing"))
    settings = replace(settings_of("as before", 1), preprocessing=preprocessing)
    network, found = network_of(weights, settings), []
    for case in (cases[i] for i in split[fold]):
        inputs = channels(fit(case.image, settings.region_shape), settings.preprocessing)
        with torch.autocast("cpu", torch.bfloat16, enabled=ablation.native_bfloat16(torch.device("cpu"))):
            probability = predict(network, "cpu", {"left": inputs})["left"].sum(axis=0)
        truth = case.label > 0
        shift, before, after = best_shift(fit(probability, truth.shape), truth)
        found.append(Offset(case.name, case.subject, fold, before, after, shift))
    return found


def of_heads(data: Path, model) -> dict[str, list[Offset]]:
    """Kind of labels -> offsets of both sides of each head that only tests, x mirrored on the right."""
    found: dict[str, list[Offset]] = {}
    for path, label_of in ablation.labelled_heads(data / LABELLED_HEADS):
        found.setdefault("manual (Neuromorphometrics)", []).extend(of_head(path, label_of, model))
    for path, label_of in ablation.other_scanner_heads(data / UNLABELLED_HEADS):
        found.setdefault("a peer's (hippodeep)", []).extend(of_head(path, label_of, model))
    return found


def of_head(path: Path, label_of: Callable[[str], sitk.Image], model) -> list[Offset]:
    """The offsets of a head's two sides, in mm to superior, anterior and medial."""
    head = sitk.ReadImage(str(path), sitk.sitkFloat32)
    result, found = segment(head, model, "cpu", threads=1, probabilities=True), []
    for side in SIDES:
        maps = [sitk.DICOMOrient(one, "RAS") for one in (result.probabilities[side], label_of(side))]
        probability, truth = map(sitk.GetArrayFromImage, maps)
        near = tuple(slice(max(0, a.min() - MARGIN), a.max() + MARGIN + 1) for a in np.nonzero(truth))
        shift, before, after = best_shift(probability[near], truth[near] > 0)
        shift = np.multiply(shift, maps[0].GetSpacing()[::-1]) * (1, 1, -1 if side == "right" else 1)
        found.append(Offset(side, path.name, -1, before, after, tuple(shift.tolist())))
    return found


def heads_report(heads: dict[str, list[Offset]]) -> str:
    """A line per kind of labels and side, in Markdown."""
    lines = [
        "## Whole heads, the model that ships",
        "",
        "Measured only: nothing is chosen by it. Mean shift in mm (SD) that fits the result to the labels,",
        "right sides mirrored: x to medial, y to anterior, z to superior.",
        "",
        "| labels | side | heads | Dice | after each one's best shift | z | y | x |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, offsets in heads.items():
        for side in SIDES:
            own = [one for one in offsets if one.case == side]
            before, after = (np.mean([getattr(one, n) for one in own]) for n in ("before", "after"))
            shifts = np.array([one.shift for one in own])
            words = " | ".join(
                f"{m:+.2f} ({d:.2f})" for m, d in zip(shifts.mean(0), shifts.std(0), strict=True)
            )
            lines.append(f"| {kind} | {side} | {len(own)} | {before:.3f} | {after:.3f} | {words} |")
    return "\n".join(lines) + "\n"


def pairs(offsets: list[Offset]) -> list[tuple[Offset, Offset]]:
    """The two sides of each person of whom both are there, in the order of their names."""
    by_subject: dict[str, list[Offset]] = {}
    for one in sorted(offsets, key=lambda one: one.case):
        by_subject.setdefault(one.subject, []).append(one)
    return [tuple(sides) for sides in by_subject.values() if len(sides) == 2]


def report(offsets: list[Offset], commands: list[str]) -> str:
    """All of it in Markdown."""
    lengths = np.array([one.length for one in offsets])
    before, after = (np.array([getattr(one, name) for one in offsets]) for name in ("before", "after"))
    lines = [
        "# How far labels lie off their images",
        "",
        "    HIPPOSEG_DATA=... python Testing/benchmarks/label_offsets.py FOLD_MODEL … --write",
        "",
        f"{len(offsets)} crops, each segmented by a fold's model that did not see its person, the result",
        "then shifted until its Dice with the manual label is highest. The models were made by",
        "",
        *(f"- `{command}`" for command in commands),
        "",
        f"Mean Dice {before.mean():.3f}, after the best shift {after.mean():.3f} (a bound, as the label",
        f"chooses); lowest {before.min():.3f}, after {after.min():.3f}. The median shift is",
        f"{np.median(lengths):.2f} mm long; {int((lengths > FAR).sum())} are over {FAR} mm.",
        "",
        "Do both sides of a person agree?",
        "",
        "| shift along | persons | rank correlation of the sides | p |",
        "|---|---|---|---|",
    ]
    both = pairs(offsets)
    for k, axis in enumerate(AXES):
        one, other = np.array([[side.shift[k] for side in pair] for pair in both]).T
        # Right sides are stored mirrored.
        result = spearmanr(one, -other if axis == "x" else other)
        lines.append(f"| {axis} | {len(both)} | {result.statistic:+.2f} | {result.pvalue:.1g} |")
    lines += [
        "",
        f"Cases under {LOW}, or shifted by over {FAR} mm:",
        "",
        "| case | person | Dice | after the shift | z, y, x (mm) |",
        "|---|---|---|---|---|",
    ]
    for one in sorted(offsets, key=lambda one: one.before):
        if one.before < LOW or one.length > FAR:
            words = ", ".join(f"{v:+.2f}" for v in one.shift)
            lines.append(f"| {one.case} | {one.subject} | {one.before:.3f} | {one.after:.3f} | {words} |")
    return "\n".join(lines) + "\n"


def write_rows(offsets: list[Offset], path: Path) -> None:
    """A row per case."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", "fold", "dice", "dice_after", *(f"{axis}_mm" for axis in AXES)])
        for one in sorted(offsets, key=lambda one: one.case):
            writer.writerow([one.case, one.fold, f"{one.before:.4f}", f"{one.after:.4f}", *one.shift])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folds", type=Path, nargs="+", help="model folders of folds")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    ablation.one_thread()
    cases = load_cases(Path(os.environ["HIPPOSEG_DATA"]) / CROPS)
    split = split_by_subject([case.subject for case in cases], 5, seed=0)
    offsets = [one for folder in args.folds for one in of_fold(folder, cases, split)]
    text = report(offsets, [fold_of(folder)[1] for folder in args.folds])
    text += "\n" + heads_report(of_heads(Path(os.environ["HIPPOSEG_DATA"]), load_model(None)))
    print(text)
    if args.write:
        write_keeping_words(HERE / "label_offsets.md", text)
        write_rows(offsets, HERE / "label_offsets.csv")


if __name__ == "__main__":
    main()
