"""What a file does not state is refused by the name of the field, or warned of; it is never filled in."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from handmade import meta_fields, nrrd_fields, patched, write_meta, write_nrrd

from HippoSegLib.errors import InputError
from HippoSegLib.io.images import read_scan

BAD_SIZES = [
    "0 2.6 3",
    "-2.8 2.6 3",
    "nan 2.6 3",
    "inf 2.6 3",
    "1e999 2.6 3",
    "2.8 2.6",
    "2.8",
    "2.8 2.6 3 1",
]
BAD_SIZES += ["a b c", "2,8 2,6 3", "2.8 2.6 3mm", "", "0x1p1 2 2", "1_0 2 2"]


def refused(path, code: str, *words: str, region: bool = False) -> None:
    with pytest.raises(InputError) as caught:
        read_scan(path, region)
    error = caught.value
    assert error.code == code, str(error)
    assert all(word in str(error) for word in words), str(error)
    assert error.cause.endswith(".") and error.remedy.endswith(".") and "\n" not in str(error)


def array_of(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


# Voxel size


@pytest.mark.parametrize("target", ["LOCAL", "scan.raw"])
@pytest.mark.parametrize("size", [None, *BAD_SIZES])
@pytest.mark.parametrize("field", ["ElementSpacing", "ElementSize"])
def test_metaimage(head, tmp_path, field, size, target):
    fields = meta_fields(array_of(head), head) | {"ElementSpacing": None, field: size}
    data = array_of(head).tobytes()
    (tmp_path / "scan.raw").write_bytes(data)
    refused(write_meta(tmp_path / "scan.mha", fields, data, target), "no_voxel_size", "ElementSpacing")


@pytest.mark.parametrize(
    "directions",
    [
        None,
        "",
        "(0,0,0) (0,2.6,0) (0,0,3)",
        "(nan,0,0) (0,2.6,0) (0,0,3)",
        "(1e999,0,0) (0,2.6,0) (0,0,3)",
        "(2.8,0,0) (0,2.6,0)",
        "(2.8,0,0) (0,2.6,0) (0,0,3) (0,0,1)",
        "(2.8,0) (0,2.6) (0,0)",
        "(2.8,0,0) (0,2.6,0) (0,0,a)",
        "2.8 2.6 3",
        "none none none",
        "(2.8,0,0) (0,2.6,0) none",
    ],
)
def test_nrrd(head, tmp_path, directions):
    fields = nrrd_fields(array_of(head), head) | {"space directions": directions}
    path = write_nrrd(tmp_path / "scan.nrrd", fields, array_of(head).tobytes())
    with pytest.raises(InputError, match="space directions|several volumes") as caught:
        read_scan(path)
    if not directions:
        assert caught.value.code == "no_voxel_size"


def test_nrrd_of_a_region_states_its_voxel_size_too(region, tmp_path):
    fields = nrrd_fields(array_of(region), region) | {"space": None, "space directions": None}
    data = array_of(region).tobytes()
    path = tmp_path / "scan.nrrd"
    refused(write_nrrd(path, fields, data), "no_voxel_size", "spacings", region=True)
    for wrong in ("nan nan nan", "1 1", "0 1 1", "-1 1 1"):
        write_nrrd(path, fields | {"spacings": wrong}, data)
        refused(path, "no_voxel_size", "spacings", region=True)
    scan = read_scan(write_nrrd(path, fields | {"spacings": "1 1.1 1.2"}, data), region=True)
    assert scan.image.GetSpacing() == (1.0, 1.1, 1.2)
    assert [flag.code for flag in scan.flags] == ["no_orientation"]


def test_nrrd_that_states_its_voxel_size_twice(head, tmp_path):
    fields = nrrd_fields(array_of(head), head) | {"spacings": "1 1 1"}
    refused(write_nrrd(tmp_path / "scan.nrrd", fields, array_of(head).tobytes()), "header", "twice")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_nifti(head, tmp_path, axis, value, version):
    image = (nib.Nifti1Image if version == 1 else nib.Nifti2Image)(array_of(head).T, None)
    image.header.set_zooms(head.GetSpacing())
    image.header.set_qform(np.diag([*head.GetSpacing(), 1]), 1)
    nib.save(image, tmp_path / "scan.nii")
    content = (tmp_path / "scan.nii").read_bytes()
    place, form = (80 + 4 * axis, "<f") if version == 1 else (112 + 8 * axis, "<d")
    (tmp_path / "scan.nii").write_bytes(patched(content, place, form, value))
    refused(tmp_path / "scan.nii", "no_voxel_size", "pixdim")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_freesurfer(head, tmp_path, value):
    nib.save(nib.MGHImage(array_of(head).T, np.diag([*head.GetSpacing(), 1])), tmp_path / "scan.mgh")
    content = (tmp_path / "scan.mgh").read_bytes()
    (tmp_path / "scan.mgh").write_bytes(patched(content, 30, ">f", value))
    refused(tmp_path / "scan.mgh", "no_voxel_size", "delta")


# Units


@pytest.mark.parametrize("unit", ["um", "cm", "m", "in"])
def test_lengths_in_another_unit(head, tmp_path, unit):
    data = array_of(head).tobytes()
    fields = meta_fields(array_of(head), head) | {"DistanceUnits": unit}
    refused(write_meta(tmp_path / "a.mha", fields, data), "unit", "DistanceUnits", unit)
    for key in ("space units", "units"):
        fields = nrrd_fields(array_of(head), head) | {key: f'"{unit}" "{unit}" "{unit}"'}
        refused(write_nrrd(tmp_path / "a.nrrd", fields, data), "unit", key, unit)


@pytest.mark.parametrize("code", range(8))
def test_units_of_nifti(head, tmp_path, code):
    """0 states none: millimetres, as everywhere; an unknown code is warned of."""
    sitk.WriteImage(head, str(tmp_path / "scan.nii"))
    content = (tmp_path / "scan.nii").read_bytes()
    (tmp_path / "scan.nii").write_bytes(patched(content, 123, "B", code))
    if code in (1, 3):  # 2.8 m or 2.8 µm
        refused(tmp_path / "scan.nii", "voxel_size", "unit is mm")
        return
    scan = read_scan(tmp_path / "scan.nii")
    assert np.allclose(scan.image.GetSpacing(), head.GetSpacing())
    assert [flag.code for flag in scan.flags] == (["unit"] if code > 3 else [])


# Orientation

UNTURNED = [
    "3D-right-handed", "3D-left-handed", "scanner-xyz", "scanner-xyz-time", "right-up", "right-down",
    "right-anterior-superior-time", "RAST", "LPST", "left-posterior-inferior", "right-posterior-superior",
    "PSR", "LSA", "unknown", "RASX", "-", "left",
]  # fmt: skip


@pytest.mark.parametrize("space", UNTURNED)
def test_nrrd_spaces_without_anatomical_axes(head, region, tmp_path, space):
    fields = nrrd_fields(array_of(head), head) | {"space": space}
    refused(
        write_nrrd(tmp_path / "a.nrrd", fields, array_of(head).tobytes()),
        "no_orientation",
        space,
        "left and right",
    )
    fields = nrrd_fields(array_of(region), region) | {"space": space}
    scan = read_scan(write_nrrd(tmp_path / "b.nrrd", fields, array_of(region).tobytes()), region=True)
    assert [flag.code for flag in scan.flags] == ["no_orientation"]


def test_no_space_and_no_matrix(head, tmp_path):
    data = array_of(head).tobytes()
    fields = nrrd_fields(array_of(head), head) | {"space": None, "space dimension": "3"}
    refused(write_nrrd(tmp_path / "a.nrrd", fields, data), "no_orientation", "no space")
    fields = meta_fields(array_of(head), head) | {"TransformMatrix": None}
    refused(write_meta(tmp_path / "a.mha", fields, data), "no_orientation", "TransformMatrix")
    fields |= {"AnatomicalOrientation": "RAI"}  # letters alone: ITK does not read them
    refused(write_meta(tmp_path / "a.mha", fields, data), "no_orientation", "TransformMatrix")


def test_freesurfer_without_orientation(head, tmp_path):
    nib.save(nib.MGHImage(array_of(head).T, np.diag([*head.GetSpacing(), 1])), tmp_path / "scan.mgh")
    content = (tmp_path / "scan.mgh").read_bytes()
    (tmp_path / "scan.mgh").write_bytes(patched(content, 28, ">h", 0))
    refused(tmp_path / "scan.mgh", "no_orientation", "goodRASFlag")


@pytest.mark.parametrize(
    "matrix",
    ["1 0 0 0 1 0 0 0", "1 0 0 0 1 0 0 0 x", "0 0 0 0 0 0 0 0 0", "2 0 0 0 2 0 0 0 2", "1 0 0 1 0 0 0 0 1"],
)
def test_matrices_that_turn_nothing(head, tmp_path, matrix):
    fields = meta_fields(array_of(head), head) | {"TransformMatrix": matrix}
    with pytest.raises(InputError, match="TransformMatrix|right angles"):
        read_scan(write_meta(tmp_path / "a.mha", fields, array_of(head).tobytes()))


@pytest.mark.parametrize("letters", ["RAI", "LPS", "???", "RRI", "xyz", "RA", "", None])
def test_letters_that_agree_or_say_nothing(head, tmp_path, letters):
    """ITK names where the axes come from (RAI), others where they go to (LPS); the head is nearly so."""
    fields = meta_fields(array_of(head), head) | {"AnatomicalOrientation": letters}
    assert read_scan(write_meta(tmp_path / "a.mha", fields, array_of(head).tobytes())).flags == ()


@pytest.mark.parametrize("letters", ["LAI", "RPI", "RAS", "LPI", "ARI", "PSR", "LAS", "rpi"])
def test_letters_that_contradict_the_matrix(head, tmp_path, letters):
    fields = meta_fields(array_of(head), head) | {"AnatomicalOrientation": letters}
    scan = read_scan(write_meta(tmp_path / "a.mha", fields, array_of(head).tobytes()))
    (flag,) = scan.flags
    assert flag.code == "orientation_contradicted" and flag.severity == "warning"
    assert "LEFT AND RIGHT" in flag.message
    assert scan.image.GetDirection() == pytest.approx(head.GetDirection())


# qform and sform


def two_forms(path, head, qform: np.ndarray, sform: np.ndarray, codes: tuple[int, int] = (1, 1)):
    image = nib.Nifti1Image(array_of(head).T, None)
    image.header.set_zooms(head.GetSpacing())
    image.header.set_qform(qform, codes[0])
    image.header.set_sform(sform, codes[1])
    nib.save(image, path)
    return read_scan(path)


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (2, 1), (1, 4)])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (np.diag([1, 1, 1, 1]), None),
        (np.diag([-1, 1, 1, 1]), "orientations_mirrored"),  # handedness
        (np.diag([1, -1, 1, 1]), "orientations_mirrored"),
        (np.diag([1, 1, -1, 1]), "orientations_mirrored"),
        (np.diag([-1, -1, -1, 1]), "orientations_mirrored"),
        (np.diag([-1, -1, 1, 1]), "orientations_mirrored"),  # turned by 180 degrees: right is left
        (np.diag([-1, 1, -1, 1]), "orientations_mirrored"),
        (np.diag([1, -1, -1, 1]), "orientations_disagree"),  # upside down, but right is right
        (np.array([[1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "orientations_disagree"),
    ],
)
def test_two_orientations(head, tmp_path, change, code, codes):
    """Which of them is used stays ITK's choice; what is said depends on what is at stake."""
    affine = np.diag([*head.GetSpacing(), 1.0])
    affine[:3, 3] = (-60, -80, -50)
    middle = np.eye(4)
    middle[:3, 3] = affine[:3, :3] @ np.array(head.GetSize()) / 2 + affine[:3, 3]
    other = middle @ change @ np.linalg.inv(middle) @ affine  # turned about the middle of the image
    scan = two_forms(tmp_path / "scan.nii", head, affine, other, codes)
    assert [flag.code for flag in scan.flags] == ([code] if code else [])
    if code:
        assert scan.flags[0].severity == "warning"
        assert ("LEFT AND RIGHT" in scan.flags[0].message) == (code == "orientations_mirrored")
    direction = sitk.ReadImage(str(tmp_path / "scan.nii")).GetDirection()
    assert scan.image.GetDirection() == pytest.approx(direction, abs=1e-4)


def test_a_quaternion_that_is_no_rotation(head, tmp_path):
    """It is not bent into one: without an sform, the orientation is not stated."""
    sitk.WriteImage(head, str(tmp_path / "scan.nii"))
    content = patched((tmp_path / "scan.nii").read_bytes(), 256, "<3f", 3.0, 4.0, 5.0)
    (tmp_path / "scan.nii").write_bytes(patched(content, 254, "<h", 0))
    refused(tmp_path / "scan.nii", "no_orientation", "left and right")


def test_an_origin_far_away(head, tmp_path):
    head.SetOrigin((0, 1e7, 0))
    sitk.WriteImage(head, str(tmp_path / "scan.nrrd"))
    refused(tmp_path / "scan.nrrd", "geometry", "origin")
