"""``hipposeg preprocess``: write what the network would see, per side and channel."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import ProgressLine, add_input_options, add_model_options, segment_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scan", type=Path, metavar="SCAN", help="the head (or crop, with --region)")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the channels"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_input_options(parser)
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    options = segment_options(args)
    from ..batch.files import write_channels
    from ..io.images import image_stem, read_scan
    from ..models.store import load_model
    from ..pipeline import network_input, no_effect

    progress, name = ProgressLine(sys.stderr), image_stem(args.scan)
    scan = read_scan(args.scan, args.region, args.series)
    trained = load_model(args.model).card.segmenter.preprocessing
    for flag in (*scan.flags, *map(no_effect, trained.without_effect(options.preprocessing))):
        print(f"{'note' if flag.severity == 'info' else 'WARNING'}: {flag.message}")
    regions = network_input(scan, options, lambda words, f: progress(name, words, f))
    progress.clear()
    for path in write_channels(regions, args.output, name, overwrite=args.overwrite):
        print(path)
    return 0
