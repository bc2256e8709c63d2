"""``hipposeg info``: versions, devices and models, for bug reports and for choosing; or one model's card."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import HippoSegError, ModelError
from ..models.card import CARD, ModelCard, read_card
from ..models.card_words import card_lines
from ..models.store import bundled_folder, model_folder
from ..models.user_models import user_models_folder
from ..results.provenance import versions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.set_defaults(command="info")
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="print these models' cards: names or model folders"
    )


def run(args: argparse.Namespace) -> int:
    """Print the cards that are asked for, or an overview."""
    if args.models:
        for model in args.models:
            print("\n".join(card_lines(read_card(model_folder(model)))))
        return 0
    print("Versions")
    for name, version in versions().items():
        print(f"  {name:14} {version}")
    print("Devices")
    from ..models import devices, engines

    try:
        for device in devices.candidates():
            reason = None if device.name == "cpu" else devices.probe(device.name)
            print(f"  {device.name:14} {device.description}" + (f" - not usable: {reason}" if reason else ""))
    except HippoSegError as error:
        print(f"  {error}")
    print(f"  auto           {engines.choose().reason}")
    print("Models")
    _print_models(bundled_folder())
    if user_models_folder().is_dir():
        print("Your models")
        _print_models(user_models_folder())
    return 0


def _print_models(parent: Path) -> None:
    for folder in sorted(path.parent for path in parent.glob(f"*/{CARD}")):
        if folder.name.startswith("."):  # being written
            continue
        try:
            _print_model(folder.name, read_card(folder))
        except ModelError as error:
            print(f"  {folder.name:14} {error}")


def _print_model(name: str, card: ModelCard) -> None:
    size = sum(file.bytes or 0 for file in card.files.values()) / 1e6
    parameters = (card.parameters or 0) / 1e6
    print(f"  {name:14} {card.title} ({size:.1f} MB, {parameters:.2f} M parameters)")
    for file, entry in card.files.items():
        shared = f" (shared with {entry.shared_from})" if entry.shared_from else ""
        print(f"    {file}: SHA-256 {entry.sha256}{shared}")
