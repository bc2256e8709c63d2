"""The new model's folder: weights, card, tables and pictures, whole or not at all."""

from __future__ import annotations

import csv
import io
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DependencyError, OutputError
from ..io.staging import staging_folder
from ..models.card import ROLES, ModelCard, Role, printable_name
from ..models.saving import save_model
from ..models.store import Model
from ..models.training_card import FineTuningCard
from ..models.weights import write_weights
from ..results.provenance import versions
from .curves import before_after_png, bland_altman_png, curves_png
from .settings import FineTuneSettings
from .site_case import CheckedSite, SiteCase

if TYPE_CHECKING:
    from .plan import Trained  # imports torch

_LOG = logging.getLogger(__package__)

#: Table of the judged cases beside the weights; cases are named by their SHA-256.
SCORES = "validation.csv"


@dataclass(frozen=True)
class FineTuneResult:
    """What came of a fine-tuning.

    Attributes:
        folder: The new model.
        comparison: See `comparison.compare_models`; ``better`` and ``words`` in it.
        is_default: Whether the panel now offers it first.
        before, after: Rows per validation case.
        epochs: Of the model kept.
        original: Comparison on cases of the base model's own kind, where they were given.
    """

    folder: Path
    comparison: dict
    is_default: bool
    before: list[dict]
    after: list[dict]
    epochs: int
    original: dict | None = None


@dataclass(frozen=True)
class NewModel:
    """All that a new model's folder is made of.

    Attributes:
        base: The model that it was fine-tuned from.
        settings: Of the fine-tuning.
        checked: The site after the check.
        cases: Those that were worked with.
        trained: Weights, and rows of both models.
        comparison, original: See `FineTuneResult`.
    """

    base: Model
    settings: FineTuneSettings
    checked: CheckedSite
    cases: Sequence[SiteCase]
    trained: Trained
    comparison: dict
    original: dict | None


def write_model(folder: Path, new: NewModel) -> None:
    """Write a new model's folder; names of cases do not enter it.

    Raises:
        OutputError: It exists or cannot be written.
    """
    card = new_card(folder, new)
    base, trained = new.base, new.trained
    by_name = {case.name: case.sha256 for case in new.cases}
    try:
        with staging_folder(folder.parent, "model") as staging:
            weights = staging / "weights.npz"
            write_weights(weights, trained.weights)
            files: dict[Role, Path] = {"segmenter": weights}
            files |= {role: path for role in ROLES[1:] if (path := base.file(role)) is not None}
            made = save_model(staging / folder.name, card, files)
            (made / SCORES).write_text(scores_csv(trained.before, trained.after, by_name), encoding="utf-8")
            for name, picture in _pictures(trained).items():
                (made / name).write_bytes(picture)
            if folder.exists():
                raise OutputError(f"Model folder '{folder.name}' exists.", "Give another name.")
            os.replace(made, folder)
    except OSError as error:
        raise OutputError(
            f"The model folder '{folder.name}' cannot be written.",
            "Free some space, or choose another place.",
        ) from error


def _pictures(trained: Trained) -> dict[str, bytes]:
    base_dice = sum(row["whole"] for row in trained.before) / len(trained.before)
    try:
        return {
            "curves.png": curves_png(trained.histories, base_dice),
            "before_after.png": before_after_png(trained.before, trained.after),
            "bland_altman.png": bland_altman_png(trained.before, trained.after),
        }
    except DependencyError as error:
        # Inside Slicer, say; the tables and the card tell the same.
        _LOG.info("The model gets no pictures. %s", error)
        return {}


def new_card(folder: Path, new: NewModel) -> ModelCard:
    """The base model's card with what became of it; ``segmenter.fine_tuning`` holds everything new."""
    base, cases, trained = new.base, new.cases, new.trained
    judged = {row["case"] for row in trained.after}
    statuses = [case.status for case in new.checked.cases]
    told = {
        "base": {"name": base.name, "sha256": base.sha256},
        "settings": new.settings.to_dict(),
        "epochs": trained.epochs,
        "hippocampi": len(cases),
        "subjects": len({case.subject for case in cases}),
        "labels_without_parts": sum(case.whole_only for case in cases),
        "check": {status: statuses.count(status) for status in sorted(set(statuses))},
        "site_warnings": list(new.checked.warnings),
        "original_cases": new.original,
        "curves": {name: [_plain(row) for row in rows] for name, rows in trained.histories.items()},
        "versions": versions(),
    }
    fine_tuning = FineTuningCard(
        train_cases_sha256=tuple(sorted({case.sha256 for case in cases if case.role == "training"})),
        validation_cases_sha256=tuple(sorted({case.sha256 for case in cases if case.name in judged})),
        judged_by=trained.how,
        comparison=new.comparison,
        extra=told,
    )
    return replace(
        base.card,
        name=printable_name(folder),
        title=f"Fine-tuned from {base.name} on {len(cases)} hippocampi of one site",
        licence=f"{base.card.licence} Fine-tuned on data of the site that made it.".strip(),
        segmenter=replace(base.card.segmenter, fine_tuning=fine_tuning),
        # The base's second reader has not learned from the site: the two would disagree by protocol.
        second_reader=None,
        # The base model's figures are not this model's.
        figures={},
        repeatability=None,
    )


def _plain(row: dict) -> dict:
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items() if k != "seconds"}


def scores_csv(before: Sequence[dict], after: Sequence[dict], hashes: dict[str, str]) -> str:
    """A row per judged case: SHA-256, Dice before and after, volumes; empty where parts are not labelled."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("whole", "anterior", "posterior", "volume_mm3")
    writer.writerow(
        ["case_sha256", "reference_mm3", *(f"{n}_{when}" for n in names for when in ("before", "after"))]
    )
    for old, later in zip(before, after, strict=True):
        values = [_number(row[n]) for n in names for row in (old, later)]
        writer.writerow([hashes[old["case"]], _number(old["reference_mm3"]), *values])
    return text.getvalue()


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0f}" if value > 1 else f"{value:.4f}"


def result_text(result: FineTuneResult, how: str) -> str:
    """What came of a fine-tuning, in a few lines; `how` says how the judged cases were kept apart."""
    lines = [result.comparison["words"], f"Judged by {how}."]
    if result.original:
        one = result.original["whole"]
        lines.append(
            f"On {result.original['cases']} cases of the base model's own kind: "
            f"Dice {one['before']:.3f} before, {one['after']:.3f} after."
        )
    for when in ("before", "after"):
        volume = result.comparison["volume"][when]
        lines.append(
            f"Volume {when}: {volume['bias_mm3']:+.0f} mm³ against the labels (95 % limits of agreement "
            f"{volume['lower_mm3']:+.0f} to {volume['upper_mm3']:+.0f})."
        )
    return "\n".join(lines)
