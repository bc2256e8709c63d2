"""Writing files so that no half-written result is ever left behind, and none is replaced unasked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError
from .staging import staging_folder


@contextmanager
def replacing(path: str | Path, overwrite: bool = False, suffix: str | None = None) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` to write to; rename it to ``path`` when all went well.

    Args:
        path: Where the result is to be; its folder must be there.
        overwrite: Replace an existing file.
        suffix: Of the temporary name, for writers that choose the format by it; ``path``'s own
            last suffix unless told.

    Raises:
        OutputError: The file exists already, or cannot be written (whatever ``OSError`` or, from
            ITK, ``RuntimeError`` the writing raised); the temporary file is removed.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    try:
        if not path.parent.is_dir():
            raise NotADirectoryError
        with staging_folder(path.parent) as folder:
            temporary = folder / f"file{path.suffix if suffix is None else suffix}"
            yield temporary
            refuse_existing(path, overwrite)  # it may have come meanwhile
            os.replace(temporary, path)
    except (OSError, RuntimeError):
        raise OutputError(
            f"'{path.name}' cannot be written.",
            "Check that the folder exists, is writable and has space left.",
        ) from None


def refuse_existing(path: Path, overwrite: bool = False) -> None:
    """Refuse a file that is there, before the work that would fill it.

    Raises:
        OutputError: It exists, and may not be replaced.
    """
    if path.exists() and not overwrite:
        raise OutputError(
            f"'{path.name}' exists already.", "Choose another output folder, or allow overwriting.", "exists"
        )
