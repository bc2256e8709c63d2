"""What is given by mistake gets the sentence that fits it, with a remedy that helps."""

from __future__ import annotations

import gzip
import io
import re
import sys
import tarfile
import zipfile

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from handmade import nrrd_fields, write_nrrd

from HippoSegLib.errors import DependencyError, HippoSegError, InputError
from HippoSegLib.evaluation.labelmap import read_labels
from HippoSegLib.io.images import image_stem, read_scan
from HippoSegLib.io.names import shown


def said(path, cause: str, remedy: str, region: bool = False) -> HippoSegError:
    with pytest.raises(HippoSegError) as caught:
        read_scan(path, region)
    error = caught.value
    assert re.search(cause, error.cause) and re.search(remedy, error.remedy), str(error)
    assert error.cause.count(". ") == 0 and error.code not in ("", "internal")
    return error


def slab(size, spacing) -> sitk.Image:
    rng = np.random.default_rng(0)
    image = sitk.GetImageFromArray(rng.normal(500, 60, size[::-1]).astype(np.int16))
    image.SetSpacing(spacing)
    return image


@pytest.mark.parametrize("size", [(60, 60, 9), (60, 9, 60), (9, 60, 60)])
def test_a_slab(tmp_path, size):
    sitk.WriteImage(slab(size, [4.0 if n == 60 else 3.9 for n in size]), str(tmp_path / "a.nii"))
    error = said(tmp_path / "a.nii", r"a slab of .*240.*mm", "whole head")
    assert error.code == "slab" and "35.1" in error.cause


def test_small_things_are_no_slab(tmp_path, region):
    sitk.WriteImage(region, str(tmp_path / "a.nii"))
    said(tmp_path / "a.nii", "measures", "of which side")


def test_one_picture_and_one_slice(tmp_path):
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        sitk.WriteImage(slab((60, 60, 1), (4, 4, 4)), str(tmp_path / f"a{suffix}"))
        assert said(tmp_path / f"a{suffix}", "2D", "3D T1 image").code == "two_dimensional"
    sitk.WriteImage(sitk.Cast(slab((60, 60, 1), (4, 4, 4)), sitk.sitkUInt8)[:, :, 0], str(tmp_path / "a.png"))
    said(tmp_path / "a.png", "is a picture", "NIfTI or DICOM")


PREAMBLE = bytes(128) + b"DICM" + bytes(400)
TAR = io.BytesIO()
with tarfile.open(fileobj=TAR, mode="w") as _tar:
    _tar.addfile(tarfile.TarInfo("scan.dcm"))
ZIP = io.BytesIO()
with zipfile.ZipFile(ZIP, "w") as _zip:
    _zip.writestr("scan.nii", "x")


# No time of making in what is compressed: it would be in the tests' names, which two workers must agree on.
@pytest.mark.parametrize(
    ("name", "content", "cause", "remedy"),
    [
        ("IM0001", PREAMBLE, "one DICOM file", "folder that holds the series"),
        ("a.dcm", PREAMBLE, "one DICOM file", "folder that holds the series"),
        ("a.ima", b"\x08\0\x05\0" + bytes(600), "one DICOM file", "folder that holds the series"),
        ("a.nii", PREAMBLE, "no NIfTI file; it looks like a DICOM file", "again"),
        ("scans.zip", ZIP.getvalue(), "is an archive", "Unpack it"),
        ("scans.tar", TAR.getvalue(), "is an archive", "Unpack it"),
        (
            "scans.tar.gz",
            gzip.compress(TAR.getvalue(), mtime=0),
            "compressed file that holds an archive",
            "Unpack it",
        ),
        (
            "scans.gz",
            gzip.compress(b"some text" * 99, mtime=0),
            "compressed file that holds no NIfTI",
            "Unpack it",
        ),
        ("scans.gz", b"\x1f\x8b" + bytes(50), "compressed file that holds no NIfTI", "Unpack it"),
        ("a.nii.gz", ZIP.getvalue(), "looks like an archive", "again"),
        ("a.nii", b"\x89PNG\r\n\x1a\n" + bytes(600), "looks like a picture", "again"),
        ("a.nii.gz", b"<!DOCTYPE html>" + bytes(600), "looks like a web page", "again"),
        (
            "a.nii.gz",
            b"version https://git-lfs.github.com/spec/v1" + b" " * 400,
            "pointer of Git LFS",
            "again",
        ),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(600), "is a picture", "NIfTI or DICOM"),
        ("a.pdf", b"%PDF-1.7" + bytes(600), "PDF", "Give NIfTI"),
        ("a.mnc", b"CDF\x01" + bytes(600), "MINC", "mnc2nii"),
        ("a.mnc", b"\x89HDF\r\n\x1a\n" + bytes(600), "MINC", "mnc2nii"),
        ("a+orig.BRIK", b"\0\1" * 600, "AFNI", "3dAFNItoNIFTI"),
        ("a+orig.HEAD", b"type = string-attribute", "AFNI", "3dAFNItoNIFTI"),
        ("a.PAR", b"# === DATA DESCRIPTION FILE", "PAR/REC", "dcm2niix"),
        ("sub-1_T1w.json", b"{}", "text beside a scan", "scan itself"),
        ("participants.tsv", b"participant_id\n", "table", "scans themselves"),
        ("notes.txt", b"hello", "not of a kind", "Give NIfTI"),
    ],
)
def test_other_files(tmp_path, name, content, cause, remedy):
    (tmp_path / name).write_bytes(content)
    said(tmp_path / name, cause, remedy)


def test_good_files_under_a_wrong_name(tmp_path, head):
    sitk.WriteImage(head, str(tmp_path / "a.nii.gz"))
    sitk.WriteImage(head, str(tmp_path / "a.nrrd"))
    sitk.WriteImage(head, str(tmp_path / "a.mha"))
    for source, ending in (("a.nii.gz", ".nii"), ("a.nrrd", ".nrrd"), ("a.mha", ".mha")):
        (tmp_path / "scan").write_bytes((tmp_path / source).read_bytes())
        said(tmp_path / "scan", "NIfTI|NRRD|MetaImage", re.escape(f"ends in {ending}"))
    (tmp_path / "b.nii").write_bytes((tmp_path / "a.nrrd").read_bytes())
    said(tmp_path / "b.nii", "looks like NRRD", "again")


def test_the_remedy_for_what_is_missing_is_not_a_program_that_fills_it_in(tmp_path, head):
    """3D Slicer shows a file without voxel size as 1 mm, and saves it so."""
    array = sitk.GetArrayFromImage(head)
    for field in ("space", "space directions"):
        write_nrrd(tmp_path / "a.nrrd", nrrd_fields(array, head) | {field: None}, array.tobytes())
        assert "Slicer" not in str(said(tmp_path / "a.nrrd", "does not", "DICOM"))


# nibabel


def test_freesurfer_and_analyze_without_nibabel(tmp_path, head, region, monkeypatch):
    nib.save(nib.MGHImage(sitk.GetArrayFromImage(head).T, np.diag([2.8, 2.6, 3, 1])), tmp_path / "a.mgz")
    nib.save(nib.AnalyzeImage(sitk.GetArrayFromImage(region).T, None), tmp_path / "a.hdr")
    read_scan(tmp_path / "a.mgz")
    monkeypatch.setitem(sys.modules, "nibabel", None)
    for path, crop in ((tmp_path / "a.mgz", False), (tmp_path / "a.hdr", True), (tmp_path / "a.img", True)):
        with pytest.raises(DependencyError) as caught:
            read_scan(path, crop)
        assert caught.value.code == "needs_nibabel"
        assert "pip install nibabel" in caught.value.remedy and "mri_convert" in caught.value.remedy


def test_analyze_of_a_head_cannot_be_told_left_from_right(tmp_path, head):
    nib.save(nib.AnalyzeImage(sitk.GetArrayFromImage(head).T, None), tmp_path / "a.hdr")
    for name in ("a.hdr", "a.img"):
        assert said(tmp_path / name, "Analyze.*left and right", "dcm2niix").code == "no_orientation"


@pytest.mark.parametrize("missing", [".hdr", ".img"])
def test_half_a_pair(tmp_path, head, missing):
    pair = nib.Nifti1Pair(sitk.GetArrayFromImage(head).T, np.diag([2.8, 2.6, 3, 1]))
    nib.save(pair, tmp_path / "a.hdr")
    (tmp_path / f"a{missing}").unlink()
    other = ".img" if missing == ".hdr" else ".hdr"
    said(tmp_path / f"a{other}", "one file of a pair", re.escape(missing))
    said(tmp_path / f"a{missing}", "does not exist", "path")


# The rest


def test_a_series_is_no_choice_for_a_file(tmp_path, head):
    sitk.WriteImage(head, str(tmp_path / "a.nii"))
    (flag,) = read_scan(tmp_path / "a.nii", series=3).flags
    assert flag.code == "series_ignored" and flag.severity == "info" and "does nothing" in flag.message


def test_labels_get_the_sentence_for_labels(tmp_path, head):
    """Label maps are read by the same readers; what is said of them asks for labels."""
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0005\ntype: uchar\ndimension: 3\nspace: LPS\nsizes: 4 4 4\n\n")
    with pytest.raises(InputError, match="space directions"):
        read_labels(tmp_path / "a.nrrd")
    four = sitk.JoinSeries([head, head])
    sitk.WriteImage(four, str(tmp_path / "a.mha"))
    with pytest.raises(InputError, match=r"several volumes.*Give the labels"):
        read_labels(tmp_path / "a.mha")


def test_names_in_messages():
    assert shown("/data/scan.nii") == "scan.nii"
    assert shown("/data/sc\nan\x1b.nii") == "sc?an?.nii"
    assert shown("/data/sc\udce9an.nii") == "sc?an.nii"
    long = shown("/data/" + "a" * 300 + "b.nii.gz")
    assert len(long) <= 80 and long.endswith("b.nii.gz") and "..." in long


def test_stems_of_all_kinds():
    for suffix in (
        ".nii",
        ".nii.gz",
        ".nrrd",
        ".nhdr",
        ".mha",
        ".mhd",
        ".mgz",
        ".mgh",
        ".hdr",
        ".img",
        ".img.gz",
    ):
        assert image_stem(f"a/scan.v2{suffix}") == image_stem(f"scan.v2{suffix.upper()}") == "scan.v2"
    assert image_stem("a/.nii.gz") == ".nii.gz"
