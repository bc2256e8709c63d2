"""``hipposeg review``: a page to look at all results in a folder and to say pass or fail."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("folder", type=Path, metavar="OUT", help="output folder of a segmentation")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it lies."""
    from ..review.page import write_page

    page = write_page(args.folder)
    print(f"Review page: {page}")
    if args.open:
        webbrowser.open(page.resolve().as_uri())
    return 0
