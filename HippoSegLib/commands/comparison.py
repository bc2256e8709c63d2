"""Options of commands that compare their results with a reference."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..reference.comparison import Comparison


def add_reference_options(parser: argparse.ArgumentParser, one_scan: bool = False) -> None:
    """Options that name a reference and who was scanned.

    Args:
        parser: Of the command.
        one_scan: Whether the command may be given a single scan, and age and sex with it.
    """
    group = parser.add_argument_group("comparison with one's own controls")
    group.add_argument(
        "--reference",
        type=Path,
        metavar="JSON",
        help="made by 'hipposeg reference build': percentiles for age, sex and head size",
    )
    group.add_argument(
        "--participants",
        type=Path,
        metavar="TSV",
        help="columns participant_id (or the scan's name), age, sex",
    )
    if one_scan:
        group.add_argument("--age", metavar="YEARS", help="of the one who was scanned, in place of a table")
        group.add_argument("--sex", metavar="F|M", help="of the one who was scanned")


def comparison_of(args: argparse.Namespace, scans: int = 1) -> Comparison | None:
    """What the results are compared with; None where no reference is given.

    Args:
        args: Parsed options.
        scans: How many scans are given.

    Raises:
        InputError: The options do not fit together, or a file cannot be used.
    """
    age, sex = getattr(args, "age", None), getattr(args, "sex", None)
    if args.reference is None:
        if args.participants is not None or age is not None or sex is not None:
            raise InputError(
                "Age, sex and participants are for a comparison.", "Add --reference, or leave them out."
            )
        return None
    if (age is not None or sex is not None) and (scans > 1 or args.participants is not None):
        raise InputError(
            "--age and --sex are for a single scan.", "Give a table with --participants for several."
        )
    from ..reference.comparison import Comparison
    from ..reference.participants import age_of, read_participants, sex_of
    from ..reference.reference import read_reference
    from ..reference.values import Person

    reference = read_reference(args.reference)
    if args.participants is not None:
        return Comparison(reference, participants=read_participants(args.participants))
    person = Person(None if age is None else age_of(age), None if sex is None else sex_of(sex))
    if (age is not None and person.age is None) or (sex is not None and person.sex is None):
        raise InputError("Age or sex cannot be read.", "Write for instance --age 67 --sex F.")
    return Comparison(reference, person)
