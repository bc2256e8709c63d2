"""``hipposeg report``: one page per scan, to read and to print."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from ..errors import SOME_FAILED, HippoSegError, InputError
from ..reference import Person, read_reference
from ..reference.values import SEXES
from .remedies import in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a page about each scan from its record: warnings, quality-control figure, volumes, what each "
        "number is, and how far to trust it. It makes no diagnosis."
    )
    parser.add_argument(
        "records",
        nargs="+",
        type=Path,
        metavar="RECORD",
        help="<scan>_hippocampus.json, or a folder that 'hipposeg segment' wrote to",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the page (.html); a folder where there are several (default: beside each record)",
    )
    parser.add_argument(
        "--pdf", action="store_true", help="also print it as PDF (needs Chromium, Chrome or Edge)"
    )
    parser.add_argument("--paper", choices=("a4", "letter"), default="a4", help="of the PDF (default: a4)")
    parser.add_argument("--name", default="", help="the patient's name, to stand on the page (default: none)")
    parser.add_argument("--model", help="folder of the model that made the results, for its card")
    compared = parser.add_argument_group("comparison with your own controls")
    compared.add_argument(
        "--reference", type=Path, metavar="FILE", help="what 'hipposeg reference build' wrote"
    )
    compared.add_argument("--age", type=_age, metavar="YEARS", help="of this person at the scan")
    compared.add_argument("--sex", choices=SEXES, help="of this person")
    visits = parser.add_argument_group("change between visits")
    visits.add_argument(
        "--visits", type=Path, metavar="TSV", help="when each scan was made: the table of 'hipposeg change'"
    )
    visits.add_argument(
        "--same-scanner", action="store_true", help="one scanner and protocol made all scans of a subject"
    )
    visits.add_argument(
        "--sd-percent", type=_percent, metavar="X", help="of a volume measured again at one's own site"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace pages that exist")


def _age(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 130:
        raise argparse.ArgumentTypeError("must be from 0 to 130 years")
    return value


def _percent(text: str) -> float:
    value = float(text)
    if not 0 < value < 100:
        raise argparse.ArgumentTypeError("must be between 0 and 100 %%")
    return value


def run(args: argparse.Namespace) -> int:
    from ..report.visits import Visits, changes_in
    from ..report.write import SUFFIX, ReportOptions, find_records, load, write_report

    options = ReportOptions(
        name=args.name,
        model=args.model,
        pdf=args.pdf,
        paper=args.paper,
        overwrite=args.overwrite,
        reference=None if args.reference is None else read_reference(args.reference),
        person=Person(args.age, args.sex),
    )
    records = [record for path in args.records for record in find_records(path)]
    if len(records) > 1 and (args.name or args.age is not None or args.sex):
        raise InputError("Name, age and sex are of one scan.", "Give one record, or leave them out.")
    folder = _folder(args.output, len(records))
    visits = None if args.visits is None else Visits(args.visits, args.same_scanner, args.sd_percent)
    changes = {} if visits is None else {root: changes_in(root, visits) for root in {p.root for p in records}}
    errors = []
    for place in records:
        try:
            target = args.output if folder is None else folder / f"{load(place.record).scan}{SUFFIX}"
            for written in write_report(place, target, replace(options, change=changes.get(place.root))):
                print(written)
        except HippoSegError as error:
            if len(records) == 1 or error.kind == "dependency":
                raise
            errors.append(error)
            print(f"hipposeg: {in_words(error)}", file=sys.stderr)
    return 0 if not errors else errors[0].exit_code if len(errors) == len(records) else SOME_FAILED


def _folder(output: Path | None, count: int) -> Path | None:
    """The folder for the pages, made if it is missing; None where `output` is the page or is not given."""
    if output is None:
        return None
    if output.suffix.lower() in (".html", ".htm") and not output.is_dir():
        if count > 1:
            raise InputError("One page cannot hold several scans.", "Give a folder with --output.")
        return None
    if output.suffix and not output.is_dir():
        raise InputError(
            f"A page is not written as '{output.suffix}'.", "Give a file that ends in .html, or a folder."
        )
    output.mkdir(parents=True, exist_ok=True)
    return output
