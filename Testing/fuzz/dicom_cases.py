"""Malformed DICOM folders without end: series of every kind that is read, with something done to them.

`cases(seed)` gives pairs of a name and a function that writes the folder. A case is its seed and its number:
the same pair makes the same folder again. Besides changed files, folders hold what no list of files can:
pipes, links, folders in the place of a slice.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

sys.path.append(str(Path(__file__).resolve().parents[1] / "core" / "io"))

from dicomwriter import COUNT, dataset, enhanced, positions, volume

Files = dict[str, bytes]
Random = np.random.Generator
Builder = Callable[[Path], None]


def cases(seed: int) -> Iterator[tuple[str, Builder]]:
    """Names and builders; a builder is given a folder that does not exist yet, and makes it."""
    number = 0
    while True:
        yield case(seed, number)
        number += 1


def case(seed: int, number: int) -> tuple[str, Builder]:
    """One of them."""
    rng = np.random.default_rng((seed, number))
    kind = list(BASES)[int(rng.integers(len(BASES)))]
    changes = [
        list(CHANGES)[int(rng.integers(len(CHANGES)))] for _ in range(int(rng.choice([1, 1, 1, 2, 3])))
    ]

    def build(folder: Path) -> None:
        folder.mkdir(parents=True)
        files = dict(BASES[kind]())
        for change in changes:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                CHANGES[change](files, rng)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if rng.random() < 0.1:
            _replace_by_no_file(folder, sorted(files), rng)

    return f"{number} {kind}: {', '.join(changes)}", build


def _bytes(data: pydicom.FileDataset, number: int = 0) -> bytes:
    """The file; its own UID is that of its number, so that every process makes the same bytes."""
    uid = generate_uid(entropy_srcs=[f"image {number}"])
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _series(
    syntax: str = ExplicitVRLittleEndian, own_uids: bool = False, folder: str = "", rle: bool = False
) -> Files:
    files = {}
    array = volume().astype(">u2" if syntax == ExplicitVRBigEndian else "<u2")
    for index, position in enumerate(positions()):
        data = dataset(array[index], position, syntax)
        data.InstanceNumber = index + 1
        data.RescaleSlope, data.RescaleIntercept = "1.5", "2"
        if own_uids:
            data.SeriesInstanceUID = generate_uid(entropy_srcs=[f"series {index}"])
        if rle:
            data.PixelData = encapsulate([_rle(array[index])])
            data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
            data.file_meta.TransferSyntaxUID = RLELossless
        files[f"{folder}IM{index + 1:04d}"] = _bytes(data, index)
    return files


def _rle(pixels: np.ndarray) -> bytes:
    options = {"samples_per_pixel": 1, "bits_allocated": 16, "bits_stored": 16, "pixel_representation": 0}
    options |= {"photometric_interpretation": "MONOCHROME2", "number_of_frames": 1}
    return RLELosslessEncoder.encode(pixels, rows=pixels.shape[0], columns=pixels.shape[1], **options)


#: Name -> the files of a sound folder.
BASES: dict[str, Callable[[], Files]] = {
    "explicit": cache(_series),
    "implicit": cache(lambda: _series(ImplicitVRLittleEndian)),
    "big endian": cache(lambda: _series(ExplicitVRBigEndian)),
    "deflated": cache(lambda: _series(DeflatedExplicitVRLittleEndian)),
    "RLE": cache(lambda: _series(rle=True)),
    "own UIDs": cache(lambda: _series(own_uids=True)),
    "CD": cache(
        lambda: _series(folder="DICOM/ST01/SE01/") | {"DICOMDIR": bytes(300), "AUTORUN.INF": b"[autorun]"}
    ),
    "multi-frame": cache(lambda: {"all.dcm": _bytes(enhanced())}),
}

#: Elements that are changed, and what is put into them.
TAGS = [0x00020010, 0x00080016, 0x00080060, 0x00100020, 0x00181120, 0x00180088, 0x0020000D, 0x0020000E]
TAGS += [0x00200011, 0x00200013, 0x00200032, 0x00200037, 0x00200052, 0x00280002, 0x00280004, 0x00280008]
TAGS += [0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00281052]
TAGS += [0x00281053, 0x00283000, 0x60000102, 0x52009229, 0x52009230, 0x7FE00010]
TEXTS = [
    b"",
    b"0",
    b"-1",
    b"abc",
    b"nan",
    b"1e308",
    b"1e-300",
    b"0\\0",
    b"nan\\1",
    b"1\\0\\0\\0\\1\\0",
    b"\xff\xfe",
]
TEXTS += [b"Doe^Jane", b"%s%n", b"1,5", b"1\\2\\3\\4\\5\\6", b"RGB", b"MONOCHROME1", b"9" * 400, b"\0" * 40]
VRS = ["US", "DS", "IS", "LO", "SQ", "OB", "OW", "UN", "FD", "UI", "AT"]


def _some(files: Files, rng: Random) -> list[str]:
    names = sorted(files)
    count = min(len(names), int(rng.choice([1, 1, 1, 2, COUNT])))
    return [names[k] for k in rng.choice(len(names), count, replace=False)]


def _flip_bytes(files: Files, rng: Random) -> None:
    for name in _some(files, rng):
        content = bytearray(files[name])
        within = len(content) if rng.random() < 0.3 else min(len(content), 1400)
        for at in rng.integers(0, within or 1, int(rng.choice([1, 3, 20]))):
            content[at : at + 1] = bytes([int(rng.choice([0, 1, 255, int(rng.integers(256))]))])
        files[name] = bytes(content)


def _cut(files: Files, rng: Random) -> None:
    for name in _some(files, rng):
        files[name] = files[name][: int(rng.integers(len(files[name]) + 1))]


def _insert(files: Files, rng: Random) -> None:
    for name in _some(files, rng):
        at = int(rng.integers(len(files[name]) + 1))
        piece = [
            rng.bytes(8),
            bytes(200),
            b"\xff" * 12,
            files[name][:300],
            b"\x08\0\x11\x11SQ\0\0" + b"\xff" * 4,
        ]
        files[name] = files[name][:at] + piece[int(rng.integers(len(piece)))] + files[name][at:]


def _put(files: Files, rng: Random) -> None:
    """A hostile value, of a right or a wrong representation, in one element; or no such element."""
    tag, text = TAGS[int(rng.integers(len(TAGS)))], TEXTS[int(rng.integers(len(TEXTS)))]
    text += b" " * (len(text) % 2)
    known = pydicom.datadict.dictionary_VR(tag).split(" ")[0]
    vr = known if rng.random() < 0.5 else VRS[int(rng.integers(len(VRS)))]
    gone = rng.random() < 0.2
    for name in _some(files, rng):
        try:
            data = pydicom.dcmread(io.BytesIO(files[name]), force=True)
            owner = data.file_meta if tag >> 16 == 2 else data
            if gone:
                del owner[tag]
            else:
                little = data.original_encoding[1] is not False
                owner[tag] = RawDataElement(pydicom.tag.Tag(tag), vr, len(text), text, 0, False, little)
            buffer = io.BytesIO()
            pydicom.dcmwrite(buffer, data, enforce_file_format=False)
            files[name] = buffer.getvalue()
        except Exception:  # what cannot be written so is damaged by bytes
            files[name] = files[name].replace(tag.to_bytes(4, "big")[1::-1], rng.bytes(2), 1)


def _drop(files: Files, rng: Random) -> None:
    for name in _some(files, rng)[: max(1, len(files) - 1)]:
        del files[name]


def _copy(files: Files, rng: Random) -> None:
    for name in _some(files, rng):
        files[f"{name}b"] = files[name]


def _mix(files: Files, rng: Random) -> None:
    """Files of another kind of folder among these."""
    other = BASES[list(BASES)[int(rng.integers(len(BASES)))]]()
    for name in _some(other, rng):
        files[name if rng.random() < 0.5 else f"x{name}"] = other[name]


def _add_others(files: Files, rng: Random) -> None:
    files["notes.txt"], files["IM9999"], files["empty"] = b"x" * 500, rng.bytes(2000), b""
    files["group8"] = b"\x08\0\x05\0" + rng.bytes(900)


def _nest(files: Files, rng: Random) -> None:
    """Sequences within sequences, of undefined length, before the first field of the data set."""
    depth = int(rng.choice([2, 40, 400, 5000]))
    one = b"\x08\0\x40\x11SQ\0\0" + b"\xff" * 4 + b"\xfe\xff\0\xe0" + b"\xff" * 4
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    for name in _some(files, rng):
        start = files[name].find(b"\x08\0\x16\0")
        if start >= 0:
            files[name] = files[name][:start] + one * depth + end * depth + files[name][start:]


CHANGES: dict[str, Callable[[Files, Random], None]] = {
    "bytes": _flip_bytes,
    "cut": _cut,
    "insertion": _insert,
    "element": _put,
    "another element": _put,
    "a third element": _put,
    "dropped": _drop,
    "copied": _copy,
    "mixed": _mix,
    "others": _add_others,
    "nested": _nest,
}


def _replace_by_no_file(folder: Path, names: list[str], rng: Random) -> None:
    if not names:
        return
    path = folder / names[int(rng.integers(len(names)))]
    path.unlink()
    what = int(rng.integers(5))
    if what == 0 and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    elif what == 1:
        path.symlink_to("/dev/zero")
    elif what == 2:
        path.symlink_to(path)
    elif what == 3:
        path.mkdir()
    else:
        path.symlink_to(folder)
