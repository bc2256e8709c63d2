"""A program removes and replaces only what it made: every call that does is listed here, with why it may.

What is found in no list fails: a new one needs the marker (`io.owned_folders`), a staging folder
(`io.staging`, `io.atomic`), or a reason of its own.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover

ROOT = Path(__file__).resolve().parents[2]

#: Function or method -> the modules that have a function of this name; empty: any object's method.
CALLS = {
    "rmtree": {"shutil"},
    "move": {"shutil"},
    "remove": {"os"},
    "removedirs": {"os"},
    "replace": {"os"},
    "rename": {"os"},
    "renames": {"os"},
    "unlink": set(),
    "rmdir": set(),
    "mkdtemp": {"tempfile"},
    "mkstemp": {"tempfile"},
    "mktemp": {"tempfile"},
    "TemporaryDirectory": {"tempfile"},
    "NamedTemporaryFile": {"tempfile"},
}

#: File -> calls in it, and why.
ALLOWED = {
    "HippoSegLib/io/owned_folders.py": ({"rmtree", "unlink", "rmdir"}, "asks for the marker first"),
    "HippoSegLib/io/staging.py": ({"mkdtemp", "unlink", "rmdir"}, "makes the marker; removes empty folders"),
    "HippoSegLib/io/atomic.py": ({"replace"}, "the one file that was asked for, after asking whether it may"),
    "HippoSegLib/io/folder_lock.py": ({"rename", "unlink"}, "a lock that this or a dead process made"),
    "HippoSegLib/batch/cluster_chunk.py": ({"unlink"}, "a note of its own in the run's folder"),
    "HippoSegLib/models/saving.py": ({"replace"}, "a folder that is not there gets its name"),
    "HippoSegLib/finetuning/result.py": ({"replace"}, "a folder that is not there gets its name"),
    "HippoSegLib/finetuning/runfolder.py": (
        {"unlink"},
        "pictures beside a table that is a check's",
    ),
    "HippoSegLib/evaluation/output.py": ({"replace", "unlink"}, "beside a record that is an evaluation's"),
    "HippoSegLib/training/export.py": ({"replace", "unlink"}, "beside a card that is a model's"),
    "HippoSegLib/worker/exchange.py": ({"remove"}, "a plain name in the exchange folder"),
    "HippoSegLib/worker/reporttask.py": ({"remove"}, "a plain name in the exchange folder"),
    "HippoSegLib/worker/finetunetask.py": ({"remove"}, "a plain name in the exchange folder"),
    "HippoSeg/HippoSegSlicer/jobs.py": ({"move", "remove"}, "plain names in the exchange folder"),
    "HippoSeg/HippoSegSlicer/finetunejobs.py": ({"move"}, "plain names in the exchange folder"),
    "HippoSeg/HippoSegSlicer/logic.py": ({"remove"}, "a plain name in the exchange folder"),
}
FILES = sorted([*(ROOT / "HippoSegLib").rglob("*.py"), *(ROOT / "HippoSeg").rglob("*.py")])


def calls(path: Path) -> dict[str, int]:
    """Name -> line of the calls in a file that remove, replace or make something temporary."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in CALLS:
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if not CALLS[node.attr] or owner in CALLS[node.attr]:
                found[node.attr] = node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "shutil", "tempfile"):
            found |= {alias.name: node.lineno for alias in node.names if alias.name in CALLS}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_only_what_is_ours_is_removed_or_replaced(path):
    name = path.relative_to(ROOT).as_posix()
    if name.startswith("HippoSegLib/batch/"):
        return  # files of a scan, which its record names: tested with the batch
    allowed, _why = ALLOWED.get(name, (set(), ""))
    for call, line in calls(path).items():
        assert call in allowed, f"{name}:{line}: {call} without a reason in this test"


def test_the_list_is_no_longer_than_needed():
    for name, (allowed, why) in ALLOWED.items():
        assert allowed == set(calls(ROOT / name)) and why, name


def test_calls_are_found(tmp_path):
    (tmp_path / "a.py").write_text(
        "import os, shutil\nfrom tempfile import mkdtemp\nshutil.rmtree(x)\npath.unlink()\n"
        "'a'.replace('b', 'c')\ntext.remove(1)\nos.replace(a, b)\n"
    )
    assert set(calls(tmp_path / "a.py")) == {"mkdtemp", "rmtree", "unlink", "replace"}
