"""Fit the quality score of a model, and show what it is worth where it was not fitted.

    python -m HippoSegLib.training.quality DATA MODEL_FOLDER --run FOLD_MODEL … [--second FOLD_MODEL …]
        [--write]
    python -m HippoSegLib.training.quality DATA MODEL_FOLDER --run OTHER_FOLD_MODEL --judge

FOLD_MODEL is a segmenter exported by `training.export` that held cases out (its card lists them): trials
(`qualitytrials.py`) are made with those alone. Of several, as sure of themselves as networks happen to be,
the score learns what they have in common. With `--second`, the second readers of the same folds outline the
same trials: where they disagree with the first, a result is flagged, as in use. MODEL_FOLDER is the model to
be given the score, of the same kind; with `--judge` it keeps the score it has, which is tried on the cases
of another fold. Real heads that may train say how far the localiser's place may be off, with the first
fold's network; their agreement with weak labels stands in for truth there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from ..errors import ModelError, OutputError, TrainingError
from ..io.atomic import replacing
from ..models.card import ModelCard, read_card
from ..models.saving import replace_card
from ..models.store import Model, load_model
from ..results.quality import QualityModel
from .background_context import load_contexts
from .cases import Case, load_cases
from .data_splits import CROPS, TEST_REAL_HEADS, TRAIN_REAL_HEADS, UNLABELLED_HEADS
from .qualityfit import as_it_is, cross_validate, fit
from .qualityheads import head_limits, head_trials, heads_report
from .qualitytrials import CONTEXT_SHAPE, Trial, trials

PER_KIND = 60
#: The fit's settings were chosen on trials of seeds 0 to 2; these chose nothing.
SEED = 3


def with_segmenter(base: Model, folder: Path) -> Model:
    """`base` with the segmenter of a folder written by `training.export`.

    Raises:
        ModelError: The folder holds none that can be read.
    """
    try:
        other = load_model(folder)
    except ModelError as error:
        raise ModelError(
            error.cause, "Export it again: python -m HippoSegLib.training.export RUN -o FOLDER."
        ) from error
    card = replace(base.card, segmenter=other.card.segmenter)
    return replace(base, card=card, weights={**base.weights, "segmenter": other.weights["segmenter"]})


def collect(
    data: Path,
    models: Sequence[Model],
    per_kind: int,
    path: Path | None = None,
    seed: int = SEED,
    seconds: Sequence[Model] = (),
) -> list[Trial]:
    """The trials of each model on the cases that its card lists as held out.

    Args:
        seconds: The second reader beside each model, of the same fold, or none.
        path: A file of earlier trials, which is read and, as far as it goes, saves making them again.

    Raises:
        TrainingError: A card lists no held-out case of the data, or two list the same one, or a second
            reader held out others.
    """
    every = load_cases(data / CROPS)
    held_out = [_held_out(every, model) for model in models]
    names = [case.name for cases in held_out for case in cases]
    if len(set(names)) < len(names):
        raise TrainingError(
            "Two of the models held out the same cases.", "Give models of folds of one division."
        )
    if seconds:
        _check_seconds(every, held_out, seconds)
    if path is not None and path.exists():
        return [Trial.from_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
    contexts = load_contexts(data / UNLABELLED_HEADS, CONTEXT_SHAPE)
    made = []
    for n, (model, cases) in enumerate(zip(models, held_out, strict=True)):
        # Each network meets damage of its own.
        second = seconds[n] if seconds else None
        for one in trials(cases, contexts, model, per_kind, seed + 1000 * n, second):
            made.append(one)
            if len(made) % per_kind == 0:
                print(f"{len(made)} trials, the last kind: {one.kind}", flush=True)
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text("".join(one.to_json() + "\n" for one in made), encoding="utf-8")
    return made


def _check_seconds(every: list[Case], held_out: list[list[Case]], seconds: Sequence[Model]) -> None:
    others = [{case.name for case in _held_out(every, model)} for model in seconds]
    if others != [{case.name for case in cases} for cases in held_out]:
        raise TrainingError(
            "A second reader held out other cases than the first.",
            "Give one of each fold, in the same order.",
        )


def _held_out(cases: list[Case], model: Model) -> list[Case]:
    names = set(model.card.segmenter.training.validation_cases)
    found = [case for case in cases if case.name in names]
    if not found:
        raise TrainingError(
            "The model's card lists no held-out case of the data: it learned from all of them.",
            "Give the model of a fold.",
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--run", type=Path, nargs="+", help="exported segmenters of folds; their held-out cases are used"
    )
    parser.add_argument(
        "--second",
        type=Path,
        nargs="+",
        default=[],
        help="the second readers of the same folds, in that order",
    )
    parser.add_argument("--per-kind", type=int, default=PER_KIND, help="trials of each kind of damage")
    parser.add_argument("--seed", type=int, default=SEED, help="of the trials")
    parser.add_argument("--trials", type=Path, help="keep the trials in this file, or take them from it")
    parser.add_argument("--judge", action="store_true", help="fit nothing: try the score that the model has")
    parser.add_argument(
        "--no-heads",
        action="store_true",
        help="leave the real heads out; limits of the localiser stay as the card has them",
    )
    parser.add_argument("--write", action="store_true", help="write the score into the model's card")
    parser.add_argument("--report", type=Path, help="write what is printed to this file too")
    parser.add_argument("--overwrite", action="store_true", help="replace the file of --report")
    args = parser.parse_args(arguments)
    if args.report and args.report.exists() and not args.overwrite:
        raise OutputError(
            f"'{args.report.name}' exists already.", "Give another name, or allow overwriting.", "exists"
        )
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    base = load_model(args.model)
    models = [with_segmenter(base, folder) for folder in args.run] if args.run else [base]
    seconds = [with_segmenter(base, folder) for folder in args.second]
    made = collect(args.data, models, args.per_kind, args.trials, args.seed, seconds)
    if args.judge:
        score = QualityModel.from_card(base.card.quality)
        if score is None:
            raise TrainingError("The model has no quality score.", "Fit one first.")
        tell(as_it_is(unseen(made, base.card), score), args.report)
        return
    held_out, text = cross_validate(made)
    quality = fit(made)
    if args.no_heads:
        quality = with_limits_of(quality, base.card)
    else:
        learned = head_trials(args.data, models[0], TRAIN_REAL_HEADS)
        limits: dict[str, Any] = dict(head_limits(learned))
        quality = replace(quality, **limits)
        text += "\n" + heads_report(head_trials(args.data, models[0], TEST_REAL_HEADS, quality))
    two = "" if quality.agreement is None else f" ({quality.agreement.threshold} where two readers outline)"
    text += (
        f"\nFlagged are an expected overlap under {quality.threshold}{two}, a correlation with the look of a "
        f"T1 under {quality.least_likeness}, a misfit of the head over {quality.max_misfit_mm:g} mm, and an "
        f"outline over {quality.max_distance_mm:g} mm from the localiser's place.\n"
    )
    tell(text + _printed_by(args), args.report)
    if args.write:
        told = {"trials": len(made), "seed": args.seed, **held_out}
        part = replace(quality.to_card(), subjects=tuple(sorted({t.subject for t in made})), extra=told)
        replace_card(base.folder, replace(read_card(base.folder), quality=part))


def with_limits_of(quality: QualityModel, card: ModelCard) -> QualityModel:
    """The score with how far the localiser may be off by a card that has one: the localiser is the same."""
    earlier = QualityModel.from_card(card.quality)
    if earlier is None:
        return quality
    return replace(quality, max_misfit_mm=earlier.max_misfit_mm, max_distance_mm=earlier.max_distance_mm)


def unseen(made: list[Trial], card: ModelCard) -> list[Trial]:
    """The trials, if the score in the card can be judged by them.

    Raises:
        ModelError: The card has no score.
        TrainingError: The score was fitted on subjects of the trials.
    """
    if card.quality is None:
        raise ModelError("The model has no quality score.", "Fit one.")
    if {t.subject for t in made} & set(card.quality.subjects):
        raise TrainingError(
            "The score was fitted on subjects of these trials.", "Give the model of another fold."
        )
    return made


def _printed_by(args: argparse.Namespace) -> str:
    """The command that made the report; of paths, the last two names."""
    words = ["python -m HippoSegLib.training.quality DATA", args.model.name]
    for option, folders in (("--run", args.run or []), ("--second", args.second)):
        words += [option, *("/".join(folder.parts[-2:]) for folder in folders)] if folders else []
    words += ["--per-kind", str(args.per_kind), "--seed", str(args.seed)]
    return f"\nPrinted by `{' '.join(words)}`.\n"


def tell(text: str, report: Path | None) -> None:
    """Print, and write to a file where one is named."""
    print(text)
    if report:
        with replacing(report, overwrite=True) as temporary:  # that it may be replaced was seen at the start
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
