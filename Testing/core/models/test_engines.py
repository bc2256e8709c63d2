"""Which engine computes, and what the pipeline calls a network."""

import sys

import numpy as np
import pytest
import torch

from HippoSegLib.errors import DependencyError, DeviceError, InputError
from HippoSegLib.models import devices, engines
from HippoSegLib.models.engines import Engine, TorchNetwork, choose, sigmoid, softmax
from HippoSegLib.models.store import load_model
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


class NoTorch:
    """A finder that makes PyTorch look as if it were not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")


@pytest.fixture
def no_torch(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NoTorch(), *sys.meta_path])


@pytest.fixture
def gpu(monkeypatch):
    """A CUDA device that passes its probe."""
    found = [devices.Device("cpu", "CPU"), devices.Device("cuda:0", "Good GPU (cuda:0)")]
    monkeypatch.setattr(devices, "candidates", lambda: found)
    monkeypatch.setattr(devices, "probe", lambda name: None)
    monkeypatch.setattr(engines, "_has_cuda_driver", lambda: True)


def chosen(*args, **options) -> tuple[str, str]:
    engine = choose(*args, **options)
    return engine.name, engine.device


def test_a_cpu_run_needs_no_torch(no_torch):
    for device in ("auto", "cpu"):
        assert chosen(device=device) == chosen("numpy", device) == chosen(scans=1000) == ("numpy", "cpu")
    assert "torch" not in sys.modules


def test_what_needs_torch_says_so_where_it_is_missing(no_torch):
    for asked in ({"engine": "torch"}, {"device": "cuda"}, {"device": "mps"}):
        with pytest.raises(DependencyError, match="PyTorch is not installed"):
            choose(**asked)


def test_a_gpu_is_taken_where_torch_is_loaded_or_many_scans_are_to_come(gpu, monkeypatch):
    assert "torch" in sys.modules and chosen() == ("torch", "cuda:0")
    assert chosen(device="cpu") == chosen("numpy") == ("numpy", "cpu")
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(devices, "import_torch", lambda: None)
    assert chosen() == chosen(scans=engines.GPU_SCANS - 1) == ("numpy", "cpu")
    assert chosen(scans=engines.GPU_SCANS) == chosen(device="cuda") == ("torch", "cuda:0")
    monkeypatch.setattr(engines, "_has_cuda_driver", lambda: False)
    assert chosen(scans=engines.GPU_SCANS) == ("numpy", "cpu")


def test_a_gpu_that_fails_its_probe_is_passed_over_and_named(gpu, monkeypatch):
    monkeypatch.setattr(devices, "probe", lambda name: "its test failed (RuntimeError)")
    engine = choose()
    assert (engine.name, engine.device) == ("numpy", "cpu")
    assert "Good GPU" in engine.reason and "not used: its test failed" in engine.reason
    with pytest.raises(DeviceError, match="its test failed"):
        choose(device="cuda")


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(InputError, match="numpy engine computes on the CPU, not on 'cuda'"):
        choose("numpy", "cuda")
    with pytest.raises(InputError, match="'onnx' is not known.*auto, numpy, torch"):
        choose("onnx")


def test_threads_are_those_asked_for_or_the_default(monkeypatch):
    monkeypatch.setattr(devices, "default_threads", lambda: 5)
    assert choose(threads=3).threads == choose("torch", threads=3).threads == 3
    assert choose().threads == 5


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_networks_are_built_once_and_compute_on_the_threads_asked_for(name):
    model = load_model()
    one, two = (model.networks(Engine(name, "cpu", threads, "")) for threads in (1, 2))
    assert one.segmenter.threads == 1 and two.segmenter.threads == 2 and two.refiner.threads == 2
    assert vars(one.localizer) | {"threads": 2} == vars(two.localizer)  # the same weights
    image = np.random.default_rng(0).normal(size=(1, 24, 28, 24)).astype(np.float32)
    expected = TorchNetwork(model.module("refiner"))(image)
    for networks in (one, two):
        np.testing.assert_allclose(networks.refiner(image), expected, atol=1e-3)
