"""NRRD, MetaImage, FreeSurfer and paired files as ITK, nibabel and pynrrd read them: to the bit."""

from __future__ import annotations

import gzip
import zlib

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from handmade import NRRD_SPACES, meta_fields, nrrd_fields, oblique, write_meta, write_nrrd

from HippoSegLib.io.files import read_file

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
TYPES = [
    "i1",
    "u1",
    "<i2",
    ">i2",
    "<u2",
    ">u2",
    "<i4",
    ">i4",
    "<u4",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "<i8",
    ">u8",
]


def voxels(dtype: str = "<i2", seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(60, 20, (11, 12, 13)).clip(0, 120)
    return values.astype(dtype)


def affine_of(image: sitk.Image) -> np.ndarray:
    """RAS affine of voxel indices (x, y, z)."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return LPS @ matrix


def assert_same(image: sitk.Image, other: sitk.Image) -> None:
    """Equal voxels and geometry, without tolerance; 64-bit voxels as float32."""
    if other.GetPixelID() in (sitk.sitkFloat64, sitk.sitkInt64, sitk.sitkUInt64):
        other = sitk.Cast(other, sitk.sitkFloat32)
    assert image.GetPixelID() == other.GetPixelID()
    assert np.array_equal(sitk.GetArrayViewFromImage(image), sitk.GetArrayViewFromImage(other))
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(image, what)() == getattr(other, what)()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_what_itk_writes(tmp_path, suffix, compressed, seed):
    image = oblique(voxels(seed=seed), seed)
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(image, str(path), compressed)
    read, flags = read_file(path)
    assert flags == []
    assert_same(read, sitk.ReadImage(str(path)))
    assert np.array_equal(sitk.GetArrayViewFromImage(read), sitk.GetArrayViewFromImage(image))


@pytest.mark.parametrize("dtype", TYPES)
def test_types_and_byte_orders(tmp_path, dtype):
    array = voxels(dtype)
    image = oblique(array.astype(array.dtype.newbyteorder("=")), 1)
    for path in (
        write_nrrd(tmp_path / "a.nrrd", nrrd_fields(array, image), array.tobytes()),
        write_meta(tmp_path / "a.mha", meta_fields(array, image), array.tobytes()),
    ):
        read, _ = read_file(path)
        assert_same(read, sitk.ReadImage(str(path)))
        assert np.array_equal(sitk.GetArrayViewFromImage(read), array.astype(np.float32))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("space", NRRD_SPACES)
def test_spaces_of_nrrd(tmp_path, space, seed):
    """One head in every space on the list lies at one place; ITK agrees where it turns the space."""
    array = voxels()
    image = oblique(array, seed)
    path = write_nrrd(tmp_path / "a.nrrd", nrrd_fields(array, image, space), array.tobytes())
    read, flags = read_file(path)
    assert flags == []
    assert np.allclose(affine_of(read), affine_of(image), atol=1e-9)
    itk_turns_las = sitk.Version_MajorVersion() > 2 or sitk.Version_MinorVersion() >= 4
    if NRRD_SPACES[space] != (1, -1, 1) or itk_turns_las:
        assert_same(read, sitk.ReadImage(str(path)))


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii"])
def test_what_pynrrd_writes(tmp_path, encoding, detached):
    array = voxels("<i2")
    image = oblique(array, 3)
    fields = nrrd_fields(array, image)
    vectors = np.array(
        [[float(v) for v in w.strip("()").split(",")] for w in fields["space directions"].split()]
    )
    header = {
        "space": "right-anterior-superior",
        "space directions": vectors * [-1, -1, 1],
        "space origin": np.array(image.GetOrigin()) * [-1, -1, 1],
        "encoding": encoding,
        "kinds": ["domain"] * 3,
    }
    path = tmp_path / ("a.nhdr" if detached else "a.nrrd")
    nrrd.write(str(path), array.T, header, detached_header=detached)
    read, _ = read_file(path)
    data, back = nrrd.read(str(path))
    assert np.array_equal(sitk.GetArrayViewFromImage(read), data.T)
    assert np.array_equal(data.T, array)
    assert np.allclose(affine_of(read)[:3, :3], np.array(back["space directions"]).T, atol=1e-9)
    assert np.allclose(affine_of(read), affine_of(image), atol=1e-9)


def test_nrrd_with_all_kinds_of_lines(tmp_path):
    """Comments, own keys, other line ends, skipped bytes, capitals: nothing of it changes the image."""
    array = voxels()
    image = oblique(array, 2)
    fields = nrrd_fields(array, image)
    plain, _ = read_file(write_nrrd(tmp_path / "plain.nrrd", fields, array.tobytes()))
    more = {"# a comment": "type: float", "centerings": "cell cell cell", "space units": '"mm" "mm" "mm"'}
    more |= {
        "content": "T1",
        "old min": "0",
        "labels": '"x" "y" "z"',
        "measurement frame": "(1,0,0) (0,1,0) (0,0,1)",
    }
    own = {"a key:=of somebody's own": "type: float"}
    data, spaced = array.tobytes(), fields["space directions"].replace(",", " , ")
    parts = gzip.compress(data[:99]) + gzip.compress(data[99:])
    for name, altered, content in (
        ("more.nrrd", fields | more, data),
        ("own.nrrd", fields | own, data),
        ("skip.nrrd", fields | {"byte skip": "7"}, b"1234567" + data),
        ("last.nrrd", fields | {"byteskip": "-1"}, b"1234567" + data),
        ("capitals.nrrd", {k.upper(): v for k, v in fields.items()}, data),
        ("spaces.nrrd", fields | {"space directions": spaced}, data),
        ("parts.nrrd", fields | {"encoding": "gz"}, parts),
        ("text.nrrd", fields | {"encoding": "txt"}, b"\n".join(b"%d" % v for v in array.ravel())),
    ):
        path = write_nrrd(tmp_path / name, altered, content)
        assert_same(read_file(path)[0], plain)
        if name not in ("own.nrrd", "parts.nrrd"):
            assert_same(sitk.ReadImage(str(path)), plain)
    text = (tmp_path / "plain.nrrd").read_bytes()
    head, voxel_bytes = text.split(b"\n\n", 1)
    (tmp_path / "dos.nrrd").write_bytes(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + voxel_bytes)
    assert_same(read_file(tmp_path / "dos.nrrd")[0], plain)


def test_an_axis_of_length_one_is_dropped(tmp_path):
    array = voxels()
    image = oblique(array, 2)
    fields = nrrd_fields(array, image)
    plain, _ = read_file(write_nrrd(tmp_path / "plain.nrrd", fields, array.tobytes()))
    three, axes = fields["sizes"], fields["space directions"]
    for sizes, vectors, kinds in (
        (f"1 {three}", f"none {axes}", "vector domain domain domain"),
        (f"{three} 1", f"{axes} none", "domain domain domain list"),
    ):
        four = fields | {"dimension": "4", "sizes": sizes, "space directions": vectors, "kinds": kinds}
        assert_same(read_file(write_nrrd(tmp_path / "four.nrrd", four, array.tobytes()))[0], plain)


def test_metaimage_with_all_kinds_of_fields(tmp_path):
    array = voxels()
    image = oblique(array, 2)
    fields = meta_fields(array, image)
    data, packed = array.tobytes(), zlib.compress(array.tobytes())
    plain, _ = read_file(write_meta(tmp_path / "plain.mha", fields, data))
    size, matrix, offset = (fields[key] for key in ("ElementSpacing", "TransformMatrix", "Offset"))
    size_of = {"CompressedData": "True", "CompressedDataSize": str(len(packed))}
    for name, altered, content in (
        ("size.mha", fields | {"ElementSpacing": None, "ElementSize": size}, data),
        ("both.mha", fields | {"ElementSize": "9 9 9"}, data),
        ("rotation.mha", fields | {"TransformMatrix": None, "Rotation": matrix}, data),
        ("orientation.mha", fields | {"TransformMatrix": None, "Orientation": matrix}, data),
        ("position.mha", fields | {"Offset": None, "Position": offset}, data),
        ("center.mha", fields | {"CenterOfRotation": "5 5 5", "Comment": "x"}, data),
        ("units.mha", fields | {"DistanceUnits": "mm"}, data),
        ("slope.mha", fields | {"ElementToIntensityFunctionSlope": "2"}, data),
        ("last.mha", fields | {"HeaderSize": "-1"}, b"1234567" + data),
        ("long.mha", fields | {"ElementType": "MET_SHORT", "Modality": "MET_MOD_MR"}, data),
        ("packed.mha", fields | size_of, packed),
    ):
        path = write_meta(tmp_path / name, altered, content)
        read, flags = read_file(path)
        assert flags == [], name
        assert_same(read, plain)
        assert_same(sitk.ReadImage(str(path)), plain)
    # What ITK reads wrongly (compressed data of unstated length) or cannot read (text), read all the same.
    write_meta(tmp_path / "unsized.mha", fields | {"CompressedData": "True"}, packed)
    assert_same(read_file(tmp_path / "unsized.mha")[0], plain)
    text = " ".join(str(v) for v in array.ravel()).encode()
    write_meta(tmp_path / "text.mha", fields | {"BinaryData": "False"}, text)
    assert_same(read_file(tmp_path / "text.mha")[0], plain)
    (tmp_path / "scan.raw").write_bytes(b"12345" + data)
    write_meta(tmp_path / "skip.mhd", fields | {"HeaderSize": "5"}, b"", "scan.raw")
    assert_same(read_file(tmp_path / "skip.mhd")[0], plain)
    assert_same(sitk.ReadImage(str(tmp_path / "skip.mhd")), plain)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
@pytest.mark.parametrize("suffix", [".mgz", ".mgh"])
def test_freesurfer_as_nibabel(tmp_path, suffix, dtype):
    array, image = voxels(dtype), oblique(voxels(), 5)
    nib.save(nib.MGHImage(array.T, affine_of(image)), tmp_path / f"a{suffix}")
    read, flags = read_file(tmp_path / f"a{suffix}")
    expected = nib.load(tmp_path / f"a{suffix}")
    assert flags == []
    assert np.array_equal(sitk.GetArrayViewFromImage(read).T, np.asarray(expected.dataobj))
    assert sitk.GetArrayViewFromImage(read).dtype == np.dtype(dtype)
    assert np.allclose(affine_of(read), expected.affine, atol=1e-4)
    assert np.allclose(affine_of(read), affine_of(image), atol=1e-3)


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("name", ["a.hdr", "a.img"])
def test_nifti_pairs_as_nibabel(tmp_path, kind, name):
    image = oblique(voxels(), 4)
    pair = kind(voxels().T, affine_of(image))
    pair.header.set_qform(affine_of(image), 1)
    pair.header.set_sform(affine_of(image), 1)
    nib.save(pair, tmp_path / "a.hdr")
    read, flags = read_file(tmp_path / name)
    assert flags == []
    assert np.array_equal(
        sitk.GetArrayViewFromImage(read).T, np.asarray(nib.load(tmp_path / "a.hdr").dataobj)
    )
    assert np.allclose(affine_of(read), nib.load(tmp_path / "a.hdr").affine, atol=1e-4)


@pytest.mark.parametrize("kind", [nib.AnalyzeImage, nib.Spm99AnalyzeImage])
def test_analyze_has_no_orientation_and_is_read_for_a_region_only(region, tmp_path, kind):
    array = sitk.GetArrayFromImage(region)
    header = kind.header_class()
    header.set_data_shape(array.T.shape)
    header.set_data_dtype(np.float32)
    header.set_zooms((1.1, 1.2, 1.3))
    (tmp_path / "a.hdr").write_bytes(header.binaryblock)
    (tmp_path / "a.img").write_bytes(array.astype(header.get_data_dtype()).tobytes())
    read, flags = read_file(tmp_path / "a.hdr", region=True)
    assert [flag.code for flag in flags] == ["no_orientation"]
    assert np.array_equal(sitk.GetArrayViewFromImage(read), array)
    assert np.allclose(read.GetSpacing(), (1.1, 1.2, 1.3))
    # Analyze's axes run to the left, anterior and superior.
    assert np.allclose(np.reshape(read.GetDirection(), (3, 3)), np.diag([1, -1, 1]))
