"""Enhanced multi-frame files: read as ITK reads them, with the checks of single slices for every frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicomwriter import COUNT, SECRETS, enhanced, positions, volume
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from HippoSegLib.errors import InputError
from HippoSegLib.io.dicom import read_series


def put(folder: Path, data: FileDataset) -> Path:
    folder.mkdir(exist_ok=True)
    data.save_as(folder / "all.dcm", enforce_file_format=True)
    return folder


def refused(words: str, folder: Path) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_series(folder)
    assert caught.value.remedy and caught.value.code != "input"
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def undefined_lengths(sequence: Sequence) -> None:
    sequence.is_undefined_length = True
    for item in sequence:
        item.is_undefined_length_sequence_item = True
        for element in item:
            if element.VR == "SQ":
                undefined_lengths(element.value)


@pytest.mark.parametrize("lengths", ["stated", "undefined"])
def test_an_enhanced_file_is_read_as_itk_reads_it(tmp_path, lengths):
    data = enhanced()
    if lengths == "undefined":
        undefined_lengths(data.PerFrameFunctionalGroupsSequence)
        undefined_lengths(data.SharedFunctionalGroupsSequence)
    folder = put(tmp_path / "s", data)
    image, flags = read_series(folder)
    assert flags == [] and np.array_equal(sitk.GetArrayFromImage(image), volume()[::-1])
    expected = sitk.ReadImage(str(folder / "all.dcm"), sitk.sitkFloat64, "GDCMImageIO")
    assert np.allclose(image.GetSpacing(), expected.GetSpacing())
    assert sitk.GetArrayFromImage(expected).shape == volume().shape
    # The same voxel lies at the same place, whichever way the frames are ordered.
    for index in ((0, 0, 0), (5, 7, 3), (21, 23, COUNT - 1)):
        there = expected.TransformPhysicalPointToIndex(image.TransformIndexToPhysicalPoint(index))
        assert image[index] == expected[there]


def test_frames_in_any_order_with_a_rescaling_of_their_own(tmp_path):
    order = np.random.default_rng(0).permutation(COUNT)

    def change(frame, index):
        frame.PlanePositionSequence[0].ImagePositionPatient = list(positions()[order[index]])
        values = Dataset()
        values.RescaleSlope, values.RescaleIntercept = f"{1 + 0.25 * order[index]}", f"{-5 * order[index]}"
        frame.PixelValueTransformationSequence = [values]

    image, _ = read_series(put(tmp_path / "s", enhanced(volume()[order], change)))
    expected = [volume()[k] * (1 + 0.25 * k) - 5 * k for k in range(COUNT)]
    assert np.array_equal(sitk.GetArrayFromImage(image), np.array(expected, np.float32)[::-1])


def test_one_frame_per_file(tmp_path):
    (tmp_path / "s").mkdir()
    for index in range(COUNT):
        data = enhanced(volume()[index : index + 1])
        group = data.PerFrameFunctionalGroupsSequence[0]
        group.PlanePositionSequence[0].ImagePositionPatient = list(positions()[index])
        data.InstanceNumber = index + 1
        data.save_as(tmp_path / "s" / f"{index}.dcm", enforce_file_format=True)
    image, _ = read_series(tmp_path / "s")
    assert np.array_equal(sitk.GetArrayFromImage(image), volume()[::-1])


@pytest.mark.parametrize(
    ("field", "where"),
    [
        ("ImagePositionPatient", "PlanePositionSequence"),
        ("ImageOrientationPatient", "PlaneOrientationSequence"),
        ("PixelSpacing", "PixelMeasuresSequence"),
    ],
)
@pytest.mark.parametrize("how", ["missing", "no numbers"])
def test_what_a_frame_does_not_state_is_refused(tmp_path, field, where, how):
    def change(frame, index):
        if index != 6:
            return
        item = Dataset()
        if how == "no numbers":
            tag = pydicom.datadict.tag_for_keyword(field)
            raw = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(tag), "DS", 4, b"nan ", 0, False, True)
            item[tag] = raw
        setattr(frame, where, [item])

    folder = put(tmp_path / "s", enhanced(change=change))
    # A macro of the frame itself takes the place of the shared one.
    error = refused(f"{field} is missing, or is not .* in frame 7", folder)
    assert error.code == "dicom_field"


def test_no_shared_groups_at_all(tmp_path):
    data = enhanced()
    del data.SharedFunctionalGroupsSequence
    refused("ImageOrientationPatient is missing, .* in every slice", put(tmp_path / "s", data))


def test_frames_shifted_missing_and_twice(tmp_path):
    def shifted(frame, index):
        if index == 3:
            x, y, z = positions()[index]
            frame.PlanePositionSequence[0].ImagePositionPatient = [x, y + 2, z]

    refused("shifted within their plane: 1 of 16, .*frame 4", put(tmp_path / "a", enhanced(change=shifted)))

    def missing(frame, index):
        if index > 7:
            x, y, z = positions()[index]
            frame.PlanePositionSequence[0].ImagePositionPatient = [x + 6, y, z]

    refused("gaps: 1 slice", put(tmp_path / "b", enhanced(change=missing)))

    def two_times(frame, index):
        frame.PlanePositionSequence[0].ImagePositionPatient = list(positions()[index % 8])

    error = refused("several images at one position", put(tmp_path / "c", enhanced(change=two_times)))
    assert error.code == "several_volumes"


def test_several_stacks(tmp_path):
    def change(frame, index):
        frame.FrameContentSequence[0].StackID = str(1 + index // 8)

    assert refused("2 stacks", put(tmp_path / "s", enhanced(change=change))).code == "several_volumes"


@pytest.mark.parametrize("frames", [COUNT - 1, COUNT + 1, 10**8])
def test_a_number_of_frames_that_the_groups_contradict(tmp_path, frames):
    data = enhanced()
    data.NumberOfFrames = frames
    refused("does not state where each of its frames lies", put(tmp_path / "s", data))


@pytest.mark.parametrize("text", ["abc", "0", "-3", "1\\2"])
def test_a_number_of_frames_that_is_none(tmp_path, text):
    data = enhanced()
    raw = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(0x00280008), "IS", len(text), text.encode(), 0, False, True
    )
    data[0x00280008] = raw
    refused("NumberOfFrames is not a positive number", put(tmp_path / "s", data))


def test_multi_frame_without_groups(tmp_path):
    data = enhanced()
    del data.PerFrameFunctionalGroupsSequence
    error = refused("multi-frame file that does not state where", put(tmp_path / "s", data))
    assert error.code == "multi_frame" and "dcm2niix" in error.remedy


def test_damaged_groups(tmp_path):
    folder = put(tmp_path / "s", enhanced())
    whole = (folder / "all.dcm").read_bytes()
    start = whole.index(b"\x00\x52\x30\x92SQ")
    for at in range(start, start + 600, 7):
        for value in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\x0d\xe0"):
            (folder / "all.dcm").write_bytes(whole[:at] + value + whole[at + 4 :])
            try:
                image, _ = read_series(folder)
            except InputError:
                continue
            assert image.GetSize() == (22, 24, COUNT)  # the damage fell on what is not needed
