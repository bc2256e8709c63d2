"""The Boutiques descriptor of `hipposeg-bids` fits its command line."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from HippoSegLib import __version__
from HippoSegLib.commands.bids_options import build_parser, settle

ROOT = Path(__file__).resolve().parents[3]
PATH = ROOT / "Cluster" / "hipposeg-bids.json"
DESCRIPTOR = json.loads(PATH.read_text(encoding="utf-8"))
INVOCATION = {
    "bids_dir": "ds",
    "output_dir": "out",
    "level": "participant",
    "participant_label": ["01", "02"],
    "n_cpus": 4,
    "shard": "1/3",
    "protocol": "msd",
    "parts": True,
    "single_reader": True,
}


def command_line(values: dict) -> str:
    """By the rules of Boutiques: each value key becomes flag and value, or nothing."""
    text = DESCRIPTOR["command-line"]
    for one in DESCRIPTOR["inputs"]:
        value, flag = values.get(one["id"]), one.get("command-line-flag", "")
        words = (
            value if isinstance(value, list) else [] if value is None or one["type"] == "Flag" else [value]
        )
        given = value is not None and value is not False
        text = text.replace(one["value-key"], " ".join([flag, *map(str, words)]) if given else "")
    return " ".join(text.split())


def test_what_it_makes_is_understood():
    program, *words = shlex.split(command_line(INVOCATION))
    parser = build_parser()
    args = settle(parser, parser.parse_args(words))
    assert program == parser.prog
    assert (str(args.bids_dir), str(args.output_dir), args.level) == ("ds", "out", "participant")
    assert (args.subjects, args.n_cpus, args.shard) == (["01", "02"], 4, (1, 3))
    assert (args.protocol, args.parts, args.single_reader, args.overwrite) == ("msd", True, True, False)
    everything = {one["id"]: True for one in DESCRIPTOR["inputs"] if one["type"] == "Flag"}
    parser.parse_args(shlex.split(command_line(INVOCATION | everything))[1:])


def test_version_keys_and_exit_codes():
    assert DESCRIPTOR["tool-version"] == __version__
    keys = {one["value-key"] for one in DESCRIPTOR["inputs"]}
    assert keys == set(re.findall(r"\[\w+\]", DESCRIPTOR["command-line"]))
    said = re.findall(r"(\d+) [a-z]", build_parser().epilog or "")
    assert {one["code"] for one in DESCRIPTOR["error-codes"]} == {int(code) for code in said} - {0, 130}


def test_boutiques_accepts_it_and_makes_the_same_command_line(tmp_path, capsys):
    missing = "boutiques is not installed (requirements/test.txt)"
    bosh = pytest.importorskip("boutiques.bosh", reason=missing).bosh
    bosh(["validate", str(PATH)])
    (tmp_path / "call.json").write_text(json.dumps(INVOCATION))
    bosh(["exec", "simulate", str(PATH), "-i", str(tmp_path / "call.json")])
    assert command_line(INVOCATION) in " ".join(capsys.readouterr().out.split())
