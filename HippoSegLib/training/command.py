"""``hipposeg train``: train a segmenter on a folder of labelled crops, evaluate it, write it."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from ..errors import TrainingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("data", type=Path, help="folder with images/ and labels/, files of the same names")
    parser.add_argument("-o", "--output", type=Path, required=True, help="model folder to write")
    parser.add_argument("--run", type=Path, help="new folder for state and log (default: OUTPUT/run)")
    parser.add_argument("--folds", type=int, default=5, help="number of folds, by subject (default 5)")
    parser.add_argument("--fold", type=int, default=0, help="the fold held out for evaluation (default 0)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=2, help="samples in memory at a time (default 2)")
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument(
        "--background",
        "--hosts",  # its name before 0.2
        dest="background",
        type=Path,
        help="folder of unlabelled heads: the background context that the crops are set into",
    )
    parser.add_argument("--preprocessing", choices=("plain", "method", "both"), default="both")
    parser.add_argument(
        "--validate-every", type=int, default=5, help="epochs between validations (default 5)"
    )
    parser.add_argument("--init-from", type=Path, help="weights to start from")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads of the network")
    parser.add_argument("--overwrite", action="store_true", help="replace the model in OUTPUT")


def run(args: argparse.Namespace) -> int:
    """Train, evaluate on the held-out fold, write ``segmenter.pt`` and ``card.json``; return the exit code.

    A killed command, given again, continues from its last epoch. Started by ``torchrun``, several
    processes train together; the batch size is each one's.
    """
    import torch

    from ..preprocessing.chain import Preprocessing
    from . import cases as data
    from .background_context import load_contexts
    from .distributed import Team, start
    from .export import export_run, refuse_existing
    from .runstate import RunFolder, read_run, refuse_other_folder
    from .settings import TrainingSettings
    from .trainer import TrainingRun, train_3d_unet
    from .training_data import TrainingData

    if args.threads:
        torch.set_num_threads(args.threads)
    if not 0 <= args.fold < args.folds:
        raise TrainingError(f"There is no fold {args.fold} of {args.folds}.", "Count folds from 0.")
    refuse_existing(args.output, args.overwrite)
    run_dir = args.run or args.output / "run"
    refuse_other_folder(run_dir)
    device = start(args.device)
    first = Team().rank == 0
    every = data.load_cases(args.data)
    held = data.split_by_subject([case.subject for case in every], args.folds, args.seed)[args.fold]
    train = [case for i, case in enumerate(every) if i not in set(held)]
    if first:
        RunFolder(run_dir).write_command(_command(args))
        print(
            f"{len(train)} cases to train on, {len(held)} held out (fold {args.fold} of {args.folds})",
            flush=True,
        )
    train_3d_unet(
        [case.image for case in train],
        [case.label for case in train],
        args.learning_rate,
        args.batch_size,
        args.epochs,
        data=TrainingData(
            validation=[every[i] for i in held],
            subject_ids=[case.subject for case in train],
            names=[case.name for case in train],
            contexts=load_contexts(args.background) if args.background else (),
        ),
        settings=TrainingSettings(
            seed=args.seed,
            preprocessing=Preprocessing.named(args.preprocessing),
            validate_every=args.validate_every,
        ),
        run=TrainingRun(
            device=device,
            micro_batch=args.micro_batch,
            init_from=args.init_from,
            run_dir=run_dir,
            progress=_print_epochs if first else None,
        ),
    )
    if not first:
        return 0
    settings, state = read_run(run_dir)
    card = export_run(
        settings,
        state,
        args.output,
        evaluate_on=[every[i] for i in held],
        command=_command(args),
        overwrite=True,
    )
    print(json.dumps(card.segmenter.metrics, indent=1))
    return 0


def _print_epochs(words: str, fraction: float) -> None:
    if ":" in words:
        print(f"[{100 * fraction:5.1f} %] {words}", flush=True)


def _command(args: argparse.Namespace) -> str:
    """Return the command that repeats this training; folders are named, their places are not told."""
    words = ["hipposeg", "train", args.data.name, "-o", args.output.name]
    for name in (
        "folds",
        "fold",
        "seed",
        "epochs",
        "batch_size",
        "micro_batch",
        "learning_rate",
        "preprocessing",
    ):
        words += ["--" + name.replace("_", "-"), str(getattr(args, name))]
    for name in ("background", "init_from"):
        if getattr(args, name) is not None:
            words += ["--" + name.replace("_", "-"), getattr(args, name).name]
    return shlex.join(words)


def main() -> int:
    """Run without the other commands: ``python -m HippoSegLib.training.command DATA -o OUTPUT …``."""
    parser = argparse.ArgumentParser(prog="hipposeg train", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
