"""What a DICOM object says of the series it was made from: identity, images and where each lies.

Built from the slices as they were read and from the header of one file. Only what an object needs is taken,
and only where it is well formed: archives hold headers with every kind of fault.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..errors import DependencyError, InputError
from ..io.dicom_headers import UID
from ..io.dicom_slice import Slice

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_STORAGE = "1.2.840.10008.5.1.4.1.1."
#: Storage classes of files with one image (MR, CT, secondary capture, PET) and with many.
_SINGLE = frozenset(_STORAGE + ending for ending in ("4", "2", "7", "128"))
_MULTI = frozenset(_STORAGE + ending for ending in ("4.1", "4.4", "2.1", "2.2", "128.1", "130"))
#: Elements of patient and study that every object has; empty where the source does not state them.
_IDENTITY = ("PatientName", "PatientID", "ReferringPhysicianName", "StudyID", "AccessionNumber")
_CHECKED = ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime")
#: Elements that an object has where the source states them.
_IF_STATED = (
    *("IssuerOfPatientID", "OtherPatientIDsSequence", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "PatientAge", "PatientSize", "PatientWeight", "StudyDescription"),
    *("ProcedureCodeSequence", "ClinicalTrialSponsorName", "ClinicalTrialProtocolID"),
    *("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID"),
    *("PositionReferenceIndicator", "LossyImageCompression", "LossyImageCompressionRatio"),
    "LossyImageCompressionMethod",
)
_UTF_8 = "ISO_IR 192"


@dataclass(frozen=True)
class SourceSeries:
    """The series that was segmented.

    Attributes:
        slices: In the order of the image's z axis, as `io.images.Scan` has them.
        images: A data set per file, with identity and geometry and no pixel data: one of many frames, or one
            per slice in their order.
    """

    slices: tuple[Slice, ...]
    images: tuple[Dataset, ...]

    def frames(self, labels: np.ndarray) -> np.ndarray:
        """An array (z, y, x) on the scan's grid as the source's frames follow: (frame, row, column)."""
        if len(self.images) > 1:
            return labels
        ordered = np.empty_like(labels)
        for plane, one in zip(labels, self.slices, strict=True):
            ordered[one.frame] = plane
        return ordered


def source_series(slices: Sequence[Slice], image: sitk.Image) -> SourceSeries:
    """What is needed of a series to write objects that refer to it.

    Args:
        slices: Of `io.images.Scan`, in the order of the image's z axis.
        image: The scan; its grid is that of the slices.

    Raises:
        InputError: The scan is no DICOM series, or one that cannot be referred to. DependencyError: highdicom
            is not installed. OSError: The file cannot be read.
    """
    if not slices:
        raise InputError(
            "The scan is no DICOM series: DICOM objects take patient, study and grid from one.",
            "Give the folder with the DICOM series, or leave the DICOM objects out.",
            "not_dicom",
        )
    _require_highdicom()
    _check(slices)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, which may quote a header
        identity = _identity(slices[0])
        make = _one_of_many_frames if slices[0].identity.sop_class in _MULTI else _one_per_slice
        return SourceSeries(tuple(slices), make(slices, identity, image.GetSpacing()[2]))


def _require_highdicom() -> None:
    try:
        # A second, for DICOM objects alone.
        import highdicom.seg
        import highdicom.sr  # noqa: F401
    except ImportError:
        raise DependencyError(
            "The Python package highdicom (writes DICOM objects) is not installed.",
            'Install it: pip install "hipposeg[dicom]".',
            "not_installed",
        ) from None


def _check(slices: Sequence[Slice]) -> None:
    """The series has the UIDs that an object refers to it by, and is stored in a known way.

    Raises:
        InputError: As said.
    """
    remedy = "Export the original series again, or leave the DICOM objects out."
    for field, name in (
        ("StudyInstanceUID", "study"),
        ("SeriesInstanceUID", "series"),
        ("FrameOfReferenceUID", "frame_of_reference"),
    ):
        found = {getattr(s.identity, name) for s in slices}
        if len(found) > 1 or not all(UID.fullmatch(uid) for uid in found):
            raise InputError(
                f"DICOM objects cannot refer to the series: {field} is missing, is no UID, or differs "
                "between its slices.",
                remedy,
                "dicom_reference",
            )
    classes = {s.identity.sop_class for s in slices}
    instances = {s.identity.sop_instance for s in slices}
    single = classes <= _SINGLE and len(classes) == 1 and len(instances) == len(slices)
    multi = classes <= _MULTI and len(instances) == 1 and len(slices) == slices[0].frames
    if not (single or multi) or not all(UID.fullmatch(uid) for uid in instances):
        raise InputError(
            "DICOM objects cannot refer to the series: its images are of an unknown kind, are spread over "
            "several multi-frame files, or have no UID of their own (SOPInstanceUID).",
            remedy,
            "dicom_reference",
        )


def _identity(one: Slice) -> Dataset:
    """Patient, study and series of a file, without what is malformed or empty."""
    from pydicom import dcmread
    from pydicom.dataset import Dataset
    from pydicom.multival import MultiValue

    words = [*_IDENTITY, *_CHECKED, *_IF_STATED, "SpecificCharacterSet", "Modality"]
    header = dcmread(one.entry.path, stop_before_pixels=True, specific_tags=list(words), force=True)
    result = Dataset()
    _set_character_set(header, result)
    for keyword in _IDENTITY:
        value = header.get(keyword)
        if isinstance(value, MultiValue):  # one value is all that these may have
            value = " ".join(map(str, value))
        recoded = result.get("SpecificCharacterSet") == _UTF_8 and value is not None
        setattr(result, keyword, str(value) if recoded else value)
    for keyword in _CHECKED:
        setattr(result, keyword, header.get(keyword) if _well_formed(header, keyword) else None)
    for keyword in _IF_STATED:
        if _well_formed(header, keyword):
            result[keyword] = header[keyword]
    result.Modality = header.get("Modality") or "MR"
    result.StudyInstanceUID, result.SeriesInstanceUID = one.identity.study, one.identity.series
    result.FrameOfReferenceUID, result.SOPClassUID = one.identity.frame_of_reference, one.identity.sop_class
    result.Rows, result.Columns = one.format.rows, one.format.columns
    return result


def _set_character_set(header: Dataset, result: Dataset) -> None:
    """The source's own character set; UTF-8, and names written anew, where it names one that is unknown."""
    from highdicom import SpecificCharacterSetValues

    stated = header.get("SpecificCharacterSet")
    if not stated:
        return
    names = [stated] if isinstance(stated, str) else list(stated)
    known = {value.value for value in SpecificCharacterSetValues}
    usable = all(name in known for name in names) and (len(names) == 1 or names[0] != "ISO 2022 IR 87")
    result.SpecificCharacterSet = stated if usable else _UTF_8


def _well_formed(header: Dataset, keyword: str) -> bool:
    """Whether an element is there, holds something, and is what its type says."""
    from pydicom import config
    from pydicom.valuerep import DA, TM, validate_value

    if keyword not in header:
        return False
    try:
        element = header[keyword]
        if element.VM == 0 or element.value in (None, ""):
            return False
        if element.VR == "SQ":
            parsed = [list(item.iterall()) for item in element.value]
            return any(parsed)
        values = element.value if element.VM > 1 else [element.value]
        for value in values:
            validate_value(element.VR, str(value), config.RAISE)
        if element.VR in ("DA", "TM"):  # the 30th of February has the right form, too
            (DA if element.VR == "DA" else TM)(element.value)
    except Exception:  # whatever pydicom meets in a malformed element
        return False
    return keyword != "PatientSex" or element.value in ("M", "F", "O")


def _measures(one: Slice, distance: float) -> Dataset:
    from pydicom.dataset import Dataset
    from pydicom.valuerep import DSfloat

    measures = Dataset()
    measures.PixelSpacing = [DSfloat(v, auto_format=True) for v in one.spacing or ()]
    measures.SliceThickness = DSfloat(distance, auto_format=True)
    measures.SpacingBetweenSlices = DSfloat(distance, auto_format=True)
    return measures


def _one_per_slice(slices: Sequence[Slice], identity: Dataset, distance: float) -> tuple[Dataset, ...]:
    from pydicom.dataset import Dataset

    common = _measures(slices[0], distance)
    common.update(identity)
    common.ImageOrientationPatient = _numbers(slices[0].orientation)
    images = []
    for one in slices:
        image = Dataset()
        image.update(common)
        image.SOPInstanceUID = one.identity.sop_instance
        image.ImagePositionPatient = _numbers(one.position)
        images.append(image)
    return tuple(images)


def _one_of_many_frames(slices: Sequence[Slice], identity: Dataset, distance: float) -> tuple[Dataset, ...]:
    from pydicom.dataset import Dataset

    image, orientation, shared = Dataset(), Dataset(), Dataset()
    image.update(identity)
    image.SOPInstanceUID, image.NumberOfFrames = slices[0].identity.sop_instance, len(slices)
    orientation.ImageOrientationPatient = _numbers(slices[0].orientation)
    shared.PixelMeasuresSequence = [_measures(slices[0], distance)]
    shared.PlaneOrientationSequence = [orientation]
    image.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for one in sorted(slices, key=lambda s: s.frame):
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = _numbers(one.position)
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = frames
    return (image,)


def _numbers(values: Sequence[float] | None) -> list:
    from pydicom.valuerep import DSfloat

    return [DSfloat(value, auto_format=True) for value in values or ()]
