"""The T1w images of a BIDS data set. Nothing is ever written into it."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ..batch.source import Source
from ..errors import OutputError
from .errors import DatasetError, NoInputError, NothingSelectedError
from .filters import Filters
from .names import BidsName, parse

DESCRIPTION = "dataset_description.json"
_SUBJECT, _SESSION = re.compile(r"sub-[0-9A-Za-z]+"), re.compile(r"ses-[0-9A-Za-z]+")
#: Of fields that BIDS requires, those that tell a data set from a folder of another kind.
_REQUIRED = ("Name", "BIDSVersion")
_REMEDY = "Check it with the BIDS validator, or give the root of the data set."


def find_t1w(root: Path, filters: Filters, check: bool = True) -> list[Source]:
    """The T1w images that are meant, in the order of their paths.

    Args:
        root: The data set.
        filters: Which.
        check: Look whether it is a raw BIDS data set before.

    Raises:
        NoInputError: There is no such folder. DatasetError: It is no data set, or two images have one name.
        NothingSelectedError: There is no such image.
    """
    if not root.is_dir():
        raise NoInputError(f"'{root.name}' is no folder.", "Give the root of a BIDS data set.", "no_dataset")
    if check:
        _check(root)
    found = _images(root)
    chosen = [(path, name) for path, name in found if filters.select(name)]
    if not chosen:
        cause = "The data set has no T1w image." if not found else "Labels and filters select no T1w image."
        raise NothingSelectedError(cause, "Check the labels, the filter file and the data set.", "no_match")
    twice = [stem for stem, count in Counter(name.stem for _, name in chosen).items() if count > 1]
    if twice:
        raise DatasetError(f"Two T1w images are called '{twice[0]}'.", "Rename or remove one.", "twice")
    return [_source(root, path, name) for path, name in chosen]


def refuse_output_within(root: Path, output: Path) -> None:
    """Refuse an output folder among the raw data: below the data set only `derivatives/` is no part of it.

    Raises:
        OutputError: It is (code "within_dataset").
    """
    raw, place = root.resolve(), output.resolve()
    within = raw == place or raw in place.parents
    if within and place.relative_to(raw).parts[:1] != ("derivatives",):
        raise OutputError(
            "The output folder lies among the raw data.",
            "Choose a folder outside of the data set, or its derivatives/hipposeg.",
            "within_dataset",
        )


def _check(root: Path) -> None:
    try:
        said: Any = json.loads((root / DESCRIPTION).read_bytes())
    except FileNotFoundError:
        raise DatasetError(f"The data set has no {DESCRIPTION}.", _REMEDY, "no_description") from None
    except (OSError, ValueError, RecursionError):
        raise DatasetError(f"{DESCRIPTION} cannot be read.", _REMEDY, "no_description") from None
    missing = [
        name for name in _REQUIRED if not isinstance(said, dict) or not isinstance(said.get(name), str)
    ]
    if missing:
        words = " and ".join(missing)
        raise DatasetError(f"{DESCRIPTION} does not state {words}.", _REMEDY, "no_description")
    if said.get("DatasetType") == "derivative":
        raise DatasetError("The data set is a derivative.", "Give the raw data set.", "derivative")


def _images(root: Path) -> list[tuple[Path, BidsName]]:
    found = []
    for subject in _folders(root, _SUBJECT):
        for folder in (subject, *_folders(subject, _SESSION)):
            try:
                names = sorted(os.listdir(folder / "anat"))
            except OSError:
                continue
            for name in names:
                bids = parse(name)
                if bids is None or bids.suffix != "T1w" or bids.extension not in (".nii", ".nii.gz"):
                    continue
                own = [bids.subject, *([bids.session] if bids.session else [])]
                if list(folder.relative_to(root).parts) == own:
                    found.append((folder / "anat" / name, bids))
    return found


def _source(root: Path, path: Path, name: BidsName) -> Source:
    uri = f"bids:raw:{path.relative_to(root).as_posix()}"
    return Source(path, None, name.subject, name.session, name.stem, uri)


def _folders(parent: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            names = [entry.name for entry in entries if pattern.fullmatch(entry.name) and entry.is_dir()]
    except OSError:
        return []
    return [parent / name for name in sorted(names)]
