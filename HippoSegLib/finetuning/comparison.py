"""Comparison of the new model with the base model: scores case by case, and a paired test over subjects."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ..evaluation.metrics import compare
from ..training.cases import Case, fit
from ..training.evaluation import STRUCTURES, Evaluator, dice_of_parts, labels_of, predict

#: A gain below this is none, however certain.
LEAST_GAIN = 0.002
#: With fewer subjects than this, all of them gaining may still be chance.
LEAST_JUDGED = 6
#: A gain that chance would give more often than this is none.
LARGEST_CHANCE = 0.05


class SiteEvaluator(Evaluator):
    """As `Evaluator`, with volumes and the distance of the surfaces too."""

    def __init__(self, cases: Sequence[Case], shape, preprocessing, distances: bool = False):
        super().__init__(cases, shape, preprocessing)
        self.distances = distances

    def __call__(self, model, device="cpu", mixed_precision: bool = False) -> list[dict]:
        """Return a row per case: ``case``, ``subject``, Dice of `STRUCTURES`, ``volume_mm3``,
        ``reference_mm3`` and, if wanted, ``hd95_mm`` (voxels are 1 mm³)."""
        rows = []
        for case, inputs in zip(self.cases, self.inputs, strict=True):
            found = labels_of(predict(model, inputs, device, mixed_precision), case.protocol)
            found = fit(found, case.label.shape)
            row = {"case": case.name, "subject": case.subject, **dice_of_parts(found, case.label)}
            row["volume_mm3"] = float(np.count_nonzero(found))
            row["reference_mm3"] = float(np.count_nonzero(case.label))
            if self.distances:
                row["hd95_mm"] = compare(found > 0, case.label > 0, (1, 1, 1))["hd95_mm"]
            rows.append(row)
        return rows


def paired_chance(differences: Sequence[float]) -> float:
    """Two-sided sign-flip permutation test: how often random signs give a mean this far from 0.

    Exact up to 14 differences (all sign patterns), else 20 000 random patterns, the same each time.
    """
    values = np.asarray(differences, float)
    if not len(values):
        return 1.0
    if len(values) <= 14:
        signs = np.array(list(itertools.product((1, -1), repeat=len(values))))
        extra = 0
    else:
        signs = np.random.default_rng(0).choice((1, -1), (20_000, len(values)))
        extra = 1
    means = np.abs(signs @ values) / len(values)
    hits = int(np.sum(means >= abs(values.mean()) - 1e-12))
    return (hits + extra) / (len(signs) + extra)


def compare_models(before: Sequence[dict], after: Sequence[dict], warning: str = "") -> dict:
    """Compare two models on the same cases.

    Args:
        before, after: Rows of `SiteEvaluator`, in the same order.
        warning: What makes any gain worthless, in a sentence; "" where nothing does.

    Returns:
        ``better``, ``words``, ``gain`` (mean over subjects of the whole's Dice), ``chance``,
        ``subjects``, ``cases``, and per structure ``before``/``after`` means; ``volume_bias_mm3`` and
        limits of agreement before and after. Plain JSON values.
    """
    subjects: dict[str, list[float]] = {}
    for old, new in zip(before, after, strict=True):
        subjects.setdefault(old["subject"], []).append(new["whole"] - old["whole"])
    differences = [float(np.mean(values)) for values in subjects.values()]
    gain, chance = float(np.mean(differences)), paired_chance(differences)
    better = gain >= LEAST_GAIN and chance <= LARGEST_CHANCE and not warning
    dice_before, dice_after = (float(np.mean([row["whole"] for row in rows])) for rows in (before, after))
    words = (
        f"Dice of the whole hippocampus {dice_before:.3f} before, {dice_after:.3f} after "
        f"({gain:+.3f} per subject, {len(differences)} subjects, p = {chance:.3g})"
    )
    if better:
        words = f"The new model is better on cases that it did not learn from: {words}."
    elif warning:
        words = f"The new model is not to be trusted. {warning} {words}."
    else:
        words = f"The new model is not shown to be better on cases that it did not learn from: {words}."
        if len(differences) < LEAST_JUDGED:
            words += f" Fewer than {LEAST_JUDGED} subjects to judge by cannot show it: give more."
    result = {
        "better": better,
        "words": words,
        "gain": round(gain, 5),
        "chance": round(chance, 6),
        "test": "sign-flip permutation of the mean difference per subject, two-sided",
        "subjects": len(differences),
        "cases": len(before),
    }
    for name in STRUCTURES:
        pairs = [(a[name], b[name]) for a, b in zip(before, after, strict=True) if not math.isnan(a[name])]
        if pairs:
            result[name] = {
                "before": round(float(np.mean([a for a, _ in pairs])), 4),
                "after": round(float(np.mean([b for _, b in pairs])), 4),
                "cases": len(pairs),
            }
    result["volume"] = {when: _agreement(rows) for when, rows in (("before", before), ("after", after))}
    return result


def _agreement(rows: Sequence[dict]) -> dict:
    """Bias and 95 % limits of agreement of the volume (Bland and Altman), mm³."""
    difference = np.array([row["volume_mm3"] - row["reference_mm3"] for row in rows])
    spread = 1.96 * float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    mean = float(difference.mean())
    return {
        "bias_mm3": round(mean, 1),
        "lower_mm3": round(mean - spread, 1),
        "upper_mm3": round(mean + spread, 1),
    }
