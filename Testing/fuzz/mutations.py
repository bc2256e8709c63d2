"""One malformed input per number, always the same one.

What a damaged disk, a careless program or an ill-meaning person makes of a good one.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dicom_cases import CHANGES
from good import Good, good_inputs, packed

Rng = np.random.Generator
#: Values that no field of a text header expects, among some that one of them does.
HOSTILE = [
    value.strip()
    for value in """
-1 | 0 | 1 | 2 | 3 | 4 | 7 | 16 | 64 | -2147483648 | 2147483647 | 4294967296 | 1e9 | 1e308 |
99999999999999999999 | nan | inf | -inf | nan nan nan | 0 0 0 | 1 1 1 | -1 -1 -1 | 3 3 | 1 2 3 4 | 65535
65535 65535 | 2000 2000 2000 | %s%n%x | %n%n%n%n | %03d.raw 1 66 1 | LIST | LIST 2 | LOCAL | scan.raw |
../scan.raw | /dev/zero | /etc/passwd | scan.nhdr | scan.mhd | (1,0,0) (0,1,0) (0,0,1) | (nan,nan,nan)
none none | ( | (((( | none | True | False | raw | gzip | bzip2 | hex | zrl | ascii | little | big |
short | float | block | uchar | MET_SHORT | MET_UCHAR | MET_FLOAT | MET_DOUBLE | MET_LONG |
MET_SHORT_ARRAY | MET_STRING | MET_OTHER | RAS | LAS | LPS | scanner-xyz | 3D-left-handed |
left-posterior-superior-time | 1 0 0 0 1 0 0 0 1 | 0 0 0 0 0 0 0 0 0 | 0.5 0.5 0 0 1 0 0 0 1 | domain
domain list | vector domain domain domain | mm | um | ? | LPI | RAI | ???
""".replace("\n", " ").split("|")
]
HOSTILE += ["", "a" * 5000, "a" * 300, "\xff\xfe\xfd", "\0", "\t", "none " * 20, "1 " * 5000, "\xb2"]
NAMES = "x|type|sizes|dimension|space|data file|line skip|byte skip|NDims|DimSize|ElementDataFile".split("|")  # noqa: SIM905
NAMES += ["", "ElementSpacing", "HeaderSize", "CompressedData", "ElementNumberOfChannels", "Comment"]
NUMBERS = {"<h": [-1, 0, 1, 2, 3, 7, 8, 32767, -32768], "<i": [-1, 0, 1, 348, 540, 2**31 - 1, -(2**31)]}
NUMBERS |= {
    "<f": [0.0, -1.0, 1e38, -1e38, float("nan"), float("inf"), 1e-38, 352.0],
    "<q": [-1, 0, 2**62, -(2**62)],
}
NUMBERS |= {"<d": [0.0, -1.0, 1e308, float("nan"), float("inf")]}
NUMBERS |= {">" + form[1:]: values for form, values in NUMBERS.items()}


@dataclass(frozen=True)
class Special:
    """A file that is none: "pipe", "folder", or a symbolic link to `target`."""

    kind: str
    target: str = ""


@dataclass(frozen=True)
class Case:
    """One malformed input: its number, what it was made of, what was done to it, and its files."""

    number: int
    kind: str
    steps: tuple[str, ...]
    files: dict[str, bytes | Special]
    entry: str
    region: bool


def make_case(number: int, base: str, seed: int = 0) -> Case:
    """The case of a number; `base` is the head that it is made of ("real" or "small")."""
    goods = good_inputs(base)
    good = goods[number % len(goods)]
    rng = np.random.default_rng([seed, number])
    files: dict[str, bytes | Special] = dict(good.files)
    entry, steps = good.entry, []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        change = _chosen(good, rng)
        steps.append(change.__name__)
        entry = change(good, files, entry, rng) or entry
    region = good.region or rng.random() < 0.1
    return Case(number, good.kind, tuple(steps), files, entry, region)


def write_case(case: Case, folder: Path) -> str:
    """Write the files; return the path to give to the reader."""
    for name, content in case.files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(content, bytes):
            with open(path, "wb") as file:
                file.write(content)
        elif content.kind == "pipe" and hasattr(os, "mkfifo"):
            os.mkfifo(path)
        elif content.kind == "folder":
            os.mkdir(path)
        else:
            os.symlink(content.target, path)
    return os.path.join(folder, case.entry) if case.entry else str(folder)


def _chosen(good: Good, rng: Rng) -> Callable:
    form = good.header[1]
    own = {"text": [change_field] * 8, "binary": [change_number] * 8, "dicom": [change_slices] * 10}[form]
    own += [bomb] * (1 if good.packed or good.kind == "nrrd-gzip" else 0)
    return [*own, change_bytes, change_bytes, cut, extend, replace_file][
        int(rng.integers(len(own) + 5))
    ]  # fmt: skip


def _any_file(files: dict, rng: Rng) -> str:
    names = sorted(name for name, content in files.items() if isinstance(content, bytes))
    return names[int(rng.integers(len(names)))] if names else ""


def change_field(good: Good, files: dict, entry: str, rng: Rng) -> None:
    """One line of a text header: another value or name, left out, twice, or moved."""
    name = good.header[0]
    if not isinstance(files.get(name), bytes):
        return
    head, data = _split(files[name])
    lines = head.split(b"\n")
    at = int(rng.integers(0 if good.kind.startswith("m") else 1, max(2, len(lines))))
    at = min(at, len(lines) - 1)
    mark = b": " if name.endswith((".nrrd", ".nhdr")) else b" = "
    key, _, value = lines[at].partition(mark)
    hostile = HOSTILE[int(rng.integers(len(HOSTILE)))].encode("latin-1")
    what = int(rng.integers(9))
    if what <= 4:
        lines[at] = key + mark + hostile
    elif what == 5:
        del lines[at]
    elif what == 6:
        lines.insert(
            int(rng.integers(len(lines) + 1)), key + mark + (hostile if rng.random() < 0.5 else value)
        )
    elif what == 7:
        lines[at] = NAMES[int(rng.integers(len(NAMES)))].encode() + mark + value
    else:
        words = value.split(b" ")
        words[int(rng.integers(len(words)))] = hostile
        lines[at] = key + mark + b" ".join(words)
    files[name] = b"\n".join(lines) + data


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Header and data of a text header's file."""
    end = re.search(rb"\n\n|ElementDataFile[^\n]*(?=\n)", content)
    return (content[: end.end() - 2], content[end.end() - 2 :]) if end and end[0] == b"\n\n" else (
        (content[: end.end()], content[end.end() :]) if end else (content, b"")
    )  # fmt: skip


def _inner(good: Good, content: bytes) -> bytes:
    try:
        return gzip.decompress(content) if good.packed else content
    except (OSError, EOFError, ValueError):
        return content
    except Exception:  # zlib.error, of what an earlier change left
        return content


def change_number(good: Good, files: dict, entry: str, rng: Rng) -> None:
    """Numbers of a binary header."""
    name = good.header[0]
    if not isinstance(files.get(name), bytes):
        return
    content = bytearray(_inner(good, files[name]))
    for _ in range(int(rng.choice([1, 1, 2, 5]))):
        form = sorted(NUMBERS)[int(rng.integers(len(NUMBERS)))]
        value = NUMBERS[form][int(rng.integers(len(NUMBERS[form])))]
        if rng.random() < 0.3 and form[1] in "hiq":
            value = int(rng.integers(-(2**15), 2**15))
        place = int(rng.integers(0, 176)) * 2 if rng.random() < 0.8 else int(rng.integers(0, 560))
        if place + struct.calcsize(form) <= len(content):
            struct.pack_into(form, content, place, value)
    files[name] = packed(bytes(content)) if good.packed else bytes(content)


def change_bytes(good: Good, files: dict, entry: str, rng: Rng) -> None:
    """Bits flipped, a block zeroed, doubled or left out, at the start or anywhere."""
    name = _any_file(files, rng)
    if not name:
        return
    content = bytearray(files[name])
    end = min(len(content), 600) if rng.random() < 0.6 else len(content)
    if end < 4:
        return
    start = int(rng.integers(end - 1))
    size = int(rng.integers(1, 1 + min(4096, len(content) - start)))
    what = int(rng.integers(5))
    if what <= 1:
        for _ in range(int(rng.choice([1, 3, 30]))):
            content[int(rng.integers(end))] ^= 1 << int(rng.integers(8))
    elif what == 2:
        content[start : start + size] = bytes(size)
    elif what == 3:
        content[start:start] = content[start : start + size]
    else:
        del content[start : start + size]
    files[name] = bytes(content)


def cut(good: Good, files: dict, entry: str, rng: Rng) -> None:
    """A file that ends too early."""
    name = _any_file(files, rng)
    if name:
        files[name] = files[name][: int(rng.integers(len(files[name]) + 1))]


def extend(good: Good, files: dict, entry: str, rng: Rng) -> None:
    """A file with something behind its end."""
    name = _any_file(files, rng)
    if name:
        files[name] += rng.bytes(int(rng.choice([1, 100, 100_000])))


def bomb(good: Good, files: dict, entry: str, rng: Rng) -> None:
    """Packed zeros without end behind the header."""
    name = good.header[0]
    if not isinstance(files.get(name), bytes):
        return
    zeros = packed(bytes(1 << 24)) * int(rng.choice([1, 200]))
    if good.packed:
        header = bytearray(_inner(good, files[name])[:352])
        if good.kind == "nii.gz" and rng.random() < 0.3 and len(header) == 352:
            struct.pack_into("<3h", header, 42, 640, 640, 600)  # as much as the header may state, nearly
        files[name] = packed(bytes(header)) + zeros
    else:
        files[name] = _split(files[name])[0] + b"\n\n" + zeros


def replace_file(good: Good, files: dict, entry: str, rng: Rng) -> str | None:
    """A file that is none, is gone, or has another name."""
    name = _any_file(files, rng)
    if not name:
        return None
    what = int(rng.integers(8))
    content = files.pop(name)
    if what == 0:
        files[name] = Special("pipe")
    elif what == 1:
        files[name] = Special("folder")
    elif what in (2, 3, 4):
        files[name] = Special("link", ["/dev/zero", name, "/dev/stdin"][what - 2])
    elif what == 5 and sys.platform == "linux":
        folder, base = os.path.split(name)
        other = os.path.join(folder, os.fsdecode(b"scan\xe9\xff") + "".join(base.partition(".")[1:]))
        files[other] = content
        return other if entry == name else None
    elif what == 6:
        files[name] = rng.bytes(int(rng.choice([0, 1, 100, 10_000])))
    return None


def change_slices(good: Good, files: dict, entry: str, rng: Rng) -> None:
    """What `dicom_cases` does to the slices of a series."""
    slices = {name: content for name, content in files.items() if isinstance(content, bytes)}
    if slices:
        for name in slices:
            del files[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CHANGES[list(CHANGES)[int(rng.integers(len(CHANGES)))]](slices, rng)
        files |= slices
