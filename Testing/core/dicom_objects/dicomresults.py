"""Small DICOM series of every kind that objects are written of, and a stand-in for the pipeline's result."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import RLELossless, generate_uid

sys.path.append(str(Path(__file__).resolve().parents[1] / "io"))

from dicomwriter import enhanced, positions, volume, write_series

from HippoSegLib.labels import PART, WHOLE
from HippoSegLib.pipeline import SegmentationResult
from HippoSegLib.results.volumes import measure

STUDY, SERIES, FRAME = (generate_uid(entropy_srcs=["hipposeg", one]) for one in ("study", "series", "frame"))
UIDS = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "FrameOfReferenceUID": FRAME}
#: Sagittal slices, turned by some degrees about two axes.
_TURN = np.array(sitk.Euler3DTransform((0, 0, 0), 0.2, -0.3, 0.1).GetMatrix()).reshape(3, 3)


def plain(folder: Path, **tags: object) -> Path:
    """A series of one file per slice, with a study's elements."""
    study = {"StudyTime": "101500", "StudyID": "S7", "AccessionNumber": "A1", "PatientSex": "F"}
    return write_series(folder, **{**UIDS, **study, "ReferringPhysicianName": "Hidden^Helen", **tags})


def oblique(folder: Path) -> Path:
    def turn(data, index):
        data.ImagePositionPatient = [f"{v:.6f}" for v in _TURN @ positions()[index]]
        axes = (*(_TURN @ (0, 1, 0)), *(_TURN @ (0, 0, -1)))
        data.ImageOrientationPatient = [f"{v:.9f}" for v in axes]

    return write_series(folder, change=turn, **UIDS)


def reversed_order(folder: Path) -> Path:
    """File names and instance numbers run against the positions."""

    def turn(data, index):
        data.ImagePositionPatient = [f"{v:.6f}" for v in positions()[::-1][index]]

    return write_series(folder, array=volume()[::-1], change=turn, **UIDS)


def compressed(folder: Path) -> Path:
    options = {"samples_per_pixel": 1, "bits_allocated": 16, "bits_stored": 16, "pixel_representation": 0}
    options |= {"photometric_interpretation": "MONOCHROME2", "number_of_frames": 1}

    def compress(data, index):
        stream = RLELosslessEncoder.encode(volume()[index], rows=24, columns=22, **options)
        data.PixelData = encapsulate([stream])
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
        data.file_meta.TransferSyntaxUID = RLELossless

    return write_series(folder, change=compress, **UIDS)


def multi_frame(folder: Path) -> Path:
    """One file; its frames lie in no order."""
    order = np.random.default_rng(3).permutation(len(positions()))

    def place(frame, index):
        frame.PlanePositionSequence[0].ImagePositionPatient = list(positions()[order[index]])

    data = enhanced(volume()[order], place)
    for keyword, uid in UIDS.items():
        setattr(data, keyword, uid)
    folder.mkdir(parents=True)
    data.save_as(folder / "all.dcm", enforce_file_format=True)
    return folder


KINDS = {one.__name__: one for one in (plain, oblique, reversed_order, compressed, multi_frame)}


def result_of(image: sitk.Image, parts: bool = False, sides=("left", "right")) -> SegmentationResult:
    """Two boxes that differ in size and lie at places of their own, each of two parts."""
    labels = sitk.Image(image.GetSize(), sitk.sitkUInt16)
    labels.CopyInformation(image)
    array = sitk.GetArrayFromImage(labels)
    for side, planes in (("left", slice(9, 13)), ("right", slice(3, 6))):
        for part, rows in (("anterior", slice(5, 9)), ("posterior", slice(9, 15))):
            if side in sides:
                array[planes, rows, 6:11] = PART[side][part] if parts else WHOLE[side]
    out = sitk.GetImageFromArray(array)
    out.CopyInformation(image)
    provenance = {"model": {"name": "hipposeg", "sha256": "ab" * 32}, "versions": {}, "settings": {}}
    return SegmentationResult(out, None, measure(out), (), provenance)
