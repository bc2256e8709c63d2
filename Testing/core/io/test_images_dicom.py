"""DICOM folders: synthetic series written with pydicom, and a real one assembled by hand."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import SimpleITK as sitk

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import FileDataset, FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, generate_uid  # noqa: E402

from HippoSegLib.errors import InputError  # noqa: E402
from HippoSegLib.io.images import read_image, read_scan  # noqa: E402

MR_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
COUNT = 40


def volume(seed: int = 0) -> np.ndarray:
    """A noisy block in noise: (slice, row, column), uint16."""
    rng = np.random.default_rng(seed)
    array = rng.normal(30, 8, (COUNT, 48, 44)).clip(0)
    array[6:-6, 6:-6, 6:-6] = rng.normal(500, 60, (COUNT - 12, 36, 32))
    return array.astype(np.uint16)


def write_slice(path, pixels, position, *, series=None, orientation=SAGITTAL, **tags) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MR_STORAGE
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = MR_STORAGE, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.PatientBirthDate = "Doe^Jane", "SECRET1", "19700101"
    data.SeriesDescription = "T1 of Jane Doe"
    data.Modality, data.SeriesNumber = "MR", 7
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", series or "1.2.3.4"
    data.FrameOfReferenceUID = "1.2.3.5"
    data.ImagePositionPatient = [f"{v:.6f}" for v in position]
    data.ImageOrientationPatient = [f"{v:.6f}" for v in orientation]
    data.PixelSpacing = [3.2, 3.0]  # between rows, between columns
    data.SliceThickness = 3.5
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape[:2] if "SamplesPerPixel" in tags else pixels.shape[-2:]
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    data.PixelData = pixels.tobytes()
    for key, value in tags.items():
        setattr(data, key, value)
    data.save_as(path, enforce_file_format=True)


def write_series(folder, array=None, positions=None, **tags) -> None:
    """Sagittal slices from right to left, 3.5 mm apart; file names in no order."""
    folder.mkdir(exist_ok=True)
    array = volume() if array is None else array
    if positions is None:
        positions = [(-68.25 + 3.5 * k, -70.0, 80.0) for k in range(len(array))]
    names = np.random.default_rng(3).permutation(len(array))
    for pixels, position, name in zip(array, positions, names, strict=True):
        write_slice(folder / f"{tags.get('series', 'i')}{name:03d}", pixels, position, **tags)


def refused(words: str, path, **options) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_scan(path, **options)
    text = str(caught.value)
    assert caught.value.remedy and "Doe" not in text and "SECRET" not in text and "1970" not in text
    return caught.value


def test_series_is_sorted_by_position(tmp_path):
    write_series(tmp_path / "s")
    scan = read_scan(tmp_path / "s")
    assert len(scan.flags) == 1 and "coarse" in scan.flags[0].message  # 3.5 mm slices
    image = scan.image
    # Columns run to posterior, rows to inferior, slices (their normal) from left to right.
    assert image.GetSize() == (44, 48, COUNT)
    assert np.allclose(image.GetSpacing(), (3.0, 3.2, 3.5))
    assert np.allclose(np.reshape(image.GetDirection(), (3, 3)), [[0, 0, -1], [1, 0, 0], [0, -1, 0]])
    assert np.allclose(image.GetOrigin(), (-68.25 + 3.5 * (COUNT - 1), -70, 80))
    assert np.array_equal(sitk.GetArrayViewFromImage(image), volume()[::-1])
    assert image.GetMetaDataKeys() == ()


def test_other_files_in_the_folder_are_ignored(tmp_path):
    write_series(tmp_path / "s")
    (tmp_path / "s" / "notes.txt").write_text("x" * 500)
    (tmp_path / "s" / "empty").write_bytes(b"")
    (tmp_path / "s" / "more").mkdir()
    report = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SOPClassUID, report.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", generate_uid()
    report.Modality, report.SeriesInstanceUID = "SR", "9.9.9"
    report.save_as(tmp_path / "s" / "report.dcm", enforce_file_format=True)
    assert read_image(tmp_path / "s").GetSize()[2] == COUNT


def test_rescaled_series_is_read_as_float(tmp_path):
    write_series(tmp_path / "s", RescaleSlope="0.5", RescaleIntercept="-10")
    image = read_image(tmp_path / "s")
    assert image.GetPixelID() == sitk.sitkFloat32
    assert np.allclose(sitk.GetArrayViewFromImage(image), volume()[::-1] * 0.5 - 10)


def test_empty_folder_and_single_file(tmp_path):
    (tmp_path / "empty").mkdir()
    refused("'empty' holds no DICOM", tmp_path / "empty")
    write_series(tmp_path / "s", volume()[:1])
    refused("single slice", tmp_path / "s")
    only = next((tmp_path / "s").iterdir())
    refused("one DICOM file", only)


def test_several_series_are_named_and_can_be_chosen(tmp_path):
    write_series(tmp_path / "s")
    write_series(tmp_path / "s", volume(1)[:30], series="1.2.3.9", SeriesNumber=12)
    error = refused("2 DICOM series: 7 .MR, 40 images., 12 .MR, 30 images.", tmp_path / "s")
    assert "number" in error.remedy
    assert np.array_equal(sitk.GetArrayFromImage(read_image(tmp_path / "s", series=12)), volume(1)[:30][::-1])
    assert read_image(tmp_path / "s", series="7").GetSize()[2] == COUNT
    refused("no series 3", tmp_path / "s", series=3)


def test_series_of_one_number_are_told_apart(tmp_path):
    write_series(tmp_path / "s")
    write_series(tmp_path / "s", volume(1)[:30], series="1.2.3.9")
    refused("7a .*40 images.*7b .*30 images", tmp_path / "s")
    assert read_image(tmp_path / "s", series="7b").GetSize()[2] == 30


@pytest.mark.parametrize("missing", [[20], [5, 6], [3, 17, 30]])
def test_missing_slices_are_counted(tmp_path, missing):
    keep = [k for k in range(COUNT) if k not in missing]
    write_series(tmp_path / "s", volume()[keep], [(3.5 * k, 0.0, 0.0) for k in keep])
    refused(f"gaps: {len(missing)} slice", tmp_path / "s")


def test_uneven_spacing(tmp_path):
    heights = 3.5 * np.arange(COUNT)
    heights[20:] += 1.2
    write_series(tmp_path / "s", positions=[(h, 0.0, 0.0) for h in heights])
    refused("unevenly spaced", tmp_path / "s")


def test_rounded_positions_are_no_unevenness(tmp_path):
    write_series(tmp_path / "s", positions=[(round(10 / 3 * k, 2), 0.0, 0.0) for k in range(COUNT)])
    assert abs(read_image(tmp_path / "s").GetSpacing()[2] - 10 / 3) < 1e-3


def test_every_second_slice_missing_is_remarked_on(tmp_path):
    write_series(tmp_path / "s", SpacingBetweenSlices="1.75")
    assert "slices may be missing" in read_scan(tmp_path / "s").flags[0].message


def test_several_images_at_one_position(tmp_path):
    array, places = volume(), [(3.5 * k, 0.0, 0.0) for k in range(COUNT)]
    write_series(tmp_path / "s", np.concatenate([array, array]), places + places)
    refused("several images at one position", tmp_path / "s")


def test_tilted_gantry(tmp_path):
    write_series(tmp_path / "s", positions=[(3.5 * k, 0.0, 0.6 * k) for k in range(COUNT)])
    refused("tilted gantry", tmp_path / "s")
    write_series(tmp_path / "t", GantryDetectorTilt="12")
    refused("tilted gantry", tmp_path / "t")


def test_mixed_orientations(tmp_path):
    write_series(tmp_path / "s")
    write_slice(tmp_path / "s" / "localiser", volume()[0], (0, 0, 0), orientation=(1, 0, 0, 0, 1, 0))
    refused("different size or orientation", tmp_path / "s")


def test_slices_without_position(tmp_path):
    write_series(tmp_path / "s", ImagePositionPatient=None)
    refused("do not state where they lie", tmp_path / "s")


def test_enhanced_multi_frame(tmp_path):
    (tmp_path / "s").mkdir()
    write_slice(tmp_path / "s" / "all", volume(), (0, 0, 0), NumberOfFrames=COUNT)
    refused("multi-frame", tmp_path / "s")


def test_colour_slices(tmp_path):
    colour = np.repeat(volume()[..., None], 3, axis=-1).astype(np.uint8)
    write_series(
        tmp_path / "s",
        colour,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
    )
    refused("colour", tmp_path / "s")


def test_damaged_slice(tmp_path):
    write_series(tmp_path / "s")
    victim = sorted((tmp_path / "s").iterdir())[10]
    victim.write_bytes(victim.read_bytes()[:-2000])
    refused("cannot be read|gaps", tmp_path / "s")


def test_real_series_against_pydicom(data_dir, tmp_path):
    folder = data_dir / "dicom_head" / "series"
    scan = read_scan(folder)
    assert scan.flags == ()
    slices = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    row, column = np.reshape([float(v) for v in slices[0].ImageOrientationPatient], (2, 3))
    normal = np.cross(row, column)
    slices.sort(key=lambda s: np.dot([float(v) for v in s.ImagePositionPatient], normal))
    array = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices])
    assert np.allclose(sitk.GetArrayViewFromImage(scan.image), array, rtol=1e-5)
    for index in (0, 80, len(slices) - 1):
        expected = [float(v) for v in slices[index].ImagePositionPatient]
        assert np.allclose(scan.image.TransformIndexToPhysicalPoint((0, 0, index)), expected, atol=0.02)
    for path in sorted(folder.iterdir())[:60]:
        if path.name not in ("1301_0030.dcm", "1301_0031.dcm"):
            shutil.copy(path, tmp_path)
    refused("gaps: 2 slices are missing", tmp_path)
