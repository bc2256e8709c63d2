"""``hipposeg segment``: scans in, label images, pictures, provenance and one table out."""

from __future__ import annotations

import argparse
from pathlib import Path

from .batch_options import add_batch_options, add_result_options, batch_options
from .batch_output import run_batch
from .comparison import add_reference_options
from .options import add_input_options, add_model_options, segment_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "scans",
        nargs="+",
        type=Path,
        metavar="SCAN",
        help="T1 head: NIfTI, NRRD, MetaImage, or a folder with a DICOM series",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results"
    )
    add_result_options(parser)
    add_batch_options(parser)
    add_input_options(parser)
    add_reference_options(parser, one_scan=True)
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    options = segment_options(args)
    from ..batch.finding.found import Found
    from ..batch.source import Source

    sources = tuple(Source(path, args.series) for path in args.scans)
    batch = batch_options(args, len(sources))
    return run_batch(Found(sources), args.output, options, batch, args.quiet)
