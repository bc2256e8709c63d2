"""Cases of the second teacher: cut out of any grid, mirrored, at 1 mm; and synthesised from label maps."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from HippoSegLib.errors import InputError
from HippoSegLib.training.background_context import CONTEXT_SHAPE
from HippoSegLib.training.labelmaps import synthesised_cases
from HippoSegLib.training.protocols import FULL
from HippoSegLib.training.teachers import labelled_case, second_teacher

#: Semi-axes (right, anterior, superior) mm of the body, and where a bright spot lies from its middle.
AXES, SPOT = np.array([6.0, 18.0, 5.0]), np.array([10.0, 4.0, -3.0])
CENTRE = np.array([21.0, -13.0, 8.0])  # LPS mm


def scan(spacing=(0.9, 0.8, 1.3), degrees=8.0):
    """Image and soft label (0..255) of an ellipsoid with a spot beside it, on an oblique grid."""
    image = sitk.Image([90, 110, 60], sitk.sitkFloat32)
    image.SetSpacing(spacing)
    # Stored to the left, posterior and superior, turned in its plane.
    turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    image.SetDirection(turn.ravel().tolist())
    half = (np.array(image.GetSize()) - 1) / 2 * spacing
    image.SetOrigin((CENTRE + [2, 3, -1] - turn @ half).tolist())
    index = np.indices(image.GetSize()[::-1])[::-1]
    world = np.tensordot(turn * spacing, index, axes=1) + np.array(image.GetOrigin())[:, None, None, None]
    ras = np.diag([-1, -1, 1]) @ turn.T  # along the grid's own axes, to the right, anterior, superior
    along = np.tensordot(ras, world - CENTRE[:, None, None, None], axes=1)
    radius = np.sqrt(((along / AXES[:, None, None, None]) ** 2).sum(axis=0))
    soft = np.clip((1 - radius) * 4 + 0.5, 0, 1)
    near = ((along - SPOT[:, None, None, None]) ** 2).sum(axis=0)
    values = 50 + 100 * soft + 300 * np.exp(-near / 8)
    pair = [sitk.GetImageFromArray(a) for a in (values.astype(np.float32), (255 * soft).astype(np.uint8))]
    for one in pair:
        one.CopyInformation(image)
    return pair


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_crop_of_any_grid_comes_to_1_mm_with_left_geometry(side):
    case = labelled_case("a_left", *scan(), side)
    assert case.image.shape == CONTEXT_SHAPE and case.protocol is FULL and case.subject == "a"
    middle = (np.array(CONTEXT_SHAPE) - 1) / 2
    body = np.argwhere(case.label > 0)
    assert np.abs(body.mean(axis=0) - middle).max() < 0.3
    assert set(np.unique(case.label)) == {0, 3}
    assert np.count_nonzero(case.label) == pytest.approx(4 / 3 * np.pi * AXES.prod(), rel=0.05)
    sign = -1 if side == "right" else 1
    bright = np.unravel_index(case.image.argmax(), case.image.shape) - middle
    assert np.abs(bright - [SPOT[2], SPOT[1], sign * SPOT[0]]).max() < 1.2


def test_no_crops_are_an_error(tmp_path):
    with pytest.raises(InputError, match="no crops"):
        second_teacher(tmp_path)


def test_a_label_that_is_missing_is_named(tmp_path):
    folder = tmp_path / "second_teacher" / "images"
    folder.mkdir(parents=True)
    sitk.WriteImage(scan()[0], str(folder / "x_left.nii.gz"))
    with pytest.raises(InputError, match="x_left"):
        second_teacher(tmp_path)


def test_label_maps_become_cases(tmp_path):
    """A head of white matter with two hippocampi of different volume: which is which, and where."""
    labels = np.full((100, 120, 100), 2, np.int32)
    z, y, x = np.indices(labels.shape)
    for value, size, middle in ((17, 5, 30), (53, 7, 70)):  # x to the left: 53, the right one, at low x
        labels[(abs(z - 50) < 4) & (abs(y - 60) < 12) & (abs(x - (100 - middle)) < size)] = value
    image = sitk.GetImageFromArray(labels)
    image.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
    folder = tmp_path / "head_label_maps"
    (folder / "labels_classes_priors").mkdir(parents=True)
    sitk.WriteImage(image, str(folder / "training_seg_03.nii.gz"))
    priors = {"generation_labels": [0, 2, 17, 53], "generation_classes_contrast_specific": [0, 1, 2, 2]}
    priors |= {"prior_means_t1": [[0, 160, 90], [0, 1, 1]], "prior_stds_t1": [[1, 4, 4], [0, 0, 0]]}
    for name, values in priors.items():
        np.save(folder / "labels_classes_priors" / f"{name}.npy", np.array(values))
    cases = synthesised_cases(tmp_path, ("03",), renderings=2)
    assert [case.name for case in cases] == [
        f"labelmap_03_{s}_{k}" for s in ("left", "right") for k in (0, 1)
    ]
    assert {case.subject for case in cases} == {"labelmap_03"}
    volumes = [np.count_nonzero(case.label) for case in cases]
    assert volumes == [7 * 23 * 9, 7 * 23 * 9, 7 * 23 * 13, 7 * 23 * 13]
    assert (cases[0].image != cases[1].image).any()
    for case in cases:
        inside = case.label > 0
        assert case.image[inside].mean() < 0.75 * np.median(case.image[~inside & (case.image > 0)])
    again = synthesised_cases(tmp_path, ("03",), renderings=2)
    assert all((a.image == b.image).all() for a, b in zip(cases, again, strict=True))
