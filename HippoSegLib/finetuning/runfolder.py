"""The folder of a fine-tuning that is under way: what is written there, and that only this is removed."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError
from ..io.atomic import replacing
from ..io.owned_folders import claim, remove
from ..io.staging import sweep
from ..training.runstate import FILES
from .case_sheet import sheets
from .case_table import COLUMNS, table_csv
from .process_lock import ProcessLock
from .site_case import SiteCase

#: Its kind, in the marker and in messages.
RUN = "run folder"

CHECK, _LOCK = "site_check.csv", "run.lock"

#: Every file of a run folder; see `owned_folders.remove`.
_KNOWN = (
    CHECK,
    _LOCK,
    "site_check_*.png",
    "curves.png",
    "tensorboard/*/events.out.tfevents.*",
    *(f"{training}/{name}" for training in ("training", "fold_*", "final") for name in FILES),
)


@contextmanager
def run_folder(folder: Path, first: bool = True) -> Iterator[None]:
    """Hold the folder of a run; at the end of a run that came to its end, remove what it wrote there.

    Args:
        folder: A new or an empty folder, or that of a run that ended early.
        first: Whether this is the first process of the run: it alone holds and removes the folder.

    Raises:
        OutputError: It holds something else, or another process is at work in it.
    """
    claim(folder, RUN)
    lock = ProcessLock(folder / _LOCK)
    if first and not lock.try_acquire():
        raise OutputError(
            f"Another process is at work in the run folder '{folder.name}'.",
            "Wait for it to end, or choose another folder.",
            "in_use",
        )
    try:
        yield
    except BaseException:
        lock.release()
        raise
    lock.release()
    if first:
        for place in (folder, *folder.glob("*/")):
            sweep(place)
        remove(folder, RUN, _KNOWN)


def write_check(folder: Path, cases: Sequence[SiteCase]) -> list[Path]:
    """Write ``site_check.csv`` and ``site_check_N.png`` into a folder, in place of those of an earlier check.

    Args:
        folder: Made if it is missing; what else lies in it stays as it is.

    Returns:
        Their paths.

    Raises:
        OutputError: They cannot be written, or files of these names are not those of a check.
    """
    refuse_other_check(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder '{folder.name}' cannot be made.", "Choose a folder you may write to."
        ) from error
    written = [folder / CHECK]
    with replacing(written[0], overwrite=True) as temporary:
        temporary.write_text(table_csv(cases), encoding="utf-8")
    for number, sheet in enumerate(sheets(cases), start=1):
        written.append(folder / f"site_check_{number}.png")
        with replacing(written[-1], overwrite=True) as temporary:
            sheet.save(temporary, "PNG")
    for path in _pictures(folder):
        if path not in written:  # of an earlier check of more cases
            path.unlink(missing_ok=True)
    return written


def refuse_other_check(folder: Path) -> None:
    """Raise OutputError where a folder has files of a check's names that no check has written."""
    table = folder / CHECK
    there = [path for path in (table, *_pictures(folder)) if path.exists()]
    if there and not _is_check(table):
        raise OutputError(
            f"The folder '{folder.name}' has a file of the name '{there[0].name}' that is not of a check.",
            "Choose another folder.",
            "not_ours",
        )


def _pictures(folder: Path) -> list[Path]:
    named = (path for path in folder.glob("site_check_*.png"))
    return sorted(path for path in named if path.stem.removeprefix("site_check_").isdecimal())


def _is_check(table: Path) -> bool:
    try:
        with table.open(newline="", encoding="utf-8") as file:
            header = next(csv.reader(file), [])
    except (OSError, ValueError, csv.Error):
        return False
    return tuple(header[:3]) == COLUMNS[:3]
