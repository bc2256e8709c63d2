"""Fine-tuning from a site's cases to a new model folder: ``fine_tune``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import OutputError
from ..io.owned_folders import refuse_foreign
from ..io.staging import sweep
from ..models.store import Model, load_model
from ..training.cases import Case, load_cases
from .check import check, refuse
from .comparison import SiteEvaluator, compare_models
from .prepare import prepare
from .result import FineTuneResult, NewModel
from .run_options import RunOptions
from .runfolder import RUN, run_folder, write_check
from .settings import FineTuneSettings
from .site import Site
from .site_case import CheckedSite

_DEFAULT = RunOptions()


def fine_tune(
    site: Site,
    output: str | Path,
    *,
    base: str | Path | Model | None = None,
    settings: FineTuneSettings | None = None,
    original: str | Path | Sequence[Case] | None = None,
    make_default: bool = True,
    run: RunOptions = _DEFAULT,
) -> FineTuneResult:
    """Fine-tune a model on labelled scans of a site, and say how much better it is on cases kept apart.

    Args:
        site: Which cases, and what their labels mean.
        output: New model folder; must not exist.
        base: Model to start from; None is the default one. Preprocessing and network are its.
        settings: Of the learning.
        original: Cases of the kind the base model was made for: what it loses on them goes on the card.
        make_default: Let the panel offer the model first, if it is better and lies in the user's folder.
        run: Folder, device, threads, progress and cancelling.

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
    run_dir = Path(run.run_dir) if run.run_dir is not None else output.parent / f"{output.name}.run"
    refuse_foreign(run_dir, RUN)
    sweep(output.parent)
    run = replace(run.resolved(), run_dir=run_dir)
    base = base if isinstance(base, Model) else load_model(base)
    checked = _checked(site, base, run)

    from ..training.distributed import Team
    from .plan import Plan
    from .result import write_model

    first = Team().rank == 0
    is_default = False
    with run_folder(run_dir, first):
        write_check(run_dir, checked.cases)
        cases = refuse(checked, site.leave_out, site.anyway)
        originals = _originals(original)
        trained = Plan(base, settings, cases, run).run()
        comparison = compare_models(trained.before, trained.after, trained.warning)
        lost = _lost(base, trained.weights, originals, run.device) if originals else None
        if first:
            write_model(output, NewModel(base, settings, checked, cases, trained, comparison, lost))
            is_default = make_default and comparison["better"] and _is_made_default(output)
    return FineTuneResult(output, comparison, is_default, trained.before, trained.after, trained.epochs, lost)


def check_site(site: Site, base: str | Path | Model | None = None, run: RunOptions = _DEFAULT) -> CheckedSite:
    """Only the check: cases with their findings, and warnings about the site as a whole.

    Arguments and errors are those of `fine_tune`.
    """
    run = run.resolved()
    return _checked(site, base if isinstance(base, Model) else load_model(base), run)


def _checked(site: Site, base: Model, run: RunOptions) -> CheckedSite:
    checked = check(prepare(site, base, run), base, run.device)
    if run.checked is not None:
        run.checked(checked)
    return checked


def _originals(original: str | Path | Sequence[Case] | None) -> list[Case]:
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


def _is_made_default(folder: Path) -> bool:
    """Let the panel offer a model of the user's folder first; False for a folder elsewhere."""
    from ..models.user_models import make_default, user_models_folder

    if folder.resolve().parent != user_models_folder().resolve():
        return False
    make_default(folder)
    return True
