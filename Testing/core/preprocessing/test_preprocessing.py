"""Preprocessing against scikit-image and PyWavelets used directly, and against hand-made truths."""

import json
import subprocess
import sys

import numpy as np
import pytest
import pywt
from skimage.exposure import equalize_adapthist

from HippoSegLib.errors import InputError
from HippoSegLib.preprocessing.chain import Preprocessing, channels
from HippoSegLib.preprocessing.clahe import clahe_3d
from HippoSegLib.preprocessing.min_max import min_max
from HippoSegLib.preprocessing.sce_dwt import sce_dwt_3d
from HippoSegLib.preprocessing.steps import step

ODD = [(47, 55, 39), (31, 40, 24), (43, 59, 47), (9, 8, 7), (48, 56, 40)]


def region(shape=(48, 56, 40), seed=0):
    """A smooth random image in [0, 1] with a background of zeros on one side."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(0, 3, n) for n in shape), indexing="ij")
    image = 0.5 + 0.3 * np.sin(2 * z + y) * np.cos(3 * x) + 0.05 * rng.standard_normal(shape)
    image = np.clip(image, 0.01, 1).astype(np.float32)
    image[:, :, : shape[2] // 5] = 0
    return image


# --- min-max


def test_min_max_by_hand():
    image = np.array([[[0, 10, 20], [30, 40, 50]]], float)
    expected = [[[0, 0.2, 0.4], [0.6, 0.8, 1.0]]]
    np.testing.assert_allclose(min_max(image, 0, 100), expected, atol=1e-7)


def test_min_max_percentiles_are_those_of_the_foreground():
    rng = np.random.default_rng(1)
    image = np.zeros((20, 20, 20))
    image[5:15] = rng.uniform(100, 200, (10, 20, 20))
    foreground = image[image > 0]
    low, high = np.percentile(foreground, (2, 98))
    result = min_max(image, 2, 98)
    np.testing.assert_allclose(result[5:15], np.clip((image[5:15] - low) / (high - low), 0, 1), atol=1e-6)
    assert (result[:5] == 0).all()
    # The size of the background changes nothing in the head.
    np.testing.assert_allclose(min_max(image[4:16], 2, 98)[1:11], result[5:15], atol=1e-6)


@pytest.mark.parametrize("scale, offset", [(1e-3, 0), (1.7e6, 0), (300, -1000)])
def test_min_max_forgets_scale_and_offset(scale, offset):
    image = region()
    np.testing.assert_allclose(min_max(image * scale + offset), min_max(image), atol=2e-3)


def test_min_max_extremes():
    huge = np.array([[[-3e38, 3e38, 0.0]]], np.float32)
    np.testing.assert_allclose(min_max(huge, 0, 100), [[[0, 1, 0.5]]])
    np.testing.assert_array_equal(min_max(np.full((3, 3, 3), 7)), np.zeros((3, 3, 3)))
    np.testing.assert_array_equal(min_max(np.array([[[0, 5, 0]]])), [[[0, 1, 0]]])


# --- CLAHE


@pytest.mark.parametrize("kernel", [None, (6, 7, 5), (10, 10, 10)])
def test_clahe_is_scikit_image(kernel):
    image = min_max(region(), 0, 100)
    expected = equalize_adapthist(image, kernel_size=kernel, clip_limit=0.03)
    expected[image == 0] = 0
    result = clahe_3d(image, 0.03, kernel)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert (result[image == 0] == 0).all() and result[image > 0].std() > 0


def test_clahe_kernel_matters_and_the_default_is_explicit():
    image = min_max(region((35, 51, 35)))
    assert not np.allclose(clahe_3d(image), clahe_3d(image, kernel_size=None), atol=0.02)


def test_clahe_takes_what_scikit_image_refuses():
    image = region() * 4000
    with pytest.raises(ValueError):
        equalize_adapthist(image)
    np.testing.assert_allclose(clahe_3d(image), clahe_3d(min_max(image, 0, 100)), atol=1e-6)


def test_clahe_of_a_constant_image_is_that_image():
    constant = np.full((16, 16, 16), 0.3, np.float32)
    assert (equalize_adapthist(constant) != constant).all()  # what is guarded against
    np.testing.assert_array_equal(clahe_3d(constant), constant)
    np.testing.assert_array_equal(clahe_3d(np.zeros((9, 9, 9))), np.zeros((9, 9, 9)))


# --- SCE-3DWT


@pytest.mark.parametrize("shape", ODD)
@pytest.mark.parametrize("wavelet, levels", [("coif5", 2), ("sym4", 3), ("haar", 1)])
@pytest.mark.filterwarnings("error")
def test_sce_with_factor_1_and_threshold_0_is_the_identity(shape, wavelet, levels):
    image = region(shape) - 0.2  # negative values too
    result = sce_dwt_3d(image, wavelet, levels, factor=1, threshold=0)
    assert result.shape == shape and result.dtype == np.float32
    np.testing.assert_allclose(result, image, atol=1e-5)


@pytest.mark.parametrize("shape", ODD)
@pytest.mark.filterwarnings("ignore:Level value of")
def test_sce_is_pywavelets(shape):
    image, threshold = region(shape), 0.1
    source = np.where(image < threshold, 0, image).astype(np.float64)
    coefficients = pywt.wavedecn(source, "coif5", mode="symmetric", level=2)
    for bands in coefficients[1:]:
        for name in bands:
            bands[name] = bands[name] * 0.8
    expected = pywt.waverecn(coefficients, "coif5", mode="symmetric")[tuple(map(slice, shape))]
    expected[(expected < threshold) | (image < threshold)] = 0
    result = sce_dwt_3d(image)
    near = np.abs(expected - threshold) < 1e-4  # may fall on either side of the threshold
    np.testing.assert_allclose(result[~near], expected[~near], atol=1e-5)
    assert (result[image == 0] == 0).all()
    assert ((result == 0) | (result >= threshold)).all()


@pytest.mark.parametrize(
    "factor, expected",
    [
        (1.5, {(level, kind): 1.5 for level in (1, 2) for kind in ("ddd", "mixed")}),
        ({"ddd": 0.0, "mixed": 2.0}, {(1, "ddd"): 0, (2, "ddd"): 0, (1, "mixed"): 2, (2, "mixed"): 2}),
        ({1: 0.5}, {(1, "ddd"): 0.5, (1, "mixed"): 0.5, (2, "ddd"): 1, (2, "mixed"): 1}),
        (
            {"1": {"ddd": 0.25}, "2": 3},
            {(1, "ddd"): 0.25, (1, "mixed"): 1, (2, "ddd"): 3, (2, "mixed"): 3},
        ),
    ],
)
def test_sce_scales_each_band_by_its_factor(factor, expected):
    # Periodic extension of an orthogonal wavelet: the result's coefficients are the scaled ones.
    image = np.random.default_rng(2).uniform(0.2, 1, (32, 16, 32)).astype(np.float32)
    result = sce_dwt_3d(image, "db2", 2, factor=factor, threshold=0, mode="periodization")
    before = pywt.wavedecn(image.astype(float), "db2", mode="periodization", level=2)
    after = pywt.wavedecn(result.astype(float), "db2", mode="periodization", level=2)
    np.testing.assert_allclose(after[0], before[0], atol=1e-5)
    for level in (1, 2):
        for name, values in before[-level].items():
            wanted = expected[level, "ddd" if name == "ddd" else "mixed"] * values
            np.testing.assert_allclose(after[-level][name], wanted, atol=1e-5)


# --- what all refuse


@pytest.mark.parametrize("function", [min_max, clahe_3d, sce_dwt_3d, channels])
@pytest.mark.parametrize(
    "array", [np.full((8, 8, 8), np.nan), np.full((8, 8, 8), np.inf), np.zeros((8, 8)), np.zeros((0, 8, 8))]
)
def test_impossible_images_are_refused(function, array):
    with pytest.raises(InputError) as error:
        function(array)
    assert error.value.cause and error.value.remedy


@pytest.mark.parametrize(
    "call",
    [
        lambda image: min_max(image, 50, 50),
        lambda image: min_max(image, -1, 99),
        lambda image: clahe_3d(image, 1.5),
        lambda image: clahe_3d(image, 0.03, (6, 7)),
        lambda image: clahe_3d(image, 0.03, (0, 7, 5)),
        lambda image: sce_dwt_3d(image, "coif99"),
        lambda image: sce_dwt_3d(image, "morl"),  # continuous
        lambda image: sce_dwt_3d(image, levels=0),
        lambda image: sce_dwt_3d(image, threshold=-0.1),
        lambda image: sce_dwt_3d(image, mode="mirror"),
        lambda image: sce_dwt_3d(image, factor={"ddd": 1, "aaa": 2}),
        lambda image: step("clahe"),
        lambda image: step("clahe_3d", clip=0.1),
        lambda image: Preprocessing.named("all"),
        lambda image: Preprocessing.from_dict({"channel": []}),
        lambda image: Preprocessing(()),
        lambda image: Preprocessing().changed({"clahe": False}),
        lambda image: Preprocessing().changed({"clahe_3d": True}),
        lambda image: Preprocessing.named("plain").changed({"clahe_3d": {"clip_limit": 0.1}}),
    ],
)
def test_impossible_parameters_are_refused(call):
    with pytest.raises(InputError) as error:
        call(region((16, 16, 16)))
    assert error.value.cause and error.value.remedy


# --- the description on the card


def test_default_channels():
    image = region() * 900
    result = channels(image)
    assert result.shape == (2, *image.shape) and result.dtype == np.float32
    np.testing.assert_array_equal(result[0], min_max(image))
    np.testing.assert_array_equal(result[1], sce_dwt_3d(clahe_3d(min_max(image))))
    for name, picked in (("plain", [0]), ("method", [1]), ("both", [0, 1])):
        np.testing.assert_array_equal(channels(image, Preprocessing.named(name)), result[picked])
    assert (result[:, image == 0] == 0).all()


def test_description_survives_json():
    description = Preprocessing(
        ((step("min_max", lower=1),), (step("clahe_3d"), step("sce_dwt_3d", factor={1: {"ddd": 0.5}})))
    )
    again = Preprocessing.from_dict(json.loads(json.dumps(description.to_dict())))
    assert again == description and again.differs_from(description) == []
    image = region()
    np.testing.assert_array_equal(channels(image, again), channels(image, description))
    np.testing.assert_array_equal(channels(image, description.to_dict()), channels(image, description))


def test_differences_in_words():
    default = Preprocessing()
    assert default.differs_from(Preprocessing()) == []
    assert default.changed({"sce_dwt_3d": {"factor": 1.5}}).differs_from(default) == [
        "SCE-3DWT factor 1.5 instead of 0.8"
    ]
    assert default.changed({"clahe_3d": False}).differs_from(default) == ["CLAHE was left out"]
    assert Preprocessing.named("plain").differs_from(default) == ["1 instead of 2 images for the network"]
    plain = Preprocessing(((step("min_max"),), (step("min_max"),)))
    both = Preprocessing(tuple((step("min_max"), step("clahe_3d")) for _channel in range(2)))
    assert both.differs_from(plain) == ["CLAHE was added"]
    turned = Preprocessing(tuple(tuple(reversed(steps)) for steps in both.channels))
    assert turned.differs_from(both) == ["the steps are in another order"]


def test_steps_can_be_switched_off_and_changed():
    image = region()
    off = channels(image, Preprocessing().changed({"clahe_3d": False, "sce_dwt_3d": False}))
    np.testing.assert_array_equal(off[1], off[0])
    raw = channels(
        image * 70, Preprocessing().changed(dict.fromkeys(("min_max", "clahe_3d", "sce_dwt_3d"), False))
    )
    np.testing.assert_array_equal(raw[0], image * np.float32(70))
    changed = channels(image, Preprocessing().changed({"min_max": {"lower": 0, "upper": 100}}))
    np.testing.assert_array_equal(changed[0], min_max(image, 0, 100))
    plain = Preprocessing.named("plain")
    assert Preprocessing().changed(plain) == Preprocessing().changed(plain.to_dict()) == plain


def test_input_is_not_written_to():
    image = region() * 500
    before = image.copy()
    channels(image)
    clahe_3d(image)
    sce_dwt_3d(image)
    np.testing.assert_array_equal(image, before)


def test_importing_does_not_load_the_heavy_packages():
    code = (
        "import sys, HippoSegLib, HippoSegLib.preprocessing.chain, HippoSegLib.training;"
        "print([m for m in ('torch', 'skimage', 'pywt', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
