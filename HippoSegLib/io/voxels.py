"""Voxels out of a stream of bytes into an array, and the array with its geometry into an image.

No more memory is taken than the array needs: a header that states more voxels than is allowed is refused
before anything is read, and packed data are unpacked piece by piece.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .stream import PIECE, ByteStream, damaged, truncated

#: Largest image in bytes as it is kept: 500 million voxels of 16 bits (a whole head at 0.25 mm).
MAX_BYTES = 10**9
#: So much may follow the voxels (notes of the program that wrote them), besides less than one more slice.
_SPARE = 1 << 16
#: Longest number in a file that holds its voxels as text.
_LONGEST_NUMBER = 400


@dataclass(frozen=True)
class Stored:
    """How the voxels lie in the file.

    Attributes:
        size: Voxels along x (which runs fastest), y and z.
        dtype: With byte order.
        slope, intercept: Value = stored * slope + intercept, where they are not 1 and 0.
        text: As numbers in words, not as bytes.
    """

    size: tuple[int, int, int]
    dtype: np.dtype
    slope: float = 1.0
    intercept: float = 0.0
    text: bool = False

    @property
    def scaled(self) -> bool:
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def kept(self) -> np.dtype:
        """The type in memory: integers of at most 32 bits as stored, else float32."""
        integer = self.dtype.kind in "iu" and self.dtype.itemsize <= 4 and not self.scaled
        return self.dtype.newbyteorder("=") if integer else np.dtype(np.float32)


def refuse_too_large(stored: Stored, name: str) -> None:
    """Refuse an image of more than `MAX_BYTES` bytes."""
    if math.prod(stored.size) * stored.kept.itemsize > MAX_BYTES:
        most = MAX_BYTES // stored.kept.itemsize // 1_000_000
        raise InputError(
            f"'{name}' states {' x '.join(str(n) for n in stored.size)} voxels, more than are read here "
            f"({most} million of {8 * stored.kept.itemsize} bits).",
            "Check its header, or resample the scan to larger voxels.",
            "too_large",
        )


def read_voxels(stream: ByteStream, stored: Stored, name: str, spare: int = _SPARE) -> np.ndarray:
    """The voxels that come next in a stream.

    Args:
        stream: Stands at the first voxel.
        stored: How they are stored.
        name: Of the file, for messages.
        spare: Bytes that may follow the voxels.

    Returns:
        (z, y, x), of the type `stored.kept`.

    Raises:
        InputError: Too large, truncated, damaged, or more data than stated. MemoryError.
    """
    refuse_too_large(stored, name)
    array = np.empty(stored.size[::-1], stored.kept)
    flat = array.reshape(-1)
    if stored.text:
        _fill_from_text(flat, stream, name)
        stream.end(spare)
        return array
    if stored.scaled or stored.kept.itemsize != stored.dtype.itemsize:
        _fill_converted(flat, stream, stored)
    else:
        stream.fill(flat.view(np.uint8).data)
        if not stored.dtype.isnative:
            flat.byteswap(inplace=True)
    slice_bytes = stored.size[0] * stored.size[1] * stored.dtype.itemsize
    stream.end(max(spare, slice_bytes - 1))
    return array


def go_to_last_voxels(file: BinaryIO, stored: Stored, name: str) -> None:
    """Where the voxels are what a file ends with: go to the first of them."""
    refuse_too_large(stored, name)
    start = os.fstat(file.fileno()).st_size - math.prod(stored.size) * stored.dtype.itemsize
    if start < file.tell():
        raise truncated(name)
    file.seek(start)


def _fill_converted(flat: np.ndarray, stream: ByteStream, stored: Stored) -> None:
    size = stored.dtype.itemsize
    piece = np.empty(min(len(flat), PIECE // size), stored.dtype)
    slope, intercept = np.float32(stored.slope), np.float32(stored.intercept)
    for start in range(0, len(flat), len(piece)):
        part = piece[: len(flat) - start]
        stream.fill(part.view(np.uint8).data)
        with np.errstate(over="ignore", invalid="ignore"):
            values = part.astype(np.float32)
            flat[start : start + len(part)] = values * slope + intercept if stored.scaled else values


def _fill_from_text(flat: np.ndarray, stream: ByteStream, name: str) -> None:
    at, rest = 0, b""
    while at < len(flat):
        piece = stream.read(PIECE)
        words = (rest + piece).split()
        # Without white space at its end, the last word goes on in the next piece.
        rest = words.pop() if piece and words and not piece[-1:].isspace() else b""
        if not piece and not words:
            raise truncated(name)
        if max(map(len, [*words, rest])) > _LONGEST_NUMBER:
            raise damaged(name, "its voxels are not numbers")
        if len(words) > len(flat) - at:
            raise damaged(name, "it holds more voxels than its header states")
        flat[at : at + len(words)] = _numbers(words, flat.dtype, name)
        at += len(words)


def _numbers(words: list[bytes], dtype: np.dtype, name: str) -> np.ndarray:
    try:
        values = np.array(words, dtype="S").astype(np.float64)
    except ValueError:
        raise damaged(name, "its voxels are not numbers") from None
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        fits = (values == np.round(values)) & (values >= limits.min) & (values <= limits.max)
        if not fits.all():
            raise damaged(name, "its voxels are not numbers of the stated type")
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def image_of(
    array: np.ndarray,
    spacing: Sequence[float] | np.ndarray,
    origin: Sequence[float] | np.ndarray,
    direction: np.ndarray,
    name: str,
) -> sitk.Image:
    """An image of voxels (z, y, x) and a geometry: mm, LPS, directions as columns.

    Raises:
        InputError: Directions that are not at right angles. MemoryError.
    """
    if not np.isfinite(direction).all() or np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3:
        raise InputError(
            f"'{name}' has axes that are not at right angles.",
            "Resample it onto a rectangular grid first, or give the scan before registration.",
            "not_rectangular",
        )
    try:
        image = sitk.GetImageFromArray(array)
    except RuntimeError:  # how ITK says that memory ran out
        raise MemoryError from None
    image.SetSpacing([float(v) for v in spacing])
    image.SetOrigin([float(v) for v in origin])
    image.SetDirection([float(v) for v in direction.ravel()])
    return image
