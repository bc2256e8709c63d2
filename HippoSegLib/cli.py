"""The command line: ``hipposeg segment | info | preprocess | train | …``."""

from __future__ import annotations

import argparse
import importlib
import sys

from . import __version__
from .commands.arguments import joined
from .commands.remedies import in_words
from .commands.streams import steady_output
from .commands.termination import stop_on_termination
from .errors import Cancelled, HippoSegError

#: Command -> module with `add_arguments(parser)` and `run(args) -> exit code`, and a line of help.
COMMANDS = {
    "segment": ("HippoSegLib.commands.segment", "find and measure both hippocampi"),
    "batch": ("HippoSegLib.commands.batch", "segment many scans: a folder, a list, a BIDS data set"),
    "info": ("HippoSegLib.commands.info", "print versions, devices and models"),
    "preprocess": ("HippoSegLib.commands.preprocess", "write what the network would see"),
    "report": ("HippoSegLib.commands.report", "write a page about each scan, to read and to print"),
    "review": ("HippoSegLib.commands.review", "make the page to look at all results, pass or fail"),
    "evaluate": ("HippoSegLib.commands.evaluate", "compare with reference labels"),
    "reference": ("HippoSegLib.commands.reference", "make a reference from controls, and compare with it"),
    "change": ("HippoSegLib.commands.change", "change per year between the visits of each subject"),
    "finetune": ("HippoSegLib.commands.finetune", "learn from a site's own labelled scans"),
    "tune": ("HippoSegLib.commands.tune", "search for the settings of a fine-tuning"),
    "train": ("HippoSegLib.training.command", "train a segmenter on labelled crops"),
}


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser; only `command`'s own module is imported, so that the others cost nothing."""
    parser = argparse.ArgumentParser(
        prog="hipposeg",
        description="Left and right hippocampus from a T1 MRI of the head. Not for clinical use.",
    )
    parser.add_argument("--version", action="version", version=f"HippoSeg {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, words) in COMMANDS.items():
        sub = subparsers.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        if name == command:
            importlib.import_module(module).add_arguments(sub)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code (`errors.py` lists them, 2 is a wrong option)."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    with steady_output():
        command = next((a for a in arguments if a in COMMANDS), None)
        return _run(build_parser(command).parse_args(joined(arguments)))


def _run(args: argparse.Namespace) -> int:
    stop_on_termination()
    try:
        return importlib.import_module(COMMANDS[args.command][0]).run(args)
    except HippoSegError as error:
        print(f"hipposeg: {in_words(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nhipposeg: Cancelled.", file=sys.stderr)
        return Cancelled.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
