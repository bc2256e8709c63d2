"""The files of an evaluation: made in memory, then written together."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import OutputError
from ..io.staging import staging_folder
from ..models.store import Model
from ..models.training_card import TrainingCard
from ..results.provenance import versions
from . import plots
from .labelmap import LabelMap
from .run import CaseResult, Row
from .summary import cases_csv, summarise, summary_csv

CASES, SUMMARY, RECORD = "cases.csv", "summary.csv", "evaluation.json"
PICTURES = ("bland_altman.png", "boxplots.png")
FILES = (CASES, SUMMARY, *PICTURES, RECORD)

#: What the numbers mean, for a reader who has only the record.
DEFINITIONS = {
    "grid": "Comparison on the reference's own grid. A segmentation on another grid is brought there: its "
    "probabilities (of an existing result: its masks) are interpolated linearly and cut at 0.5.",
    "hd95_mm": "The larger of the two directed 95th percentiles of the distances between surface voxels.",
    "assd_mm": "Mean distance over the surface voxels of both masks.",
    "volume_similarity": "1 - |V - Vref| / (V + Vref).",
    "bias_mm3": "V - Vref, both on the reference's grid.",
    "missing": "A side that was not found has Dice, Jaccard, sensitivity and volume 0 and is counted; its "
    "distances and precision do not exist and are not.",
    "sd": "With n - 1. Limits of agreement: mean difference -/+ 1.96 sd.",
}


def check_output(folder: Path, overwrite: bool) -> None:
    """Refuse, before any work is done, a folder that cannot take the results.

    Raises:
        OutputError: It is not a folder, cannot be written, has results while `overwrite` is False, or has
            files of the same names that are not of an evaluation.
    """
    there = [name for name in FILES if (folder / name).exists()]
    if there and not _is_record(folder / RECORD):
        raise OutputError(
            f"The output folder has a file of the name '{there[0]}' that is not of an evaluation.",
            "Choose another folder.",
            "not_ours",
        )
    if there and not overwrite:
        raise OutputError(
            f"The output folder has results of an evaluation ({there[0]}).",
            "Choose another folder, or allow overwriting.",
            "exists",
        )
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise OutputError(
            f"The output folder '{folder.name}' cannot be written.",
            "Choose another folder, or change its permissions.",
        )


def _is_record(path: Path) -> bool:
    """Whether a file is the record of an evaluation, of this version or an earlier one."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {"model", "versions", "settings", "definitions", "cases", "summary"} <= set(values)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def trained_on(names: Sequence[str], training: TrainingCard) -> list[str]:
    """The cases that bear the name of one that the model was trained on, as far as its card lists them.

    Figures on such cases flatter.
    """
    # A network may have begun with weights that had learned from other cases.
    known = training.all_train_cases
    return [name for name in names if name in known]


def record(
    results: Sequence[CaseResult],
    meaning: LabelMap,
    summary: Mapping,
    settings: Mapping,
    model: Model | None = None,
) -> dict:
    """Content of `evaluation.json`: what was evaluated, how, and the summary. Names only, no paths."""
    used = None
    if model is not None:
        used = {"name": model.name, "sha256": model.sha256, "files": model.file_sums}
    first = next((r.provenance for r in results if r.provenance is not None), None)
    return {
        "model": used,
        "versions": versions(),
        "settings": {
            "label_map": {"name": meaning.name, "values": {k: list(v) for k, v in meaning.values.items()}},
            **settings,
            **({} if first is None else {"segmentation": first["settings"]}),
        },
        "definitions": DEFINITIONS,
        "cases": [r.case for r in results],
        "failed": [r.case for r in results if r.error is not None],
        "summary": _rounded(summary),
    }


def _rounded(entry):
    if isinstance(entry, dict):
        return {name: _rounded(value) for name, value in entry.items()}
    return round(float(entry), 6) if isinstance(entry, float) else entry


def write_evaluation(
    folder: Path,
    results: Sequence[CaseResult],
    meaning: LabelMap,
    settings: Mapping,
    model: Model | None = None,
    *,
    pictures: bool = True,
    overwrite: bool = False,
) -> list[Path]:
    """Write the tables, the record and the pictures.

    Args:
        folder: Made if it is missing.
        results: From `run.evaluate_cases`.
        settings: What else was chosen, for the record.
        model: The model that segmented; None where existing results were compared.
        pictures: False leaves them out; those of an earlier evaluation that is replaced are removed.

    Returns:
        The files written.

    Raises:
        OutputError: The folder cannot be written, or has results while `overwrite` is False.
    """
    check_output(folder, overwrite)
    rows: list[Row] = [row for result in results for row in result.rows]
    summary = summarise(rows)
    text = json.dumps(record(results, meaning, summary, settings, model), indent=2, ensure_ascii=False)
    content = {
        CASES: cases_csv(rows).encode(),
        SUMMARY: summary_csv(summary).encode(),
        RECORD: (text + "\n").encode(),
    }
    if pictures and summary and any(entry["dice"]["n"] for entry in summary.values()):
        content |= dict(zip(PICTURES, (plots.bland_altman(rows), plots.boxplots(rows)), strict=True))
    try:
        with staging_folder(folder, "evaluation") as staging:
            for name, data in content.items():
                (staging / name).write_bytes(data)
            check_output(folder, overwrite)  # something may have come meanwhile
            # The record is first: where it stands, the others are known to be ours.
            for name in sorted(content, key=lambda name: name != RECORD):
                os.replace(staging / name, folder / name)
            for name in PICTURES:
                if name not in content:  # of the evaluation that is replaced
                    (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The output folder '{folder.name}' cannot be written ({error.strerror}).",
            "Choose another folder, or change its permissions.",
        ) from None
    return [folder / name for name in content]
