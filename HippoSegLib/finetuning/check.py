"""The check of a site's cases before anything is learned: which are doubtful, and why.

Each case is looked at by itself (`prepare`) and against the others: volumes and agreement with the base
model that fall out of the line, scans or labels that occur twice, a subject in two roles, labels that
do not belong to their scans.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from ..errors import TrainingError
from ..evaluation.metrics import dice
from ..models.card_parts import SegmenterCard
from ..models.store import Model
from ..preprocessing.chain import channels
from ..preprocessing.min_max import min_max
from ..training.cases import fit
from ..training.protocols import FULL
from .prepare import DOUBT, ERROR, NOTE, SiteCase
from .sources import TRAINING, VALIDATION

#: A label of a hippocampus has a volume between these, mm³; beyond, it is of something else.
VOLUME_RANGE = (600.0, 9000.0)
#: Below this Dice, the base model and the label do not speak of the same thing.
LEAST_DICE = 0.3
#: Robust z-score (median absolute deviation) from which a value falls out of the line.
OUTLIER_Z = 4.0
#: Grey values of two scans of the same region that correlate more than this are the same scan.
SAME_SCAN = 0.995
#: Fewer subjects than this cannot show whether a model has become better.
LEAST_SUBJECTS = 6
#: Labels that agree with the scans they are with no better than this chance would do are in doubt.
BY_CHANCE = 0.05
#: How many cases' labels are compared with each scan, for labels that were shuffled.
_COMPARED = 24
COLUMNS = (
    "case",
    "subject",
    "side",
    "role",
    "spacing_mm",
    "volume_mm3",
    "parts",
    "base_dice",
    "status",
    "findings",
)


def check(cases: Sequence[SiteCase], base: Model, device: str = "cpu") -> list[str]:
    """Complete the findings of prepared cases by what shows only beside the others.

    Fills `base_dice` too. Cases whose scans are the same get one subject, so that no split parts them.

    Returns:
        What concerns the site as a whole, in sentences.
    """
    there = [case for case in cases if case.case is not None]
    network = base.module("segmenter", device)
    found = [found_in(case.case.image, base, network, device) for case in there]
    for case, mask in zip(there, found, strict=True):
        case.base_dice = dice(mask, case.case.label > 0)
        _side(case, base, network, device)
    _volumes(there)
    _agreement(there)
    _twins(there)
    _roles(there)
    _known(there, base.card.segmenter)
    return _site(there, found)


def found_in(image: np.ndarray, base: Model, network, device: str) -> np.ndarray:
    """What a network of the base model's kind finds in a case's region: bool, in its shape (z, y, x)."""
    from ..training.evaluation import labels_of, predict

    part = base.card.segmenter
    inputs = channels(fit(image, part.roi_size), part.preprocessing)
    return fit(labels_of(predict(network, inputs, device), FULL) > 0, image.shape)


def _side(case: SiteCase, base: Model, network, device: str) -> None:
    """In a crop, the side is only stated: does the mirrored crop fit the model much better?"""
    if case.name.endswith(f"_{case.side}") or case.base_dice > 0.75:
        return
    mirrored = found_in(case.case.image[:, :, ::-1].copy(), base, network, device)
    if dice(mirrored, case.case.label[:, :, ::-1] > 0) > case.base_dice + 0.1:
        case.add(
            DOUBT, "side", f"It looks like the crop of the other side, not of a {case.side} hippocampus."
        )


def _robust_z(values: np.ndarray, least_spread: float) -> np.ndarray:
    middle = np.median(values)
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), least_spread)
    return (values - middle) / spread


def _volumes(cases: Sequence[SiteCase]) -> None:
    low, high = VOLUME_RANGE
    for case in cases:
        if not low <= case.volume_mm3 <= high:
            text = f"The label has {case.volume_mm3:.0f} mm³: a hippocampus has {low:.0f} to {high:.0f}."
            case.add(ERROR, "volume", text)
    if len(cases) < 4:
        return
    z = _robust_z(np.log([max(case.volume_mm3, 1.0) for case in cases]), 0.1)
    middle = np.median([case.volume_mm3 for case in cases])
    for case, score in zip(cases, z, strict=True):
        if abs(score) > OUTLIER_Z and low <= case.volume_mm3 <= high:
            text = f"The label has {case.volume_mm3:.0f} mm³, far from the site's median of {middle:.0f}."
            case.add(DOUBT, "volume_outlier", text)


def _agreement(cases: Sequence[SiteCase]) -> None:
    values = np.array([case.base_dice for case in cases])
    z = _robust_z(values, 0.03) if len(values) >= 4 else np.zeros(len(values))
    for case, score in zip(cases, z, strict=True):
        if case.base_dice < LEAST_DICE:
            text = (
                f"The base model finds the hippocampus elsewhere (Dice {case.base_dice:.2f}): is the label "
                "of this scan, and of the hippocampus?"
            )
            case.add(DOUBT, "disagreement", text)
        elif score < -OUTLIER_Z:
            text = (
                "The base model agrees with the label much less than elsewhere "
                f"(Dice {case.base_dice:.2f}, median {np.median(values):.2f})."
            )
            case.add(DOUBT, "disagreement", text)


def _signature(case: SiteCase) -> np.ndarray:
    """The middle of the region, grey values scaled: equal for the same scan saved in other numbers."""
    values = min_max(fit(case.case.image, (32, 40, 32))).ravel()
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _twins(cases: Sequence[SiteCase]) -> None:
    """Scans and labels that occur twice."""
    signatures = np.stack([_signature(case) for case in cases]) if cases else np.zeros((0, 1))
    alike = signatures @ signatures.T
    for i, first in enumerate(cases):
        for j in range(i + 1, len(cases)):
            second = cases[j]
            same_label = first.case.label.shape == second.case.label.shape and np.array_equal(
                first.case.label, second.case.label
            )
            if alike[i, j] > SAME_SCAN:
                other = "" if same_label else ", with another label"
                second.add(ERROR, "duplicate", f"It is the same scan as {first.name}{other}.")
                if first.subject != second.subject:
                    second.add(NOTE, "subject", f"Its subject is taken to be that of {first.name}.")
                    second.subject = first.subject
            elif same_label:
                second.add(ERROR, "label_twice", f"Its label is that of {first.name}, on another scan.")


def _roles(cases: Sequence[SiteCase]) -> None:
    roles: dict[str, set[str]] = {}
    for case in cases:
        roles.setdefault(case.subject, set()).add(case.role)
    for case in cases:
        if len(roles[case.subject]) > 1 and case.role == VALIDATION:
            text = f"Its subject {case.subject} is also in training: it would be judged on what it learned."
            case.add(ERROR, "two_roles", text)


def _known(cases: Sequence[SiteCase], part: SegmenterCard) -> None:
    names = part.training.all_train_cases
    hashes = set() if part.fine_tuning is None else set(part.fine_tuning.train_cases_sha256)
    for case in cases:
        if case.sha256 in hashes or case.name in names:
            text = "The base model learned from a case of this name: its figures before are too good."
            case.add(DOUBT, "base_case", text)


def belonging(masks: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> tuple[float, float]:
    """How much better masks agree with their own labels than with the other cases'.

    Each mask is compared with every label, both shifted to a common centre.

    Returns:
        Mean Dice with the own labels minus that with the others', and the chance that labels dealt at
        random would agree as well (permutation test, 2000 deals).
    """
    size = (48, 64, 48)
    a, b = (
        np.stack([_centred(array, size) for array in arrays]).astype(np.float32) for arrays in (masks, labels)
    )
    count = len(a)
    a, b = a.reshape(count, -1), b.reshape(count, -1)
    table = 2 * (a @ b.T) / np.maximum(a.sum(axis=1)[:, None] + b.sum(axis=1)[None], 1)
    own = float(np.trace(table)) / count
    others = (float(table.sum()) - own * count) / (count * (count - 1))
    rng = np.random.default_rng(0)
    dealt = [table[np.arange(count), rng.permutation(count)].mean() for _ in range(2000)]
    return own - others, float((np.sum(np.array(dealt) >= own - 1e-9) + 1) / 2001)


def _centred(array: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    points = np.argwhere(array > 0)
    result = np.zeros(size, bool)
    if len(points):
        moved = points - np.round(points.mean(axis=0)).astype(int) + np.array(size) // 2
        moved = moved[((moved >= 0) & (moved < size)).all(axis=1)]
        result[tuple(moved.T)] = True
    return result


def _site(cases: Sequence[SiteCase], found: Sequence[np.ndarray]) -> list[str]:
    words = []
    if len(cases) >= 5:
        chosen = slice(None, _COMPARED)
        labels = [case.case.label for case in cases[chosen]]
        difference, chance = belonging(found[chosen], labels)
        if chance > BY_CHANCE:
            words.append(
                "The labels agree with what the base model finds in their own scans no better than with what "
                f"it finds in other scans (Dice {difference:+.3f}): they seem to belong to other scans."
            )
    far = sum(case.base_dice < LEAST_DICE for case in cases)
    if cases and far > len(cases) / 2:
        words.append(
            f"In {far} of {len(cases)} cases the label lies elsewhere than the hippocampus: "
            "the labels seem to be of another structure."
        )
    return words


def refuse(cases: Sequence[SiteCase], site: Sequence[str], leave_out: bool, anyway: bool) -> list[SiteCase]:
    """Return the cases to work with, or say why there are none.

    Args:
        cases, site: After `check`.
        leave_out: Go on without the cases that cannot be used.
        anyway: Go on in spite of what is wrong with the site as a whole.

    Raises:
        TrainingError: Cases that cannot be used while `leave_out` is off, a site whose labels are not
            what they should be, or too few subjects.
    """
    bad = [case for case in cases if not case.usable]
    if len(bad) == len(cases):
        text = bad[0].findings[0].text if bad else "There are no cases."
        raise TrainingError(
            f"None of the {len(cases)} cases can be used; the first: {text}", "Correct the cases."
        )
    if bad and not leave_out:
        names = "; ".join(f"{case.name}: {errors_of(case)}" for case in bad[:3])
        more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise TrainingError(
            f"{len(bad)} of {len(cases)} cases cannot be used ({names}{more}).",
            "Correct them, or leave them out.",
            "unusable_cases",
        )
    if site and not anyway:
        raise TrainingError(
            " ".join(site), "Check the pairs and the label map, or train nevertheless.", "doubtful_labels"
        )
    good = [case for case in cases if case.usable]
    subjects = {case.subject for case in good}
    if len(subjects) < LEAST_SUBJECTS:
        raise TrainingError(
            f"{len(subjects)} subjects are too few to learn from and to see whether it helped.",
            f"Label at least {LEAST_SUBJECTS}, better 10 or more.",
        )
    roles = {case.role for case in good}
    if TRAINING not in roles:
        raise TrainingError("There are validation cases only.", "Give cases to train on.")
    return good


def errors_of(case: SiteCase) -> str:
    """What makes a case unusable, in words."""
    return " ".join(f.text for f in case.findings if f.severity == ERROR)


def table_rows(cases: Sequence[SiteCase]) -> list[dict[str, str]]:
    """The check as rows of `COLUMNS`, in words and rounded."""
    rows = []
    for case in cases:
        severities = {f.severity for f in case.findings}
        status = "cannot be used" if not case.usable else "doubtful" if DOUBT in severities else "ok"
        rows.append(
            {
                "case": case.name,
                "subject": case.subject,
                "side": case.side or "",
                "role": case.role,
                "spacing_mm": " x ".join(f"{s:.2f}" for s in case.spacing) if case.spacing else "",
                "volume_mm3": "" if np.isnan(case.volume_mm3) else f"{case.volume_mm3:.0f}",
                "parts": "" if case.case is None else "no" if case.whole_only else "yes",
                "base_dice": "" if np.isnan(case.base_dice) else f"{case.base_dice:.3f}",
                "status": status,
                "findings": " ".join(f.text for f in case.findings),
            }
        )
    return rows


def table_csv(cases: Sequence[SiteCase]) -> str:
    """The check as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table_rows(cases))
    return text.getvalue()


def table_lines(cases: Sequence[SiteCase]) -> str:
    """The check for a narrow window: a line per case, its findings below."""
    lines = []
    for row, case in zip(table_rows(cases), cases, strict=True):
        words = [row["status"]]
        if row["volume_mm3"]:
            words.append(f"{row['volume_mm3']} mm³")
        if row["base_dice"]:
            words.append(f"Dice {row['base_dice']}")
        lines.append(f"{row['case']}: {', '.join(words)}")
        lines += [f"    {finding.text}" for finding in case.findings]
    return "\n".join(lines)


def table_text(cases: Sequence[SiteCase]) -> str:
    """The check for a terminal: columns, and the findings of a case under its row."""
    shown = COLUMNS[:-1]
    rows = table_rows(cases)
    widths = {c: max(len(c), *(len(row[c]) for row in rows)) if rows else len(c) for c in shown}
    lines = ["  ".join(c.ljust(widths[c]) for c in shown).rstrip()]
    for row, case in zip(rows, cases, strict=True):
        lines.append("  ".join(row[c].ljust(widths[c]) for c in shown).rstrip())
        lines += [f"    {finding.severity}: {finding.text}" for finding in case.findings]
    return "\n".join(lines)
