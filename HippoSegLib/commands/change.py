"""``hipposeg change``: change per year of each subject's hippocampi between its visits."""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..models.repeatability_card import RepeatabilityCard
    from ..reference.values import Identity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "table", type=Path, metavar="TABLE", help="volumes: hippocampus.csv, or the table of a BIDS group"
    )
    parser.add_argument(
        "--visits",
        type=Path,
        required=True,
        metavar="TSV",
        help="columns participant_id, session_id and acq_time (a date), or age (years with decimals); and "
        "what scanned them: manufacturer, scanner, magnetic_field_strength, site",
    )
    parser.add_argument(
        "--same-scanner",
        action="store_true",
        help="one scanner and protocol made all scans of a subject: where the table does not say so",
    )
    parser.add_argument(
        "--sd-percent",
        type=float,
        metavar="X",
        help="standard deviation of a volume measured again at one's own site, in %% (default: the model's "
        "card, from imitated rescans)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="CSV", help="also a table, a new file")


def run(args: argparse.Namespace) -> int:
    """Print and write the changes."""
    from ..io.atomic import refuse_existing, replacing
    from ..io.spreadsheet import harmless
    from ..reference.change import change_over_time
    from ..reference.change_words import COLUMNS, change_cells, change_lines
    from ..reference.repeatability import repeatability_of
    from ..reference.visits import visits_by_subject
    from ..reference.volumes import read_volumes

    if args.output is not None:
        refuse_existing(args.output)
    if args.sd_percent is not None and not 0 < args.sd_percent < 100:
        raise InputError("--sd-percent is no standard deviation in %.", "Give for instance 1.2.")
    known: dict[Identity, RepeatabilityCard | None] = {}
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for subject, visits in visits_by_subject(read_volumes(args.table).scans, args.visits).items():
        identity = visits[-1].scan.identity
        if identity not in known:
            known[identity] = repeatability_of(identity, args.sd_percent)
        found = change_over_time(visits, known[identity], args.same_scanner)
        print(f"{subject}:")
        for line in change_lines(found):
            print(f"  {line}")
        first, *others = change_cells(subject, found)
        table.writerow([harmless(first), *others])
    if args.output is not None:
        with replacing(args.output) as temporary:
            temporary.write_bytes(b"\xef\xbb\xbf" + text.getvalue().encode("utf-8"))
        print(args.output)
    return 0
