"""Cross-validation of the recipe: every labelled crop, segmented by the fold's model that never saw it.

    hipposeg train msd_hippocampus -o cv0 --folds 5 --fold 0 ...      (and 1 to 4)
    HIPPOSEG_DATA=... python Testing/benchmarks/cross_validation.py cv0 cv1 cv2 cv3 cv4 [--write]

A folder is what `hipposeg train` wrote. Scored is the street in region mode, on the crop's own grid. With
--write the figures go to cross_validation.md and a row per case to cross_validation.csv beside this file.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from site_imitation import base_model  # noqa: E402

from HippoSegLib.evaluation.cases import pair_cases  # noqa: E402
from HippoSegLib.evaluation.labelmap import label_map  # noqa: E402
from HippoSegLib.evaluation.run import check_references, evaluate_cases  # noqa: E402
from HippoSegLib.evaluation.summary import cases_csv, summarise  # noqa: E402
from HippoSegLib.training.cases import subject_of  # noqa: E402

#: Structure, metric, goal, and whether more is better.
GOALS = (
    ("left", "dice", 0.925, True),
    ("left-anterior", "dice", 0.905, True),
    ("left-posterior", "dice", 0.890, True),
    ("left", "hd95_mm", 1.2, False),
)
LOWEST = 0.85


def held_out(card: dict) -> set[str]:
    """The cases a fold's model never saw.

    Raises:
        ValueError: A subject is on both sides.
    """
    training = card["segmenter"]["training"]
    seen = {subject_of(name) for name in training["train_cases"]}
    held = set(training["validation_cases"])
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


def table(folds: list[tuple[dict, list]]) -> str:
    """The report: a line per fold, all together, the goals, the lowest cases."""
    lines = [
        "| fold | cases | epochs | training s | Dice whole | anterior | posterior | HD95 mm | lowest whole |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    everything = [row for _, rows in folds for row in rows]
    for card, rows in [*folds, (None, everything)]:
        summary = summarise(rows)
        training = card["segmenter"]["training"] if card else {}
        name = _option(training["command"], "--fold") if card else "all"
        values = [f"{summary[s][m]['mean']:.{3 if m == 'dice' else 2}f}" for s, m, _, _ in GOALS]
        lines.append(
            f"| {name} | {summary['left']['dice']['n']} | {training.get('epochs_done', '')} | "
            f"{training.get('seconds', '')} | {' | '.join(values)} | {summary['left']['dice']['min']:.3f} |"
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


def _option(command: str, name: str) -> str:
    words = command.split()
    return words[words.index(name) + 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folds", nargs="+", type=Path, help="model folders of the folds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    crops = Path(os.environ["HIPPOSEG_DATA"]) / "msd_hippocampus"
    folds, times = [], Counter()
    with tempfile.TemporaryDirectory() as work:
        for k, folder in enumerate(args.folds):
            model = base_model(folder, Path(work) / str(k))
            held = held_out(model.card)
            times.update(held)
            folds.append((model.card, fold_rows(model, crops, held, args.threads)))
    if max(times.values()) > 1:
        raise SystemExit("A case is held out twice: these are not the folds of one division.")
    commands = sorted({folds[k][0]["segmenter"]["training"]["command"] for k in range(len(folds))})
    report = [
        "# Cross-validation on the labelled crops",
        "",
        "Printed by `python Testing/benchmarks/cross_validation.py`; the folds' models were made by",
        "",
        *(f"- `{command}`" for command in commands),
        "",
        f"{len(times)} crops of {len({subject_of(n) for n in times})} subjects; both sides of a subject stay "
        "in one fold. Weights are those of the last epoch, chosen by no case.",
        "",
        table(folds),
        "",
    ]
    print("\n".join(report))
    if args.write:
        (HERE / "cross_validation.md").write_text("\n".join(report), encoding="utf-8")
        rows = [row for _, fold in folds for row in fold]
        (HERE / "cross_validation.csv").write_text(cases_csv(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
