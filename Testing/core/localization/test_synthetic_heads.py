"""The benchmark's heads: what they call the truth, checked by reading the stored files with other tools."""

import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from real_heads import RealHead, altered
from synthetic_heads import (
    CONTRASTS,
    SIDES,
    STORAGE_ORDERS,
    Truth,
    draw,
    draw_labels,
    plan_head,
    prepare_label_map,
    truth_of,
)


@pytest.fixture(scope="module")
def source():
    """A small head of ellipsoids, 1.5 mm, stored oddly: skin, fat, bone, fluid, brain, unequal hippocampi."""
    z, y, x = np.meshgrid(*[np.arange(n) * 1.5 - (n - 1) * 0.75 for n in (62, 70, 56)], indexing="ij")

    def ellipsoid(centre, radii):
        return sum(((a - c) / r) ** 2 for a, c, r in zip((x, y, z), centre, radii, strict=True)) < 1

    ids = np.zeros(x.shape, np.int32)
    for label, scale in ((511, 1.0), (507, 0.95), (515, 0.9), (24, 0.85), (3, 0.75), (2, 0.65)):
        ids[ellipsoid((0, 0, 0), (40 * scale, 50 * scale, 44 * scale))] = label
    ids[ellipsoid((13, 2, -6), (5, 14, 6))] = SIDES["left"]
    ids[ellipsoid((-12, 0, -7), (4, 11, 5))] = SIDES["right"]
    image = sitk.GetImageFromArray(ids)
    image.SetSpacing([1.5] * 3)
    image.SetOrigin((11.0, -7.0, 3.0))
    return prepare_label_map(sitk.DICOMOrient(image, "PIR"), "ball")


def _planned(source, number=0, contrast="T1", **fixed):
    """A head without noise, by its plan."""
    fixed = {"noise": 0.0, "bias": 0.0, "cut": "none", "spacing": np.array([1.3, 1.2, 1.5])} | fixed
    return plan_head(source, np.random.default_rng(number), contrast, **fixed)


def _stored_labels(source, plan, folder):
    """Its labels, in a file."""
    sitk.WriteImage(draw_labels(source, plan), str(folder / "labels.nii"))
    return folder / "labels.nii"


def _centroid(path, label):
    """World LPS mm by nibabel, which knows nothing of SimpleITK: its RAS, turned to LPS."""
    image = nibabel.load(path)
    index = np.argwhere(np.asarray(image.dataobj) == label)
    return nibabel.affines.apply_affine(image.affine, index).mean(axis=0) * [-1, -1, 1]


@pytest.mark.parametrize("number", range(len(STORAGE_ORDERS)))
def test_the_truth_is_where_the_stored_labels_are(source, tmp_path, number):
    """All 48 orders of storage; every other head turned in the world, every other in the header."""
    order, flips = STORAGE_ORDERS[number]
    turned_in = ("world", "header")[number % 2]
    plan = _planned(source, number, order=order, flips=flips, turned_in=turned_in)
    truth, path = truth_of(source, plan), _stored_labels(source, plan, tmp_path)
    labels = sitk.ReadImage(str(path))
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(labels)
    for side, label in SIDES.items():
        assert truth.in_view[side] == 1.0
        np.testing.assert_allclose(shape.GetCentroid(label), truth.centres[side], atol=0.4)
        np.testing.assert_allclose(_centroid(path, label), truth.centres[side], atol=0.4)
    array = sitk.GetArrayFromImage(labels)
    inside = ((array > 0) & (array < 500)).sum() * np.prod(labels.GetSpacing())
    assert inside == pytest.approx(truth.intracranial_mm3, rel=0.01)


@pytest.mark.parametrize("turned_in", ["world", "header"])
def test_the_turn_lies_where_it_is_said_to(source, turned_in):
    """A straight header and a turned head, or the other way round; left stays at larger x either way."""
    stored = {"order": (0, 1, 2), "flips": (0, 0, 0)}
    plan = _planned(source, 3, turned_in=turned_in, scale=np.ones(3), **stored)
    truth, image = truth_of(source, plan), draw_labels(source, plan)
    straight = np.allclose(np.reshape(image.GetDirection(), (3, 3)), np.eye(3))
    assert straight == (turned_in == "world")
    between = truth.centres["left"] - truth.centres["right"]
    upright = np.allclose(between, [25, 2, 1], atol=0.5)
    assert upright == (turned_in == "header")
    assert np.linalg.norm(between) == pytest.approx(np.linalg.norm([25, 2, 1]), abs=0.5)
    assert between[0] > 10


@pytest.mark.parametrize("cut", ["neck", "top", "side"])
def test_a_cut_leaves_a_whole_hippocampus_and_takes_brain_away(source, tmp_path, cut):
    least = 1.0
    for number in range(5):
        plan = _planned(source, number, cut=cut, scale=np.ones(3))
        truth, stored = truth_of(source, plan), nibabel.load(_stored_labels(source, plan, tmp_path))
        array, voxel = np.asarray(stored.dataobj), np.prod(stored.header.get_zooms()[:3])
        for side, label in SIDES.items():
            whole = len(source.sides[side]) * 1.5**3
            assert (array == label).sum() * voxel / whole == pytest.approx(truth.in_view[side], abs=0.05)
        assert max(truth.in_view.values()) == 1.0
        brain = ((array > 0) & (array < 500)).sum() * voxel
        assert brain == pytest.approx(truth.intracranial_mm3, rel=0.01)
        assert brain / (len(source.intracranial) * 1.5**3) == pytest.approx(
            truth.intracranial_in_view, abs=0.01
        )
        least = min(least, truth.intracranial_in_view)
    assert least < 0.97


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_tissues_are_as_bright_as_the_contrast_wants(source, contrast):
    plan = _planned(source, 1, contrast)
    images = draw(source, plan, np.random.default_rng(1)).image, draw_labels(source, plan)
    assert images[0].GetDirection() == images[1].GetDirection()
    assert images[0].GetOrigin() == images[1].GetOrigin()
    image, labels = (sitk.GetArrayFromImage(i) for i in images)
    fluid, cortex, white = (np.median(image[labels == label]) for label in (24, 3, 2))
    wanted = {
        "T1": fluid < cortex < white,
        "T2": white < cortex < fluid,
        "FLAIR": fluid < white < cortex,
    }
    assert wanted[contrast]
    # Bone is dark in every contrast.
    assert np.median(image[labels == 515]) < min(cortex, white)


def test_a_head_is_a_function_of_its_seed(source):
    def once(seed):
        rng = np.random.default_rng(seed)
        plan = plan_head(source, rng, "T2", spacing=np.full(3, 3.0))
        return draw(source, plan, rng).image

    first, again, other = once(1), once(1), once(2)
    assert first.GetOrigin() == again.GetOrigin() != other.GetOrigin()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(first), sitk.GetArrayFromImage(again))


def test_an_unknown_label_is_named():
    image = sitk.GetImageFromArray(np.full((8, 8, 8), 999, np.int32))
    with pytest.raises(ValueError, match="999"):
        prepare_label_map(image, "odd")


@pytest.mark.parametrize("seed", range(1, 9))
def test_an_altered_head_keeps_its_truth_beside_its_voxels(seed):
    """Turned, re-stored, cut, shaded, noisy: two bright blobs stay where the truth is taken."""
    z, y, x = np.meshgrid(*[np.arange(n) * 2.0 - n for n in (80, 90, 70)], indexing="ij")
    head = (x / 60) ** 2 + (y / 80) ** 2 + (z / 70) ** 2 < 1
    blobs = {
        side: (x - c) ** 2 + (y - 4) ** 2 + (z + 6) ** 2 < 7**2 for side, c in (("left", 24), ("right", -22))
    }
    array = np.where(head, 100, 0) + 900 * blobs["left"] + 500 * blobs["right"]
    image = sitk.GetImageFromArray(array.astype(np.int16))
    image.SetSpacing([2.0] * 3)
    image.SetOrigin([-70.0, -90.0, -80.0])
    points = {side: np.stack([a[mask] for a in (x, y, z)], axis=1) for side, mask in blobs.items()}
    truth = Truth({s: p.mean(axis=0) for s, p in points.items()}, {}, points, None, 1.0)
    changed = altered(RealHead("blobs", sitk.DICOMOrient(image, "SAR"), truth, "manual"), seed)
    assert max(changed.truth.in_view.values()) == 1.0
    values = sitk.GetArrayFromImage(changed.image)
    direction = np.reshape(changed.image.GetDirection(), (3, 3)) * changed.image.GetSpacing()
    index = np.indices(values.shape)[::-1].reshape(3, -1).T
    world = index @ direction.T + changed.image.GetOrigin()
    for side, centre in changed.truth.centres.items():
        if changed.truth.in_view[side] == 1.0:
            near = np.linalg.norm(world - centre, axis=1) < 14
            bright = near & (values.ravel() > 0.5 * np.percentile(values.ravel()[near], 90))
            np.testing.assert_allclose(world[bright].mean(axis=0), centre, atol=0.5)
    turn = np.reshape(changed.image.GetDirection(), (3, 3))
    assert np.abs(turn).max() < 0.9999
