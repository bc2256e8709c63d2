"""The scans in a folder and below it: files of the kinds that are read, and DICOM series."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...io.dicom_files import is_dicom
from ...io.names import SUFFIXES, image_stem
from ..files import is_result
from ..source import Source
from .bids import entities, find_in_bids, is_bids, is_derivative, is_other_image
from .dicom import find_series, find_spread_series
from .found import Found, LeftOut, joined

#: Files that are certainly no DICOM images, by suffix.
_NO_DICOM = tuple(
    (*SUFFIXES, ".img", ".raw", ".zraw", ".json", ".txt", ".csv", ".tsv", ".png", ".jpg", ".html", ".pdf")
    + (".xml", ".log", ".md", ".gz", ".zip", ".py", ".m", ".mat", ".lta", ".xfm", ".bval", ".bvec")
)
#: Of a subject's folder of FreeSurfer, this one of some thirty images is taken: they all have its grid.
_FREESURFER, _FREESURFER_MARKS = "orig.mgz", ("orig.mgz", "brainmask.mgz")
_DEEPEST = 16


def find_in_tree(folder: Path, output: str | Path | None = None) -> Found:
    """The scans in a folder and below it, in the order of their paths.

    Hidden files and folders are passed over. Of BIDS data sets below, the T1w images are taken; of DICOM
    series, those that look like a T1 (see `finding.dicom`).

    Args:
        folder: Where to look. Links to folders are followed.
        output: This folder is passed over where it lies below.

    Raises:
        OSError: The folder itself cannot be read. InputError: pydicom's absence, where there is DICOM.
    """
    own = None if output is None else os.path.realpath(output)
    parts = [_in_folder(folder, place, names) for place, names in _walk(folder, own)]
    found = joined(parts)
    if not found.sources:
        spread = find_spread_series(folder)
        found = spread if spread.sources else joined((found, spread))
    return Found(tuple(_named(source, folder) for source in found.sources), found.left_out)


def _walk(folder: Path, output: str | None) -> Iterator[tuple[Path, list[str] | None]]:
    """Folders with the names of what is in them, sorted, or None where that cannot be read; each once,
    whatever links lead to it."""
    seen: set[tuple[int, int]] = set()
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        try:
            entry = os.stat(place)
            names = sorted(name for name in os.listdir(place) if not name.startswith("."))
        except OSError:
            if place == folder:
                raise
            yield place, None
            continue
        key = (entry.st_dev, entry.st_ino)
        if (entry.st_ino and key in seen) or (place != folder and os.path.realpath(place) == output):
            continue
        seen.add(key)
        yield place, names
        if depth < _DEEPEST and not (place != folder and is_bids(place)) and not is_derivative(place):
            below = [place / name for name in names if os.path.isdir(place / name)]
            waiting += [(path, depth + 1) for path in reversed(below)]


def _in_folder(top: Path, place: Path, names: list[str] | None) -> Found:
    """What lies in one folder itself."""
    if names is None:
        return Found((), (LeftOut(place.as_posix(), "unreadable", "a folder that cannot be read"),))
    if place != top and is_derivative(place):
        return Found((), (LeftOut(place.as_posix(), "derivative", "results of a program"),))
    if place != top and is_bids(place):
        return find_in_bids(place)
    images = [name for name in names if name.lower().endswith(SUFFIXES)]
    if place.name == "mri" and set(_FREESURFER_MARKS) <= set(images):
        others = [name for name in images if name != _FREESURFER]
        return Found(
            (Source(place / _FREESURFER),),
            tuple(_left_out(place / name, "freesurfer", "another image of FreeSurfer") for name in others),
        )
    sources: list[Source] = []
    left_out: list[LeftOut] = []
    for name in images:
        path = place / name
        if path.is_dir():
            continue
        if is_result(path):
            left_out.append(_left_out(path, "is_result", "a result of HippoSeg"))
        elif is_other_image(name):
            left_out.append(_left_out(path, "not_t1", "another image than T1w, by its name"))
        else:
            sources.append(Source(path, None, *entities(name)))
    maybe = (place / name for name in names if not name.lower().endswith(_NO_DICOM))
    series = find_series(place) if any(is_dicom(os.fspath(path)) for path in maybe) else Found()
    return joined((Found(tuple(sources), tuple(left_out)), series))


def _left_out(path: Path, code: str, reason: str) -> LeftOut:
    return LeftOut(path.as_posix(), code, reason)


def _named(source: Source, top: Path) -> Source:
    """The source, called by its path below a folder: it depends on nothing else that is found."""
    parts = source.path.relative_to(top).parts[:-1]
    if not parts:
        return source
    stem = image_stem(source.path)
    # What the file's own name says already, and BIDS's name of a kind of images, is not said again.
    new = [part for part in parts if part != "anat" and f"_{part}_" not in f"_{stem}_"]
    return replace(source, stem="_".join([*new, stem]))
