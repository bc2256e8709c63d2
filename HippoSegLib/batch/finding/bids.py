"""The T1 images of a BIDS data set, and what a file's name says of subject and session."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from ..source import Source
from .found import Found, LeftOut

DESCRIPTION = "dataset_description.json"
_SUBJECT, _SESSION = re.compile(r"sub-[0-9A-Za-z]+"), re.compile(r"ses-[0-9A-Za-z]+")
_T1W = re.compile(r"_T1w\.nii(\.gz)?$")
_IMAGE = re.compile(r"_([0-9A-Za-z]+)\.(?:nii|nii\.gz|nrrd|mha|mgz)$")
#: Suffixes of BIDS names that are no T1-weighted images.
_OTHER_IMAGES = frozenset(
    ("T2w", "FLAIR", "PDw", "T2starw", "PDT2", "inplaneT1", "inplaneT2", "angio", "bold", "sbref", "dwi")
    + ("epi", "phasediff", "magnitude1", "magnitude2", "phase1", "phase2", "asl", "m0scan", "cbv", "pet")
    + ("dseg", "probseg", "mask", "entropy", "T1map", "T2map", "swi", "MEGRE", "defacemask", "xfm")
)


def is_bids(folder: Path) -> bool:
    """Whether a folder is the root of a BIDS data set with a folder per subject."""
    if not (folder / DESCRIPTION).is_file():
        return False
    with os.scandir(folder) as entries:
        return any(_SUBJECT.fullmatch(entry.name) and entry.is_dir() for entry in entries)


def is_derivative(folder: Path) -> bool:
    """Whether a folder is the root of a BIDS data set that a program made from another."""
    try:
        return json.loads((folder / DESCRIPTION).read_bytes()).get("DatasetType") == "derivative"
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def find_in_bids(root: Path) -> Found:
    """The T1w images of all subjects and sessions; subjects without one are listed.

    Files that are not there, as links into a store from which they were not fetched, are scans that will
    fail.

    Raises:
        OSError: The root cannot be read.
    """
    sources: list[Source] = []
    left_out: list[LeftOut] = []
    for subject in _folders(root, _SUBJECT):
        sessions = _folders(subject, _SESSION)
        for folder in (subject, *sessions):
            found = _t1w(folder / "anat")
            sources += [Source(path, None, *entities(path.name, subject.name)) for path in found]
            if not found and folder in (sessions or [subject]):
                left_out.append(LeftOut(folder.as_posix(), "no_t1w", "no T1w image"))
    return Found(tuple(sources), tuple(left_out))


def entities(name: str, subject: str | None = None) -> tuple[str | None, str | None]:
    """Subject and session as a BIDS name says them: ``("sub-01", "ses-a")``; None where it does not."""
    parts = name.split("_")
    if not _SUBJECT.fullmatch(parts[0]):
        return subject, None
    session = next((part for part in parts[1:] if _SESSION.fullmatch(part)), None)
    return parts[0], session


def is_other_image(name: str) -> bool:
    """Whether a BIDS name says that a file is no T1-weighted image."""
    suffix = _IMAGE.search(name)
    return name.startswith("sub-") and suffix is not None and suffix.group(1) in _OTHER_IMAGES


def _folders(parent: Path, pattern: re.Pattern[str]) -> list[Path]:
    with os.scandir(parent) as entries:
        names = sorted(entry.name for entry in entries if pattern.fullmatch(entry.name) and entry.is_dir())
    return [parent / name for name in names]


def _t1w(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if _T1W.search(name) and name[0] != "."]
    except OSError:
        return []
