"""The statistics of the ablation and their table; ``ablation.py`` and ``bridges.py`` are the commands."""

from __future__ import annotations

import csv
import math
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon
from tables import write_keeping_words

MEASURES = ("dice", "hd95")
CONDITIONS = ("clean", "3 mm z", "3 mm y", "noise", "low contrast")


@dataclass(frozen=True)
class Words:
    """What a report says beside its figures.

    Attributes:
        name: Stem of its files.
        title, command: What it is, and how it is made.
        recipe: What is equal within a fold.
        meaning: Paragraphs and list items on what the arms are.
        kind: What an arm is called.
        cost: Head of the column of costs, where a result has them, and how many of its units make one.
        labelled: Whether the labelled heads were scored.
        seeds: Which seeds the trainings had.
    """

    name: str
    title: str
    command: str
    recipe: str
    meaning: tuple[str, ...]
    kind: str = "arm"
    cost: tuple[str, str, float] = ("preprocessing, ms a crop", "preprocessing_ms", 1)
    labelled: bool = True
    seeds: str = "fold k with seed k"


def holm(chances: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm, Scand J Stat 1979), in the order given."""
    order = np.argsort(chances)
    result, largest = [0.0] * len(chances), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[k]))
        result[k] = largest
    return result


def per_subject(results: Sequence[dict], arm: str, where: str, condition: str, measure: str) -> dict:
    """Subject -> mean over its sides and, where several networks saw it, over these; without NaN."""
    values = defaultdict(list)
    for one in results:
        if one["arm"] == arm:
            for row in one["rows"]:
                if (row["set"], row["condition"]) == (where, condition) and not math.isnan(row[measure]):
                    values[row["subject"]].append(row[measure])
    return {subject: float(np.mean(found)) for subject, found in values.items()}


def paired(before: dict, after: dict) -> dict:
    """Compare two arms on the subjects both have: difference, 95 % bootstrap interval, Wilcoxon's p."""
    differences = np.array([after[s] - before[s] for s in sorted(set(before) & set(after))])
    draws = np.random.default_rng(0).integers(len(differences), size=(4000, len(differences)))
    low, high = np.percentile(differences[draws].mean(axis=1), (2.5, 97.5))
    chance = float(wilcoxon(differences).pvalue) if differences.any() else 1.0
    return {
        "difference": float(differences.mean()),
        "low": float(low),
        "high": float(high),
        "chance": chance,
        "subjects": len(differences),
    }


def comparisons(results: Sequence[dict], arms: Sequence[str]) -> dict[tuple, dict]:
    """(measure, condition, arm) -> :func:`paired` against the first arm on the crops, Holm over all of them.

    ``folds`` are the differences of each fold by itself: the test takes the trained networks as given,
    so a difference of other sign from seed to seed is not one of the preprocessing.
    """
    found = {}
    for measure in MEASURES:
        for condition in CONDITIONS:
            values = {arm: per_subject(results, arm, "crops", condition, measure) for arm in arms}
            for arm in arms[1:]:
                folds = []
                for fold in sorted({one["fold"] for one in results}):
                    mine = [one for one in results if one["fold"] == fold]
                    pair = [per_subject(mine, a, "crops", condition, measure) for a in (arms[0], arm)]
                    folds.append(float(np.mean([pair[1][s] - pair[0][s] for s in pair[1] if s in pair[0]])))
                found[measure, condition, arm] = {**paired(values[arms[0]], values[arm]), "folds": folds}
    for one, corrected in zip(found.values(), holm([o["chance"] for o in found.values()]), strict=True):
        one["holm"] = corrected
    return found


def text(results: Sequence[dict], arms: Sequence[str], words: Words) -> str:
    """The whole report in Markdown, of the arms and folds that every arm has finished."""
    have = [{one["fold"] for one in results if one["arm"] == arm} for arm in arms]
    folds = sorted(set.intersection(*have)) if have else []
    results = [one for one in results if one["fold"] in folds and one["arm"] in arms]
    if not folds:
        return f"No fold is finished for every {words.kind} yet."
    parts = [_budget(results, folds, words)]
    for measure, title in zip(
        MEASURES, ("Dice of the whole hippocampus", "HD95 of the whole hippocampus, mm"), strict=True
    ):
        parts.append(f"## {title}, crops not trained on\nMean of the folds' means (their SD).\n")
        parts.append(_means(results, arms, folds, measure, words))
    compared = comparisons(results, arms)
    parts.append(_compared(compared, arms, words.kind))
    parts.append(
        "## Whole heads of other scanners: agreement with a peer\nSix heads that may only test; their labels "
        "are hippodeep's output, so this is agreement, not accuracy. The region is cut about the label's "
        "centre. Six heads cannot carry a corrected test: the last column counts heads in which the "
        f"{words.kind} agrees better than `{arms[0]}`.\n"
    )
    parts.append(_heads(results, arms, "other scanner", words.kind))
    if words.labelled:
        parts.append(
            "## Ten labelled heads — reported only: chose nothing\nManual labels of another protocol "
            "(Neuromorphometrics) on skull-stripped OASIS heads; the region is cut about the label's "
            "centre.\n"
        )
        parts.append(_heads(results, arms, "labelled", words.kind))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _budget(results, folds, words: Words) -> str:
    first, settings = results[0], results[0]["settings"]
    crops = {row["case"] for one in results for row in one["rows"] if row["set"] == "crops"}
    steps = " or ".join(map(str, sorted({one["steps"] for one in results if one["steps"]})))
    epochs = " or ".join(map(str, sorted({one["settings"]["num_epochs"] for one in results})))
    precision = "bfloat16" if first["bfloat16"] else "float32"
    empty = sum(math.isnan(row["hd95"]) for one in results for row in one["rows"])
    minutes = sum(one["train_seconds"] for one in results) / 60
    restarts = sum(one["restarts"] for one in results)
    budget = f"""Budget, equal for all {words.kind}s: widths {settings["widths"]}, {epochs}
        epochs of about {first["train_cases"]} crops = {steps} steps of {settings["batch_size"]}, learning
        rate {settings["learning_rate"]:g} (3 % warm-up, cosine to 0), averaged weights
        ({settings["ema_decay"]:g}) of the last step, {precision}, hosts and augmentation as the shipped
        recipe. {len(folds)} of 5 folds by subject (split of seed 0), {words.seeds}: {len(crops)}
        crops, each scored in the fold that did not train on its subject. {words.recipe}
        Training: {minutes:.0f} minutes of one processor core in all; restarts after divergence: {restarts};
        scores without any voxel found (no HD95, left out of its means): {empty}."""
    meaning = "\n".join(map(_filled, words.meaning))
    return f"# {words.title}\n\n    {words.command}\n\n{_filled(budget)}\n\n{meaning}"


def _filled(words: str) -> str:
    indent = "  " if words.startswith("- ") else ""
    return textwrap.fill(" ".join(words.split()), 115, subsequent_indent=indent, break_on_hyphens=False)


def _line(cells) -> str:
    return "| " + " | ".join(map(str, cells)) + " |\n"


def _head(cells) -> str:
    return _line(cells) + _line(["---"] * len(cells))


def _means(results, arms, folds, measure, words: Words) -> str:
    digits = 4 if measure == "dice" else 2
    title, key, unit = words.cost
    lines = _head([words.kind, *CONDITIONS, title])
    for arm in arms:
        cells = [arm]
        for condition in CONDITIONS:
            by_fold = [[one for one in results if one["fold"] == fold] for fold in folds]
            found = [list(per_subject(mine, arm, "crops", condition, measure).values()) for mine in by_fold]
            means = [float(np.mean(values)) for values in found]
            spread = f" ({np.std(means, ddof=1):.{digits}f})" if len(means) > 1 else ""
            cells.append(f"{np.mean(means):.{digits}f}{spread}")
        cost = np.median([one[key] for one in results if one["arm"] == arm]) / unit
        lines += _line([*cells, f"{cost:.0f}"])
    return lines


def _compared(compared, arms, kind: str) -> str:
    subjects = " or ".join(map(str, sorted({one["subjects"] for one in compared.values()})))
    words = f"""Mean over {subjects} subjects (both sides of a subject averaged, as they are not
        independent) with the 95 % bootstrap interval, not corrected; p: Wilcoxon signed-rank, two-sided,
        Holm-corrected for {len(compared)} comparisons ({len(arms) - 1} {kind}{"s" * (len(arms) > 2)} ×
        {len(CONDITIONS)} conditions × {len(MEASURES)} measures); folds: in how many of the folds (each its
        own seed) the difference has the sign of the mean. Bold: p < 0.05 and all folds agree."""
    parts = [f"## Paired difference to `{arms[0]}`\n{_filled(words)}\n"]
    for measure, better, digits in (("dice", "higher is better", 4), ("hd95", "mm, lower is better", 2)):
        table = f"{'Dice' if measure == 'dice' else 'HD95'} ({better}):\n\n" + _head([kind, *CONDITIONS])
        for arm in arms[1:]:
            cells = [arm]
            for condition in CONDITIONS:
                one = compared[measure, condition, arm]
                agree = sum(np.sign(f) == np.sign(one["difference"]) for f in one["folds"])
                value = f"{one['difference']:+.{digits}f}"
                if one["holm"] < 0.05 and agree == len(one["folds"]):
                    value = f"**{value}**"
                chance = "p < 0.001" if one["holm"] < 0.001 else f"p = {one['holm']:.3f}"
                cells.append(
                    f"{value} [{one['low']:+.{digits}f}, {one['high']:+.{digits}f}], {chance}, "
                    f"{agree}/{len(one['folds'])}"
                )
            table += _line(cells)
        parts.append(table)
    return "\n".join(parts)


def _heads(results, arms, where, kind: str) -> str:
    lines = _head([kind, "Dice", "lowest head", "HD95 mm", f"Dice − `{arms[0]}`", "heads better"])
    base = per_subject(results, arms[0], where, "clean", "dice")
    for arm in arms:
        values = per_subject(results, arm, where, "clean", "dice")
        distance = np.mean(list(per_subject(results, arm, where, "clean", "hd95").values()))
        differences = [values[s] - base[s] for s in base]
        against = ["", ""]
        if arm != arms[0]:
            against = [
                f"{np.mean(differences):+.4f}",
                f"{sum(d > 0 for d in differences)} of {len(differences)}",
            ]
        found = list(values.values())
        lines += _line([arm, f"{np.mean(found):.4f}", f"{min(found):.4f}", f"{distance:.2f}", *against])
    return lines


def write(results: Sequence[dict], arms: Sequence[str], words: Words, folder: Path) -> None:
    """Write ``NAME.md``, keeping its part in words, and ``NAME.csv``, a row per scored image."""
    write_keeping_words(folder / f"{words.name}.md", text(results, arms, words))
    rows: dict[tuple, dict] = {}
    for one in (one for one in results if one["arm"] in arms):
        for row in one["rows"]:
            key = (row["set"], row["condition"], row["case"], one["fold"])
            for measure in MEASURES:
                value = round(row[measure], 4 if measure == "dice" else 3)
                rows.setdefault(key, {})[f"{one['arm']}: {measure}"] = value
    names = [f"{arm}: {measure}" for measure in MEASURES for arm in arms]
    with (folder / f"{words.name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["set", "condition", "case", "fold", *names])
        for key in sorted(rows):
            writer.writerow([*key, *(rows[key].get(name, "") for name in names)])
