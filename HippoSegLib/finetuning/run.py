"""Fine-tuning from a site's cases to a new model folder: ``fine_tune``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError
from ..io.owned_folders import refuse_foreign
from ..io.staging import sweep
from ..models import devices
from ..models.store import Model, load_model
from ..training.cases import Case, load_cases
from .check import check, refuse
from .judge import SiteEvaluator, compare_models
from .prepare import SiteCase, prepare
from .runfolder import RUN, run_folder, write_check
from .settings import FineTuneSettings
from .sources import VALIDATION, Source, find_sources


@dataclass
class Outcome:
    """What came of a fine-tuning.

    Attributes:
        folder: The new model.
        comparison: See `judge.compare_models`; ``better`` and ``words`` in it.
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


def fine_tune(
    site: str | Path | Sequence[Source],
    output: str | Path,
    *,
    base: str | Path | Model | None = None,
    settings: FineTuneSettings | None = None,
    label_map: str | None = None,
    region: bool = False,
    side: str | None = None,
    scans: str | None = None,
    labels: str | None = None,
    table: str | Path | None = None,
    validation: str | Path | Sequence[Source] | None = None,
    original: str | Path | Sequence[Case] | None = None,
    leave_out: bool = False,
    anyway: bool = False,
    make_default: bool = True,
    device: str = "auto",
    threads: int | None = None,
    micro_batch: int = 2,
    run_dir: str | Path | None = None,
    resume: bool = True,
    checked: Callable[[list[SiteCase], list[str]], None] | None = None,
    progress: Callable[[str, float], None] | None = None,
    epoch_done: Callable[[str, list[dict]], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Outcome:
    """Fine-tune a model on labelled scans of a site, and say how much better it is on cases kept apart.

    Args:
        site: Folder (see `sources.find_sources`, which `scans`, `labels` and `table` go to), or sources,
            whose scans and labels may be images in memory.
        output: New model folder; must not exist.
        base: Model to start from; None is the default one. Preprocessing and network are its.
        settings: See `FineTuneSettings`.
        label_map: Names of the label values, see `Meaning`; None guesses between the known ones.
        region, side: The scans are crops of one hippocampus, of this side where names do not tell.
        validation: A folder or sources to judge by; without it, cases are split off by subject, or
            (small sites) cross-validated.
        original: Cases of the kind the base model was made for: what it loses on them goes on the card.
        leave_out: Go on without cases that cannot be used.
        anyway: Go on though the site's labels as a whole are doubtful.
        make_default: Let the panel offer the model first, if it is better and lies in the user's folder.
        device, threads: As in `segmentation.segment`.
        micro_batch: Samples in memory at a time.
        run_dir: Where the state is kept until the model is written (default: beside `output`): a new or
            an empty folder, or that of a run that was cancelled or killed, which the same call continues.
            At the end, the files of the run in it are removed.
        checked: Called with the cases and the site's doubts after the check.
        progress: Called with words (remaining time included) and the fraction done.
        epoch_done: Called with the training's name and its history after each epoch.
        cancel: Polled; True ends the run, which can be continued.

    Raises:
        TrainingError: Cases that cannot be used, too few, a divergence that lower rates do not end.
        InputError, ModelError, DeviceError, DependencyError, OutputError, Cancelled.
    """
    settings = settings or FineTuneSettings()
    output = Path(output)
    if output.exists():
        raise OutputError(
            f"Model folder '{output.name}' exists.", "Give another name: a model is never overwritten."
        )
    run_dir = Path(run_dir) if run_dir is not None else output.parent / f"{output.name}.run"
    refuse_foreign(run_dir, RUN)
    sweep(output.parent)
    torch = devices.import_torch()
    torch.set_num_threads(threads or devices.default_threads())
    name, _ = devices.resolve(device)
    base = base if isinstance(base, Model) else load_model(base)
    sources = find_all(site, validation, scans, labels, table)
    options = {"region": region, "side": side, "threads": threads, "device": name}
    prepared = prepare(sources, base, label_map, **options, progress=progress, cancel=cancel)
    doubts = check(prepared, base, name)
    if checked is not None:
        checked(prepared, doubts)

    from ..training.distributed import Team
    from .plan import Plan

    first = Team().rank == 0
    with run_folder(run_dir, first):
        write_check(run_dir, prepared)
        cases = refuse(prepared, doubts, leave_out, anyway)
        before_all = _originals(original)
        plan = Plan(base, settings, cases, run_dir, name, micro_batch, resume, progress, epoch_done, cancel)
        trained = plan.run()
        comparison = compare_models(trained.before, trained.after, trained.doubts)
        outcome = Outcome(output, comparison, False, trained.before, trained.after, trained.epochs)
        if before_all:
            outcome.original = _lost(base, trained.weights, before_all, name)
        if first:
            from .result import write_model

            write_model(outcome, base, settings, cases, prepared, trained, doubts)
            outcome.is_default = _default(outcome, make_default)
    return outcome


def look_at(
    site: str | Path | Sequence[Source],
    *,
    base: str | Path | Model | None = None,
    label_map: str | None = None,
    region: bool = False,
    side: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[[str, float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    **sources,
) -> tuple[list[SiteCase], list[str]]:
    """Only the check: cases with their findings, and what concerns the site as a whole.

    Arguments and errors are those of `fine_tune`; ``sources`` are those of `find_all`.
    """
    torch = devices.import_torch()
    torch.set_num_threads(threads or devices.default_threads())
    name, _ = devices.resolve(device)
    base = base if isinstance(base, Model) else load_model(base)
    options = {"region": region, "side": side, "threads": threads, "device": name}
    cases = prepare(find_all(site, **sources), base, label_map, **options, progress=progress, cancel=cancel)
    return cases, check(cases, base, name)


def find_all(site, validation=None, scans=None, labels=None, table=None) -> list[Source]:
    """The sources of site and validation, each a folder or sources already; see `fine_tune`."""
    from_folder = isinstance(site, str | Path)
    found = find_sources(site, scans, labels, table) if from_folder else list(site)
    if validation is None:
        return found
    if isinstance(validation, str | Path):
        return found + find_sources(validation, scans, labels, table, VALIDATION)
    return found + list(validation)


def _originals(original) -> list[Case]:
    if original is None:
        return []
    return load_cases(original) if isinstance(original, str | Path) else list(original)


def _lost(base: Model, weights: dict, cases: list[Case], device: str) -> dict:
    """Comparison of the base and the new model on the base's own kind of cases."""
    from .plan import network_of, region_of

    shape, preprocessing = region_of(base)
    evaluate = SiteEvaluator(cases, shape, preprocessing)
    new = network_of(base, weights).to(device)
    return compare_models(evaluate(base.module("segmenter", device), device), evaluate(new, device))


def _default(outcome: Outcome, wanted: bool) -> bool:
    from ..models.user_models import make_default, user_models_folder

    mine = outcome.folder.resolve().parent == user_models_folder().resolve()
    if not (wanted and mine and outcome.comparison["better"]):
        return False
    make_default(outcome.folder)
    return True
