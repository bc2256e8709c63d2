"""``hipposeg reference build | apply``: a site's own reference, and tables compared with it."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a reference from the volumes of one's own controls, and say where other people's volumes lie "
        "among those of their age, sex and head size. Not for clinical use."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="make a reference from controls")
    _add_tables(build)
    build.add_argument(
        "--controls",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="who is a control, such as group=HC or group=HC,CN; given twice, both must hold (default: all)",
    )
    build.add_argument(
        "-o", "--output", type=Path, required=True, metavar="JSON", help="the reference, a new file"
    )
    apply = actions.add_parser("apply", help="add percentiles to a table")
    _add_tables(apply)
    apply.add_argument("--reference", type=Path, required=True, metavar="JSON", help="made by 'build'")
    apply.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="a new table, .csv or .tsv"
    )


def _add_tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "table", type=Path, metavar="TABLE", help="volumes: hippocampus.csv, or the table of a BIDS group"
    )
    parser.add_argument(
        "--participants",
        type=Path,
        required=True,
        metavar="TSV",
        help="columns participant_id (or the scan's name), age, sex, and what --controls names",
    )


def run(args: argparse.Namespace) -> int:
    return {"build": _build, "apply": _apply}[args.action](args)


def _build(args: argparse.Namespace) -> int:
    from ..reference.build import built_lines, make_reference

    built = make_reference(args.table, args.participants, tuple(args.controls), args.output)
    for line in built_lines(built):
        print(line)
    print(args.output)
    return 0


def _apply(args: argparse.Namespace) -> int:
    from ..io.atomic import refuse_existing
    from ..reference.apply import judge_table, write_judged
    from ..reference.comparison import Comparison
    from ..reference.participants import read_participants
    from ..reference.reference import read_reference
    from ..reference.volumes import read_volumes

    refuse_existing(args.output)
    participants = read_participants(args.participants)
    comparison = Comparison(read_reference(args.reference), participants=participants)
    volumes = read_volumes(args.table)
    judgements = judge_table(volumes, comparison)
    write_judged(volumes, judgements, args.output)
    reasons: dict[str, int] = {}
    for judgement in judgements:
        for code in {remark.code for remark in judgement.withheld.values()}:
            reasons[code] = reasons.get(code, 0) + 1
    compared = sum(bool(judgement.measures) for judgement in judgements)
    print(f"{compared} of {len(judgements)} scans compared with {comparison.reference.count} controls.")
    for code, count in sorted(reasons.items()):
        example = next(
            remark.sentence for j in judgements for remark in j.withheld.values() if remark.code == code
        )
        print(f"  {count} without a percentile ({code}), for instance: {example}")
    print(args.output)
    return 0
