"""Reading, turning and writing images, against nibabel as the independent reader and reorienter."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from HippoSegLib.errors import OutputError
from HippoSegLib.io.images import (
    canonical_axes,
    geometry_dict,
    image_stem,
    read_image,
    read_scan,
    write_image,
)

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
CODES = [codes for axes in itertools.permutations(("LR", "PA", "IS")) for codes in itertools.product(*axes)]


def affine_of(image: sitk.Image) -> np.ndarray:
    """The RAS affine of voxel indices (x, y, z)."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return LPS @ matrix


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*np.deg2rad(degrees))
    return np.reshape(transform.GetMatrix(), (3, 3))


def same_geometry(a: sitk.Image, b: sitk.Image) -> bool:
    return a.GetSize() == b.GetSize() and np.allclose(affine_of(a), affine_of(b), atol=1e-5)


def test_there_are_48_orientations():
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_formats_come_back_equal(head, tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(head, str(path), suffix == ".mha")
    scan = read_scan(path)
    assert scan.flags == ()
    assert scan.image.GetPixelID() == sitk.sitkInt16
    assert same_geometry(scan.image, head)
    assert np.array_equal(sitk.GetArrayViewFromImage(scan.image), sitk.GetArrayViewFromImage(head))


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "i4", "f4", "f8", "i8", "u2", "u4", ">f4"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_nifti_of_every_type_as_nibabel_reads_it(head, tmp_path, dtype, kind):
    array = (sitk.GetArrayFromImage(head).clip(0, 1000) / 4).astype(dtype).T
    affine = np.array([[0, -2.4, 0.0, 60], [2.5, 0, 0, -80], [0, 0, 2.8, -50], [0, 0, 0, 1]])
    image = kind(array, affine, dtype=np.dtype(dtype))
    image.header.set_qform(affine, 1)
    image.header.set_sform(affine, 1)
    nib.save(image, tmp_path / "scan.nii.gz")
    read = read_image(tmp_path / "scan.nii.gz")
    assert np.allclose(affine_of(read), affine, atol=1e-5)
    assert np.array_equal(
        sitk.GetArrayViewFromImage(read).T, np.asarray(nib.load(tmp_path / "scan.nii.gz").dataobj)
    )


def test_scaled_nifti_as_nibabel_reads_it(tmp_path, head):
    array = sitk.GetArrayFromImage(head).T
    image = nib.Nifti1Image(array, affine_of(head))
    image.header.set_slope_inter(0.037, -12.5)
    nib.save(image, tmp_path / "scan.nii")
    # nibabel rescales on saving so that the values are kept; what counts is what it reads back.
    expected = nib.load(tmp_path / "scan.nii")
    assert expected.dataobj.slope != 1
    read = sitk.GetArrayFromImage(read_image(tmp_path / "scan.nii"))
    assert read.dtype == np.float32
    assert np.allclose(read.T, expected.get_fdata(), atol=0.01)


def test_units_of_metres_are_read_as_millimetres(tmp_path, head):
    affine = np.diag([1e-3, 1e-3, 1e-3, 1]) @ affine_of(head)
    image = nib.Nifti1Image(sitk.GetArrayFromImage(head).T, affine)
    image.header.set_qform(affine, 1)
    image.header.set_sform(affine, 1)
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "scan.nii")
    assert same_geometry(read_image(tmp_path / "scan.nii"), head)


@pytest.mark.parametrize("codes", CODES, ids="".join)
def test_canonical_axes_equal_nibabels_over_48_orientations(head, codes):
    stored = reoriented(head, codes)
    turned, restore = canonical_axes(stored)
    expected = nib.as_closest_canonical(nib.Nifti1Image(sitk.GetArrayFromImage(stored).T, affine_of(stored)))
    assert np.array_equal(sitk.GetArrayFromImage(turned).T, np.asarray(expected.dataobj))
    assert np.allclose(affine_of(turned), expected.affine, atol=1e-6)
    back = restore(turned)
    assert np.array_equal(sitk.GetArrayViewFromImage(back), sitk.GetArrayViewFromImage(stored))
    assert back.GetDirection() == stored.GetDirection() and back.GetOrigin() == stored.GetOrigin()
    assert back.GetSpacing() == stored.GetSpacing()


def reoriented(image: sitk.Image, codes: tuple[str, ...]) -> sitk.Image:
    """``image`` stored with other axes, by nibabel."""
    affine, array = affine_of(image), sitk.GetArrayFromImage(image).T
    turn = ornt_transform(nib.io_orientation(affine), axcodes2ornt(codes))
    stored = nib.apply_orientation(array, turn)
    matrix = LPS @ affine @ inv_ornt_aff(turn, array.shape)
    result = sitk.GetImageFromArray(np.ascontiguousarray(stored.T))
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    result.SetSpacing(spacing.tolist())
    result.SetOrigin(matrix[:3, 3].tolist())
    result.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    return result


@pytest.mark.parametrize(
    "degrees",
    [
        (30, -25, 40),
        (44.9, 0, 0),
        (45, 0, 0),
        (0, 45, 0),
        (0, 0, 45),
        (45, 45, 0),
        (35, 35, 35),
        (80, 10, -70),
    ],
)
def test_oblique_heads_turn_alike_however_they_are_stored(head, degrees):
    """All 48 ways of storing one oblique head end on the same grid, also at the tie of 45 degrees."""
    oblique = sitk.Image(head)
    oblique.SetDirection(rotation(degrees).ravel().tolist())
    grids = []
    for codes in CODES:
        stored = permuted(oblique, codes)
        turned, restore = canonical_axes(stored)
        assert np.array_equal(sitk.GetArrayFromImage(restore(turned)), sitk.GetArrayViewFromImage(stored))
        assert np.linalg.det(np.reshape(turned.GetDirection(), (3, 3))) > 0.99
        grids.append((affine_of(turned), sitk.GetArrayFromImage(turned)))
    for affine, array in grids[1:]:
        assert np.allclose(affine, grids[0][0], atol=1e-6)
        assert np.array_equal(array, grids[0][1])


def permuted(image: sitk.Image, codes: tuple[str, ...]) -> sitk.Image:
    """One of the 48 ways of storing ``image``, named as if its axes were R, A, S; by ITK's filters."""
    order = ["LR", "PA", "IS"]
    axes = [next(i for i, pair in enumerate(order) if code in pair) for code in codes]
    result = sitk.PermuteAxes(image, axes)
    flipped = sitk.Flip(result, [code in "LPI" for code in codes])
    # ITK's flip leaves the voxels where they are in the world, by turning direction and origin.
    return flipped


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int16, np.uint8])
def test_written_images_come_back_equal(head, tmp_path, suffix, dtype):
    array = sitk.GetArrayFromImage(head).clip(0, 255).astype(dtype)
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(head)
    path = write_image(image, tmp_path / f"out{suffix}")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    back = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayViewFromImage(back), array)
    assert same_geometry(back, head)


@pytest.mark.parametrize(
    "codes", [("R", "A", "S"), ("L", "P", "I"), ("A", "S", "R"), ("I", "L", "A"), ("P", "R", "S")]
)
def test_written_nifti_has_qform_and_sform_of_the_input(head, tmp_path, codes):
    stored = reoriented(head, codes)
    header = nib.load(write_image(stored, tmp_path / "out.nii.gz")).header
    assert int(header["qform_code"]) == int(header["sform_code"]) == 1
    assert np.allclose(header.get_qform(), affine_of(stored), atol=2e-3)  # the quaternion is float32
    assert np.allclose(header.get_sform(), affine_of(stored), atol=1e-4)


def test_no_text_is_written(head, tmp_path):
    """Neither DICOM tags nor notes of the input reach a file."""
    for key in ("0010|0010", "ITK_FileNotes", "aux_file", "intent_name", "descrip"):
        head.SetMetaData(key, "Doe^Jane")
    for suffix in (".nii", ".nrrd", ".mha"):
        assert b"Doe" not in write_image(head, tmp_path / f"out{suffix}").read_bytes()[:2000]
    assert head.GetMetaData("0010|0010") == "Doe^Jane"  # the caller's image is left alone


def test_existing_file_is_kept_unless_told(head, tmp_path):
    path = tmp_path / "out.nii.gz"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        write_image(head, path)
    assert path.read_bytes() == b"mine"
    write_image(head, path, overwrite=True)
    assert sitk.ReadImage(str(path)).GetSize() == head.GetSize()


def test_output_folder_that_does_not_exist(head, tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_image(head, tmp_path / "no" / "out.nii.gz")
    with pytest.raises(OutputError, match="no suffix"):
        write_image(head, tmp_path / "out.png")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_full_disk_leaves_nothing_behind(tmp_path, suffix):
    resource = pytest.importorskip("resource", reason="file size limits are a POSIX thing")
    noise = np.random.default_rng(0).random((64, 64, 64)).astype(np.float32)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OutputError, match="space left"):
            write_image(sitk.GetImageFromArray(noise), tmp_path / f"out{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_stems():
    assert image_stem("a/b/scan.v2.nii.gz") == "scan.v2"
    assert image_stem("scan.NRRD") == "scan"
    assert image_stem("dicom/series/") == "series"


def test_geometry_is_plain_numbers(head):
    import json

    stated = json.loads(json.dumps(geometry_dict(head)))
    assert stated["size"] == [56, 64, 52] and stated["spacing_mm"] == [2.8, 2.6, 3.0]
    assert np.allclose(stated["direction_lps"], np.reshape(head.GetDirection(), (3, 3)))
