"""Compressed DICOM: every syntax for which an encoder is at hand, sound and damaged."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicomwriter import COUNT, SECRETS, enhanced, volume, write_series
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEG2000Lossless, RLELossless

from HippoSegLib.errors import InputError
from HippoSegLib.io import dicom_compressed
from HippoSegLib.io.dicom import read_series

JPEG_LOSSLESS, JPEG_BASELINE = UID("1.2.840.10008.1.2.4.70"), UID("1.2.840.10008.1.2.4.50")


def refused(words: str, folder: Path) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_series(folder)
    assert caught.value.remedy and caught.value.code != "input"
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def jpeg_2000(pixels: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG2000", no_jp2=True, irreversible=False)
    return target.getvalue()


def jpeg_baseline(pixels: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=100)
    return target.getvalue()


def jpeg_lossless(pixels: np.ndarray, folder: Path) -> bytes:
    """Through ITK, which writes JPEG lossless into a DICOM file of its own."""
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor("JPEG")
    writer.SetFileName(str(folder / "encoded.dcm"))
    writer.Execute(sitk.GetImageFromArray(pixels[None]))
    data = pydicom.dcmread(folder / "encoded.dcm")
    assert data.file_meta.TransferSyntaxUID == JPEG_LOSSLESS
    return next(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1))


def rle(pixels: np.ndarray) -> bytes:
    from pydicom.pixels.encoders import RLELosslessEncoder

    return RLELosslessEncoder.encode(
        pixels, rows=pixels.shape[0], columns=pixels.shape[1], samples_per_pixel=1, bits_allocated=16,
        bits_stored=16, pixel_representation=0, photometric_interpretation="MONOCHROME2", number_of_frames=1,
    )  # fmt: skip


def write_compressed(folder: Path, encode, syntax: UID, array=None, spoil=None, **tags) -> Path:
    """A series whose pixel data ``encode`` compresses; ``spoil`` changes the stream of the fifth slice."""

    def change(data, index):
        pixels = np.frombuffer(data.PixelData, array.dtype).reshape(array.shape[1:])
        stream = encode(pixels)
        if index == 4 and spoil is not None:
            stream = spoil(stream)
        data.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
        data.file_meta.TransferSyntaxUID = syntax

    array = volume() if array is None else array
    return write_series(folder, array, change, **tags)


def encoder(name: str, folder: Path):
    if name == "JPEG lossless":
        return (lambda pixels: jpeg_lossless(pixels, folder)), JPEG_LOSSLESS
    return {"RLE": (rle, RLELossless), "JPEG 2000": (jpeg_2000, JPEG2000Lossless)}[name]


NAMES = ["RLE", "JPEG 2000", "JPEG lossless"]


@pytest.mark.parametrize("name", NAMES)
def test_lossless_compression_gives_the_stored_integers(tmp_path, name):
    encode, syntax = encoder(name, tmp_path)
    array = volume()
    array[3, 4, 5] = 65535
    folder = write_compressed(tmp_path / "s", encode, syntax, array)
    image, flags = read_series(folder)
    assert flags == [] and np.array_equal(sitk.GetArrayFromImage(image), array[::-1])


@pytest.mark.parametrize("name", NAMES)
def test_rescaled_and_inverted(tmp_path, name):
    encode, syntax = encoder(name, tmp_path)
    tags = {"RescaleSlope": "0.5", "RescaleIntercept": "3", "PhotometricInterpretation": "MONOCHROME1"}
    folder = write_compressed(tmp_path / "s", encode, syntax, **tags)
    image, _ = read_series(folder)
    assert np.array_equal(sitk.GetArrayFromImage(image), ((65535 - volume()) * 0.5 + 3)[::-1])


@pytest.mark.parametrize("name", NAMES)
def test_what_pydicom_has_no_decoder_for_is_read_with_itk(tmp_path, name, monkeypatch):
    """And the other way round: both decoders give the same integers."""
    encode, syntax = encoder(name, tmp_path)
    folder = write_compressed(tmp_path / "s", encode, syntax)
    expected = sitk.GetArrayFromImage(read_series(folder)[0])
    called = []
    original = dicom_compressed._decode_with_itk
    monkeypatch.setattr(dicom_compressed, "_decode_with_itk", lambda d: called.append(1) or original(d))

    def missing(_):
        raise RuntimeError("no decoder")

    monkeypatch.setattr(pydicom.dataset.Dataset, "pixel_array", property(missing))
    if name == "RLE":  # pydicom itself decodes it: what it refuses is damaged
        refused("cannot be unpacked", folder)
    else:
        assert np.array_equal(sitk.GetArrayFromImage(read_series(folder)[0]), expected)
        assert len(called) == COUNT


def test_jpeg_baseline(tmp_path):
    array = (volume() // 3).astype(np.uint8)
    folder = write_compressed(tmp_path / "s", jpeg_baseline, JPEG_BASELINE, array)
    result = sitk.GetArrayFromImage(read_series(folder)[0]).astype(int)
    assert np.abs(result - array[::-1]).max() <= 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.7, 0.97])
def test_a_stream_that_ends_early_names_the_slice(tmp_path, name, kept):
    encode, syntax = encoder(name, tmp_path)
    folder = write_compressed(tmp_path / "s", encode, syntax, spoil=lambda s: s[: int(len(s) * kept)])
    refused("the slice with InstanceNumber 5", folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_of_another_size_is_refused_before_it_is_unpacked(tmp_path, name, monkeypatch):
    encode, syntax = encoder(name, tmp_path)
    small = encode(volume()[0][:12, :11])
    folder = write_compressed(tmp_path / "s", encode, syntax, spoil=lambda s: small)
    if name != "RLE":  # its stream does not state a size: pydicom counts what it unpacks
        monkeypatch.setattr(dicom_compressed, "_decode", lambda one, stream: np.zeros((24, 22), np.uint16))
    refused("the slice with InstanceNumber 5", folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_cut_off_within_its_stream(tmp_path, name):
    encode, syntax = encoder(name, tmp_path)
    folder = write_compressed(tmp_path / "s", encode, syntax)
    whole = (folder / "IM0009").read_bytes()
    (folder / "IM0009").write_bytes(whole[:-1])  # of the delimiter after the stream: no voxel is lost
    assert np.array_equal(sitk.GetArrayFromImage(read_series(folder)[0]), volume()[::-1])
    for lost in (8, 9, 20, 300):
        (folder / "IM0009").write_bytes(whole[:-lost])
        refused("(InstanceNumber|file) 9", folder)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NAMES)
def test_damage_within_a_stream_is_an_error_or_a_volume(tmp_path, name, seed):
    rng = np.random.default_rng(seed)

    def spoil(stream):
        raw = bytearray(stream)
        for at in rng.integers(0, len(raw), 6):
            raw[at] = rng.integers(256)
        return bytes(raw)

    encode, syntax = encoder(name, tmp_path)
    folder = write_compressed(tmp_path / "s", encode, syntax, spoil=spoil)
    try:
        image, _ = read_series(folder)
    except InputError as error:
        assert "InstanceNumber 5" in str(error)
    else:
        assert image.GetSize() == (22, 24, COUNT)


def test_a_compressed_enhanced_file(tmp_path):
    data = enhanced()
    data.PixelData = encapsulate([rle(pixels) for pixels in volume()])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.file_meta.TransferSyntaxUID = RLELossless
    (tmp_path / "s").mkdir()
    data.save_as(tmp_path / "s" / "all", enforce_file_format=True)
    assert np.array_equal(sitk.GetArrayFromImage(read_series(tmp_path / "s")[0]), volume()[::-1])
    pieces = [rle(pixels) for pixels in volume()]
    data.PixelData = encapsulate(pieces, fragments_per_frame=2)
    data.save_as(tmp_path / "s" / "all", enforce_file_format=True)
    assert np.array_equal(sitk.GetArrayFromImage(read_series(tmp_path / "s")[0]), volume()[::-1])


def test_a_video_names_dcm2niix(tmp_path):
    def change(data, index):
        data.PixelData = encapsulate([bytes(100)])
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")

    write_series(tmp_path / "s", change=change)
    assert "dcm2niix" in refused("stored in a way that is not read here", tmp_path / "s").remedy
