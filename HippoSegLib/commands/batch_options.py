"""Options of the commands that segment: what is written, and how many scans are gone about."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from .comparison import comparison_of
from .options import add_dicom_options

if TYPE_CHECKING:
    from ..batch.request import BatchOptions


def add_result_options(parser: argparse.ArgumentParser) -> None:
    """Options that say what is written of each scan."""
    parser.add_argument(
        "--parts", action="store_true", help="label anterior and posterior apart (171/172, 531/532)"
    )
    parser.add_argument("--probabilities", action="store_true", help="also write probability maps")
    parser.add_argument(
        "--uncertainty", action="store_true", help="also write maps of the uncertainty: 0 sure, 1 guessed"
    )
    parser.add_argument("--no-picture", action="store_true", help="leave the quality-control picture out")
    add_dicom_options(parser)


def add_batch_options(parser: argparse.ArgumentParser, workers: str = "1") -> None:
    """Options for many scans.

    Args:
        parser: Of the command.
        workers: Default of their number.
    """
    group = parser.add_argument_group("many scans")
    group.add_argument("--overwrite", action="store_true", help="replace results that exist")
    group.add_argument(
        "--retry-failed",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="try again what failed before with these settings (default: yes)",
    )
    group.add_argument(
        "--workers",
        type=_workers,
        default=_workers(workers),
        metavar="N",
        help="processes side by side, or auto: as many as this machine can take. With several, --threads "
        f"counts for each (default: {workers})",
    )
    group.add_argument(
        "--shard",
        type=shard_of,
        metavar="K/N",
        help="only the K-th of N parts of the scans, for job arrays: each call takes its own, without gap or "
        "overlap",
    )
    group.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="work on a cluster: address of its Dask scheduler (tcp://host:8786), or its file",
    )
    group.add_argument("-q", "--quiet", action="store_true", help="no progress on the terminal")


def batch_options(args: argparse.Namespace, scans: int = 2) -> BatchOptions:
    """The options of a batch, from parsed ones.

    Args:
        args: Parsed options.
        scans: How many scans are given.

    Raises:
        InputError: Those of a comparison do not fit together, or its files cannot be used.
    """
    from ..batch.request import BatchOptions

    return BatchOptions(
        picture=not args.no_picture,
        overwrite=args.overwrite,
        retry_failed=args.retry_failed,
        workers=args.workers,
        shard=args.shard,
        dask=args.dask,
        series=getattr(args, "series", None),
        dicom_seg=args.dicom_seg,
        dicom_sr=args.dicom_sr,
        comparison=comparison_of(args, scans),
    )


def _workers(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number of 1 or more, or auto")
    return int(text)


def shard_of(text: str) -> tuple[int, int]:
    """The part of the scans that "K/N" names."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError("must be K/N with K from 1 to N, as 1/8")
    return int(found[1]), int(found[2])
