"""What is said about a folder that holds no DICOM image: a sentence that fits, without any name in it."""

from __future__ import annotations

import pydicom
import pytest
from dicomwriter import COUNT, write_series

from HippoSegLib.errors import InputError
from HippoSegLib.io.images import read_scan


def refused(words: str, folder) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_scan(folder)
    assert caught.value.remedy and caught.value.code != "input"
    assert "Doe" not in str(caught.value)
    return caught.value


def touch(folder, *names) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 400)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "The folder holds no DICOM image"),
        (["readme.txt"], "The folder holds no DICOM image"),
        (["Doe1.nii.gz", "Doe2.nii"], "holds 2 NIfTI files, but no DICOM image"),
        (["a.nii.gz"], "holds 1 NIfTI file, but"),
        (["a.mha", "b.mhd", "b.raw"], "holds 2 MetaImage files"),
        (["a.nrrd", "b.nii", "c.nii"], "holds 2 NIfTI files and 1 NRRD file, but"),
        (["Doe1/T1.nii.gz", "Doe2/T1.nii.gz"], "folder and its subfolders hold 2 NIfTI files"),
        (["mri/T1.mgz", "mri/brain.mgz", "surf/lh.pial"], "hold 2 FreeSurfer files"),
        (["a.hdr", "a.img"], "2 Analyze files"),
    ],
)
def test_what_the_folder_holds_instead(tmp_path, names, words):
    (tmp_path / "Doe").mkdir()
    touch(tmp_path / "Doe", *names)
    error = refused(words, tmp_path / "Doe")
    assert error.code == "no_dicom_image"
    if any(name.endswith(("nii", "nii.gz", "mha", "nrrd", "mgz", "img")) for name in names):
        assert "several can be given at once" in error.remedy


def test_an_archive_is_to_be_unpacked(tmp_path):
    touch(tmp_path / "s", "Doe.zip")
    assert "Unpack" in refused("1 packed archive, but no DICOM", tmp_path / "s").remedy


@pytest.mark.parametrize("described", [True, False])
def test_a_bids_root(tmp_path, described):
    scans = [f"sub-{k}/anat/sub-{k}_T1w.nii.gz" for k in ("Doe", "02", "03")]
    touch(tmp_path / "b", *scans, *(["dataset_description.json"] if described else []))
    error = refused("BIDS data set .3 subjects., not a scan", tmp_path / "b")
    assert error.code == "bids_folder" and "sub-*/anat/*_T1w.nii.gz" in error.remedy


def test_a_series_below_a_folder_of_other_scans_is_not_taken_for_the_scan(tmp_path):
    write_series(tmp_path / "d" / "series")
    touch(tmp_path / "d", "Doe1/T1.nii.gz", "Doe2/T1.nii.gz")
    error = refused("hold DICOM images and 2 NIfTI files", tmp_path / "d")
    assert error.code == "mixed_folder"
    assert read_scan(tmp_path / "d", series=7).image.GetSize()[2] == COUNT
    touch(tmp_path / "d" / "series", "T1.nii.gz")  # beside the slices: what a conversion leaves there
    assert read_scan(tmp_path / "d" / "series").image.GetSize()[2] == COUNT


def test_damaged_files_alone(tmp_path):
    folder = write_series(tmp_path / "s")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:500])
    assert refused("16 damaged DICOM files and no other", folder).code == "damaged"


def test_dicom_files_without_an_image(tmp_path):
    folder = write_series(tmp_path / "s")
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        del data.PixelData
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
        data.save_as(path)
    refused("no DICOM image", folder)
