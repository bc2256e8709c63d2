"""Samples: reproducible, label and image together, surroundings real, degradations as named."""

from dataclasses import replace

import numpy as np
import pytest
from crops import crop

from HippoSegLib.training.augmentation import Augmentation, _reslice, degrade, sample
from HippoSegLib.training.background_context import BackgroundContext
from HippoSegLib.training.cases import fit, make_case
from HippoSegLib.training.evaluation import dice

VARIATIONS = ("elastic", "context", "gamma", "bias", "reslice", "blur", "noise", "window")

#: Nothing is varied.
STILL = Augmentation(
    shift=0,
    rotation=0,
    scale=(1, 1),
    stretch=0,
    **{
        f"{name}_probability": 0
        for name in ["elastic", "context", "gamma", "bias", "reslice", "blur", "noise", "window"]
    },
)
SHAPE = (32, 40, 24)


def a_case(seed=0, shape=(25, 25, 25)):
    image, label = crop(seed, shape)
    return make_case("a", "a", image, label)


def centred_case():
    """A case whose hippocampus has its centre of mass in the very middle."""
    case = a_case()
    label = np.maximum(case.label, case.label[::-1, ::-1, ::-1])
    return replace(case, label=label)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_without_variation_the_crop_is_placed_in_the_middle():
    case = centred_case()
    image, label = sample(case, (31, 41, 23), rng(), STILL)
    np.testing.assert_array_equal(label, fit(case.label, (31, 41, 23)))
    inner = np.s_[4:-4, 9:-9, 1:-1]
    expected = fit(case.image, (31, 41, 23))[inner]
    assert np.corrcoef(image[inner].ravel(), expected.ravel())[0, 1] > 0.999
    assert (image[0] == 0).all() and (image[:, :6] == 0).all()  # outside the crop
    assert image.min() == 0 and image.max() == 1


def test_samples_are_a_function_of_the_generator():
    case = a_case()
    contexts = [
        BackgroundContext("h", np.random.default_rng(1).uniform(50, 99, (60, 60, 60)).astype(np.float32))
    ]
    one, two, other = (sample(case, SHAPE, rng((0, 3, k)), Augmentation(), contexts) for k in (7, 7, 8))
    for a, b, c in zip(one, two, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    assert one[0].dtype == np.float32 and one[1].dtype == np.uint8 and one[0].shape == one[1].shape == SHAPE


def test_label_moves_with_the_image():
    case = a_case()
    moving = replace(STILL, shift=5, rotation=20, scale=(0.85, 1.2), stretch=0.05, elastic_probability=1)
    places = []
    for seed in range(8):
        for mask in (lambda label: label > 0, lambda label: label == 2):
            shown = replace(case, image=mask(case.label).astype(np.float32))
            image, label = sample(shown, SHAPE, rng(seed), moving)
            assert dice(image > 0.5, mask(label)) > 0.95
        places.append(np.argwhere(label > 0).mean(axis=0))
    spread = np.ptp(places, axis=0)
    assert (spread > 3).all() and (spread < 14).all()


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_scale_enlarges(factor):
    z, y, x = np.indices((25, 25, 25)) - 12
    ball = (z**2 + y**2 + x**2 < 9**2).astype(np.uint8)
    _, label = sample(replace(a_case(), label=ball), (40, 48, 40), rng(), replace(STILL, scale=(factor,) * 2))
    assert label.sum() / ball.sum() == pytest.approx(factor**3, rel=0.04)


def test_surroundings_replace_the_void_and_leave_the_crop():
    case = centred_case()
    alone, label = sample(case, SHAPE, rng(5), STILL)
    context = BackgroundContext(
        "h", (case.image.mean() * 0 + np.random.default_rng(2).uniform(200, 300, (60, 60, 60))).astype("f4")
    )
    set_in, same_label = sample(case, SHAPE, rng(5), replace(STILL, context_probability=1), [context])
    np.testing.assert_array_equal(label, same_label)
    inside = fit(np.ones((21, 21, 21), bool), SHAPE)
    assert (alone[:, :6] == 0).all() and (set_in[:, :6] > 0).mean() > 0.99
    slope, offset = np.polyfit(alone[inside], set_in[inside], 1)
    np.testing.assert_allclose(set_in[inside], slope * alone[inside] + offset, atol=0.02)
    # Grey values are matched where crop and surroundings overlap.
    assert set_in[:, :6].mean() == pytest.approx(set_in[inside].mean(), rel=0.1)


def test_stripped_surroundings_stay_0():
    context = np.zeros((60, 60, 60), np.float32)
    context[:, :, :40] = np.random.default_rng(3).uniform(50, 99, (60, 60, 40))
    shape = (32, 32, 48)
    hard = replace(Augmentation(), context_probability=1, shift=0, rotation=0, elastic_probability=0)
    image, _ = sample(a_case(), shape, rng(1), hard, [BackgroundContext("h", context)])
    assert (image[:, :, -6:] == 0).all() and (image[:, :, :6] > 0).mean() > 0.9


@pytest.mark.parametrize("name", ["gamma", "bias", "reslice", "blur", "noise", "window"])
def test_each_degradation_changes_the_known_voxels_only(name):
    image, _ = crop(4, SHAPE)
    known = np.zeros(SHAPE, bool)
    known[4:28, 6:34, 4:20] = True
    still = degrade(image, known, rng(0), STILL)
    worse = degrade(image, known, rng(0), replace(STILL, **{f"{name}_probability": 1}))
    assert worse.dtype == np.float32 and np.isfinite(worse).all() and worse.min() >= 0
    assert (worse[~known] == 0).all() and np.abs(worse - still)[known].mean() > 1e-3
    if name in ("reslice", "blur"):  # smoother
        inner = np.s_[8:24, 10:30, 8:16]
        assert sum(np.abs(np.diff(worse[inner], axis=k)).sum() for k in range(3)) < sum(
            np.abs(np.diff(still[inner], axis=k)).sum() for k in range(3)
        )
    if name in ("gamma", "window"):  # grey values keep their order
        order = np.argsort(still[known], kind="stable")
        assert (np.diff(worse[known][order]) >= -1e-6).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_reslicing_averages_slices(axis):
    image = np.random.default_rng(5).uniform(size=(12, 18, 24)).astype(np.float32)
    result = np.moveaxis(_reslice(image, axis, 3.0, 0.0), axis, 0)
    slices = np.moveaxis(image, axis, 0)
    slices = slices.reshape(-1, 3, *slices.shape[1:]).mean(axis=1)
    np.testing.assert_allclose(result[1::3], slices, atol=1e-5)  # the middle of each slice
    np.testing.assert_allclose(result[2:-2:3], (2 * slices[:-1] + slices[1:]) / 3, atol=1e-5)


@pytest.mark.parametrize("thickness", [1.3, 2.2, 3.5])
def test_reslicing_does_not_shift(thickness):
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32), (6, 6, 40)).copy()
    for phase in (0.0, 0.3, 0.9):
        result = _reslice(ramp, 2, thickness, phase)
        np.testing.assert_allclose(result[..., 6:-6], ramp[..., 6:-6], atol=0.1)
