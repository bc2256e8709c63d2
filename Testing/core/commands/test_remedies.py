"""Each entry point names its own remedy: an option on the command line, a control in the panel."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from HippoSegLib import cli
from HippoSegLib.commands.remedies import REMEDIES, in_words
from HippoSegLib.errors import InputError, NotFoundError

ROOT = Path(__file__).resolve().parents[3]
#: The command line itself may name its options.
COMMAND_LINE = {"commands", "cli.py"}
CORE = [
    path
    for path in sorted((ROOT / "HippoSegLib").rglob("*.py"))
    if path.relative_to(ROOT / "HippoSegLib").parts[0] not in COMMAND_LINE
]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
ENTRY_POINT = re.compile(rf"{OPTION.pattern}|\bhipposeg [a-z]+\b|\bpanel\b|\bclick|\bbutton\b")
#: Calls whose words are not for users of the core: they define a command line or a process's.
NO_MESSAGE = {"add_argument", "ArgumentParser", "Path"}


def messages(path: Path) -> list[tuple[int, str]]:
    """The strings of a module that users may read: words of errors, flags, notes; no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in NO_MESSAGE:
                hidden |= {id(inner) for inner in ast.walk(node)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            hidden.add(id(node.value))
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in hidden
        and " " in node.value.strip()  # a sentence, not a word of a command that is run
    ]


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_message_of_the_core_names_an_option_or_a_control(path):
    found = [(line, text) for line, text in messages(path) if ENTRY_POINT.search(text)]
    if path.parent.name == "training":  # how a network was made, for its card
        found = [(line, text) for line, text in found if "python -m HippoSegLib.training" not in text]
        found = [(line, text) for line, text in found if not text.startswith(" --")]
    assert found == []


def test_every_code_with_a_remedy_is_used_by_the_core():
    used = {
        node.value
        for path in CORE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(REMEDIES) <= used


def test_every_option_that_is_named_exists():
    options = set()
    for command in cli.COMMANDS:
        parser = cli.build_parser(command)._subparsers._group_actions[0].choices[command]
        options |= {word for action in parser._actions for word in action.option_strings}
    named = {word for text in REMEDIES.values() for word in OPTION.findall(text)}
    assert named and named <= options


def test_the_command_line_puts_its_own_remedy_in_place():
    error = NotFoundError("No hippocampus was found in this image.", "Give points.", "no_hippocampus")
    text = in_words(error)
    assert text.startswith("No hippocampus was found in this image. If it is a head")
    assert "--left-point" in text and "Give points." not in text
    assert "--" not in str(error)
    other = InputError("The image is constant.", "Give a T1.", "constant")
    assert in_words(other) == str(other)
    assert in_words(InputError("Bare.")) == "Bare."


def test_it_is_printed_where_a_scan_fails(tmp_path, sample_path, capsys):
    (tmp_path / "hipposeg_sample_T1_hippocampus.nii.gz").write_bytes(b"an earlier result")
    record = '{"model": {}, "versions": {}, "input_geometry": {}}'
    (tmp_path / "hipposeg_sample_T1_hippocampus.json").write_text(record)
    cli.main(["segment", str(sample_path), "-o", str(tmp_path)])
    assert "--overwrite" in capsys.readouterr().err
    words = [
        "preprocess",
        str(sample_path),
        "-o",
        str(tmp_path),
        "--clahe-clip-limit",
        "0.1",
        "--threads",
        "1",
    ]
    assert cli.main(words) == InputError.exit_code
    assert "--model" in capsys.readouterr().err
