"""Writing files so that no half-written result is ever left behind, and none is replaced unasked."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError


@contextmanager
def replacing(path: str | Path, overwrite: bool = False, suffix: str | None = None) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` to write to; rename it to ``path`` when all went well.

    Args:
        path: Where the result is to be.
        overwrite: Replace an existing file.
        suffix: Of the temporary name, for writers that choose the format by it; ``path``'s own
            last suffix unless told.

    Raises:
        OutputError: The file exists already, or cannot be written (whatever ``OSError`` or, from
            ITK, ``RuntimeError`` the writing raised); the temporary file is removed.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputError(
            f"'{path.name}' exists already.", "Choose another output folder, or allow overwriting."
        )
    temporary = path.parent / f".hipposeg-{uuid.uuid4().hex}{path.suffix if suffix is None else suffix}"
    try:
        yield temporary
        temporary.replace(path)
    except (OSError, RuntimeError):
        raise OutputError(
            f"'{path.name}' cannot be written.",
            "Check that the folder exists, is writable and has space left.",
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink()
