"""The voxels of a DICOM series: as ITK reads them; refused where a slice does not hold what it describes."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicomwriter import COUNT, SECRETS, enhanced, read_with_itk, volume, write_series

from HippoSegLib.errors import InputError
from HippoSegLib.io.dicom import read_series

KINDS = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32]


def refused(words: str, folder) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_series(folder)
    assert caught.value.remedy and caught.value.code != "input"
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def as_itk_reads_it(folder, flags=()) -> np.ndarray:
    """Read the series, compare voxels and grid with ITK's own reader, and return the voxels."""
    image, found = read_series(folder)
    assert tuple(f.code for f in found) == tuple(flags)
    expected = read_with_itk(folder)
    array = sitk.GetArrayFromImage(image)
    assert np.array_equal(array, sitk.GetArrayFromImage(expected).astype(array.dtype))
    for one, other in zip(
        (image.GetSpacing(), image.GetOrigin(), image.GetDirection()),
        (expected.GetSpacing(), expected.GetOrigin(), expected.GetDirection()),
        strict=True,
    ):
        assert np.allclose(one, other)
    return array


def small(kind: type) -> np.ndarray:
    """A volume that fits any integer type, with the type's extremes in its corners."""
    array = (volume() // 6).clip(0, 120).astype(kind)
    array[0, 0, 0], array[0, 0, 1] = np.iinfo(kind).min, np.iinfo(kind).max
    return array


@pytest.mark.parametrize("kind", KINDS)
def test_every_integer_type(tmp_path, kind):
    array = small(kind)
    write_series(tmp_path / "s", array)
    result = as_itk_reads_it(tmp_path / "s")
    assert result.dtype == kind and np.array_equal(result, array[::-1])


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [10, 12, 15])
def test_fewer_bits_are_stored_than_allocated(tmp_path, bits, signed):
    array = (volume() // 2).astype(np.int16)
    array[0, 0, :2] = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    stored = array.astype(np.uint16) & ((1 << bits) - 1)  # the upper bits are zero, not copies of the sign
    for name, pixels in (("zeros", stored), ("signs", array)):
        write_series(tmp_path / name, pixels, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=signed)
        assert np.array_equal(as_itk_reads_it(tmp_path / name), array[::-1])


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_values_that_need_more_bits_than_stored_are_refused(tmp_path, kind):
    array = volume().astype(kind)
    array[4, 3, 2] = 5000
    write_series(tmp_path / "s", array, BitsStored=12, HighBit=11)
    refused("slice with InstanceNumber 5 holds values that need more bits", tmp_path / "s")

    def overlay(data, index):
        data.add_new(0x60000102, "US", 12)

    write_series(tmp_path / "o", array, overlay, BitsStored=12, HighBit=11)
    result = as_itk_reads_it(tmp_path / "o")  # an overlay lies there: it is cut off
    assert result[COUNT - 5, 3, 2] == 5000 - 4096


@pytest.mark.parametrize("slope", ["2.36166056166056", "0.1", "1", "-3", "2"])
@pytest.mark.parametrize("intercept", ["0", "-10", "0.5", "-1024"])
def test_one_rescaling_for_all_slices(tmp_path, slope, intercept):
    write_series(tmp_path / "s", RescaleSlope=slope, RescaleIntercept=intercept)
    array = as_itk_reads_it(tmp_path / "s")
    whole = slope == "1" and intercept != "0.5"
    assert array.dtype.kind in "ui" if whole else array.dtype == np.float32


def test_a_rescaling_of_its_own_for_every_slice(tmp_path):
    def change(data, index):
        data.RescaleSlope, data.RescaleIntercept = f"{1 + 0.37 * index:.4f}", f"{-0.5 * index}"

    write_series(tmp_path / "s", change=change)
    factors = np.round(1 + 0.37 * np.arange(COUNT), 4)[:, None, None]
    offsets = -0.5 * np.arange(COUNT)[:, None, None]
    image, _ = read_series(tmp_path / "s")
    expected = (volume() * factors + offsets)[::-1].astype(np.float32)
    assert np.array_equal(sitk.GetArrayFromImage(image), expected)


def test_offsets_of_their_own_stay_integers(tmp_path):
    def change(data, index):
        data.RescaleSlope, data.RescaleIntercept = "1", str(-1000 if index == 2 else 30000 * (index == 3))

    write_series(tmp_path / "s", change=change, BitsStored=12, HighBit=11)
    image, _ = read_series(tmp_path / "s")
    offsets = np.zeros(COUNT, int)
    offsets[2], offsets[3] = -1000, 30000
    expected = (volume() + offsets[:, None, None])[::-1]
    assert image.GetPixelID() == sitk.sitkInt32
    assert np.array_equal(sitk.GetArrayFromImage(image), expected)


@pytest.mark.parametrize(("field", "value"), [("RescaleSlope", "2"), ("RescaleIntercept", "-100")])
def test_a_rescaling_that_only_some_slices_state_is_refused(tmp_path, field, value):
    def change(data, index):
        data.RescaleSlope, data.RescaleIntercept = "1", "0"
        setattr(data, field, value)
        if index == 6:
            delattr(data, field)

    write_series(tmp_path / "s", change=change)
    refused(f"{field} is missing in the slice with InstanceNumber 7", tmp_path / "s")


@pytest.mark.parametrize("tags", [{}, {"RescaleSlope": "0.5", "RescaleIntercept": "3"}])
def test_inverted_values_are_turned_back_with_a_note(tmp_path, tags):
    array = volume()
    write_series(tmp_path / "s", 4095 - array, PhotometricInterpretation="MONOCHROME1", **tags)
    for path in (tmp_path / "s").iterdir():
        data = pydicom.dcmread(path)
        data.BitsStored, data.HighBit = 12, 11
        data.save_as(path)
    result = as_itk_reads_it(tmp_path / "s", ["inverted"])
    assert np.array_equal(result, (array * (0.5 if tags else 1) + (3 if tags else 0))[::-1])


def test_inverted_slices_among_others_are_refused(tmp_path):
    def change(data, index):
        data.PhotometricInterpretation = "MONOCHROME1" if index == 3 else "MONOCHROME2"

    write_series(tmp_path / "s", change=change)
    refused("PhotometricInterpretation differs", tmp_path / "s")


def test_a_table_of_values_is_refused(tmp_path):
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [4096, 0, 16], "US", bytes(8192)
    table["LUTDescriptor"].VR = "US"
    write_series(tmp_path / "s", ModalityLUTSequence=[table])
    refused("ModalityLUTSequence", tmp_path / "s")


@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.parametrize("kept", ["nothing", "a quarter", "all but one value"])
def test_pixel_data_that_are_too_short_name_the_slice(tmp_path, where, kept):
    victim = {"first": 0, "middle": 7, "last": COUNT - 1}[where]

    def change(data, index):
        length = {"nothing": 0, "a quarter": 264, "all but one value": 1054}[kept]
        data.PixelData = data.PixelData[: length if index == victim else None]

    write_series(tmp_path / "s", change=change)
    error = refused(f"slice with InstanceNumber {victim + 1} holds .* describe 1056", tmp_path / "s")
    assert error.code == "truncated"


@pytest.mark.parametrize("bytes_lost", [1, 500, 1056, 1200, 1500])
def test_a_file_that_is_cut_off_names_the_slice(tmp_path, bytes_lost):
    folder = write_series(tmp_path / "s")
    for victim in ("IM0001", "IM0008", f"IM{COUNT:04d}"):
        whole = (folder / victim).read_bytes()
        (folder / victim).write_bytes(whole[:-bytes_lost])
        refused(f"(InstanceNumber|file) {int(victim[2:])} ", folder)
        (folder / victim).write_bytes(whole)
    read_series(folder)


def test_a_file_cut_off_anywhere_is_never_dropped(tmp_path):
    folder = write_series(tmp_path / "s")
    whole = (folder / "IM0001").read_bytes()
    for length in range(0, len(whole), 37):
        (folder / "IM0001").write_bytes(whole[:length])
        refused("damaged.*(InstanceNumber|file) 1 ", folder)


def test_padding_is_no_fault_but_a_wrong_size_is(tmp_path):
    def padded(data, index):
        data.PixelData += bytes(2 * (index % 5))

    write_series(tmp_path / "s", change=padded)
    assert np.array_equal(as_itk_reads_it(tmp_path / "s"), volume()[::-1])
    write_series(tmp_path / "wide", Columns=21)
    refused("holds 1056 bytes of pixel data; .* only 1008", tmp_path / "wide")


def test_what_may_follow_the_pixel_data(tmp_path):
    folder = write_series(tmp_path / "s")
    whole = (folder / "IM0008").read_bytes()
    for tail in (bytes(700), b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0" + bytes(8)):
        (folder / "IM0008").write_bytes(whole + tail)
        assert np.array_equal(sitk.GetArrayFromImage(read_series(folder)[0]), volume()[::-1])
    at = whole.index(b"\xe0\x7f\x10\0") + 300
    for count in (2, 3, 44, 300):  # inserted within them: all that follow are shifted
        (folder / "IM0008").write_bytes(whole[:at] + b"x" * count + whole[at:])
        assert refused("slice with InstanceNumber 8 goes on after its pixel data", folder).code == "too_long"


def test_odd_numbers_of_bytes(tmp_path):
    array = small(np.uint8)[:, :23, :21]
    write_series(tmp_path / "s", array)  # pydicom pads to an even length
    assert np.array_equal(as_itk_reads_it(tmp_path / "s"), array[::-1])


def test_big_endian_bytes_in_words(tmp_path):
    array = small(np.uint8)

    def change(data, index):
        data.PixelData = np.frombuffer(data.PixelData, "u2").byteswap().tobytes()
        data["PixelData"].VR = "OW"

    write_series(tmp_path / "s", array, change, pydicom.uid.ExplicitVRBigEndian)
    image, _ = read_series(tmp_path / "s")
    assert np.array_equal(sitk.GetArrayFromImage(image), array[::-1])


def test_floating_point_pixels_are_refused(tmp_path):
    def change(data, index):
        data.FloatPixelData = np.frombuffer(data.PixelData, "u2").astype("f4").tobytes()
        data.BitsAllocated, data.BitsStored, data.HighBit = 32, 32, 31
        del data.PixelData

    write_series(tmp_path / "s", change=change)
    refused("floating-point", tmp_path / "s")


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colours_are_refused(tmp_path, photometric, planar):
    colour = np.repeat(small(np.uint8)[..., None], 3, axis=-1)
    tags = {"SamplesPerPixel": 3, "PhotometricInterpretation": photometric, "PlanarConfiguration": planar}
    write_series(tmp_path / "s", colour, **tags)
    refused("colour", tmp_path / "s")


def test_an_unknown_transfer_syntax_names_dcm2niix(tmp_path):
    def change(data, index):
        data.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.840.113619.5.2")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pydicom.dataset.Dataset, "save_as", _save_as_explicit)
        write_series(tmp_path / "s", change=change)
    assert "dcm2niix" in refused("stored in a way that is not read here", tmp_path / "s").remedy


def _save_as_explicit(data, path, **_):
    pydicom.dcmwrite(path, data, implicit_vr=False, little_endian=True)


def test_too_many_voxels_are_refused_before_any_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("HippoSegLib.io.dicom_format.MAX_BYTES", 16_000)
    assert refused("million voxels", write_series(tmp_path / "s")).code == "too_large"


@pytest.mark.parametrize("rows", [60000, 65535])
def test_a_header_that_claims_much_costs_nothing(tmp_path, rows):
    write_series(tmp_path / "s", Rows=rows, Columns=rows)
    refused("million voxels", tmp_path / "s")


def test_a_file_that_shrinks_after_its_header_was_read_is_refused(tmp_path, monkeypatch):
    folder = write_series(tmp_path / "s")
    from HippoSegLib.io import dicom

    def shrink(slices):
        path = folder / "IM0004"
        path.write_bytes(path.read_bytes()[:-700])
        return dicom_build(slices)

    dicom_build = dicom.build_stack
    monkeypatch.setattr(dicom, "build_stack", shrink)
    refused("pixel data of the slice with InstanceNumber 4 cannot be read", folder)


@pytest.mark.no_cover
def test_the_real_series_is_read_as_itk_reads_it(data_dir):
    folder = data_dir / "dicom_head" / "series"
    image, flags = read_series(folder)
    reader = sitk.ImageSeriesReader()
    names = reader.GetGDCMSeriesFileNames(str(folder))
    reader.SetFileNames(names)
    expected = reader.Execute()
    array, other = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(expected).astype(np.float32)
    first = np.array(image.GetOrigin()) - expected.GetOrigin()
    same_order = np.linalg.norm(first) < 0.01
    assert flags == [] and array.dtype == np.float32
    assert np.array_equal(array, other if same_order else other[::-1])
    assert np.allclose(image.GetSpacing(), expected.GetSpacing(), atol=1e-4)
    assert np.allclose(np.abs(image.GetDirection()), np.abs(expected.GetDirection()), atol=1e-4)


def test_an_enhanced_file_of_short_pixel_data(tmp_path):
    data = enhanced()
    data.PixelData = data.PixelData[:-600]
    (tmp_path / "s").mkdir()
    data.save_as(tmp_path / "s" / "all", enforce_file_format=True)
    refused("frame 1 holds .* describe", tmp_path / "s")
