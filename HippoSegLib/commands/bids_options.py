"""Options of `hipposeg-bids`: in the spellings of BIDS Apps 1.0, and those of the draft of 2.0."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from .. import __version__
from .batch_options import shard_of
from .comparison import add_reference_options
from .options import add_model_options

#: Level as it may be given -> what is done.
LEVELS = {
    "participant": "participant",
    "group": "group",
    "run": "participant",
    "session": "participant",
    "subject": "participant",
    "dataset": "group",
}
#: Exit codes of BIDS Apps.
UNKNOWN_LEVEL, USAGE = 17, 64


class BidsParser(argparse.ArgumentParser):
    """A parser whose errors have the exit codes of BIDS Apps."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def build_parser() -> BidsParser:
    """The parser of `hipposeg-bids`."""
    parser = BidsParser(
        prog="hipposeg-bids",
        description="Left and right hippocampus in the T1w images of a BIDS data set. Not for clinical use.",
        epilog="Exit codes: 0 done; 16 no valid BIDS data set; 17 unknown level; 18 nothing is selected; "
        "64 usage; 65 scans without a result, or unusable data; 66 no such input; 69 a package is missing; "
        "70 model or unexpected error; 73 the output cannot be made; 74 it cannot be written; 75 try again; "
        "130 cancelled.",
    )
    parser.add_argument("bids_dir", nargs="?", type=Path, metavar="BIDS_DIR", help="root of the data set")
    parser.add_argument(
        "output_dir", nargs="?", type=Path, metavar="OUTPUT_DIR", help="folder for the derivative"
    )
    parser.add_argument(
        "level", nargs="?", metavar="{participant,group}", help="each scan, or one table of all results"
    )
    parser.add_argument("--version", action="version", version=f"hipposeg-bids {__version__}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more")
    _add_selection(parser)
    _add_resources(parser)
    _add_results(parser)
    draft = parser.add_argument_group("names of the draft of BIDS Apps 2.0, in place of the first three")
    draft.add_argument("--input-dataset", type=Path, metavar="DIR")
    draft.add_argument("--output-location", type=Path, metavar="DIR")
    draft.add_argument("--analysis-level", metavar="{run,session,subject,dataset}")
    add_reference_options(parser)
    add_model_options(parser)
    return parser


def _add_selection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which scans")
    group.add_argument(
        "--participant-label",
        "--participant_label",
        "--subject-label",
        dest="subjects",
        nargs="+",
        action="extend",
        default=[],
        metavar="LABEL",
        help="with or without sub-; or a file with one per line",
    )
    group.add_argument(
        "--session-label",
        "--session_label",
        "--session-id",
        dest="sessions",
        nargs="+",
        action="extend",
        default=[],
        metavar="LABEL",
        help="with or without ses-; or a file",
    )
    group.add_argument(
        "--bids-filter-file",
        type=Path,
        metavar="FILE",
        help='as fMRIPrep\'s: {"t1w": {"run": 1, "acquisition": null}}',
    )
    group.add_argument(
        "--skip-bids-validation",
        "--skip_bids_validation",
        action="store_true",
        help="do not look whether BIDS_DIR describes itself as BIDS wants",
    )


def _add_resources(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how")
    group.add_argument(
        "--n-cpus",
        "--n_cpus",
        "--nprocs",
        "--nthreads",
        type=_count,
        metavar="N",
        help="CPUs to use (default: all)",
    )
    group.add_argument(
        "--omp-nthreads", type=_count, metavar="N", help="of these, CPUs for each scan (default: 1)"
    )
    group.add_argument("--mem", "--mem-mb", "--mem_mb", type=_count, metavar="MB", help="memory to use")
    group.add_argument(
        "--shard",
        type=shard_of,
        metavar="K/N",
        help="only the K-th of N parts of the scans, for job arrays: each call takes its own, without gap",
    )
    group.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="work on a cluster: address of its Dask scheduler (tcp://host:8786), or its file",
    )
    group.add_argument(
        "-w",
        "--work-dir",
        type=Path,
        metavar="WORK",
        help="is not needed: taken so that scripts run as they are",
    )


def _add_results(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument(
        "--parts", action="store_true", help="also label anterior and posterior apart (seg-hipposegparts)"
    )
    group.add_argument("--probabilities", action="store_true", help="also write probability maps (probseg)")
    group.add_argument("--uncertainty", action="store_true", help="also write maps of the entropy")
    group.add_argument("--no-picture", action="store_true", help="leave the pictures out")
    group.add_argument("--overwrite", action="store_true", help="replace results of other models or settings")
    parser.set_defaults(region=False, side=None, left_point=None, right_point=None)
    parser.set_defaults(left_box=None, right_box=None)


def settle(parser: BidsParser, args: argparse.Namespace) -> argparse.Namespace:
    """Bring both spellings together: `bids_dir`, `output_dir` and `level` are set afterwards.

    The group level needs no data set: with one folder alone, that is the output.
    """
    for name, draft in (
        ("bids_dir", "input_dataset"),
        ("output_dir", "output_location"),
        ("level", "analysis_level"),
    ):
        given, drafted = getattr(args, name), getattr(args, draft)
        if given is not None and drafted is not None:
            parser.error(f"{name} and --{draft.replace('_', '-')} say the same: give one of them")
        setattr(args, name, given if drafted is None else drafted)
    if args.level is None:
        parser.error("the level is missing: participant or group")
    if args.level not in LEVELS:
        parser.print_usage(sys.stderr)
        parser.exit(
            UNKNOWN_LEVEL, f"{parser.prog}: there is no level '{args.level}': give participant or group\n"
        )
    args.level = LEVELS[args.level]
    if args.output_dir is None or (args.bids_dir is None and args.level == "participant"):
        parser.error("BIDS_DIR, OUTPUT_DIR and the level are needed")
    return args


def resources(args: argparse.Namespace, cpus: int) -> tuple[int, int]:
    """Workers, and CPU threads of each, within the CPUs and the memory that may be used.

    Args:
        args: Parsed options.
        cpus: What the machine has.
    """
    allowed = args.n_cpus or cpus
    threads = min(args.omp_nthreads or args.threads or 1, allowed)
    workers = max(1, allowed // threads)
    if args.mem is not None:
        workers = max(1, min(workers, args.mem // _MB_PER_WORKER))
    return workers, threads


#: Memory of a process at its most, both readers.
_MB_PER_WORKER = 500


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
