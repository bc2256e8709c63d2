"""`hipposeg tune`: search for the settings with which `hipposeg finetune` serves a site best."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from .finetune import add_site_arguments, site_of
from .options import _positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    add_site_arguments(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of the search; given again, it goes on"
    )
    parser.add_argument(
        "--trials", type=_positive, default=20, help="complete trials in all, of all processes (default 20)"
    )
    parser.add_argument("--epochs", type=_positive, default=15, help="per trial and fold (default 15)")
    parser.add_argument("--folds", type=_positive, default=3, help="of the cross-validation (default 3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--micro-batch", type=_positive, default=2, help="samples in memory (default 2)")


def run(args: argparse.Namespace) -> int:
    """Search, and write the best settings, a table and pictures."""
    from ..finetuning.case_table import table_text
    from ..finetuning.check import refuse
    from ..finetuning.optuna_package import import_optuna
    from ..finetuning.run import check_site
    from ..finetuning.run_options import RunOptions
    from ..finetuning.search import refuse_other_folder, search
    from ..finetuning.search_results import BEST
    from ..finetuning.settings import FineTuneSettings
    from ..models.store import load_model

    def tell(words: str, fraction: float) -> None:
        print(f"[{100 * fraction:5.1f} %] {words}", file=sys.stderr, flush=True)

    import_optuna()
    refuse_other_folder(args.output)
    site = site_of(args)
    options = RunOptions(device=args.device, threads=args.threads, micro_batch=args.micro_batch).resolved()
    base = load_model(args.base)
    checked = check_site(site, base, options)
    print(table_text(checked.cases), *checked.warnings, sep="\n", flush=True)
    good = refuse(checked, site.leave_out, site.anyway)
    best = search(
        good,
        base,
        args.output,
        args.trials,
        start=FineTuneSettings(num_epochs=args.epochs, folds=args.folds, seed=args.seed),
        run=replace(options, progress=tell),
    )
    print(f"Best of {best['trials']} trials: Dice {best['value']:.4f}, {best['settings']}")
    print("It was chosen on these cases: other cases of the site will show a little less.")
    print(f"Use it with: hipposeg finetune SITE -o MODEL --settings {args.output / BEST}")
    return 0
