"""Slices that do not form an evenly spaced, upright stack are refused, and the fault is named."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicomwriter import COUNT, SECRETS, positions, read_with_itk, volume, write_series
from pydicom.uid import generate_uid

from HippoSegLib.errors import InputError
from HippoSegLib.io.dicom import read_series


def refused(words: str, folder) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_series(folder)
    assert caught.value.remedy and caught.value.code != "input"
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def moved(shifts: dict[int, tuple[float, float, float]]):
    """A change that moves some slices (mm, LPS)."""

    def change(data, index):
        place = np.add(positions()[index], shifts.get(index, (0, 0, 0)))
        data.ImagePositionPatient = [f"{v:.4f}" for v in place]

    return change


@pytest.mark.parametrize("victim", [0, 1, 7, COUNT - 1])
@pytest.mark.parametrize("shift", [(0, 3, 0), (0, 0, -3), (0, 0.7, 0), (0, -40, 40)])
def test_a_slice_shifted_within_its_plane(tmp_path, victim, shift):
    write_series(tmp_path / "s", change=moved({victim: shift}))
    error = refused(f"1 of {COUNT}, .*InstanceNumber {victim + 1}[)]", tmp_path / "s")
    assert error.code == "shifted_slices"


@pytest.mark.parametrize("block", [range(5), range(8), range(10, COUNT), range(0, COUNT, 2), range(6, 9)])
def test_blocks_of_slices_shifted_within_their_plane(tmp_path, block):
    write_series(tmp_path / "s", change=moved(dict.fromkeys(block, (0, 2, 0))))
    refused("shifted within their plane|leans", tmp_path / "s")


def test_rounded_positions_and_a_slight_lean_are_no_shift(tmp_path):
    def change(data, index):
        x, y, z = positions()[index]
        data.ImagePositionPatient = [f"{x:.2f}", f"{y + 0.0161 * index:.2f}", f"{z - 0.0049 * index:.2f}"]

    write_series(tmp_path / "s", change=change)
    image, flags = read_series(tmp_path / "s")
    assert flags == [] and np.allclose(image.GetSpacing(), (5.4, 5.8, 6.0))


def test_a_leaning_stack(tmp_path):
    write_series(tmp_path / "s", change=moved({k: (0, 0, 0.5 * k) for k in range(COUNT)}))
    assert refused("tilted gantry", tmp_path / "s").code == "tilted_gantry"
    write_series(tmp_path / "t", GantryDetectorTilt="12")
    refused("tilted gantry", tmp_path / "t")


@pytest.mark.parametrize("missing", [[7], [1], [5, 6], [3, 9, 12]])
def test_missing_slices_are_counted(tmp_path, missing):
    folder = write_series(tmp_path / "s")
    for index in missing:
        (folder / f"IM{index + 1:04d}").unlink()
    error = refused(f"gaps: {len(missing)} slice", folder)
    assert error.code == "slices_missing"


@pytest.mark.parametrize("missing", [[0], [COUNT - 1], [0, 1, 2]])
def test_slices_missing_at_an_end_are_remarked_on_where_their_number_is_stated(tmp_path, missing):
    folder = write_series(tmp_path / "s", ImagesInAcquisition=COUNT)
    assert read_series(folder)[1] == []
    for index in missing:
        (folder / f"IM{index + 1:04d}").unlink()
    (flag,) = read_series(folder)[1]
    assert flag.code == "slices_missing" and flag.severity == "warning"
    assert f"{COUNT} images, but {COUNT - len(missing)}" in flag.message


def test_uneven_spacing_names_a_slice(tmp_path):
    write_series(tmp_path / "s", change=moved(dict.fromkeys(range(9, COUNT), (2, 0, 0))))
    refused("unevenly spaced slices .beside the slice with InstanceNumber 10", tmp_path / "s")


@pytest.mark.parametrize("victim", [0, 6, COUNT - 1])
def test_a_slice_slightly_out_of_place_is_refused(tmp_path, victim):
    write_series(tmp_path / "s", change=moved({victim: (0.8, 0, 0)}))
    refused("unevenly spaced", tmp_path / "s")


def test_two_images_at_one_position(tmp_path):
    def change(data, index):
        if index == 4:
            data.ImagePositionPatient = list(positions()[5])

    write_series(tmp_path / "s", change=change)
    refused("several images at one position.*InstanceNumber [56] and .*InstanceNumber [56]", tmp_path / "s")


def test_a_copy_of_a_file_is_called_one(tmp_path):
    folder = write_series(tmp_path / "s")
    (folder / "copy").write_bytes((folder / "IM0004").read_bytes())
    refused("same image twice", folder)


@pytest.mark.parametrize("field", ["ImageOrientationPatient", "PixelSpacing", "Columns"])
def test_one_slice_of_another_grid(tmp_path, field):
    def change(data, index):
        if index != 9:
            return
        if field == "Columns":
            data.Columns, data.Rows = data.Rows, data.Columns
        else:
            setattr(data, field, [5.8, 5.5] if field == "PixelSpacing" else [1, 0, 0, 0, 1, 0])

    write_series(tmp_path / "s", change=change)
    refused("different size or orientation.*InstanceNumber 1 and .*InstanceNumber 10 differ", tmp_path / "s")


def test_slices_of_two_frames_of_reference(tmp_path):
    def moved_table(data, index):
        data.FrameOfReferenceUID = "1.2.3.99" if index > 8 else "1.2.3.5"

    write_series(tmp_path / "s", change=moved_table)
    refused("frames of reference", tmp_path / "s")

    def anonymised(data, index):
        data.FrameOfReferenceUID = generate_uid()

    write_series(tmp_path / "t", change=anonymised)
    assert read_series(tmp_path / "t")[0].GetSize()[2] == COUNT


@pytest.mark.parametrize("field", ["PatientID", "StudyInstanceUID"])
def test_a_series_of_two_patients(tmp_path, field):
    def change(data, index):
        if index == 3:
            setattr(data, field, "1.2.3.77")

    write_series(tmp_path / "s", change=change)
    assert refused("several patients or examinations", tmp_path / "s").code == "several_patients"


def test_an_oblique_series_in_any_order_of_names(tmp_path):
    turn = sitk.VersorTransform((0.1, -0.2, 0.3, 0.9), (0, 0, 0))
    axes = np.reshape(turn.GetMatrix(), (3, 3))
    names = np.random.default_rng(3).permutation(COUNT)

    def change(data, index):
        data.ImageOrientationPatient = [f"{v:.10f}" for v in (*axes[:, 0], *axes[:, 1])]
        data.ImagePositionPatient = [f"{v:.6f}" for v in np.array((-40, 30, 20)) + 6 * index * axes[:, 2]]

    write_series(tmp_path / "s", change=change)
    expected = sitk.GetArrayFromImage(read_with_itk(tmp_path / "s"))[::-1]
    for index, path in enumerate(sorted((tmp_path / "s").iterdir())):
        path.rename(path.with_name(f"x{names[index]:02d}"))
    image, _ = read_series(tmp_path / "s")
    assert np.allclose(np.reshape(image.GetDirection(), (3, 3)), axes, atol=1e-6)
    assert np.allclose(image.GetOrigin(), (-40, 30, 20)) and np.allclose(image.GetSpacing(), (5.4, 5.8, 6.0))
    assert np.array_equal(sitk.GetArrayFromImage(image), expected)
    assert np.array_equal(sitk.GetArrayFromImage(image), volume())


def test_the_real_series_with_one_slice_moved(data_dir, tmp_path):
    paths = sorted((data_dir / "dicom_head" / "series").iterdir())[60:90]
    for path in paths:
        data = pydicom.dcmread(path)
        if path == paths[12]:
            x, y, z = (float(v) for v in data.ImagePositionPatient)
            data.ImagePositionPatient = [x, y + 0.4, z]
        data.save_as(tmp_path / path.name)
    refused("shifted within their plane: 1 of 30, by up to 0.4 mm .*InstanceNumber 73", tmp_path)
