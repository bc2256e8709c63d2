"""What is known of one DICOM slice before its voxels are read: typed, frozen values.

Lengths are mm, positions and directions LPS. What a header does not state, or states unusably, is None.
Nothing here that could name a patient is ever put into a message: only numbers are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """An entry of a folder: a regular file, or (``regular`` False) a pipe, a device, a dangling link.

    Attributes:
        path: Where it lies.
        folder: The folder it lies in.
        place: Its number, from 1, among the entries of that folder sorted by name.
        size: Bytes; 0 where it is not regular.
    """

    path: str
    folder: str
    place: int
    size: int
    regular: bool = True


@dataclass(frozen=True)
class Damaged:
    """A file that looks like DICOM and cannot be read to its pixel data.

    Attributes:
        entry: The file.
        sop_class, series: UIDs as far as they could be read; empty where not.
        marked: It carries the mark of a DICOM file.
    """

    entry: Entry
    sop_class: str = ""
    series: str = ""
    marked: bool = True


@dataclass(frozen=True)
class Identity:
    """What a slice belongs to. Compared, never shown (but for the numbers and the modality)."""

    patient: str
    study: str
    series: str
    frame_of_reference: str
    sop_class: str
    sop_instance: str
    description: str
    number: int | None
    modality: str


@dataclass(frozen=True)
class PixelFormat:
    """The header's description of the stored integers; -1 where a number is missing or is none."""

    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: int
    overlay: bool  # an overlay may lie in the bits that hold no value


@dataclass(frozen=True)
class Place:
    """Where a file's pixel data lie.

    Attributes:
        offset: Of their first byte, in the file (in its unpacked content where the file is deflated).
        length: Bytes as stated; None for the undefined length of compressed data.
        room: Bytes from ``offset`` to the end of the file.
        syntax: UID of the transfer syntax; empty where the file states none.
        vr: Value representation ("OW", "OB"; "OW" where the syntax is implicit).
        little_endian: Order of bytes.
        keyword: ``PixelData``, or that of data stored as floating point numbers.
    """

    offset: int
    length: int | None
    room: int
    syntax: str
    vr: str
    little_endian: bool
    keyword: str


@dataclass(frozen=True)
class Rescale:
    """From stored integers to values: ``slope * stored + intercept``; ``table`` where a table does it.

    A field that is there but is no usable number is named in ``unusable``; absent fields are None.
    """

    slope: float | None = None
    intercept: float | None = None
    unusable: str = ""
    table: bool = False

    @property
    def values(self) -> tuple[float, float]:
        """Slope and intercept; 1 and 0 where they are absent."""
        return (
            1.0 if self.slope is None else self.slope,
            0.0 if self.intercept is None else self.intercept,
        )


@dataclass(frozen=True)
class Slice:
    """One slice: a file, or a frame of a multi-frame file.

    Attributes:
        position: ImagePositionPatient (x, y, z).
        orientation: ImageOrientationPatient: unit vectors along rows and along columns, 6 numbers.
        spacing: PixelSpacing: between rows, between columns.
        distance: SpacingBetweenSlices; 0 where it is not stated.
        tilt: GantryDetectorTilt, degrees; 0 where it is not stated.
        instance: InstanceNumber.
        frame: Index of the frame in its file, from 0.
        frames: Frames in the file; 0 where their number is no number.
        described: Each frame of a multi-frame file states where it lies.
        stack: Identifier of the stack that a frame belongs to.
        stated: ImagesInAcquisition; 0 where it is not stated.
    """

    entry: Entry
    identity: Identity
    format: PixelFormat
    place: Place
    rescale: Rescale
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    distance: float = 0.0
    tilt: float = 0.0
    instance: int | None = None
    frame: int = 0
    frames: int = 1
    described: bool = False
    stack: str = ""
    stated: int = 0

    @property
    def name(self) -> str:
        """The slice for a message."""
        if self.frames > 1:
            return f"frame {self.frame + 1}"
        if self.instance is not None:
            return f"the slice with InstanceNumber {self.instance}"
        return f"file {self.entry.place} of the folder (sorted by name)"
