"""Which input a result is of: by its place, by its content, and by a stamp that is quick to compare."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import SimpleITK as sitk

from ..errors import HippoSegError
from ..io.images import geometry_dict, read_scan
from ..io.plain_text import plain_text

#: A scan that could not be read is hashed up to this size; a folder is stamped up to so many files.
_LARGEST_FAILED, _MOST_FILES = 1 << 30, 100_000
#: Headers whose voxels lie in another file: the bytes of the one say little.
_DETACHED = (".mhd", ".nhdr", ".hdr", ".hdr.gz", ".img", ".img.gz")


@dataclass(frozen=True)
class Source:
    """An input as the user gave it.

    Attributes:
        path: File, or folder with a DICOM series.
        series: Which series, where it was said.
        subject: Whose scan it is, as the data set's tables call them (BIDS: `sub-01`), where that is known.
        session: Of which visit, likewise (BIDS: `ses-a`).
        stem: What it is called rather than as its file, where files of one name lie in many folders.
        known_as: What it is known as wherever the data lie, in place of the path (BIDS: its URI).
    """

    path: Path
    series: str | None = None
    subject: str | None = None
    session: str | None = None
    stem: str | None = None
    known_as: str | None = None

    @property
    def given(self) -> str:
        """The path as it was given, with ``/``; or what it is known as."""
        return plain_text(self.known_as or self.path.as_posix())

    @property
    def id(self) -> str:
        """A short hash of the absolute path, or of what it is known as, and the series: unique to it."""
        place = os.fsencode(self.known_as or os.path.abspath(self.path))
        return hashlib.sha256(place + b"\0" + (self.series or "").encode("utf-8", "replace")).hexdigest()[:32]

    @property
    def kind(self) -> Literal["file", "folder"]:
        """Whether it is one file or a folder."""
        return "folder" if self.path.is_dir() else "file"

    def stamp(self) -> str | None:
        """Size and time of the file, or a hash of those of all files in the folder; None if there is none.

        Quick to compare: while it is the same, so is the content, as far as the file system tells.
        """
        try:
            entry = os.stat(self.path)
            if stat.S_ISREG(entry.st_mode):
                return f"{entry.st_size}-{entry.st_mtime_ns}"
            if not stat.S_ISDIR(entry.st_mode):
                return None
            sums = hashlib.sha256()
            for number, words in enumerate(_listing(self.path)):
                if number == _MOST_FILES:
                    return None
                sums.update(words)
            return sums.hexdigest()[:32]
        except OSError:
            return None

    def sha256(self, image: sitk.Image | None = None) -> str | None:
        """Hash of the content.

        Args:
            image: The scan, where it could be read.

        Returns:
            Of a file that holds all of the scan, SHA-256 of its bytes; of a folder, or of a header whose
            voxels lie elsewhere, of the geometry and the voxels. None where that cannot be had.
        """
        try:
            regular = stat.S_ISREG(os.stat(self.path).st_mode)
            if regular and not self.path.name.lower().endswith(_DETACHED):
                if image is None and os.path.getsize(self.path) > _LARGEST_FAILED:
                    return None
                return file_sha256(self.path)
        except OSError:
            return None
        return None if image is None else image_sha256(image)

    def content_sha256(self, region: bool = False) -> str | None:
        """As `sha256`, of a folder or a header too, which is read for it; None where it cannot be read.

        Args:
            region: As in `io.images.read_scan`.
        """
        found = self.sha256()
        if found is not None or not self.path.exists():
            return found
        try:
            return self.sha256(read_scan(self.path, region, self.series).image)
        except HippoSegError:
            return None


def _listing(folder: Path) -> Iterator[bytes]:
    """A line per file in a folder and below, in an order that is always the same."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            entry = os.stat(os.path.join(place, name))
            where = os.fsencode(os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/"))
            yield where + b"\0%d-%d\n" % (entry.st_size, entry.st_mtime_ns)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    sums = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            sums.update(piece)
    return sums.hexdigest()


def image_sha256(image: sitk.Image) -> str:
    """SHA-256 of geometry, voxel type and voxels of an image, hexadecimal."""
    facts = {**geometry_dict(image), "type": image.GetPixelIDTypeAsString()}
    sums = hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8"))
    sums.update(sitk.GetArrayViewFromImage(image).data.cast("B"))
    return sums.hexdigest()
