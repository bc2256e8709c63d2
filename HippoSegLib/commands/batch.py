"""``hipposeg batch``: a folder, a list, a DICOM tree or a BIDS data set in, results and one table out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .batch_options import add_batch_options, add_result_options, batch_options
from .batch_output import print_found, run_batch
from .comparison import add_reference_options
from .options import add_model_options, segment_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="files, patterns ('study/**/*T1*.nii.gz'), a list (.txt) or table (.csv, .tsv: path, subject, "
        "session), a folder of NIfTI, NRRD, MetaImage or .mgz, a DICOM tree or CD, a BIDS data set",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results"
    )
    parser.add_argument(
        "--match", metavar="PATTERN", help="of the scans in folders, only those whose name or path fits"
    )
    parser.add_argument("--list", action="store_true", help="say what would be segmented, and no more")
    parser.add_argument("--no-page", action="store_true", help="write no review page at the end")
    add_result_options(parser)
    add_batch_options(parser, "auto")
    add_reference_options(parser)
    add_model_options(parser)
    parser.set_defaults(region=False, side=None, left_point=None, right_point=None)
    parser.set_defaults(left_box=None, right_box=None)


def run(args: argparse.Namespace) -> int:
    """Find the scans and segment them."""
    options, batch = segment_options(args), batch_options(args)
    from ..batch.finding.scans import find_scans

    live = sys.stderr.isatty() and not args.quiet
    if live:  # headers of a DICOM tree take their time
        print("Looking for scans ...", end="\r", file=sys.stderr, flush=True)
    try:
        found = find_scans(args.inputs, args.output, args.match)
    finally:
        if live:
            print(" " * 21, end="\r", file=sys.stderr, flush=True)
    if args.list:
        for source in found.sources:
            print(f"{source.given}{f', series {source.series}' if source.series else ''}")
    if args.list or not args.quiet:
        print_found(found, with_paths=args.list)
    if args.list:
        return 0
    return run_batch(found, args.output, options, batch, args.quiet, not args.no_page)
