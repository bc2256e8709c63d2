"""DICOM folders as scans: read, checked and measured like a file; a real series assembled by hand."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicomwriter import COUNT, SECRETS, volume, write_series

from HippoSegLib.errors import DependencyError, InputError
from HippoSegLib.io.images import read_image, read_scan


def refused(words: str, path, **options) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_scan(path, **options)
    assert caught.value.remedy and not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def test_a_series_is_a_scan(tmp_path):
    scan = read_scan(write_series(tmp_path / "s"))
    assert [flag.code for flag in scan.flags] == ["coarse_voxels"]  # 6 mm
    # Columns run to posterior, rows to inferior, slices (their normal) from left to right.
    assert scan.image.GetSize() == (22, 24, COUNT)
    assert np.allclose(scan.image.GetSpacing(), (5.4, 5.8, 6.0))
    assert np.allclose(np.reshape(scan.image.GetDirection(), (3, 3)), [[0, 0, -1], [1, 0, 0], [0, -1, 0]])
    assert np.allclose(scan.image.GetOrigin(), (-48 + 6 * (COUNT - 1), -70, 80))
    assert np.array_equal(sitk.GetArrayViewFromImage(scan.image), volume()[::-1])
    assert scan.image.GetMetaDataKeys() == ()


def test_flags_of_the_series_are_flags_of_the_scan(tmp_path):
    scan = read_scan(write_series(tmp_path / "s", SpacingBetweenSlices="3"))
    assert [flag.code for flag in scan.flags] == ["slices_missing", "coarse_voxels"]
    assert "slices may be missing" in scan.flags[0].message


def test_one_file_of_a_series_and_one_slice(tmp_path):
    write_series(tmp_path / "s", volume()[:1])
    refused("single slice", tmp_path / "s")
    refused("one DICOM file", tmp_path / "s" / "IM0001")


def test_a_series_is_chosen_by_its_number(tmp_path):
    write_series(tmp_path / "s" / "a")
    write_series(tmp_path / "s" / "b", volume(1)[:12], SeriesInstanceUID="1.2.3.9", SeriesNumber=12)
    error = refused("2 DICOM series: 7 .MR, 16 images., 12 .MR, 12 images.", tmp_path / "s")
    assert error.code == "several_series" and "number" in error.remedy
    chosen = sitk.GetArrayFromImage(read_image(tmp_path / "s", series=12))
    assert np.array_equal(chosen, volume(1)[:12][::-1])
    assert read_image(tmp_path / "s", series="7").GetSize()[2] == COUNT


def test_without_pydicom_the_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    write_series(tmp_path / "s")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DependencyError, match="pip install"):
        read_scan(tmp_path / "s")


def test_real_series_against_pydicom(data_dir, tmp_path):
    folder = data_dir / "dicom_head" / "series"
    scan = read_scan(folder)
    assert scan.flags == ()
    slices = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    row, column = np.reshape([float(v) for v in slices[0].ImageOrientationPatient], (2, 3))
    normal = np.cross(row, column)
    slices.sort(key=lambda s: np.dot([float(v) for v in s.ImagePositionPatient], normal))
    array = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices])
    assert np.array_equal(sitk.GetArrayViewFromImage(scan.image), array.astype(np.float32))
    for index in (0, 80, len(slices) - 1):
        expected = [float(v) for v in slices[index].ImagePositionPatient]
        assert np.allclose(scan.image.TransformIndexToPhysicalPoint((0, 0, index)), expected, atol=0.02)
    for path in sorted(folder.iterdir())[:60]:
        if path.name not in ("1301_0030.dcm", "1301_0031.dcm"):
            shutil.copy(path, tmp_path)
    refused("gaps: 2 slices are missing", tmp_path)
