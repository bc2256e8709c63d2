"""Where tables lie: the default model's beside the benchmarks, another's in a folder of its name."""

from __future__ import annotations

from pathlib import Path

from HippoSegLib.models.store import DEFAULT

HERE = Path(__file__).resolve().parent


#: What stands below this line in a written table was written by hand, and is kept.
WORDS = "## In words"


def write_keeping_words(path: Path, text: str) -> None:
    """Write a table, and keep what was written by hand below the one that is there."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    _, mark, words = old.partition("\n" + WORDS)
    path.write_text(text + mark + words, encoding="utf-8")


def option_of(command: str, name: str) -> str:
    """The value of an option in a command that a card tells."""
    words = command.split()
    return words[words.index(name) + 1]


def folder_of(model: str | None) -> Path:
    """Folder of the tables of a bundled model; None is the default one."""
    return HERE if model in (None, DEFAULT) else HERE / model
