"""The numpy engine against PyTorch: every layer, whole networks, and the models that ship."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch.nn import functional

from HippoSegLib.io.images import read_image
from HippoSegLib.models import numpy_layers as layers
from HippoSegLib.models.numpy_engine import NumpyUNet
from HippoSegLib.models.store import load_model
from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.pipeline import network_input

#: Even, odd in each direction, smaller than a step, and several steps of planes.
SHAPES = [(6, 8, 10), (5, 8, 10), (6, 7, 10), (6, 8, 9), (5, 7, 5), (1, 1, 1), (2, 3, 1), (34, 30, 26)]


def plain(array: np.ndarray) -> np.ndarray:
    """(c, z, y, x) as the layers take it, (z, c, y, x)."""
    return np.ascontiguousarray(array.transpose(1, 0, 2, 3))


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def between_voxels(grid: layers.Grid, array: np.ndarray) -> np.ndarray:
    """All values of an array that are not a voxel's."""
    ones = grid.split(np.ones((grid.shape[0], grid.body(array).shape[4], *grid.shape[1:]), np.float32))
    return array[ones == 0]


@pytest.mark.parametrize("shape", SHAPES)
def test_splitting_and_joining_lose_nothing(shape):
    image = random(shape[0], 3, *shape[1:])
    grid = layers.Grid(shape)
    array = grid.split(image)
    assert np.array_equal(grid.join(grid.body(array)), image)
    assert not between_voxels(grid, array).any()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [(1, 4), (3, 5), (8, 2)])
def test_convolution_and_moments(shape, channels):
    image, weight = random(channels[0], *shape), random(*channels[::-1], 3, 3, 3, seed=1)
    grid = layers.Grid(shape)
    result, mean, variance = layers.convolve(
        grid, [grid.split(plain(image))], layers.convolution_weights(weight)
    )
    expected = functional.conv3d(torch.from_numpy(image), torch.from_numpy(weight), padding=1).numpy()
    found = plain(grid.join(grid.body(result)))
    assert np.abs(found - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    assert mean == pytest.approx(expected.mean(axis=(1, 2, 3)), abs=1e-5)
    assert variance == pytest.approx(expected.var(axis=(1, 2, 3)), rel=1e-4, abs=1e-5)


def test_convolution_of_two_arrays_is_that_of_their_channels_together():
    first, second, weight = random(3, 6, 7, 8), random(5, 6, 7, 8, seed=1), random(4, 8, 3, 3, 3, seed=2)
    grid = layers.Grid((6, 7, 8))
    result, *_ = layers.convolve(
        grid,
        [grid.split(plain(first)), grid.split(plain(second))],
        layers.convolution_weights(weight),
    )
    expected = functional.conv3d(
        torch.from_numpy(np.concatenate((first, second))), torch.from_numpy(weight), padding=1
    ).numpy()
    assert np.abs(plain(grid.join(grid.body(result))) - expected).max() < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_instance_norm_and_leaky_relu(shape):
    if shape == (1, 1, 1):
        pytest.skip("one voxel has no variance: PyTorch refuses it")
    image, weight = 3 * random(2, *shape) + 5, random(4, 2, 3, 3, 3, seed=1)
    gamma, beta = random(4, seed=2), random(4, seed=3)
    grid = layers.Grid(shape)
    array, mean, variance = layers.convolve(
        grid, [grid.split(plain(image))], layers.convolution_weights(weight)
    )
    scale = gamma / np.sqrt(variance + layers.EPSILON)
    layers.normalise(grid, array, scale, beta - mean * scale)
    expected = functional.leaky_relu(
        functional.instance_norm(
            functional.conv3d(torch.from_numpy(image[None]), torch.from_numpy(weight), padding=1),
            weight=torch.from_numpy(gamma),
            bias=torch.from_numpy(beta),
        ),
        0.01,
    )[0].numpy()
    assert np.abs(plain(grid.join(grid.body(array))) - expected).max() < 1e-4
    # The next convolution takes what lies between the voxels for the zeros outside the image.
    assert not between_voxels(grid, array).any()


@pytest.mark.parametrize("shape", [(6, 8, 10), (2, 2, 2), (12, 6, 14)])
def test_max_pooling(shape):
    image = random(3, *shape)
    grid = layers.Grid(shape)
    found = layers.pool(grid, grid.split(plain(image)))
    assert np.array_equal(plain(found), functional.max_pool3d(torch.from_numpy(image), 2).numpy())


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 1, 1), (6, 7, 5)])
def test_transposed_convolution(shape):
    image, weight, bias = random(6, *shape), random(6, 4, 2, 2, 2, seed=1), random(4, seed=2)
    grid = layers.Grid([2 * n for n in shape])
    array = layers.enlarge(grid, plain(image), weight, bias)
    expected = functional.conv_transpose3d(
        torch.from_numpy(image), torch.from_numpy(weight), torch.from_numpy(bias), stride=2
    ).numpy()
    assert np.abs(plain(grid.join(grid.body(array))) - expected).max() < 1e-5
    assert not between_voxels(grid, array).any()


def arrays(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


@pytest.mark.parametrize(
    ("channels", "classes", "widths", "shape"),
    [
        (1, 3, (16, 32, 64, 128), (48, 56, 40)),
        (2, 3, (4, 6, 8, 8), (16, 8, 24)),
        (1, 7, (8, 24, 48, 56), (40, 40, 40)),
        (1, 1, (8, 12, 24), (24, 28, 24)),
        (3, 2, (5, 7), (6, 10, 2)),
        (1, 2, (4,), (3, 4, 5)),
    ],
)
def test_whole_networks(channels, classes, widths, shape):
    torch.manual_seed(3)
    network = UNet3D(channels, classes, widths).eval()
    for name, value in network.named_parameters():
        if name.endswith("bias") or value.ndim == 1:
            torch.nn.init.normal_(value)
    image = random(channels, *shape)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)[None])[0].numpy()
    found = NumpyUNet(arrays(network))(image)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() < 2e-4 * max(1, np.abs(expected).max())


def test_the_number_of_threads_changes_nothing():
    torch.manual_seed(0)
    state = arrays(UNet3D(1, 3, (4, 8, 8)).eval())
    image = random(1, 64, 56, 40)
    assert np.array_equal(NumpyUNet(state, threads=3)(image), NumpyUNet(state)(image))


def test_a_size_that_the_levels_do_not_divide_is_refused():
    network = NumpyUNet(arrays(UNet3D(1, 1, (2, 2, 2))))
    assert network.divisor == 4
    with pytest.raises(ValueError, match="multiple of 4"):
        network(random(1, 8, 8, 6))


@pytest.mark.parametrize("name", ["hipposeg", "hipposeg_clahe_sce"])
def test_models_that_ship_give_the_same_labels(name, sample_path):
    model = load_model(name)
    segmenter, module = NumpyUNet(model.weights["segmenter"]), model.module()
    for side, channels in network_input(read_image(sample_path), model=name).items():
        image = np.stack([sitk.GetArrayFromImage(one) for one in channels])
        with torch.inference_mode():
            expected = module(torch.from_numpy(image)[None])[0].numpy()
        found = segmenter(image)
        assert np.abs(found - expected).max() < 1e-3, side
        assert (found.argmax(axis=0) != expected.argmax(axis=0)).sum() <= 1, side


def test_localiser_and_refinement_network_that_ship():
    model = load_model()
    for role, shape in (("localizer", (40, 40, 40)), ("refiner", (24, 28, 24))):
        image, network = np.abs(random(1, *shape)), model.module(role)
        with torch.inference_mode():
            expected = network(torch.from_numpy(image)[None])[0].numpy()
        assert np.abs(NumpyUNet(model.weights[role])(image) - expected).max() < 1e-3
