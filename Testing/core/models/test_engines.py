"""What the pipeline calls a network, and PyTorch behind it."""

import numpy as np
import torch

from HippoSegLib.models.engines import TorchNetwork, sigmoid, softmax
from HippoSegLib.models.unet3d import UNet3D


def test_a_torch_network_takes_and_gives_arrays():
    module = UNet3D(2, 3, (2, 4)).eval()
    image = np.random.default_rng(0).normal(size=(2, 4, 6, 8)).astype(np.float32)
    found = TorchNetwork(module)(image[:, ::-1])  # not contiguous
    with torch.inference_mode():
        expected = module(torch.from_numpy(image[:, ::-1].copy())[None])[0].numpy()
    assert found.dtype == np.float32 and np.array_equal(found, expected)


def test_probabilities():
    logits = np.random.default_rng(0).normal(0, 40, (3, 4, 5, 6)).astype(np.float32)
    logits[:, 0] = [[[1000.0]], [[-1000.0]], [[0.0]]]  # neither overflows
    with np.errstate(all="raise", under="ignore"):
        classes, one = softmax(logits), sigmoid(logits)
    np.testing.assert_allclose(classes, torch.from_numpy(logits).softmax(0).numpy(), atol=1e-6)
    np.testing.assert_allclose(one, torch.from_numpy(logits).sigmoid().numpy(), atol=1e-6)
    assert classes.dtype == one.dtype == np.float32
