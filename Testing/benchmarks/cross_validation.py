"""Cross-validation of the recipe: every labelled crop, segmented by the fold's model that never saw it.

    hipposeg train msd_hippocampus -o cv0 --folds 5 --fold 0 ...      (and 1 to 4)
    HIPPOSEG_DATA=... python Testing/benchmarks/cross_validation.py cv0 cv1 cv2 cv3 cv4 [--write]

A folder is what `hipposeg train` wrote. Scored is the pipeline in region mode, on the crop's own grid. With
--write the figures go to cross_validation.md, a row per case to cross_validation.csv and what made the folds'
models to cross_validation.json, where the tables of --model lie (the bundled model that the folds' recipe
makes). With --saved, folds that are not given stay as saved.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from tables import folder_of, option_of  # noqa: E402

from HippoSegLib.evaluation.cases import pair_cases  # noqa: E402
from HippoSegLib.evaluation.labelmap import label_map  # noqa: E402
from HippoSegLib.evaluation.metrics import METRICS  # noqa: E402
from HippoSegLib.evaluation.run import Row, check_references, evaluate_cases  # noqa: E402
from HippoSegLib.evaluation.summary import cases_csv, summarise  # noqa: E402
from HippoSegLib.models.store import load_model  # noqa: E402
from HippoSegLib.models.training_card import TrainingCard  # noqa: E402
from HippoSegLib.training.cases import subject_of  # noqa: E402
from HippoSegLib.training.data_splits import CROPS  # noqa: E402

#: Structure, metric, goal, and whether more is better.
GOALS = (
    ("left", "dice", 0.925, True),
    ("left-anterior", "dice", 0.905, True),
    ("left-posterior", "dice", 0.890, True),
    ("left", "hd95_mm", 1.2, False),
)
LOWEST = 0.85
#: What is saved of a fold beside its cases.
MADE_BY = ("number", "command", "epochs", "seconds")


def held_out(training: TrainingCard) -> set[str]:
    """The cases a fold's model never saw.

    Raises:
        ValueError: A subject is on both sides.
    """
    seen = {subject_of(name) for name in training.train_cases}
    held = set(training.validation_cases)
    if seen & {subject_of(name) for name in held}:
        raise ValueError("A subject is in training and held out.")
    return held


def fold_rows(model, crops: Path, held: set[str], threads: int) -> list:
    """Scores of a fold's held-out crops."""
    pairs = pair_cases([str(crops / "images")], [str(crops / "labels")], None)[0]
    pairs = [case for case in pairs if case.name in held]
    meaning = check_references(pairs, label_map("msd", "left"), True)
    rows = []
    options = {"model": model, "device": "cpu", "threads": threads}
    for result in evaluate_cases(pairs, meaning, region=True, region_side="left", **options):
        if result.error is not None:
            raise RuntimeError(f"{result.case}: {result.error}")
        rows.extend(result.rows)
    return rows


def table(folds: list[Fold]) -> str:
    """The report: a line per fold, all together, the goals, the lowest cases."""
    lines = [
        "| fold | cases | epochs | training s | Dice whole | anterior | posterior | HD95 mm | lowest whole |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    everything = [row for fold in folds for row in fold.rows]
    parts = [(fold.number, fold.epochs, fold.seconds, fold.rows) for fold in folds]
    for name, epochs, seconds, rows in [*parts, ("all", "", "", everything)]:
        summary = summarise(rows)
        values = [f"{summary[s][m]['mean']:.{3 if m == 'dice' else 2}f}" for s, m, _, _ in GOALS]
        lines.append(
            f"| {name} | {summary['left']['dice']['n']} | {epochs} | {seconds} | {' | '.join(values)} | "
            f"{summary['left']['dice']['min']:.3f} |"
        )
    summary = summarise(everything)
    lines += ["", "| goal | reached | |", "|---|---|---|"]
    for structure, metric, goal, more in GOALS:
        mean = summary[structure][metric]["mean"]
        missed = goal - mean if more else mean - goal
        word = "met" if missed <= 0 else f"missed by {missed:.3f}"
        sign, part = "≥≤"[not more], structure.partition("-")[2] or "whole"
        lines.append(f"| {part} {metric} {sign} {goal} | {mean:.3f} | {word} |")
    whole = sorted(
        (row.values["dice"], row.case) for row in everything if row.structure == "left"
    )  # fmt: skip
    under = [f"{name} {value:.3f}" for value, name in whole if value < LOWEST]
    lines.append(
        f"| no case under {LOWEST} whole | {whole[0][0]:.3f} | {len(under)} of {len(whole)} under it |"
    )
    if under:
        lines += ["", f"Under {LOWEST}: {', '.join(under)}."]
    return "\n".join(lines)


@dataclass(frozen=True)
class Fold:
    """What a fold's model was made by, and the scores of its held-out crops."""

    number: int
    command: str
    epochs: int
    seconds: int
    rows: list[Row]

    @property
    def made_by(self) -> dict:
        """All but the rows, and the cases these are of."""
        plain = {name: getattr(self, name) for name in MADE_BY}
        return plain | {"cases": sorted({row.case for row in self.rows})}


def measured(folder: Path, crops: Path, threads: int) -> Fold:
    """Score a fold's model on the crops it did not see."""
    model = load_model(folder)
    training = model.card.segmenter.training
    rows = fold_rows(model, crops, held_out(training), threads)
    number = int(option_of(training.command, "--fold"))
    return Fold(number, training.command, training.epochs_done, round(training.seconds), rows)


def saved(folder: Path) -> list[Fold]:
    """The folds that an earlier call wrote."""
    rows = defaultdict(list)
    with (folder / "cross_validation.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            values = {name: float(line[name] or "nan") for name in METRICS}
            row = Row(line["case"], line["structure"], line["status"], values=values, flags=line["flags"])
            rows[row.case].append(row)
    folds = json.loads((folder / "cross_validation.json").read_text(encoding="utf-8"))
    return [
        Fold(*(fold[name] for name in MADE_BY), rows=[row for case in fold["cases"] for row in rows[case]])
        for fold in folds
    ]


def report(folds: list[Fold]) -> str:
    """All of it in Markdown.

    Raises:
        ValueError: A case is in two folds.
    """
    times = Counter(case for fold in folds for case in fold.made_by["cases"])
    if max(times.values()) > 1:
        raise ValueError("A case is held out twice: these are not the folds of one division.")
    lines = [
        "# Cross-validation on the labelled crops",
        "",
        "Printed by `python Testing/benchmarks/cross_validation.py`; the folds' models were made by",
        "",
        *(f"- `{fold.command}`" for fold in folds),
        "",
        f"{len(times)} crops of {len({subject_of(n) for n in times})} subjects; both sides of a subject stay "
        "in one fold. Weights are those of the last epoch, chosen by no case.",
        "",
        table(folds),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folds", nargs="*", type=Path, help="model folders of the folds")
    parser.add_argument("--model", help="bundled model that the folds are of (default: the default one)")
    parser.add_argument("--saved", action="store_true", help="take the other folds from the saved files")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    place = folder_of(args.model)
    found = {fold.number: fold for fold in (saved(place) if args.saved else [])}
    for folder in args.folds:
        fold = measured(folder, Path(os.environ["HIPPOSEG_DATA"]) / CROPS, args.threads)
        found[fold.number] = fold
    folds = [found[number] for number in sorted(found)]
    if not folds:
        parser.error("give the folds' model folders, or --saved")
    if args.write:
        rows = [row for fold in folds for row in fold.rows]
        (place / "cross_validation.csv").write_text(cases_csv(rows), encoding="utf-8")
        made = json.dumps([fold.made_by for fold in folds], indent=1)
        (place / "cross_validation.json").write_text(made + "\n", encoding="utf-8")
        # From the rows as they are rounded there, so that --saved repeats it to the letter.
        (place / "cross_validation.md").write_text(report(saved(place)), encoding="utf-8")
    print(report(folds))


if __name__ == "__main__":
    main()
