"""``hipposeg segment``: scans in, label images, pictures, provenance and one table out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SOME_FAILED
from ..results.wording import asymmetry_words, volume_words
from .options import (
    ProgressLine,
    add_dicom_options,
    add_input_options,
    add_model_options,
    segment_options,
)
from .remedies import in_words

if TYPE_CHECKING:
    from ..batch.run import Outcome
    from ..errors import HippoSegError
    from ..pipeline import SegmentationResult


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
    parser.add_argument(
        "--parts", action="store_true", help="label anterior and posterior apart (171/172, 531/532)"
    )
    parser.add_argument("--probabilities", action="store_true", help="also write probability maps")
    parser.add_argument(
        "--uncertainty", action="store_true", help="also write maps of the uncertainty: 0 sure, 1 guessed"
    )
    parser.add_argument("--no-picture", action="store_true", help="leave the quality-control picture out")
    add_dicom_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on the terminal")
    add_input_options(parser)
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    options = segment_options(args)
    from ..batch.run import TABLE, BatchOptions, segment_files

    progress = ProgressLine(sys.stderr)
    batch = BatchOptions(
        picture=not args.no_picture,
        overwrite=args.overwrite,
        series=args.series,
        dicom_seg=args.dicom_seg,
        dicom_sr=args.dicom_sr,
    )
    codes, outcomes = [], 0
    try:
        tell = None if args.quiet else progress
        for outcome in segment_files(args.scans, args.output, options, batch, tell):
            progress.clear()
            outcomes += 1
            if outcome.error is not None:
                codes.append(outcome.error.exit_code)
                _print_failure(outcome, outcome.error)
            if outcome.result is not None:
                _print(outcome, outcome.result)
    finally:
        progress.clear()
    if (args.output / TABLE).exists():
        print(f"Table: {args.output / TABLE}")
    if not codes:
        return 0
    return codes[0] if len(args.scans) == 1 else SOME_FAILED


def _print(outcome: Outcome, result: SegmentationResult) -> None:
    row = result.measurements.as_row()
    volumes = ", ".join(
        f"{side} {volume_words(volume)}" if volume is not None else f"{side} not found"
        for side in ("left", "right")
        for volume in (row[f"{side}_mm3"],)
    )
    asymmetry = row["asymmetry_index"]
    words = "" if asymmetry is None else f", {asymmetry_words(asymmetry)}"
    print(f"{outcome.scan}: {outcome.status}: {volumes}{words}")
    for flag in result.flags:
        print(f"  {'note' if flag.severity == 'info' else 'WARNING'}: {flag.message}")
    for path in outcome.files:
        if path.suffix == ".png":
            print(f"  picture: {path}")


def _print_failure(outcome: Outcome, error: HippoSegError) -> None:
    print(f"hipposeg: {outcome.scan}: {in_words(error)}", file=sys.stderr)
    if outcome.earlier_stays:
        print("  The earlier result stays as it was.", file=sys.stderr)
    if outcome.details is not None:
        print(f"  Report: {outcome.details}", file=sys.stderr)
