"""Which scans a call means: files, patterns, lists and tables, folders of files, DICOM trees, BIDS data sets.

Nothing is segmented here and hardly anything read: names, the headers of DICOM files, tables. What was found
and is no scan to be segmented is listed with a code and the reason. Results of HippoSeg are never scans, nor
is anything in the output folder.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from ...errors import InputError
from ...io.files import what_the_system_refuses
from ...io.names import shown
from ..source import Source
from .bids import find_in_bids, is_bids
from .found import Found, LeftOut, joined
from .tables import SUFFIXES as TABLES
from .tables import read_list
from .tree import find_in_tree

__all__ = ["Found", "LeftOut", "find_scans"]


def find_scans(
    inputs: Sequence[str | Path], output: str | Path | None = None, match: str | None = None
) -> Found:
    """Find the scans that a call means; each once, in the order of the inputs and, within one, of names.

    Args:
        inputs: Files; patterns with ``*``, ``?``, ``[...]`` and ``**``; a list (.txt) or a table (.csv, .tsv)
            of paths; folders with NIfTI, NRRD, MetaImage or FreeSurfer files, or DICOM images, in them or
            below; roots of BIDS data sets. A path that does not exist is a scan that will fail.
        output: The output folder: what lies in it is not looked at.
        match: Of the scans in folders, only those whose path below the folder this pattern fits.

    Raises:
        InputError: A pattern fits nothing, a folder holds no scan, a table is none (codes "no_match",
            "no_scans", "no_table"), or a folder cannot be read.
    """
    found = joined(_found(given, output, match) for given in inputs)
    return Found(_each_once(found.sources), found.left_out)


def _found(given: str | Path, output: str | Path | None, match: str | None) -> Found:
    text = os.fspath(given)
    if not os.path.lexists(text) and glob.has_magic(text):
        paths = [Path(path) for path in sorted(glob.glob(text, recursive=True))]
        if not paths:
            raise InputError(f"No file fits the pattern '{shown(text)}'.", "Check the path.", "no_match")
        return joined(_of_path(path, output, match) for path in paths)
    return _of_path(Path(given), output, match)


def _of_path(path: Path, output: str | Path | None, match: str | None) -> Found:
    with what_the_system_refuses(path):
        if path.is_dir():
            return _of_folder(path, output, match)
        if path.name.upper() == "DICOMDIR" and path.is_file():  # the list of contents of a CD
            return _of_folder(path.parent, output, match)
        if path.name.lower().endswith(TABLES) and path.is_file():
            return Found(tuple(read_list(path)))
    return Found((Source(path),))


def _of_folder(folder: Path, output: str | Path | None, match: str | None) -> Found:
    found = find_in_bids(folder) if is_bids(folder) else find_in_tree(folder, output)
    if match is not None:
        fitting = (s for s in found.sources if _fits(s.path.relative_to(folder).as_posix(), match))
        found = Found(tuple(fitting), found.left_out)
    if not found.sources:
        reasons = "; ".join(f"{count} x {words}" for words, count in found.reasons.items())
        raise InputError(
            f"The folder '{shown(folder)}' holds no T1 scan{f' ({reasons})' if reasons else ''}.",
            "Give a folder with NIfTI, NRRD, MetaImage, FreeSurfer or DICOM files, or the scans themselves.",
            "no_scans",
        )
    return found


def _fits(path: str, pattern: str) -> bool:
    return fnmatch(path, pattern) or fnmatch(path.rpartition("/")[2], pattern)


def _each_once(sources: Iterable[Source]) -> tuple[Source, ...]:
    """The sources, each place once: a pattern and a folder may both name it."""
    found: dict[str, Source] = {}
    for source in sources:
        found.setdefault(source.id, source)
    return tuple(found.values())
