"""Names of files: which are read, what a scan is called, and how a name is shown in a message."""

from __future__ import annotations

import os
from pathlib import Path

#: Files that are read, as a folder is searched for them; a folder is taken for a DICOM series.
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".hdr", ".hdr.gz")
#: The voxels of a pair of header and image: given in its place, the header is read.
PAIRED = {".img": ".hdr", ".img.gz": ".hdr.gz"}
#: Suffixes of readers that were registered from outside.
_REGISTERED: list[str] = []
#: Longest name in a message.
_LONGEST = 80


def suffix_of(path: str | Path) -> str:
    """The lower-case suffix of a file that is read (``.nii.gz`` is one suffix); empty for all others."""
    name = os.path.basename(os.fspath(path)).lower()
    known = (*SUFFIXES, *PAIRED, *_REGISTERED)
    return next((s for s in sorted(known, key=len, reverse=True) if name.endswith(s)), "")


def register_suffix(suffix: str) -> None:
    """Let files of a further suffix be known; `files.register_reader` calls it."""
    _REGISTERED.append(suffix)


def image_stem(path: str | Path) -> str:
    """The name of a scan without its suffix (``.nii.gz`` is one suffix); a folder's name."""
    name = Path(os.path.abspath(path)).name
    suffix = suffix_of(name)
    return name[: -len(suffix)] if suffix and len(name) > len(suffix) else name


def shown(path: str | Path) -> str:
    """The name of a file for a message: one line that any output can show, at most 80 characters long."""
    name = os.path.basename(os.path.normpath(os.fspath(path)))
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[3 - _LONGEST // 2 :]}"
