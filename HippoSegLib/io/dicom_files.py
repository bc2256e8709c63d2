"""What lies in a folder, and below it where it holds no series itself: slices, damaged files, others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import InputError
from .dicom_headers import FileContent, read_file
from .dicom_slice import Damaged, Entry, Slice

#: Most files that are looked at, and how deep subfolders are looked into (a CD nests four or five).
MAX_FILES, MAX_DEPTH = 20_000, 8
#: A folder with fewer images than a volume has slices holds no series of its own.
MIN_SLICES = 8
#: How a file without the mark of DICOM may start: with an element of group 8 or 2, in either order of bytes.
_STARTS = tuple(
    group + element
    for group, elements in (
        (b"\x08\0", (b"\0\0", b"\1\0", b"\5\0", b"\x08\0", b"\x12\0", b"\x16\0", b"\x18\0")),
        (b"\x02\0", (b"\0\0", b"\1\0", b"\2\0", b"\x10\0")),
        (b"\0\x08", (b"\0\0", b"\0\1", b"\0\5", b"\0\x08", b"\0\x12", b"\0\x16", b"\0\x18")),
    )
    for element in elements
)


@dataclass(frozen=True)
class Contents:
    """What was found.

    Attributes:
        slices: Of all images, in the order of folders and names.
        damaged: Files that look like DICOM and cannot be read.
        others: All entries that are neither folders nor DICOM.
        folders: Names of the subfolders of the folder that was given.
        deep: Subfolders were looked into.
    """

    slices: tuple[Slice, ...] = ()
    damaged: tuple[Damaged, ...] = ()
    others: tuple[Entry, ...] = ()
    folders: tuple[str, ...] = ()
    deep: bool = False


def look_into(folder: str, deep: bool = False) -> Contents:
    """Read the headers of a folder; of its subfolders too where it holds no series itself, or if ``deep``.

    Raises:
        InputError: It holds very many files. OSError: The folder cannot be read.
    """
    listing = _list(folder)
    names = tuple(os.path.basename(path) for path in listing.folders)
    top = _sort_out(listing.entries, names, False)
    if not listing.folders or (len(top.slices) >= MIN_SLICES and not deep):
        return top
    entries = list(listing.entries)
    for below in _below(listing.folders):
        entries += below
        if len(entries) > MAX_FILES:
            raise too_many()
    return _sort_out(tuple(entries), names, True)


def look_at(folder: str) -> Contents:
    """Read the headers of a folder's own files; its subfolders are named, not looked into.

    Raises:
        InputError: It holds very many files. OSError: The folder cannot be read.
    """
    listing = _list(folder)
    return _sort_out(listing.entries, tuple(os.path.basename(path) for path in listing.folders), False)


def is_dicom(path: str) -> bool:
    """Whether a file is a DICOM file or may be one, by its first bytes; False where it cannot be opened."""
    try:
        regular, size = os.path.isfile(path), os.path.getsize(path)
        return _looks_like_dicom(Entry(path, os.path.dirname(path), 1, size, regular))[1]
    except OSError:
        return False


def too_many() -> InputError:
    return InputError(
        f"The folder holds more than {MAX_FILES} files, those in subfolders included.",
        "Give the folder that holds the slices of the T1 series.",
        "folder_too_large",
    )


@dataclass(frozen=True)
class _Listing:
    entries: tuple[Entry, ...]
    folders: tuple[str, ...]


def _list(folder: str) -> _Listing:
    """Entries and subfolders, sorted by name; what is hidden is left out, links to folders too.

    Raises:
        InputError: There are very many. OSError: The folder cannot be read.
    """
    entries: list[Entry] = []
    folders = []
    with os.scandir(folder) as scan:
        found = []
        for item in scan:
            found.append(item)
            if len(found) > MAX_FILES:
                raise too_many()
    for item in sorted(found, key=lambda e: e.name):
        if item.name.startswith("."):
            continue
        try:
            is_folder, regular = item.is_dir(), item.is_file()
            size = item.stat().st_size if regular else 0
        except OSError:  # a link to itself; an entry that is gone by now
            is_folder, regular, size = False, False, 0
        if is_folder:
            folders += [] if item.is_symlink() else [item.path]
        else:
            entries.append(Entry(item.path, folder, len(entries) + 1, size, regular))
    return _Listing(tuple(entries), tuple(folders))


def _below(folders: tuple[str, ...]) -> Iterator[tuple[Entry, ...]]:
    """Entries of subfolders, level by level; a subfolder that cannot be read is passed over."""
    for _ in range(MAX_DEPTH):
        following: list[str] = []
        for folder in folders:
            try:
                listing = _list(folder)
            except OSError:
                continue
            yield listing.entries
            following += listing.folders
        folders = tuple(following)


def _sort_out(entries: tuple[Entry, ...], folders: tuple[str, ...], deep: bool) -> Contents:
    slices: list[Slice] = []
    damaged: list[Damaged] = []
    others: list[Entry] = []
    for entry in entries:
        try:
            marked, likely = _looks_like_dicom(entry)
            content = read_file(entry, marked) if likely else None
        except OSError:
            content = None  # not to be opened: what it is, its name and size must tell
        if content is None or content == FileContent():
            others.append(entry)
        else:
            slices += content.slices
            damaged += [content.damaged] if content.damaged else []
    return Contents(tuple(slices), tuple(damaged), tuple(others), folders, deep)


def _looks_like_dicom(entry: Entry) -> tuple[bool, bool]:
    """Whether a file carries the mark of a DICOM file, and whether it may be one at all."""
    if not entry.regular or entry.size < 132:
        return False, False
    with open(entry.path, "rb") as file:
        head = file.read(132)
    marked = head[128:] == b"DICM"
    return marked, marked or head.startswith(_STARTS)
