"""The check of a site's cases before anything is learned: which are doubtful, and why.

Each case is looked at by itself (`prepare`) and against the others: volumes and agreement with the base
model that fall out of the line, scans or labels that occur twice, a subject in two roles, labels that
do not belong to their scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import TrainingError
from ..evaluation.metrics import dice
from ..models.card_parts import SegmenterCard
from ..models.store import Model
from ..preprocessing.min_max import min_max
from ..training.cases import fit
from .agreement import BY_CHANCE, belonging, found_in
from .site_case import ERROR, NOTE, WARNING, CheckedSite, SiteCase
from .sources import TRAINING, VALIDATION

if TYPE_CHECKING:
    import torch

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
#: How many cases' labels are compared with each scan, for labels that were shuffled.
_COMPARED = 24


def check(cases: Sequence[SiteCase], base: Model, device: str = "cpu") -> CheckedSite:
    """Complete the findings of prepared cases by what shows only beside the others."""
    network = base.module("segmenter", device)
    there = [case for case in cases if case.case is not None]
    found = [found_in(case.crop.image, base, network, device) for case in there]
    there = [
        replace(case, base_dice=dice(mask, case.crop.label > 0))
        for case, mask in zip(there, found, strict=True)
    ]
    there = [_side(case, base, network, device) for case in there]
    for rule in (_volumes, _agreement, _twins, _roles):
        there = rule(there)
    there = _known(there, base.card.segmenter)
    left = iter(there)
    complete = tuple(case if case.case is None else next(left) for case in cases)
    return CheckedSite(complete, tuple(_site(there, found)))


def _side(case: SiteCase, base: Model, network: torch.nn.Module, device: str) -> SiteCase:
    """In a crop, the side is only stated: does the mirrored crop fit the model much better?"""
    if case.name.endswith(f"_{case.side}") or case.base_dice > 0.75:
        return case
    mirrored = found_in(case.crop.image[:, :, ::-1].copy(), base, network, device)
    if dice(mirrored, case.crop.label[:, :, ::-1] > 0) <= case.base_dice + 0.1:
        return case
    text = f"It looks like the crop of the other side, not of a {case.side} hippocampus."
    return case.noted(WARNING, "side", text)


def _robust_z(values: np.ndarray, least_spread: float) -> np.ndarray:
    middle = np.median(values)
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), least_spread)
    return (values - middle) / spread


def _volumes(cases: list[SiteCase]) -> list[SiteCase]:
    if len(cases) < 4:
        return [_volume(case) for case in cases]
    z = _robust_z(np.log([max(case.volume_mm3, 1.0) for case in cases]), 0.1)
    middle = float(np.median([case.volume_mm3 for case in cases]))
    return [_volume(case, score, middle) for case, score in zip(cases, z, strict=True)]


def _volume(case: SiteCase, score: float = 0.0, middle: float = 0.0) -> SiteCase:
    low, high = VOLUME_RANGE
    if not low <= case.volume_mm3 <= high:
        text = f"The label has {case.volume_mm3:.0f} mm³: a hippocampus has {low:.0f} to {high:.0f}."
        return case.noted(ERROR, "volume", text)
    if abs(score) > OUTLIER_Z:
        text = f"The label has {case.volume_mm3:.0f} mm³, far from the site's median of {middle:.0f}."
        return case.noted(WARNING, "volume_outlier", text)
    return case


def _agreement(cases: list[SiteCase]) -> list[SiteCase]:
    values = np.array([case.base_dice for case in cases])
    z = _robust_z(values, 0.03) if len(values) >= 4 else np.zeros(len(values))
    result = []
    for case, score in zip(cases, z, strict=True):
        if case.base_dice < LEAST_DICE:
            text = (
                f"The base model finds the hippocampus elsewhere (Dice {case.base_dice:.2f}): is the label "
                "of this scan, and of the hippocampus?"
            )
            case = case.noted(WARNING, "disagreement", text)
        elif score < -OUTLIER_Z:
            text = (
                "The base model agrees with the label much less than elsewhere "
                f"(Dice {case.base_dice:.2f}, median {np.median(values):.2f})."
            )
            case = case.noted(WARNING, "disagreement", text)
        result.append(case)
    return result


def _signature(case: SiteCase) -> np.ndarray:
    """The middle of the region, grey values scaled: equal for the same scan saved in other numbers."""
    values = min_max(fit(case.crop.image, (32, 40, 32))).ravel()
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _twins(cases: list[SiteCase]) -> list[SiteCase]:
    """Scans and labels that occur twice."""
    result = list(cases)
    signatures = np.stack([_signature(case) for case in cases]) if cases else np.zeros((0, 1))
    alike = signatures @ signatures.T
    for i in range(len(result)):
        for j in range(i + 1, len(result)):
            first, second = result[i], result[j]
            same_label = np.array_equal(first.crop.label, second.crop.label)
            if alike[i, j] > SAME_SCAN:
                other = "" if same_label else ", with another label"
                second = second.noted(ERROR, "duplicate", f"It is the same scan as {first.name}{other}.")
                if first.subject != second.subject:
                    second = second.noted(
                        NOTE, "subject", f"Its subject is taken to be that of {first.name}."
                    )
                    second = replace(second, subject=first.subject)
            elif same_label:
                second = second.noted(
                    ERROR, "label_twice", f"Its label is that of {first.name}, on another scan."
                )
            result[j] = second
    return result


def _roles(cases: list[SiteCase]) -> list[SiteCase]:
    roles: dict[str, set[str]] = {}
    for case in cases:
        roles.setdefault(case.subject, set()).add(case.role)
    return [
        case.noted(
            ERROR,
            "two_roles",
            f"Its subject {case.subject} is also in training: it would be judged on what it learned.",
        )
        if len(roles[case.subject]) > 1 and case.role == VALIDATION
        else case
        for case in cases
    ]


def _known(cases: list[SiteCase], part: SegmenterCard) -> list[SiteCase]:
    names = part.training.all_train_cases
    hashes = set() if part.fine_tuning is None else set(part.fine_tuning.train_cases_sha256)
    text = "The base model learned from a case of this name: its figures before are too good."
    return [
        case.noted(WARNING, "base_case", text) if case.sha256 in hashes or case.name in names else case
        for case in cases
    ]


def _site(cases: Sequence[SiteCase], found: Sequence[np.ndarray]) -> list[str]:
    words = []
    if len(cases) >= 5:
        chosen = slice(None, _COMPARED)
        labels = [case.crop.label for case in cases[chosen]]
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


def refuse(checked: CheckedSite, leave_out: bool, anyway: bool) -> list[SiteCase]:
    """Return the cases to work with, or say why there are none.

    Args:
        checked: What `check` returned.
        leave_out: Go on without the cases that cannot be used.
        anyway: Go on in spite of what is wrong with the site as a whole.

    Raises:
        TrainingError: Cases that cannot be used while `leave_out` is off, a site whose labels are not
            what they should be, or too few subjects.
    """
    cases, site = checked.cases, checked.warnings
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
