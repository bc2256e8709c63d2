"""`hipposeg finetune`: learn from a site's own labelled scans, and say whether it helped."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..labels import SIDES
from .options import _positive

if TYPE_CHECKING:
    from ..finetuning.run_options import RunOptions
    from ..finetuning.settings import FineTuneSettings
    from ..finetuning.site import Site
    from ..finetuning.site_case import CheckedSite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    add_site_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="MODEL", help="new model folder; must not exist")
    parser.add_argument(
        "--check-only", action="store_true", help="look at the cases, write table and pictures, learn nothing"
    )
    parser.add_argument(
        "--validation", type=Path, help="folder of labelled scans to judge by, never learned from"
    )
    parser.add_argument(
        "--original",
        type=Path,
        help="folder of labelled crops of the base model's kind: what is lost on them goes on the card",
    )
    group = parser.add_argument_group("learning (the defaults work)")
    group.add_argument("--preset", default="default", help="default, or method: the published values")
    group.add_argument("--settings", type=Path, help="JSON file of settings, as hipposeg tune writes it")
    group.add_argument("--learning-rate", type=float)
    group.add_argument("--batch-size", type=_positive)
    group.add_argument("--epochs", type=_positive)
    group.add_argument("--folds", type=_positive, help="of the cross-validation of small sites (default 3)")
    group.add_argument("--seed", type=int)
    group = parser.add_argument_group("run")
    group.add_argument("--run", type=Path, help="new folder for the state until the model is written")
    group.add_argument("--restart", action="store_true", help="refuse to continue an earlier run")
    group.add_argument("--micro-batch", type=_positive, default=2, help="samples in memory (default 2)")
    group.add_argument("--no-default", action="store_true", help="never let the panel offer the model first")
    group.add_argument("-q", "--quiet", action="store_true", help="say only how it ended")


def add_site_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say where a site's cases are and what they mean; `hipposeg tune` has them too."""
    parser.add_argument("site", type=Path, help="folder with images/ and labels/, or BIDS with derivatives/")
    group = parser.add_argument_group("cases")
    group.add_argument("--scans", metavar="PATTERN", help="scans within SITE, as in '*_T1w.nii.gz' (quoted)")
    group.add_argument("--labels", metavar="PATTERN", help="their labels, as in '*_seg.nii.gz' (quoted)")
    group.add_argument("--table", type=Path, help="CSV: case, subject, side; where file names do not tell")
    group.add_argument("--region", action="store_true", help="the scans are crops of one hippocampus")
    group.add_argument("--side", choices=SIDES, help="side of all crops, where names do not end in it")
    group.add_argument(
        "--label-map",
        metavar="MAP",
        help="freesurfer, neuromorphometrics, hipposeg, msd, or names: left=17,right=53 / whole=1 / "
        "anterior=1,posterior=2 (default: guessed from the values)",
    )
    group.add_argument("--leave-out", action="store_true", help="go on without cases that cannot be used")
    group.add_argument(
        "--anyway", action="store_true", help="go on though the labels as a whole are doubtful"
    )
    group = parser.add_argument_group("model and machine")
    group.add_argument("--base", help="model to start from (default: the bundled one)")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    group.add_argument("--threads", type=_positive, help="CPU threads")


def site_of(args: argparse.Namespace, validation: Path | None = None) -> Site:
    """The site that the arguments describe; `validation` is a folder of cases to judge by."""
    from ..finetuning.site import Site

    if args.side is not None and not args.region:
        raise InputError("--side is only for crops.", "Add --region, or leave --side out.")
    return Site(
        args.site,
        validation,
        scans=args.scans,
        labels=args.labels,
        table=args.table,
        label_map=args.label_map,
        region=args.region,
        side=args.side,
        leave_out=args.leave_out,
        anyway=args.anyway,
    )


def run(args: argparse.Namespace) -> int:
    """Check the cases, learn, compare, write the model; a killed command, given again, goes on."""
    from ..finetuning.case_table import table_text
    from ..finetuning.run_options import RunOptions

    site = site_of(args, args.validation)
    if args.output is None:
        if not args.check_only:
            raise InputError("No model folder is named.", "Add -o MODEL, or --check-only.")
        args.output = args.site.parent / f"{args.site.name}_check"

    def show(checked: CheckedSite) -> None:
        if not args.quiet:
            print(table_text(checked.cases), flush=True)
        for sentence in checked.warnings:
            print(f"WARNING: {sentence}", flush=True)

    shown = RunOptions(device=args.device, threads=args.threads, progress=_Printer(args.quiet), checked=show)
    if args.check_only:
        return _check_only(args, site, shown)
    from ..finetuning.result import result_text
    from ..finetuning.run import fine_tune
    from ..training.distributed import Team, start

    device = start(args.device)
    first = Team().rank == 0
    run_dir = args.run or args.output.parent / f"{args.output.name}.run"
    options = RunOptions(
        run_dir=run_dir,
        resume=not args.restart,
        device=device,
        threads=args.threads,
        micro_batch=args.micro_batch,
        progress=_Printer(args.quiet or not first),
        checked=show if first else None,
        epoch_done=_Curves(run_dir) if first else None,
    )
    result = fine_tune(
        site,
        args.output,
        base=args.base,
        settings=settings_of(args),
        original=args.original,
        make_default=not args.no_default,
        run=options,
    )
    if first:
        from ..models.card import read_card

        fine_tuning = read_card(result.folder).segmenter.fine_tuning
        print(result_text(result, "" if fine_tuning is None else fine_tuning.judged_by))
        print(f"{result.folder}{' (offered first in the panel)' if result.is_default else ''}")
    return 0


def _check_only(args: argparse.Namespace, site: Site, options: RunOptions) -> int:
    from ..finetuning.run import check_site
    from ..finetuning.runfolder import refuse_other_check, write_check

    refuse_other_check(args.output)
    cases = check_site(site, args.base, options).cases
    for path in write_check(args.output, cases):
        print(path)
    return 0 if all(case.usable for case in cases) else InputError.exit_code


def settings_of(args: argparse.Namespace) -> FineTuneSettings:
    """`FineTuneSettings` from preset, file and options, the later ones over the earlier."""
    import json

    from ..finetuning.settings import FineTuneSettings

    changes: dict = {}
    if args.settings is not None:
        try:
            changes = dict(json.loads(args.settings.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"The settings '{args.settings.name}' cannot be read.",
                "Give a JSON file with names and values.",
            ) from error
    options = {"num_epochs": args.epochs} | {
        name: getattr(args, name) for name in ("learning_rate", "batch_size", "folds", "seed")
    }
    changes |= {name: value for name, value in options.items() if value is not None}
    return FineTuneSettings.preset(args.preset, **changes)


class _Printer:
    """Prints the progress, a line each."""

    def __init__(self, quiet: bool):
        self.quiet = quiet

    def __call__(self, words: str, fraction: float) -> None:
        if not self.quiet:
            print(f"[{100 * fraction:5.1f} %] {words}", file=sys.stderr, flush=True)


class _Curves:
    """Keeps ``curves.png`` and a TensorBoard log in the run folder up to date."""

    def __init__(self, run_dir: Path):
        self.run_dir, self.drawn = run_dir, 0.0
        self.histories: dict[str, list[dict]] = {}
        self.written: dict[str, int] = {}  # epochs in the TensorBoard log

    def __call__(self, name: str, history: list[dict]) -> None:
        from ..errors import DependencyError
        from ..finetuning.curves import write_curves, write_tensorboard

        self.histories[name] = list(history)
        write_tensorboard(self.run_dir, name, history, self.written.get(name, len(history) - 1))
        self.written[name] = len(history)
        if time.monotonic() - self.drawn > 15:
            with contextlib.suppress(DependencyError):  # the log has the same numbers
                write_curves(self.run_dir, self.histories)
            self.drawn = time.monotonic()
