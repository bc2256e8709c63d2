"""The regression behind the quality score: fitted on trials, judged on what it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import spearmanr

from ..errors import TrainingError
from ..models.quality_card import AgreementCard
from ..results.assessment import LEAST_AGREEMENT
from ..results.quality import QualityModel, terms, unusual
from ..results.quality_features import likeness
from .degradations import CONTRASTS
from .qualitytrials import KINDS, Trial

#: Results under POOR are to be flagged, those over GOOD are not.
POOR, GOOD = 0.70, 0.80
#: Share of the poor results, among those fitted on, that the threshold is to catch.
CATCH = 0.97
#: Features that only a flag of their own uses.
NOT_SCORED = ("likeness",)
#: Usual values and their spread are those of results over this Dice.
USUAL = 0.85
#: Strength of the ridge; subjects are dealt into so many parts.
RIDGE, PARTS = 30.0, 5
#: The same where the score of one reader and the agreement of two are put together: two weights alone.
RIDGE_OF_TWO = 1.0
#: Least good and poor trials for a fit.
LEAST_TRIALS = 10
#: From this strength on another contrast is no longer a T1 with little contrast.
OTHER_CONTRAST_FROM = 0.4


def t1_pattern(trials: Sequence[Trial]) -> np.ndarray:
    """Mean `block_ranks` of good T1 images; NaN in blocks that under a third of them shows."""
    ranks = [
        t.ranks
        for t in trials
        if t.kind in ("clean", "noise", "shifted") and t.dice > GOOD and np.isfinite(t.ranks).any()
    ]
    if not ranks:
        raise TrainingError("No trial gave a good result.", "Use more trials, or a better model.")
    shape = np.min([r.shape for r in ranks], axis=0)
    stack = np.stack([_middle(r, shape) for r in ranks])
    seen = np.isfinite(stack).sum(axis=0)
    return np.where(3 * seen >= len(stack), np.nansum(stack, axis=0) / np.maximum(seen, 1), np.nan)


def _middle(array: np.ndarray, shape: np.ndarray) -> np.ndarray:
    starts = [(n - k) // 2 for n, k in zip(array.shape, shape, strict=True)]
    return array[tuple(slice(a, a + int(k)) for a, k in zip(starts, shape, strict=True))]


def _features(one: Trial, pattern: np.ndarray) -> dict[str, float] | None:
    return None if one.features is None else one.features | {"likeness": likeness(one.ranks, pattern)}


def logistic(x: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, float]:
    """Logistic regression of shares `y` (n,), 0..1, on `x` (n, k), by Newton's method; weights, intercept."""
    design = np.column_stack([x, np.ones(len(x))])
    penalty = np.full(design.shape[1], ridge)
    penalty[-1] = 0
    w = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ w))
        gradient = design.T @ (p - y) + penalty * w
        curvature = (design.T * (p * (1 - p) + 1e-6)) @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return w[:-1], float(w[-1])


def fit(trials: Sequence[Trial]) -> QualityModel:
    """Fit pattern, regression and thresholds on trials.

    Raises:
        TrainingError: There are too few, or all are good or all poor.
    """
    pattern = t1_pattern(trials)
    known = [(t, f) for t in trials if (f := _features(t, pattern)) is not None]
    dice = np.array([t.dice for t, _ in known])
    good = dice > USUAL
    if good.sum() < LEAST_TRIALS or (dice < POOR).sum() < LEAST_TRIALS:
        raise TrainingError(
            "There are too few good or too few poor trials.", "Make more trials of each kind."
        )
    names = tuple(name for name in known[0][1] if name not in NOT_SCORED)
    values = np.array([[f[name] for name in names] for _, f in known])
    low, middle, high = np.percentile(values[good], (16, 50, 84), axis=0)
    # Rounded as the card holds them, so that what is measured is what is read.
    scale = np.maximum((high - low) / 2, 1e-3)
    weights, intercept = logistic(terms(values, middle, scale), dice, RIDGE)
    model = QualityModel(
        names=names,
        middle=middle,
        scale=scale,
        weights=weights,
        intercept=intercept,
        threshold=0.5,
        pattern=pattern,
        least_likeness=_least_likeness(known),
    )
    two = _of_two_readers(model, known)
    threshold = _threshold([(model.score(f), _free_flags(t) - {"disagreement"}, t.dice) for t, f in known])
    # Through the card's form: what is measured with it is what is read again.
    made = QualityModel.from_card(replace(model.to_card(), threshold=threshold, agreement=two))
    assert made is not None
    return made


def _of_two_readers(model: QualityModel, known) -> AgreementCard | None:
    """How the agreement of two readers changes the score; None where too few trials tell it."""
    both = [(t, f) for t, f in known if t.agreement is not None]
    dice = np.array([t.dice for t, _ in both])
    if (dice > USUAL).sum() < LEAST_TRIALS or (dice < POOR).sum() < LEAST_TRIALS:
        return None
    agreement = np.nan_to_num([t.agreement for t, _ in both])
    low, middle, high = np.percentile(agreement[dice > USUAL], (16, 50, 84))
    middle, scale = round(float(middle), 4), round(max(float(high - low) / 2, 1e-3), 5)
    odds = [model.log_odds(f) for _, f in both]
    columns = np.column_stack([odds, unusual(agreement, middle, scale)])
    weights, intercept = logistic(columns, dice, RIDGE_OF_TWO)
    of_score, of_agreement = (round(float(w), 4) for w in weights)
    card = AgreementCard(middle, scale, of_score, of_agreement, round(intercept, 4), 0.5)
    scorer = replace(model, agreement=card)
    judged = [(scorer.score(f, t.agreement), _free_flags(t), t.dice) for t, f in both]
    return replace(card, threshold=_threshold(judged))


def _least_likeness(known) -> float:
    """What all but one in a hundred good results of images that are T1 exceed, but not above 0: what looks
    a little like a T1 is not called another contrast."""
    alike = [f["likeness"] for t, f in known if t.dice > GOOD and t.kind not in CONTRASTS]
    return round(min(float(np.percentile(alike, 1)), 0.0), 2)


def _threshold(judged: Sequence[tuple[float, set[str], float]]) -> float:
    """The lowest from `POOR` on that, with the flags that need no score, catches nearly all poor results.

    Args:
        judged: Score, those flags, and Dice of each trial.
    """
    poor = [(score, bool(flags)) for score, flags, dice in judged if dice < POOR]
    for candidate in np.arange(POOR, 0.90, 0.01):
        if np.mean([flagged or score < candidate for score, flagged in poor]) >= CATCH:
            break
    return round(float(candidate), 2)


def _free_flags(one: Trial) -> set[str]:
    """Codes of the flags that need no fitted model."""
    disagree = one.agreement is not None and not one.agreement >= LEAST_AGREEMENT
    return {*one.flags, "disagreement"} if disagree else set(one.flags)


def judge(one: Trial, model: QualityModel) -> tuple[float, set[str]]:
    """Score and all flags of a trial under a model."""
    features = _features(one, model.pattern)
    score = 0.0 if features is None else model.score(features, one.agreement)
    flags = _free_flags(one)
    if not score >= model.least(one.agreement):  # also a score that is no number
        flags.add("quality")
    if likeness(one.ranks, model.pattern) < model.least_likeness:
        flags.add("contrast")
    return score, flags


def cross_validate(trials: Sequence[Trial]) -> tuple[dict, str]:
    """Score each trial by a model fitted without its kind and without its subject's part.

    Returns:
        The figures, for the card, and a table in words (Markdown).
    """
    subjects = sorted({t.subject for t in trials})
    order = np.random.default_rng(0).permutation(len(subjects))
    part_of = {subjects[i]: n % PARTS for n, i in enumerate(order)}
    judged: dict[int, tuple[float, set[str]]] = {}
    alone: dict[int, tuple[float, set[str]]] = {}
    for kind in KINDS:
        for part in range(PARTS):
            held = [i for i, t in enumerate(trials) if t.kind == kind and part_of[t.subject] == part]
            if not held:
                continue
            model = fit([t for t in trials if t.kind != kind and part_of[t.subject] != part])
            judged |= {i: judge(trials[i], model) for i in held}
            alone |= {i: judge(replace(trials[i], agreement=None), model) for i in held}
    intro = (
        "# The quality score, on kinds of damage and subjects it was not fitted on\n\n"
        "Each trial is judged by a score fitted without its kind of damage and without its subject.\n"
        "The fit's settings were chosen on trials of other seeds, with the same kinds of damage: the\n"
        f"threshold is to catch {CATCH:.1%} of the poor results that it is fitted on. Readers disagree "
        f"under\n{LEAST_AGREEMENT}, which was chosen on real scans.\n"
        "\n"
    )
    figures, table = _tables(trials, [judged[i] for i in range(len(trials))], "held-out kind")
    if any(t.agreement is not None for t in trials):
        figures["one_reader"] = row = _row(*_arrays(trials, [alone[i] for i in range(len(trials))]))
        table += (
            f"\nWith the first reader alone, of all: rank correlation {row['rank_correlation']}, under 0.70 "
            f"{row['poor_flagged']}, over 0.80 {row['good_flagged']} flagged.\n"
        )
    return {"held_out_kinds_and_subjects": figures}, intro + table


def as_it_is(trials: Sequence[Trial], model: QualityModel) -> str:
    """What a model's score is worth on trials none of whose cases it was fitted on: a table (Markdown)."""
    intro = (
        "# The quality score, on the cases of another fold\n\n"
        "Each trial is judged by the score in the model's card, fitted on results of other networks\n"
        "for other subjects, but with the same kinds of damage.\n\n"
    )
    return intro + _tables(trials, [judge(t, model) for t in trials], "kind of damage")[1]


def _tables(trials: Sequence[Trial], judged: Sequence[tuple[float, set[str]]], of: str) -> tuple[dict, str]:
    """Figures per kind and their tables, from score and flags of each trial."""
    scores, dice, flags, _ = _arrays(trials, judged)
    lines = [
        f"| {of} | trials | Dice, 10 / 50 / 90 % | rank correlation | under 0.70: flagged | "
        "over 0.80: flagged | mean error |",
        "|---|---|---|---|---|---|---|",
    ]
    figures = {}
    for kind in (*KINDS, "all", "all but cut"):
        own = np.array(
            [kind in ("all", t.kind) or (kind == "all but cut" and t.kind != "cut") for t in trials]
        )
        if own.any():
            figures[kind] = row = _row(scores, dice, flags, own)
            lines.append(
                f"| {kind.replace('_', ' ')} | {row['trials']} | {row['dice']} | {row['rank_correlation']} | "
                f"{row['poor_flagged']} | {row['good_flagged']} | {row['mean_error']:.3f} |"
            )
    lines += ["", "Flags by themselves:", "", "| flag | of under 0.70 | of over 0.80 |"]
    lines.append("|---|---|---|")
    for code in ("quality", "disagreement", "contrast", "cut", "volume"):
        has = np.array([code in f for f in flags])
        lines.append(f"| {code} | {_share(has[dice < POOR])} | {_share(has[dice > GOOD])} |")
    lines += ["", "Other contrasts (the stronger ones), flagged as no T1, and flagged at all:", ""]
    for kind in CONTRASTS:
        of_kind = [i for i, t in enumerate(trials) if t.kind == kind and t.strength > OTHER_CONTRAST_FROM]
        named = np.array(["contrast" in flags[i] for i in of_kind])
        caught = np.array([bool(flags[i]) for i in of_kind])
        lines.append(f"- {kind.replace('_', ' ')}: {_share(named)}, {_share(caught)}")
    return figures, "\n".join(lines) + "\n"


def _arrays(trials, judged) -> tuple[np.ndarray, np.ndarray, list[set[str]], np.ndarray]:
    """Scores, Dice and flags of all trials, and that all of them count."""
    scores, dice = np.array([score for score, _ in judged]), np.array([t.dice for t in trials])
    return scores, dice, [found for _, found in judged], np.ones(len(dice), bool)


def _row(scores, dice, flags, own) -> dict:
    flagged = np.array([bool(f) for f in flags])
    rank = (
        spearmanr(scores[own], dice[own]).statistic if np.ptp(dice[own]) and np.ptp(scores[own]) else np.nan
    )
    return {
        "trials": int(own.sum()),
        "dice": " / ".join(f"{v:.2f}" for v in np.percentile(dice[own], (10, 50, 90))),
        "rank_correlation": None if np.isnan(rank) else round(float(rank), 3),
        "poor_flagged": _share(flagged[own & (dice < POOR)]),
        "good_flagged": _share(flagged[own & (dice > GOOD)]),
        "mean_error": round(float(np.abs(scores - dice)[own].mean()), 4),
    }


def _share(flagged: np.ndarray) -> str:
    if not len(flagged):
        return "none"
    return f"{int(flagged.sum())} of {len(flagged)} ({100 * flagged.mean():.1f} %)"
