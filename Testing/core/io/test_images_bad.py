"""Every kind of bad input is refused in one sentence with cause and remedy; near misses are not."""

from __future__ import annotations

import gzip
import shutil
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.errors import InputError
from HippoSegLib.io.images import check_image, read_image, read_scan
from HippoSegLib.io.nifti import parse_header


def refused(words: str, path, **options) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_scan(path, **options)
    error = caught.value
    assert error.cause.endswith(".") and error.remedy.endswith(".") and "\n" not in str(error)
    assert error.exit_code == 3
    return error


def changed(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


@pytest.fixture
def nifti(head, tmp_path):
    """A sound compressed NIfTI file of the synthetic head."""
    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(head, str(path))
    return path


# Files


def test_missing(tmp_path):
    refused("'scan.nii.gz' does not exist", tmp_path / "scan.nii.gz")


def test_kinds_that_are_not_read(tmp_path, nifti):
    for name in ("scan.jpg", "scan.gz", "scan"):
        shutil.copy(nifti, tmp_path / name)
        refused("holds NIfTI, but its name", tmp_path / name)
        (tmp_path / name).write_bytes(b"something else")
        refused("not of a kind", tmp_path / name)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_empty_file_and_text(tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(b"")
    refused("is empty", path)
    path.write_bytes(b"this is not an image\n" * 100)
    refused("not a readable|cannot be read|does not say", path)


@pytest.mark.parametrize("part", [0.02, 0.5, 0.99, 0.9999])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_truncated(head, tmp_path, suffix, compressed, part):
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(head, str(path), compressed)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    refused("truncated|damaged|not a readable|does not say", path)


def test_a_missing_end_of_four_bytes_is_noticed(nifti):
    nifti.write_bytes(nifti.read_bytes()[:-4])
    refused("truncated", nifti)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
def test_flipped_byte_in_compressed_content(head, tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(head, str(path), True)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refused("damaged", path)


def test_mhd_without_its_data_file(head, tmp_path):
    sitk.WriteImage(head, str(tmp_path / "scan.mhd"))
    (tmp_path / "scan.raw").unlink()
    refused("data file 'scan.raw' is missing", tmp_path / "scan.mhd")


def test_gzip_in_several_members_is_read(nifti, head):
    content = gzip.decompress(nifti.read_bytes())
    nifti.write_bytes(gzip.compress(content[:5000]) + gzip.compress(content[5000:]))
    assert np.array_equal(sitk.GetArrayFromImage(read_image(nifti)), sitk.GetArrayFromImage(head))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "cannot be opened"),
        (OSError(5, "Input/output error"), "cannot be read .Input/output error."),
        (MemoryError(), "memory"),
    ],
)
def test_what_the_system_refuses(nifti, monkeypatch, error, words):
    def failing(file, size):
        raise error

    monkeypatch.setattr("HippoSegLib.io.stream.ByteStream._piece", failing)
    refused(words, nifti)


# Kinds of image


def save(array: np.ndarray, path, affine=None, **header) -> None:
    image = nib.Nifti1Image(array, np.diag([2.8, 2.6, 3.0, 1]) if affine is None else affine)
    image.header.set_qform(image.affine, 1)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)


def test_dimensions(tmp_path, head):
    array = sitk.GetArrayFromImage(head).T
    path = tmp_path / "scan.nii"
    save(array[:, :, 20], path)
    refused("2D", path)
    save(array[:, :, 20:21], path)
    refused("2D", path)
    save(array[:, :, 20:24], path)
    refused("only 4 slices", path)
    save(np.stack([array] * 3, -1), path)
    refused("4D: it holds 3 volumes", path)
    save(array[:, :, :, None, None].repeat(3, 4), path)
    refused("colours or vectors", path)
    save(array[..., None], path)
    assert read_image(path).GetSize() == head.GetSize()


def test_dimensions_of_nrrd_and_metaimage(tmp_path, head):
    four = sitk.JoinSeries([head, head])
    for suffix in (".nrrd", ".mha"):
        sitk.WriteImage(four, str(tmp_path / f"scan{suffix}"))
        refused("4D", tmp_path / f"scan{suffix}")
    sitk.WriteImage(sitk.JoinSeries([head]), str(tmp_path / "one.mha"))
    assert read_image(tmp_path / "one.mha").GetSize() == head.GetSize()
    with pytest.raises(InputError, match="4D"):
        check_image(four)
    assert check_image(sitk.JoinSeries([head]))[0].GetDimension() == 3


def test_colours_vectors_and_complex_numbers(tmp_path, head):
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        path = tmp_path / f"scan{suffix}"
        sitk.WriteImage(sitk.Compose([sitk.Cast(head, sitk.sitkUInt8)] * 3), str(path))
        refused("colours or vectors", path)
    save(sitk.GetArrayFromImage(head).T.astype(np.complex64), tmp_path / "c.nii")
    refused("complex", tmp_path / "c.nii")
    with pytest.raises(InputError, match="complex"):
        check_image(sitk.RealAndImaginaryToComplex(*[sitk.Cast(head, sitk.sitkFloat32)] * 2))


def test_constant_image(tmp_path, head):
    for value in (0, 700):
        save(np.full(head.GetSize(), value, np.int16), tmp_path / "scan.nii")
        refused("constant", tmp_path / "scan.nii")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.uint16])
def test_label_images(head, dtype):
    array = sitk.GetArrayFromImage(head)
    blocks = np.kron(np.random.default_rng(0).integers(0, 40, (7, 8, 7)), np.ones((8, 8, 8)))
    labels = np.where(array > 300, blocks[: array.shape[0], : array.shape[1], : array.shape[2]], 0)
    with pytest.raises(InputError, match="label image"):
        check_image(changed(head, labels.astype(dtype)))
    with pytest.raises(InputError, match="label image"):
        check_image(changed(head, (array > 300).astype(dtype)))
    few_greys = np.round(array.clip(0) / 32).astype(dtype)  # a scan with about 25 grey values
    assert len(np.unique(few_greys)) < 32
    check_image(changed(head, few_greys))


def test_ct_is_remarked_on(head):
    array = sitk.GetArrayFromImage(head)
    hounsfield = np.where(array < 300, -1000 + array % 10, array - 560).astype(np.int16)
    _, warnings = check_image(changed(head, hounsfield))
    assert "CT" in warnings[0].message


# Values that are not numbers


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_inside_and_outside(head, bad):
    array = sitk.GetArrayFromImage(head).astype(np.float32)
    inside = array.copy()
    inside[26, 30, 28] = bad
    with pytest.raises(InputError, match="inside the head"):
        check_image(changed(head, inside))
    slab = array.copy()
    slab[26] = bad
    with pytest.raises(InputError, match="inside the head"):
        check_image(changed(head, slab))
    masked = np.where(array < 150, bad, array)
    fixed, warnings = check_image(changed(head, masked))
    assert "taken as background" in warnings[0].message and len(warnings) == 1
    found = sitk.GetArrayViewFromImage(fixed)
    assert np.array_equal(found[array >= 150], array[array >= 150])
    # One grey value, as dark as the darkest of what is left.
    assert np.ptp(found[array < 150]) == 0
    assert 150 <= found[array < 150].max() <= np.percentile(array[array >= 150], 2)
    assert fixed.GetOrigin() == head.GetOrigin() and fixed.GetDirection() == head.GetDirection()
    corner = array.copy()
    corner[0, 0, 0] = bad
    assert "1 voxels outside" in check_image(changed(head, corner))[1][0].message


def test_nothing_but_not_a_number(head):
    with pytest.raises(InputError, match="not numbers"):
        check_image(changed(head, np.full(head.GetSize()[::-1], np.nan, np.float32)))


def test_numbers_too_large_for_float32(head):
    array = sitk.GetArrayFromImage(head).astype(np.float64)
    array[26, 30, 28] = 1e300
    with pytest.raises(InputError, match="not numbers"):
        check_image(changed(head, array))


def test_not_a_number_in_a_region(region):
    array = sitk.GetArrayFromImage(region)
    array[17, 25, 18] = np.nan
    with pytest.raises(InputError, match="not numbers"):
        check_image(changed(region, array), region=True)


# Geometry


@pytest.mark.parametrize(
    ("spacing", "words"),
    [
        ((0.0028, 0.0026, 0.003), "voxel size"),
        ((28, 26, 30), "voxel size"),
        ((0.05, 1, 1), "voxel size"),
        ((1, 1, 12), "voxel size"),
        ((0.3, 0.3, 0.3), "measures"),
        ((2.8, 2.6, 0.4), "is a slab of 157 × 166 × 20.8 mm"),
    ],
)
def test_absurd_sizes(head, tmp_path, spacing, words):
    head.SetSpacing(spacing)
    sitk.WriteImage(head, str(tmp_path / "scan.nii"))
    refused(words, tmp_path / "scan.nii")


def test_a_head_of_three_metres(tmp_path):
    rng = np.random.default_rng(0)
    save(
        rng.normal(500, 50, (600, 20, 20)).astype(np.int16),
        tmp_path / "scan.nii",
        np.diag([5.5, 5.5, 5.5, 1]),
    )
    refused("3.3e.03|3300", tmp_path / "scan.nii")


def test_zero_spacing(nifti):
    for value in (0.0, float("nan")):
        content = bytearray(gzip.decompress(nifti.read_bytes()))
        content[80:84] = struct.pack("<f", value)
        nifti.with_name("zero.nii").write_bytes(content)
        refused("does not state its voxel size .pixdim is", nifti.with_name("zero.nii"))


def test_a_region_is_no_head_and_a_head_no_region(region, head):
    assert check_image(region, region=True)[1] == []
    with pytest.raises(InputError, match="say so"):
        check_image(region)
    with pytest.raises(InputError, match="not the size of one hippocampus"):
        check_image(head, region=True)


def test_coarse_voxels_are_remarked_on(head):
    head.SetSpacing((2.8, 2.6, 4.5))
    assert "uncertain" in check_image(head)[1][0].message


def test_sheared_axes(head, tmp_path):
    direction = np.eye(3)
    direction[0, 1] = 0.05
    head.SetDirection(direction.ravel().tolist())
    with pytest.raises(InputError, match="right angles"):
        check_image(head)
    sitk.WriteImage(head, str(tmp_path / "scan.nrrd"))
    refused("right angles", tmp_path / "scan.nrrd")


# qform and sform


AFFINE = np.array([[0, -2.4, 0.0, 60], [2.5, 0, 0, -80], [0, 0, 2.8, -50], [0, 0, 0, 1]])


def turned(degrees: float) -> np.ndarray:
    a = np.deg2rad(degrees)
    turn = np.array(
        [[np.cos(a), -np.sin(a), 0, 3], [np.sin(a), np.cos(a), 0, -7], [0, 0, 1, 2], [0, 0, 0, 1]]
    )
    return turn @ AFFINE


def two_forms(head, path, qform, q_code, sform, s_code) -> None:
    image = nib.Nifti1Image(sitk.GetArrayFromImage(head).T, None)
    image.header.set_zooms((2.5, 2.4, 2.8))
    if qform is not None:
        image.header.set_qform(qform, q_code)
    if sform is not None:
        image.header.set_sform(sform, s_code)
    image.header["qform_code"], image.header["sform_code"] = q_code, s_code
    nib.save(image, path)


def affine_of(image: sitk.Image) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return np.diag([-1, -1, 1, 1]) @ matrix


@pytest.mark.parametrize("s_code", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("q_code", [0, 1, 2])
@pytest.mark.parametrize("differ", [True, False])
def test_which_orientation_counts_as_itk_and_said(head, tmp_path, q_code, s_code, differ):
    path = tmp_path / "scan.nii"
    sform = turned(20) if differ else AFFINE
    two_forms(head, path, AFFINE, q_code, sform, s_code)
    if q_code == s_code == 0:
        refused("left and right cannot be told", path)
        return
    scan = read_scan(path)
    assert np.allclose(affine_of(scan.image), affine_of(sitk.ReadImage(str(path))), atol=1e-3)
    if differ and q_code and s_code:
        used = "sform" if np.allclose(affine_of(scan.image), turned(20), atol=1e-3) else "qform"
        assert len(scan.flags) == 1 and f"the {used} is used" in scan.flags[0].message
    else:
        assert scan.flags == ()
        assert np.allclose(affine_of(scan.image), sform if s_code else AFFINE, atol=1e-3)


def test_sheared_sform(head, tmp_path):
    sheared = AFFINE.copy()
    sheared[0, 2] += 0.1
    path = tmp_path / "scan.nii"
    two_forms(head, path, None, 0, sheared, 1)
    refused("right angles", path)
    two_forms(head, path, AFFINE, 1, sheared, 1)
    scan = read_scan(path)
    assert np.allclose(affine_of(scan.image), AFFINE, atol=1e-3)
    assert "the qform is used" in scan.flags[0].message


def test_sform_of_another_voxel_size(head, tmp_path):
    path = tmp_path / "scan.nii"
    two_forms(head, path, None, 0, AFFINE @ np.diag([1.2, 1.2, 1.2, 1]), 1)
    refused("two different voxel sizes", path)


def test_no_orientation_is_accepted_for_a_region_only(region, tmp_path):
    image = nib.Nifti1Image(sitk.GetArrayFromImage(region).T, None)
    image.header["qform_code"] = image.header["sform_code"] = 0
    nib.save(image, tmp_path / "scan.nii")
    scan = read_scan(tmp_path / "scan.nii", region=True)
    assert "no orientation" in scan.flags[0].message
    assert np.allclose(affine_of(scan.image), np.eye(4))  # right, anterior, superior


def test_nrrd_without_space(head, tmp_path):
    """A valid NRRD that states voxel sizes but no axes of the head."""
    path = tmp_path / "scan.nrrd"
    sitk.WriteImage(head, str(path))
    header, mark, voxels = path.read_bytes().partition(b"\n\n")
    lines = [line for line in header.split(b"\n") if not line.startswith(b"space")]
    path.write_bytes(b"\n".join([*lines, b"spacings: 2.8 2.6 3"]) + mark + voxels)
    assert sitk.ReadImage(str(path)).GetSize() == head.GetSize()
    refused("left and right cannot be told", path)


@pytest.mark.parametrize("seed", range(20))
def test_quaternions_as_nibabel(seed, head):
    """Random oblique qforms, left-handed ones among them, give nibabel's matrix."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = turn * rng.uniform(0.5, 3, 3)
    affine[:3, 3] = rng.normal(0, 100, 3)
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        image = kind(np.zeros((8, 8, 8), np.int16), None)
        image.header.set_qform(affine, 1)
        assert np.allclose(parse_header(image.to_bytes()).qform, image.header.get_qform(), atol=1e-4)


def test_messages_name_no_patient(head, tmp_path):
    """A name in the header's text fields appears neither in a message nor in the result."""
    image = nib.Nifti1Image(np.zeros((20, 20, 20), np.int16), AFFINE)
    image.header["descrip"] = b"Doe^Jane"
    nib.save(image, tmp_path / "scan.nii")
    assert "Doe" not in str(refused("constant", tmp_path / "scan.nii"))
    image = nib.Nifti1Image(sitk.GetArrayFromImage(head).T, AFFINE)
    image.header["descrip"] = b"Doe^Jane"
    nib.save(image, tmp_path / "scan.nii")
    assert read_image(tmp_path / "scan.nii").GetMetaDataKeys() == ()
