"""``hipposeg info``: versions, devices and models, for bug reports and for choosing."""

from __future__ import annotations

import argparse

from ..errors import HippoSegError
from ..models.card import read_card
from ..models.store import bundled_folder, bundled_models
from ..results.provenance import versions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="info")


def run(_args: argparse.Namespace) -> int:
    print("Versions")
    for name, version in versions().items():
        print(f"  {name:14} {version}")
    print("Devices")
    try:
        from ..models import devices

        for device in devices.candidates():
            reason = None if device.name == "cpu" else devices.probe(device.name)
            print(f"  {device.name:14} {device.description}" + (f" - not usable: {reason}" if reason else ""))
        print(f"  auto           {devices.resolve('auto')[1]}")
    except HippoSegError as error:
        print(f"  {error}")
    print("Models")
    for name in bundled_models():
        card = read_card(bundled_folder() / name)
        size = sum(file.bytes or 0 for file in card.files.values()) / 1e6
        parameters = (card.parameters or 0) / 1e6
        print(f"  {name:14} {card.title} ({size:.1f} MB, {parameters:.2f} M parameters)")
        for file, entry in card.files.items():
            shared = f" (shared with {entry.shared_from})" if entry.shared_from else ""
            print(f"    {file}: SHA-256 {entry.sha256}{shared}")
    return 0
