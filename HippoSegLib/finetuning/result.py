"""The new model's folder: weights, card, tables and pictures, whole or not at all."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import DependencyError, OutputError
from ..io.staging import staging_folder
from ..models.card import ROLES, ModelCard, Role, printable_name
from ..models.saving import save_model
from ..models.store import Model
from ..models.training_card import FineTuningCard
from ..models.weights import write_weights
from ..results.provenance import versions
from .check import table_rows
from .curves import before_after_png, bland_altman_png, curves_png
from .plan import Trained
from .prepare import SiteCase
from .settings import FineTuneSettings

#: Table of the judged cases beside the weights; cases are named by their SHA-256.
SCORES = "validation.csv"


def write_model(
    outcome,
    base: Model,
    settings: FineTuneSettings,
    cases: Sequence[SiteCase],
    prepared: Sequence[SiteCase],
    trained: Trained,
    doubts: Sequence[str],
) -> None:
    """Write the folder ``outcome.folder``; names of cases do not enter it.

    Raises:
        OutputError: It exists or cannot be written.
    """
    folder = Path(outcome.folder)
    card = new_card(outcome, base, settings, cases, prepared, trained, doubts)
    by_name = {case.name: case.sha256 for case in cases}
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
    except DependencyError:
        return {}  # without matplotlib (inside Slicer, say) the tables and the card tell the same


def new_card(
    outcome,
    base: Model,
    settings: FineTuneSettings,
    cases: Sequence[SiteCase],
    prepared: Sequence[SiteCase],
    trained: Trained,
    doubts: Sequence[str],
) -> ModelCard:
    """The base model's card with what became of it; ``segmenter.fine_tuning`` holds everything new."""
    judged = {row["case"] for row in trained.after}
    statuses = [row["status"] for row in table_rows(prepared)]
    told = {
        "base": {"name": base.name, "sha256": base.sha256},
        "settings": settings.to_dict(),
        "epochs": trained.epochs,
        "hippocampi": len(cases),
        "subjects": len({case.subject for case in cases}),
        "labels_without_parts": sum(case.whole_only for case in cases),
        "check": {status: statuses.count(status) for status in sorted(set(statuses))},
        "site_doubts": list(doubts),
        "original_cases": outcome.original,
        "curves": {name: [_plain(row) for row in rows] for name, rows in trained.histories.items()},
        "versions": versions(),
    }
    fine_tuning = FineTuningCard(
        train_cases_sha256=tuple(sorted({case.sha256 for case in cases if case.role == "training"})),
        validation_cases_sha256=tuple(sorted({case.sha256 for case in cases if case.name in judged})),
        judged_by=trained.how,
        comparison=outcome.comparison,
        extra=told,
    )
    return replace(
        base.card,
        name=printable_name(Path(outcome.folder)),
        title=f"Fine-tuned from {base.name} on {len(cases)} hippocampi of one site",
        licence=f"{base.card.licence} Fine-tuned on data of the site that made it.".strip(),
        segmenter=replace(base.card.segmenter, fine_tuning=fine_tuning),
        # The base's second reader has not learned from the site: the two would disagree by protocol.
        second_reader=None,
        # The base model's figures are not this model's.
        figures={},
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
    for old, new in zip(before, after, strict=True):
        values = [_number(row[n]) for n in names for row in (old, new)]
        writer.writerow([hashes[old["case"]], _number(old["reference_mm3"]), *values])
    return text.getvalue()


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0f}" if value > 1 else f"{value:.4f}"


def outcome_text(outcome, how: str) -> str:
    """What came of a fine-tuning, in a few lines; `how` says how the judged cases were kept apart."""
    lines = [outcome.comparison["words"], f"Judged by {how}."]
    if outcome.original:
        one = outcome.original["whole"]
        lines.append(
            f"On {outcome.original['cases']} cases of the base model's own kind: "
            f"Dice {one['before']:.3f} before, {one['after']:.3f} after."
        )
    for when in ("before", "after"):
        volume = outcome.comparison["volume"][when]
        lines.append(
            f"Volume {when}: {volume['bias_mm3']:+.0f} mm³ against the labels (95 % limits of agreement "
            f"{volume['lower_mm3']:+.0f} to {volume['upper_mm3']:+.0f})."
        )
    return "\n".join(lines)
