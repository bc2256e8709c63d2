"""What a DICOM header does not state is not invented: the refusal names the field and the slice."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicomwriter import COUNT, SECRETS, read_with_itk, volume, write_series
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from HippoSegLib.errors import InputError
from HippoSegLib.io.dicom import read_series


def refused(words: str, folder, **options) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_series(folder, **options)
    assert caught.value.remedy and caught.value.code != "input"
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def as_text(data: Dataset, keyword: str, text: str) -> None:
    """Put a text into an element that should hold numbers, as a careless program would."""
    tag = pydicom.datadict.tag_for_keyword(keyword)
    vr = pydicom.datadict.dictionary_VR(tag)
    data[tag] = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(tag), vr, len(text), text.encode(), 0, False, True
    )


FIELDS = {
    "PixelSpacing": [
        "",
        "0\\0",
        "-1\\-1",
        "abc",
        "nan\\nan",
        "0.9",
        "1\\1\\1",
        "0,9\\0,9",
        "1_0\\1_0",
        "inf\\1",
    ],
    "ImagePositionPatient": ["", "abc", "1\\2", "nan\\0\\0", "1\\2\\3\\4", "1e300\\0\\0", "1e999\\0\\0"],
    "ImageOrientationPatient": ["", "0\\0\\0\\0\\0\\0", "1\\0\\0", "nan\\0\\0\\0\\1\\0", "2\\0\\0\\0\\2\\0"],
}


@pytest.mark.parametrize("which", ["every slice", "InstanceNumber 4"])
@pytest.mark.parametrize(("field", "text"), [(f, t) for f, texts in FIELDS.items() for t in texts])
def test_geometry_that_is_not_stated_is_refused(tmp_path, field, text, which):
    def change(data, index):
        if which == "every slice" or index == 3:
            as_text(data, field, text)

    write_series(tmp_path / "s", change=change)
    error = refused(f"{field} is missing, or is not .* in .*{which}", tmp_path / "s")
    assert error.code == "dicom_field"


@pytest.mark.parametrize("field", FIELDS)
def test_geometry_that_is_missing_is_refused(tmp_path, field):
    write_series(tmp_path / "s", **{field: None})
    refused(f"{field} is missing", tmp_path / "s")


def test_several_faulty_slices_are_counted(tmp_path):
    def change(data, index):
        if index in (5, 9):
            del data.PixelSpacing

    write_series(tmp_path / "s", change=change)
    refused(f"in 2 of {COUNT} slices .the first of them: the slice with InstanceNumber 6", tmp_path / "s")


def test_slices_without_a_number_are_named_by_their_place(tmp_path):
    def change(data, index):
        as_text(data, "InstanceNumber", "Hidden^Jane")
        if index == 5:
            del data.PixelSpacing

    write_series(tmp_path / "s", change=change)
    refused("in file 6 of the folder", tmp_path / "s")


@pytest.mark.parametrize(
    ("field", "values"),
    {
        "RescaleSlope": ["abc", "nan", "0", "1\\2", "1,5"],
        "RescaleIntercept": ["abc", "inf", "1\\2"],
    }.items(),
)
def test_a_rescaling_that_is_no_number_is_refused(tmp_path, field, values):
    for value in values:

        def change(data, index, value=value):
            data.RescaleSlope, data.RescaleIntercept = "2", "0"
            if index == 3:
                as_text(data, field, value)

        write_series(tmp_path / "s", change=change)
        refused(f"{field} is no usable number in the slice with InstanceNumber 4", tmp_path / "s")


@pytest.mark.parametrize(
    ("field", "values"),
    {
        "Rows": [0],
        "Columns": [None, 0],
        "SamplesPerPixel": [None, 0],
        "PhotometricInterpretation": [None, "PALETTE COLOR", "Doe"],
        "BitsAllocated": [1, 12, 64],
        "BitsStored": [None, 0, 17],
        "HighBit": [None, 11, 14],
        "PixelRepresentation": [None, 2],
    }.items(),
)
def test_a_description_of_pixels_that_cannot_be_is_refused(tmp_path, field, values):
    for value in values:

        def change(data, index, value=value):
            if index == 3:
                setattr(data, field, value) if value is not None else delattr(data, field)

        write_series(tmp_path / "s", change=change)
        refused(f"{field} is missing.*Number 4", tmp_path / "s")


def test_a_slice_without_rows_is_a_damaged_slice(tmp_path):
    folder = write_series(tmp_path / "s")
    data = pydicom.dcmread(folder / "IM0001")
    del data.Rows
    data.save_as(folder / "IM0001")
    refused("file 1 of its folder", folder)


def test_numbers_in_a_wrong_representation_are_read_where_they_are_numbers(tmp_path):
    def change(data, index):
        spacing = pydicom.dataelem.DataElement(0x00280030, "FD", [5.8, 5.4])
        data[0x00280030] = spacing
        data[0x00280010] = pydicom.dataelem.DataElement(0x00280010, "IS", "24")

    write_series(tmp_path / "s", change=change)
    image, _ = read_series(tmp_path / "s")
    assert image.GetSize() == (22, 24, COUNT) and np.allclose(image.GetSpacing(), (5.4, 5.8, 6.0))
    assert np.array_equal(sitk.GetArrayFromImage(image), volume()[::-1])


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
    ids=lambda s: s.name,
)
def test_every_order_of_bytes_is_read_as_itk_reads_it(tmp_path, syntax):
    array = volume().astype(">u2" if syntax == ExplicitVRBigEndian else "<u2")
    write_series(tmp_path / "s", array, syntax=syntax)
    image, flags = read_series(tmp_path / "s")
    expected = read_with_itk(tmp_path / "s")
    assert not flags and np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(expected))
    assert np.allclose(image.GetOrigin(), expected.GetOrigin())
    assert np.allclose(image.GetSpacing(), expected.GetSpacing())
    assert np.allclose(image.GetDirection(), expected.GetDirection())


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_files_without_preamble_and_meta_group(tmp_path, syntax):
    array = volume().astype(">u2" if syntax == ExplicitVRBigEndian else "<u2")
    write_series(tmp_path / "s", array, syntax=syntax)
    for path in (tmp_path / "s").iterdir():
        raw = path.read_bytes()
        length = int.from_bytes(raw[140:144], "little")
        path.write_bytes(raw[144 + length :])
    image, _ = read_series(tmp_path / "s")
    assert np.array_equal(sitk.GetArrayFromImage(image), volume()[::-1])


def test_private_elements_and_sequences_of_every_kind_are_passed_over(tmp_path):
    def change(data, index):
        block = data.private_block(0x0029, "Doe^Jane", create=True)
        block.add_new(1, "OB", bytes(50_001 + index % 2))
        nested = Dataset()
        nested.PixelSpacing = [0.1, 0.1]
        nested.add_new(0x7FE00010, "OW", bytes(8))  # an icon's pixels
        outer = Dataset()
        outer.add_new(0x00081140, "SQ", [nested, nested])
        data.add_new(0x00081115, "SQ", [outer])
        data[0x00081115].is_undefined_length = bool(index % 2)
        for item in data[0x00081115].value:
            item.is_undefined_length_sequence_item = bool(index % 3)

    write_series(tmp_path / "s", change=change)
    image, _ = read_series(tmp_path / "s")
    assert np.allclose(image.GetSpacing(), (5.4, 5.8, 6.0))
    assert np.array_equal(sitk.GetArrayFromImage(image), volume()[::-1])


def test_a_deflated_bomb_is_a_damaged_slice(tmp_path, monkeypatch):
    monkeypatch.setattr("HippoSegLib.io.dicom_content.MAX_INFLATED", 1 << 20)
    folder = write_series(tmp_path / "s", syntax=DeflatedExplicitVRLittleEndian)
    data = pydicom.dcmread(folder / "IM0003")
    data.add_new(0x00091010, "OB", bytes(50 << 20))
    data.save_as(folder / "IM0003", enforce_file_format=True)
    assert (folder / "IM0003").stat().st_size < 1 << 20
    refused("file 3 of its folder", folder)
