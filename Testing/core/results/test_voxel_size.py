"""A voxel size that makes the head too small, too large or too long is named; a right one is not."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from HippoSegLib import segment
from HippoSegLib.geometry.orientation import canonical_axes
from HippoSegLib.geometry.pose import Affine, fit_affine, stretch
from HippoSegLib.io.images import read_image
from HippoSegLib.localization.head_size import SHAPE_MEAN, HeadSize, share_out_of_view
from HippoSegLib.results.voxel_size import size_deviation, voxel_size_flags

pytestmark = pytest.mark.usefixtures("networks_answer_once")

AXES = ("from left to right", "from front to back", "from bottom to top")


@pytest.fixture(scope="module")
def sample(sample_path):
    return canonical_axes(read_image(sample_path))[0]


def claimed(image: sitk.Image, factors) -> sitk.Image:
    """The image with another voxel size in its header."""
    result = sitk.Image(image)
    result.SetSpacing([s * f for s, f in zip(image.GetSpacing(), factors, strict=True)])
    return result


def run(image: sitk.Image):
    return segment(image, device="cpu", threads=1, second_reader=False)


def remarks(image: sitk.Image):
    return [flag for flag in run(image).flags if flag.code == "voxel_size"]


def turned(image: sitk.Image, degrees) -> sitk.Image:
    """The head turned in its grid: the image's axes lie obliquely in it."""
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    transform = sitk.AffineTransform(turn.ravel().tolist(), [0.0] * 3, middle)
    larger = sitk.ConstantPad(image, [15] * 3, [15] * 3, 0)
    return sitk.Resample(larger, larger, transform, sitk.sitkLinear, 0.0)


def test_the_right_voxel_size_is_not_named(sample):
    assert remarks(sample) == []


@pytest.mark.no_cover
@pytest.mark.parametrize("factor", [0.8, 0.85, 1.15, 1.25])
def test_a_voxel_size_wrong_along_all_axes(sample, factor):
    (flag,) = remarks(claimed(sample, [factor] * 3))
    assert flag.severity == "warning" and flag.side is None
    text = f"check the voxel size that the file states ({factor:g} × {factor:g} × {factor:g} mm)."
    assert flag.message.endswith(text)
    if factor < 1:
        assert "small for an adult" in flag.message and "that of a child" in flag.message
    else:
        assert "unusually large" in flag.message and "child" not in flag.message


@pytest.mark.no_cover
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_a_voxel_size_wrong_along_one_axis(sample, axis, factor):
    factors = np.ones(3)
    factors[axis] = factor
    (flag,) = remarks(claimed(sample, factors))
    assert flag.severity == "warning" and "check the voxel size" in flag.message
    # Which axis it is is said where the head's own shape does not hide it.
    if (axis, factor) != (0, 1.3):
        assert f"{'long' if factor > 1 else 'short'} {AXES[axis]}" in flag.message


@pytest.mark.no_cover
def test_a_head_that_lies_obliquely(sample):
    oblique = turned(sample, (25, -20, 30))
    assert remarks(oblique) == []
    for factors in ((0.7, 1, 1), (1, 1.3, 1), (0.85,) * 3):
        (flag,) = remarks(claimed(oblique, factors))
        assert flag.severity == "warning" and "voxel size" in flag.message


def test_another_storage_of_the_axes(sample):
    stored = sitk.DICOMOrient(claimed(sample, (1, 1, 0.7)), "PIR")
    assert [flag.message for flag in remarks(stored)] == [
        "The head is unusually short from bottom to top: check the voxel size that the file states "
        "(1 × 1 × 0.7 mm)."
    ]


@pytest.mark.parametrize(
    "lower, upper", [((0, 0, 0), (1, 1, 0.8)), ((0, 0, 0), (1, 0.75, 1)), ((0, 0, 0.3), (1,) * 3)]
)
def test_a_cut_head_is_not_called_small(sample, lower, upper):
    size = np.array(sample.GetSize())
    start, stop = (np.round(size * part).astype(int) for part in (lower, upper))
    cut = sitk.RegionOfInterest(sample, (stop - start).tolist(), start.tolist())
    result = run(cut)
    assert [flag for flag in result.flags if flag.code == "voxel_size"] == []


@pytest.mark.no_cover
def test_every_real_head_at_hand(data_dir):
    """Those that may only test and are not in the golden set's own runs: all of one kind each."""
    paths = (
        data_dir / "heads_unlabelled/ds000011/sub-03_T1w.nii.gz",  # the smallest, 1058 mL by hippodeep
        data_dir / "heads_unlabelled/ds002748_stripped/sub-06_T1w.nii.gz",  # the widest
        data_dir / "heads_labelled_evaluation_only/1119_SS.nii.gz",  # the shortest
        data_dir / "sample_heads/lowres_1.75mm_T1.nii.gz",
    )
    for path in paths:
        assert remarks(read_image(path)) == [], path.name


# The pieces


def test_the_affine_fit_is_that_of_linear_regression():
    rng = np.random.default_rng(0)
    truth = Affine(rng.normal(size=(3, 3)) + 3 * np.eye(3), rng.normal(size=3))
    coordinates = rng.normal(size=(200, 3)) * 40
    world = truth(coordinates) + rng.normal(size=(200, 3))
    weights = rng.uniform(0.1, 1, 200)
    found = fit_affine(world, coordinates, weights)
    root = np.sqrt(weights)[:, None]
    expected, *_ = np.linalg.lstsq(np.c_[coordinates, np.ones(200)] * root, world * root, rcond=None)
    assert np.allclose(found.matrix, expected[:3].T, atol=1e-4)
    assert np.allclose(found.offset, expected[3], atol=1e-2)
    assert truth.after(found).volume == pytest.approx(truth.volume * found.volume)


def test_the_stretch_leaves_the_turn_aside():
    turn = Rotation.from_euler("xyz", [20, -35, 70], degrees=True).as_matrix()
    own = np.array([[1.1, 0.05, 0], [0.05, 0.9, 0.02], [0, 0.02, 1.0]])
    rotation, found = stretch(turn @ own)
    assert np.allclose(rotation, turn) and np.allclose(found, own)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("degrees", [(0, 0, 0), (40, -30, 15), (90, 0, 180)])
def test_the_deviation_is_along_the_image_axis_that_is_wrong(axis, degrees):
    """A mean head, whose file claims 30 % more along one of the image's axes, however it lies in it."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    a, b, *_ = SHAPE_MEAN
    # The mean head's own shape (but for its tiny shears), of any size.
    own = 1.07 * np.diag(np.exp([a / 2**0.5 - b / 6**0.5, -a / 2**0.5 - b / 6**0.5, 2 * b / 6**0.5]))
    claim = np.eye(3)
    right = HeadSize(1.4e6, Affine(turn @ own, np.zeros(3))).axis_deviations(np.eye(3))
    claim[axis, axis] = 1.3
    wrong = HeadSize(1.4e6, Affine(claim @ turn @ own, np.zeros(3))).axis_deviations(np.eye(3))
    assert np.abs(right).max() < 0.8
    assert wrong.argmax() == axis and wrong[axis] > 4


def test_what_is_out_of_view_is_counted(sample):
    half = np.array(sample.GetSize()) / 2
    to_world = Affine(
        np.diag([-1.0, -1.0, 1.0]), np.array(sample.TransformContinuousIndexToPhysicalPoint(half - 0.5))
    )
    assert share_out_of_view(sample, to_world) == 0
    assert share_out_of_view(sample, Affine(3 * to_world.matrix, to_world.offset)) > 0.8
    # The plane through the ellipsoid's middle, 16 mm above the origin, is the image's lower end.
    above = Affine(to_world.matrix, to_world.offset - [0, 0, half[2] + 16])
    assert share_out_of_view(sample, above) == pytest.approx(0.5, abs=0.05)


def test_a_cut_that_the_network_does_not_see_is_no_odd_shape(data_dir):
    head = canonical_axes(read_image(data_dir / "sample_heads/lowres_1.75mm_T1.nii.gz"))[0]
    size = list(head.GetSize())
    array = sitk.GetArrayViewFromImage(head)
    rows = np.argwhere(array > 0.2 * np.percentile(array, 99))[:, 0]
    low, high = np.percentile(rows, (1, 99))
    size[2] = int(high - 0.1 * (high - low))
    assert remarks(sitk.RegionOfInterest(head, size, [0, 0, 0])) == []


def test_a_head_stated_so_short_that_it_seems_cut_is_named(data_dir):
    """Squeezed, its brain seems to reach the edges of the field of view, which it does not."""
    head = canonical_axes(read_image(data_dir / "sample_heads/lowres_1.75mm_T1.nii.gz"))[0]
    (flag,) = remarks(claimed(head, (1, 1, 0.7)))
    assert flag.severity == "warning" and "unusually short from bottom to top" in flag.message


def test_of_a_head_at_the_edge_of_the_image_only_an_extreme_shape_counts(sample):
    to_world = Affine(np.diag([-1.0, -1.0, 1.0]), np.zeros(3))
    assert voxel_size_flags(HeadSize(0.7e6, to_world, cut=True), {"left": 40.0}, sample) == []
    a_little, much = (np.diag([-1.0, -1.0, f]) for f in (0.88, 0.7))
    for matrix, cut, count in ((a_little, False, 1), (a_little, True, 0), (much, True, 1)):
        size = HeadSize(1.4e6, Affine(matrix, np.zeros(3)), cut)
        assert len(voxel_size_flags(size, {"left": 40.0}, sample)) == count


def test_size_is_judged_by_volume_and_length_together():
    assert abs(size_deviation(1.407e6, 40.3)) < 0.01
    assert size_deviation(1.407e6, None) == pytest.approx(0, abs=1e-6)
    # The same small head with hippocampi of its size, and with ones that were made smaller as well.
    small, shrunk = size_deviation(1.08e6, 38.7), size_deviation(1.08e6, 34.5)
    assert shrunk < small - 1 and small < -1.5
    assert size_deviation(1.08e6, None) < -1.5


def test_short_hippocampi_alone_are_no_small_head(sample):
    size = HeadSize(1.45e6, Affine(np.diag([-1.0, -1.0, 1.0]), np.zeros(3)))
    assert voxel_size_flags(size, {"left": 25.0, "right": 26.0}, sample) == []


def test_a_large_head_gets_a_note_that_leaves_its_status(sample):
    """A small head that is stated 15 % too large is as large as this one, which may be right."""
    size = HeadSize(1.68e6, Affine(np.diag([-1.0, -1.0, 1.0]), np.zeros(3)))
    assert 1.5 < size_deviation(1.68e6, 43.0) < 2.25
    (flag,) = voxel_size_flags(size, {"left": 43.0, "right": 43.0}, sample)
    assert flag.severity == "info" and "1680 mL" in flag.message and "voxel size" in flag.message
    # Not so large, or large with hippocampi of the mean size.
    assert voxel_size_flags(size, {"left": 40.5, "right": 40.5}, sample) == []


@pytest.mark.parametrize(("volume", "length"), [(0.7e6, 40.0), (2.4e6, 40.0), (0.7e6, None)])
def test_impossible_volumes_are_named_whatever_the_length(sample, volume, length):
    size = HeadSize(volume, Affine(np.diag([-1.0, -1.0, 1.0]), np.zeros(3)))
    lengths = {} if length is None else {"left": length}
    (flag,) = voxel_size_flags(size, lengths, sample)
    assert flag.severity == "warning" and f"{volume / 1e3:.0f} mL" in flag.message
