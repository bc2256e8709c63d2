"""Which series of a folder is read: choosing, a CD's subfolders, series whose slices have their own UIDs."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicomwriter import COUNT, SECRETS, volume, write_series
from pydicom.uid import generate_uid

from HippoSegLib.errors import InputError
from HippoSegLib.io.dicom import read_series


def refused(words: str, folder, series=None) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_series(folder, series)
    assert caught.value.remedy and caught.value.code != "input"
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def own_uids(data, index):
    data.SeriesInstanceUID = generate_uid()


def voxels(folder, series=None) -> np.ndarray:
    return sitk.GetArrayFromImage(read_series(folder, series)[0])


def test_a_series_of_which_each_slice_has_its_own_uid(tmp_path):
    write_series(tmp_path / "s", change=own_uids)
    image, flags = read_series(tmp_path / "s")
    assert np.array_equal(sitk.GetArrayFromImage(image), volume()[::-1])
    assert [(f.code, f.severity) for f in flags] == [("series_uids", "info")]
    assert f"{COUNT} DICOM slices" in flags[0].message


def test_two_such_series_are_told_apart_by_number_and_grid(tmp_path):
    write_series(tmp_path / "a", change=own_uids)
    write_series(tmp_path / "b", volume(1)[:12], change=own_uids, SeriesNumber=9)
    write_series(tmp_path / "c", volume(2, 10)[:, :20], change=own_uids)
    error = refused("7a .MR, 1[06] images., 7b .MR, 1[06] images., 9 .MR, 12 images", tmp_path)
    assert error.code == "several_series"
    assert np.array_equal(voxels(tmp_path, 9), volume(1)[:12][::-1])
    assert sorted(len(voxels(tmp_path, name)) for name in ("7a", "7b")) == [10, COUNT]


@pytest.mark.parametrize(
    "field", ["StudyInstanceUID", "FrameOfReferenceUID", "PixelSpacing", "SeriesDescription", "PatientID"]
)
def test_slices_that_differ_in_more_than_their_uid_are_not_put_together(tmp_path, field):
    def change(data, index):
        own_uids(data, index)
        if index == COUNT - 1:
            setattr(data, field, [7, 7] if field == "PixelSpacing" else "1.2.3.88")

    write_series(tmp_path / "s", change=change)
    refused("2 DICOM series.* 7[ab] .MR, 15 images", tmp_path / "s")


def test_more_series_of_one_number_than_the_alphabet_has_letters(tmp_path):
    for index in range(30):
        write_series(
            tmp_path / "s" / f"{index}", volume(index, 8), SeriesInstanceUID=f"1.2.3.4.{100 + index}"
        )
    error = refused("30 DICOM series: 7a .*, 7z .*, 7aa .*, 7ad .", tmp_path / "s")
    names = [part.split()[0] for part in str(error).split("series: ")[1].split(", ") if part.startswith("7")]
    assert len(set(names)) == 30
    for index in (0, 25, 26, 29):  # the whole folder is read for each
        assert np.array_equal(voxels(tmp_path / "s", names[index]), volume(index, 8)[::-1])


def test_a_long_list_is_cut_but_the_largest_series_stand_in_it(tmp_path):
    for index in range(40):
        count = 10 if index == 35 else 1
        write_series(
            tmp_path / "s" / f"{index}", volume(0, 10)[:count], SeriesInstanceUID=f"1.2.3.4.{index + 100}",
            SeriesNumber=index + 1, SeriesDescription=f"t{index}",
        )  # fmt: skip
    error = refused("no series 77", tmp_path / "s", 77)
    assert "36 (MR, 10 images)" in str(error) and "and 10 more" in str(error)
    assert len(str(error)) < 1000


def test_a_cd_with_its_index_and_subfolders(tmp_path):
    cd = tmp_path / "CD"
    parts = {
        "DICOM/Doe_Jane/ST01/SE01": {"SeriesNumber": 1, "SeriesInstanceUID": "1.2.3.41"},
        "DICOM/Doe_Jane/ST01/SE02": {"SeriesNumber": 2, "SeriesInstanceUID": "1.2.3.42"},
    }
    for index, (name, tags) in enumerate(parts.items()):
        write_series(cd / name, volume(index, 9 + index), **tags)
    index_file = pydicom.dcmread(next((cd / "DICOM").rglob("IM0001")))
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(index_file, keyword)
    index_file.SOPClassUID = index_file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    index_file.save_as(cd / "DICOMDIR")
    (cd / "autorun.inf").write_text("[autorun]")
    (cd / "VIEWER").mkdir()
    (cd / "VIEWER" / "viewer.exe").write_bytes(bytes(5000))
    error = refused("folder and its subfolders hold 2 DICOM series: 1 .MR, 9 images., 2 .MR, 10 images", cd)
    assert error.code == "several_series"
    for index in (1, 2):
        assert np.array_equal(voxels(cd, index), volume(index - 1, 8 + index)[::-1])
    refused("no series 3.*It holds series 1 .MR, 9", cd, 3)
    shutil.rmtree(cd / "DICOM/Doe_Jane/ST01/SE02")
    assert len(voxels(cd)) == 9


def test_one_series_scattered_over_subfolders(tmp_path):
    folder = write_series(tmp_path / "s")
    for path in sorted(folder.iterdir()):
        (folder / f"part{path.name[-1]}").mkdir(exist_ok=True)
        path.rename(folder / f"part{path.name[-1]}" / path.name)
    assert np.array_equal(voxels(folder), volume()[::-1])


def test_subfolders_are_left_alone_where_the_folder_holds_a_series(tmp_path):
    folder = write_series(tmp_path / "s")
    write_series(folder / "more", volume(1, 9), SeriesInstanceUID="1.2.3.66", SeriesNumber=8)
    assert np.array_equal(voxels(folder), volume()[::-1])
    assert np.array_equal(voxels(folder, 8), volume(1, 9)[::-1])  # unless it is asked for


def test_a_folder_of_patients(tmp_path):
    for index in range(3):
        write_series(
            tmp_path / f"Doe_{index}", PatientID=f"SECRET{index}", StudyInstanceUID=f"1.2.3.{index}",
            SeriesInstanceUID=f"1.2.3.{index}.4", PatientName=f"Doe^Jane{index}",
        )  # fmt: skip
    error = refused("3 DICOM series of 3 patients: 7a .MR, 16 images., 7b", tmp_path)
    assert error.code == "several_patients" and "each patient" in error.remedy
    assert np.array_equal(voxels(tmp_path, "7b"), volume()[::-1])


def test_a_localiser_and_a_screenshot_beside_the_series_are_left_out_with_a_note(tmp_path):
    folder = write_series(tmp_path / "s")
    tags = {"SeriesNumber": 1, "SeriesInstanceUID": "1.2.3.31", "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    for path in write_series(tmp_path / "l", volume(5, 8)[:3], **tags).iterdir():
        path.rename(folder / f"localiser{path.name}")
    colour = np.zeros((1, 30, 40, 3), np.uint8)
    shot = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    shot |= {"Modality": "OT", "SeriesNumber": 99}
    for path in write_series(tmp_path / "c", colour, SeriesInstanceUID="1.2.3.32", **shot).iterdir():
        path.rename(folder / "screenshot")
    image, flags = read_series(folder)
    assert np.array_equal(sitk.GetArrayFromImage(image), volume()[::-1])
    assert [(f.code, f.severity) for f in flags] == [("other_images", "info")] and " 4 in number" in flags[
        0
    ].message
    assert len(sitk.GetArrayFromImage(read_series(folder, "7")[0])) == COUNT


@pytest.mark.parametrize("named", ["alike", "otherwise"])
def test_what_is_no_image_is_no_series_and_no_lost_slice(tmp_path, named):
    folder = write_series(tmp_path / "s")
    standard = "1.2.840.10008.5.1.4.1.1."
    classes = {"SR": standard + "88.11", "RTSTRUCT": standard + "481.3", "PR": standard + "11.1"}
    classes |= {"spectroscopy": standard + "4.2", "Siemens raw": "1.3.12.2.1107.5.9.1"}
    for index, (name, uid) in enumerate(classes.items()):
        data = pydicom.dcmread(folder / "IM0001")
        del data.PixelData
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = uid
        data.SeriesInstanceUID, data.Modality = generate_uid(), name[:2]
        data.save_as(folder / (f"IM{COUNT + 1 + index:04d}" if named == "alike" else f"{name}.dcm"))
    image, flags = read_series(folder)
    assert flags == [] and np.array_equal(sitk.GetArrayFromImage(image), volume()[::-1])


def test_numbers_and_modalities_that_are_text_stay_unsaid(tmp_path):
    def change(data, index):
        for tag, text in ((0x00200011, b"Doe^Jane"), (0x00080060, b"HIDDEN")):
            data[tag] = pydicom.dataelem.RawDataElement(
                pydicom.tag.Tag(tag), "LO", len(text), text, 0, False, True
            )
        data.SeriesInstanceUID = "1.2.3.1" if index % 2 else "1.2.3.2"

    write_series(tmp_path / "s", change=change)
    refused("0a .unknown modality, 8 images., 0b .unknown modality, 8 images", tmp_path / "s")
    refused("no series of that name", tmp_path / "s", "Doe, Jane")
