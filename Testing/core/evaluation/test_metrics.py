"""Metrics against MONAI, against SimpleITK's own filters, and against truths worked out by hand."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from HippoSegLib.evaluation.metrics import METRICS, compare, dice, surface_distances, surface_points

SPACING_ZYX = (2.0, 0.8, 1.3)


def blobs(seed: int, shape=(18, 26, 22)) -> tuple[np.ndarray, np.ndarray]:
    """Two ragged, overlapping masks; those of odd seeds reach the image's edge."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 2.5)
    other = smooth + 0.5 * ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    masks = [field > np.quantile(field, q) for field, q in ((smooth, 0.8), (other, 0.75))]
    if seed % 2 == 0:
        for mask in masks:
            mask[[0, -1]] = mask[:, [0, -1]] = mask[:, :, [0, -1]] = False
    return masks[0], masks[1]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # MONAI's, of its own calls
@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_monai(seed):
    monai = pytest.importorskip("monai.metrics", reason="the package monai is not installed")
    import torch

    a, b = blobs(seed)
    found = compare(a, b, SPACING_ZYX)
    x, y = (torch.from_numpy(m)[None, None] for m in (a, b))
    counts = monai.get_confusion_matrix(x.float(), y.float())
    expected = {
        "dice": monai.DiceHelper(include_background=True, softmax=False, apply_argmax=False)(x, y)[0],
        "jaccard": monai.compute_iou(x, y),
        "hd95_mm": monai.compute_hausdorff_distance(
            x, y, include_background=True, percentile=95, spacing=SPACING_ZYX
        ),
        "assd_mm": monai.compute_average_surface_distance(
            x, y, include_background=True, symmetric=True, spacing=SPACING_ZYX
        ),
        "sensitivity": monai.compute_confusion_matrix_metric("sensitivity", counts),
        "precision": monai.compute_confusion_matrix_metric("precision", counts),
    }
    assert {name: found[name] for name in expected} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, rel=1e-5
    )


def _distance_to_surface(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SimpleITK's contour of a mask, and the distance of every voxel to it (mm); both padded by one voxel."""
    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    image.SetSpacing(SPACING_ZYX[::-1])
    contour = sitk.LabelContour(image)
    distance = sitk.SignedMaurerDistanceMap(contour, squaredDistance=False, useImageSpacing=True)
    return sitk.GetArrayFromImage(contour) > 0, np.maximum(sitk.GetArrayFromImage(distance), 0)


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_simpleitk(seed):
    a, b = blobs(seed)
    found = compare(a, b, SPACING_ZYX)
    images = [sitk.GetImageFromArray(m.astype(np.uint8)) for m in (a, b)]
    shape = sitk.LabelShapeStatisticsImageFilter()
    volumes = []
    for image in images:
        image.SetSpacing(SPACING_ZYX[::-1])
        shape.Execute(image)
        volumes.append(shape.GetPhysicalSize(1))
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(images[0], images[1])  # ITK: source is what is judged, target the truth
    (surface_a, to_a), (surface_b, to_b) = _distance_to_surface(a), _distance_to_surface(b)
    distances = to_b[surface_a], to_a[surface_b]
    assert found == pytest.approx(
        {
            "dice": overlap.GetDiceCoefficient(),
            "jaccard": overlap.GetJaccardCoefficient(),
            "hd95_mm": max(np.percentile(d, 95) for d in distances),
            "assd_mm": np.concatenate(distances).mean(),
            "sensitivity": 1 - overlap.GetFalseNegativeError(),
            "precision": 1 - overlap.GetFalseDiscoveryRate(),
            # ITK's similarity is signed: twice the difference over the sum.
            "volume_similarity": 1 - abs(overlap.GetVolumeSimilarity()) / 2,
            "volume_mm3": volumes[0],
            "reference_mm3": volumes[1],
            "bias_mm3": volumes[0] - volumes[1],
        },
        rel=1e-5,
    )


def test_a_mask_against_itself():
    mask, _ = blobs(0)
    found = compare(mask, mask, SPACING_ZYX)
    ones = ("dice", "jaccard", "sensitivity", "precision", "volume_similarity")
    assert [found[name] for name in ones] == [1] * 5
    assert found["hd95_mm"] == found["assd_mm"] == found["bias_mm3"] == 0


def test_box_in_box_by_hand():
    truth, mask = np.zeros((2, 10, 10, 10), bool)
    truth[2:6, 2:6, 2:6] = True  # 64 voxels
    mask[2:4, 2:6, 2:8] = True  # 48 voxels, 32 of them in the truth
    found = compare(mask, truth, (1.0, 2.0, 0.5))
    assert found["dice"] == pytest.approx(64 / 112) == dice(mask, truth)
    assert found["jaccard"] == pytest.approx(32 / 80)
    assert found["sensitivity"] == pytest.approx(32 / 64)
    assert found["precision"] == pytest.approx(32 / 48)
    assert found["volume_similarity"] == pytest.approx(1 - 16 / 112)
    assert (found["volume_mm3"], found["reference_mm3"], found["bias_mm3"]) == (48, 64, -16)


def test_distances_by_hand():
    a, b = np.zeros((2, 12, 12, 12), bool)
    a[1, 2, 3] = b[4, 6, 3] = True  # 3 steps of 2 mm, 4 steps of 2 mm
    assert surface_distances(a, b, (2, 2, 9)) == pytest.approx((10, 10))
    # Parallel plates, five steps apart: every distance is the gap.
    a, b = np.zeros((2, 12, 12, 12), bool)
    a[2], b[7] = True, True
    assert surface_distances(a, b, (1.5, 1, 1)) == pytest.approx((7.5, 7.5))
    # One stray voxel among a hundred: a maximum would see it, the 95th percentile does not.
    b = np.zeros((30, 10, 10), bool)
    b[2] = True
    a = b.copy()
    a[25, 5, 5] = True
    hd95, assd = surface_distances(a, b, (1, 1, 1))
    assert hd95 == 0
    assert assd == pytest.approx(23 / 201)


def test_the_surface_has_face_neighbours_outside():
    mask = np.zeros((7, 7, 7), bool)
    mask[1:6, 1:6, 1:6] = True
    assert len(surface_points(mask, (1, 1, 1))) == 5**3 - 3**3
    assert len(surface_points(np.ones((5, 5, 5), bool), (1, 1, 1))) == 5**3 - 3**3  # the image's edge counts
    assert surface_points(mask, (3, 2, 0.5)).min(axis=0).tolist() == [3, 2, 0.5]


def test_empty_masks_flatter_nobody():
    mask, _ = blobs(0)
    nothing = np.zeros_like(mask)
    missed = compare(nothing, mask, SPACING_ZYX)
    assert [missed[n] for n in ("dice", "jaccard", "sensitivity", "volume_similarity", "volume_mm3")] == [
        0
    ] * 5
    assert all(math.isnan(missed[n]) for n in ("hd95_mm", "assd_mm", "precision"))
    assert missed["bias_mm3"] == -missed["reference_mm3"] < 0
    invented = compare(mask, nothing, SPACING_ZYX)
    assert [invented[n] for n in ("dice", "jaccard", "precision", "volume_similarity")] == [0] * 4
    assert all(math.isnan(invented[n]) for n in ("hd95_mm", "assd_mm", "sensitivity"))
    neither = compare(nothing, nothing, SPACING_ZYX)
    volumes = {"volume_mm3", "reference_mm3", "bias_mm3"}
    assert all(neither[n] == 0 for n in volumes)
    assert all(math.isnan(neither[n]) for n in METRICS if n not in volumes)


def test_masks_that_cannot_be_compared_are_refused():
    a = np.zeros((4, 4, 4), bool)
    with pytest.raises(ValueError, match="shapes"):
        compare(a, a[:3], (1, 1, 1))
    with pytest.raises(ValueError, match="bool"):
        compare(a, a.astype(np.uint8), (1, 1, 1))
