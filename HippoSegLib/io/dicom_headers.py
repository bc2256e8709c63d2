"""From a DICOM file to its slices: one, or the frames of an enhanced multi-frame file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .dicom_elements import META_SOP_CLASS, Elements, HeaderError, read_elements
from .dicom_slice import Damaged, Entry, Identity, PixelFormat, Place, Rescale, Slice

_SOP_CLASS, _SOP_INSTANCE, _MODALITY, _DESCRIPTION = 0x00080016, 0x00080018, 0x00080060, 0x0008103E
_PATIENT, _STUDY, _SERIES, _FRAME_OF_REFERENCE = 0x00100020, 0x0020000D, 0x0020000E, 0x00200052
_SERIES_NUMBER, _INSTANCE, _STATED, _FRAMES = 0x00200011, 0x00200013, 0x00201002, 0x00280008
_POSITION, _ORIENTATION, _TILT, _DISTANCE = 0x00200032, 0x00200037, 0x00181120, 0x00180088
_SPACING, _INTERCEPT, _SLOPE, _MODALITY_TABLE = 0x00280030, 0x00281052, 0x00281053, 0x00283000
_SAMPLES, _PHOTOMETRIC, _ROWS, _COLUMNS = 0x00280002, 0x00280004, 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
_SHARED, _PER_FRAME, _OVERLAY_BIT = 0x52009229, 0x52009230, 0x60000102
_PLANE_POSITION, _PLANE_ORIENTATION, _MEASURES = 0x00209113, 0x00209116, 0x00289110
_VALUES, _CONTENT, _STACK = 0x00289145, 0x00209111, 0x00209056
_OVERLAYS = [_OVERLAY_BIT + (group << 17) for group in range(16)]

#: Everything that is read from a header.
WANTED = [
    *(_SOP_CLASS, _SOP_INSTANCE, _MODALITY, _DESCRIPTION, _PATIENT, _STUDY, _SERIES, _FRAME_OF_REFERENCE),
    *(_SERIES_NUMBER, _INSTANCE, _STATED, _FRAMES, _POSITION, _ORIENTATION, _TILT, _DISTANCE, _SPACING),
    *(_INTERCEPT, _SLOPE, _MODALITY_TABLE, _SAMPLES, _PHOTOMETRIC, _ROWS, _COLUMNS, _ALLOCATED, _STORED),
    *(_HIGH_BIT, _SIGNED, _SHARED, _PER_FRAME, *_OVERLAYS),
]
#: Modalities that a message may name; whatever else stands there could be anything.
_MODALITIES = frozenset(
    ("CR", "CT", "DX", "ES", "IO", "MG", "MR", "NM", "OT", "PT", "RF")
    + ("RTDOSE", "RTIMAGE", "SC", "SEG", "SM", "US", "XA", "XC")
)
#: SOP classes whose files must hold pixel data: CT, MR, secondary capture, nuclear medicine, PET.
_IMAGES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{ending}"
    for ending in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "7", "20", "128", "128.1", "130")
)
UID, _STANDARD = re.compile(r"\d+(\.\d+)+"), "1.2.840.10008."
#: How far the length of a direction may be from 1.
_UNIT = 0.01


@dataclass(frozen=True)
class FileContent:
    """What a file turned out to be: slices of a series, damaged, DICOM without an image, or no DICOM."""

    slices: tuple[Slice, ...] = ()
    damaged: Damaged | None = None
    no_image: bool = False


def read_file(entry: Entry, marked: bool) -> FileContent:
    """Read the header of a file that looks like DICOM.

    Args:
        entry: A regular file.
        marked: It carries the mark of a DICOM file; without it, a file that holds no image is no DICOM file.

    Raises:
        OSError: The file cannot be opened or read.
    """
    elements, place, whole = read_elements(entry.path, WANTED)
    try:
        if whole and place is not None and _ROWS in elements:
            return FileContent(slices=_slices(entry, elements, place))
    except HeaderError:
        whole = False
    if not marked and _ROWS not in elements:
        return FileContent()
    sop_class = elements.text(_SOP_CLASS) or elements.text(META_SOP_CLASS)
    private = bool(UID.fullmatch(sop_class)) and not sop_class.startswith(_STANDARD)
    if whole and sop_class not in _IMAGES and (private or is_registered(sop_class)):
        return FileContent(no_image=True)
    return FileContent(damaged=Damaged(entry, sop_class, elements.text(_SERIES), marked))


def is_registered(uid: str) -> bool:
    """Whether the standard defines a UID: a damaged one is none of them."""
    from pydicom.uid import UID_dictionary

    return uid in UID_dictionary


def _slices(entry: Entry, elements: Elements, place: Place) -> tuple[Slice, ...]:
    """The slices of a file with pixel data.

    Raises:
        HeaderError: A sequence of the header cannot be read.
    """
    frames = elements.integer(_FRAMES) if elements.text(_FRAMES) or _FRAMES in elements else 1
    whole = Slice(
        entry=entry,
        identity=_identity(elements),
        format=_format(elements),
        place=place,
        rescale=_rescale(elements),
        position=elements.numbers(_POSITION, 3),
        orientation=_unit_vectors(elements.numbers(_ORIENTATION, 6)),
        spacing=_positive(elements.numbers(_SPACING, 2)),
        distance=elements.number(_DISTANCE) or 0.0,
        tilt=elements.number(_TILT) or 0.0,
        instance=elements.integer(_INSTANCE),
        frames=0 if frames is None or frames < 1 else frames,
        stated=elements.integer(_STATED) or 0,
    )
    groups = elements.items(_PER_FRAME)
    if not groups or len(groups) != whole.frames:
        return (whole,)
    shared = next(iter(elements.items(_SHARED)), Elements({}))
    return tuple(_frame(whole, index, group, shared) for index, group in enumerate(groups))


def _frame(whole: Slice, index: int, group: Elements, shared: Elements) -> Slice:
    def macro(tag: int) -> Elements:
        """A functional group: the frame's own, else the one that all frames share."""
        return next(iter([*group.items(tag), *shared.items(tag)]), Elements({}))

    measures, values = macro(_MEASURES), macro(_VALUES)
    return replace(
        whole,
        frame=index,
        described=True,
        rescale=_rescale(values) if _SLOPE in values or _INTERCEPT in values else whole.rescale,
        position=macro(_PLANE_POSITION).numbers(_POSITION, 3),
        orientation=_unit_vectors(macro(_PLANE_ORIENTATION).numbers(_ORIENTATION, 6)),
        spacing=_positive(measures.numbers(_SPACING, 2)),
        distance=measures.number(_DISTANCE) or 0.0,
        stack=macro(_CONTENT).text(_STACK),
    )


def _identity(elements: Elements) -> Identity:
    modality = elements.text(_MODALITY)
    return Identity(
        patient=elements.text(_PATIENT),
        study=elements.text(_STUDY),
        series=elements.text(_SERIES),
        frame_of_reference=elements.text(_FRAME_OF_REFERENCE),
        sop_class=elements.text(_SOP_CLASS),
        sop_instance=elements.text(_SOP_INSTANCE),
        description=elements.text(_DESCRIPTION),
        number=elements.integer(_SERIES_NUMBER),
        modality=modality if modality in _MODALITIES else "",
    )


def _format(elements: Elements) -> PixelFormat:
    def whole(tag: int) -> int:
        value = elements.integer(tag)
        return -1 if value is None else value

    return PixelFormat(
        rows=whole(_ROWS),
        columns=whole(_COLUMNS),
        samples=whole(_SAMPLES),
        photometric=elements.text(_PHOTOMETRIC).upper(),
        bits_allocated=whole(_ALLOCATED),
        bits_stored=whole(_STORED),
        high_bit=whole(_HIGH_BIT),
        signed=whole(_SIGNED),
        overlay=any((elements.integer(tag) or 0) > 0 for tag in _OVERLAYS),
    )


def _rescale(elements: Elements) -> Rescale:
    slope, intercept = elements.number(_SLOPE), elements.number(_INTERCEPT)
    if elements.text(_SLOPE) and not slope:  # a slope of 0 makes all voxels equal
        return Rescale(unusable="RescaleSlope")
    if elements.text(_INTERCEPT) and intercept is None:
        return Rescale(unusable="RescaleIntercept")
    return Rescale(slope, intercept, table=_MODALITY_TABLE in elements)


def _positive(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    return values if values is not None and min(values) > 0 else None


def _unit_vectors(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if values is None:
        return None
    lengths = [sum(v * v for v in part) ** 0.5 for part in (values[:3], values[3:])]
    return values if all(abs(length - 1) <= _UNIT for length in lengths) else None
