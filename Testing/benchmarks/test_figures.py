"""One command prints every table of the card: measured anew where it can be, as saved where not."""

import subprocess
import sys
from pathlib import Path

import figures
import pytest

from HippoSegLib.models.store import model_folder

GIVEN = ["--folds", "f0", "f1", "f2", "f3"]
#: Trained for by hand, each with other folders.
SAVED = {"outline", "readers", "site_imitation", "finetune_speed", "CONCLUSIONS", "quality"}


@pytest.fixture
def commands(monkeypatch):
    """What is run, the labelled heads left out."""
    ran = []
    monkeypatch.setenv("HIPPOSEG_DATA", "data")
    monkeypatch.setattr(figures, "labelled_heads", lambda model, threads: ({}, "Dice 0.5"))
    monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(command[1:]))
    return ran


def test_every_table_is_measured_or_printed(commands, monkeypatch, capsys):
    for arguments in (GIVEN, []):
        commands.clear()
        monkeypatch.setattr(sys, "argv", ["figures.py", *arguments])
        figures.main()
        printed = capsys.readouterr().out
        assert "Dice 0.5" in printed
        as_saved = {name for name in figures.TABLES if f"\n{name}, as saved" in printed}
        assert as_saved >= SAVED
        assert len(commands) == len(figures.TABLES) - 1 - len(as_saved)
        for name in as_saved:
            assert (figures.HERE / f"{name}.md").read_text(encoding="utf-8") in printed


def test_the_commands_know_their_options(commands, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["figures.py", *GIVEN])
    figures.main()
    for command in commands:
        source = Path(command[0]).read_text(encoding="utf-8")
        for option in (word for word in command[1:] if word.startswith("--")):
            assert f'"{option}"' in source, command


def test_a_card_names_every_table_there_is_on_three_pages():
    text = figures.compose(model_folder("hipposeg"))
    assert len(text.splitlines()) <= 150
    for name in figures.TABLES:
        title = (figures.HERE / f"{name}.md").read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        assert f"\n## {title}\n" in text or f"\n- {title}: `Testing/benchmarks/{name}.md`\n" in text
    tables = {path.stem for path in figures.HERE.glob("*.md")}
    assert tables == {*figures.TABLES, *figures.ELSEWHERE}
