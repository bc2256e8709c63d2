"""``hipposeg info``: versions, devices and models, for bug reports and for choosing."""

from __future__ import annotations

import argparse

from ..errors import HippoSegError
from ..models.store import BUNDLED, bundled_models, read_card
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
        card = read_card(BUNDLED / name)
        size = sum(file["bytes"] for file in card["files"].values()) / 1e6
        parameters = card.get("parameters", 0) / 1e6
        print(f"  {name:14} {card.get('title', '')} ({size:.1f} MB, {parameters:.2f} M parameters)")
        for file, entry in card["files"].items():
            shared = f" (shared with {entry['from']})" if "from" in entry else ""
            print(f"    {file}: SHA-256 {entry['sha256']}{shared}")
    return 0
