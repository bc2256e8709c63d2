"""``hipposeg review``: a page to look at all results in a folder and to say pass or fail."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("folder", type=Path, metavar="OUT", help="output folder of a segmentation")
    parser.add_argument(
        "--verdicts",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="files that the page saved, of one reviewer or several: brought into review.csv and the table",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it lies."""
    from ..review.page import write_page

    if args.verdicts:
        _take_over(args.folder, args.verdicts)
    page = write_page(args.folder)
    print(f"Review page: {page}")
    if args.open:
        webbrowser.open(page.resolve().as_uri())
    return 0


def _take_over(folder: Path, files: list[Path]) -> None:
    """Bring verdicts into the folder, and its table in line with them."""
    from ..batch.folder import OutputFolder
    from ..batch.tablefile import TABLE
    from ..batch.verdicts import REVIEW, take_over

    changes = take_over(folder, files)
    print(f"{changes} new or changed verdict{'' if changes == 1 else 's'} in {REVIEW}.")
    if changes and (folder / TABLE).exists():
        OutputFolder(folder).update_table()
