"""What the results of a scan are called: never as those of another scan.

A scan is called as its file without the suffix. Where that name belongs to another scan, of this call or
with a result in the output folder, its folders are put before it, one more as long as it takes, and in the
end a hash of its path: candidates that depend on the scan's own path alone. Which of them is taken depends
on no order. A scan that has a result keeps its name.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from ..errors import InputError
from ..io.images import image_stem
from .source import Source

#: Bytes of a name: with the longest ending it stays below what any file system takes (143).
_LONGEST = 100
#: Folders put before the name, at most.
_FOLDERS = 5
#: No part of a file name on Windows, or, as its first character, hidden, an option, or a formula in a table.
_NOT_WITHIN, _NOT_FIRST = '<>:"/\\|?*', " .-=+@~'"
#: Names of devices on Windows, whatever follows them after a dot.
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{n}{i}" for n in ("COM", "LPT") for i in range(1, 10))}

#: Whether a name is free in the output folder, or holds a result of the source, or one of another.
Holder = Literal["free", "own", "other"]
HolderOf = Callable[[str, Source], Holder]


def output_names(paths: Iterable[str | Path]) -> list[str]:
    """A distinct name per scan, in a folder where there are no results yet.

    Raises:
        InputError: One scan is given twice.
    """
    return assign_names([Source(Path(path)) for path in paths], lambda name, source: "free")


def assign_names(sources: Sequence[Source], holder: HolderOf) -> list[str]:
    """A distinct name per scan; none that belongs to another source.

    Args:
        sources: The scans of a call.
        holder: Whom a name belongs to in the output folder.

    Raises:
        InputError: One scan is given twice.
    """
    if len({source.id for source in sources}) < len(sources):
        raise InputError("A scan was given twice.", "Name each scan once.")
    choices = [_Choice(source, holder) for source in sources]
    own = {choice.own for choice in choices if choice.own is not None}
    names = _distinct([choice.reset(own) for choice in choices])
    # What a scan of this call has is its own, whatever the others are called.
    kept = {name_key(choice.own) for choice in choices if choice.own is not None}
    if any(
        choice.own is None and name_key(name) in kept for choice, name in zip(choices, names, strict=True)
    ):
        names = _distinct([choice.reset(set()) for choice in choices])
    return [choice.own or name for choice, name in zip(choices, names, strict=True)]


def _distinct(choices: Sequence[_Choice]) -> list[str]:
    """The names when those who want the same have gone on to others, each until it is alone."""
    while True:
        times = Counter(name_key(choice.name) for choice in choices)
        contested = [c for c in choices if times[name_key(c.name)] > 1 and not c.is_last]
        if not contested:
            return [choice.name for choice in choices]
        for choice in contested:
            choice.go_on()


class _Choice:
    """The candidate that a source has come to.

    Attributes:
        own: The name under which the source has a result.
    """

    def __init__(self, source: Source, holder: HolderOf):
        self._names = candidates(source)
        self._held = [holder(name, source) for name in self._names]
        self.own = next((n for n, what in zip(self._names, self._held, strict=True) if what == "own"), None)
        self.reset(set())

    def reset(self, of_this_call: set[str]) -> _Choice:
        """Begin again. Names under which scans of this call have results count as free: who gets which is
        then the same before, during and after the call."""
        pairs = enumerate(zip(self._names, self._held, strict=True))
        usable = [at for at, (name, what) in pairs if what != "other" or name in of_this_call]
        self._usable = usable or [len(self._names) - 1]
        self._at = self._usable[0]
        return self

    @property
    def name(self) -> str:
        return self._names[self._at]

    @property
    def is_last(self) -> bool:
        """Whether there is no other candidate."""
        return self._at == self._usable[-1]

    def go_on(self) -> None:
        """Take the next candidate."""
        self._at = next(i for i in self._usable if i > self._at)


def candidates(source: Source) -> tuple[str, ...]:
    """Names for a scan, the shortest first; they depend on its own path and series alone, and the last one
    on all of it."""
    full = Path(os.path.abspath(source.path))
    names = [source.stem or image_stem(full)]
    if source.series is not None:
        names.append(f"{names[0]}_series_{source.series}")
    base, parents = names[-1], [part for part in full.parts[:-1] if part != full.anchor]
    for depth in range(1, min(_FOLDERS, len(parents)) + 1):
        names.append("_".join([*parents[-depth:], base]))
    hashed = hashlib.sha256(source.id.encode()).hexdigest()
    names.append(f"{full.name.replace('.', '_')}-{hashed[:12]}")
    return tuple(dict.fromkeys(portable_name(name) for name in names))


def portable_name(name: str) -> str:
    """`name` as every file system, shell and table takes it: at most 100 bytes of UTF-8."""
    text = "".join(_portable(c) for c in unicodedata.normalize("NFC", name)).rstrip(" .")
    if not text or text[0] in _NOT_FIRST:
        text = "_" + text.lstrip(_NOT_FIRST)
    if text.split(".")[0].strip().upper() in _DEVICES:
        text = f"_{text}"
    data = text.encode("utf-8")
    if len(data) > _LONGEST:
        end = "-" + hashlib.sha256(data).hexdigest()[:12]
        text = data[: _LONGEST - len(end)].decode("utf-8", "ignore") + end
    return text


def _portable(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is no UTF-8
        return f"%{number - 0xDC00:02X}"
    if character in _NOT_WITHIN or not (character.isprintable() or character == " "):
        return "_"
    return character


def name_key(name: str) -> str:
    """What two names share that are one file on some file system: capitals and composed letters count for
    nothing."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
