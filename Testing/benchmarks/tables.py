"""Where tables lie: the default model's beside the benchmarks, another's in a folder of its name."""

from __future__ import annotations

from pathlib import Path

from HippoSegLib.checkpoint import DEFAULT

HERE = Path(__file__).resolve().parent


def folder_of(model: str | None) -> Path:
    """Folder of the tables of a bundled model; None is the default one."""
    return HERE if model in (None, DEFAULT) else HERE / model
