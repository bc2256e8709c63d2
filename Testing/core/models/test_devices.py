"""Devices: an unusable one is refused in words, never replaced silently."""

import sys

import pytest

from HippoSegLib.errors import DependencyError, DeviceError
from HippoSegLib.models import devices


def test_cpu_is_always_there_and_passes_its_probe():
    assert devices.available()[0].name == "cpu"
    assert devices.probe("cpu") is None


def test_an_absent_device_is_refused_with_the_choices():
    with pytest.raises(DeviceError, match=r"'cuda:7' is not available here.*auto, cpu"):
        devices.resolve("cuda:7")


def test_a_gpu_whose_kernels_are_missing_is_not_chosen_and_that_is_said(monkeypatch):
    fake = [devices.Device("cpu", "CPU"), devices.Device("cuda:0", "New GPU (cuda:0)")]
    monkeypatch.setattr(devices, "candidates", lambda: fake)
    monkeypatch.setattr(devices, "probe", lambda name: "its test failed (RuntimeError)")
    name, reason = devices.resolve("auto")
    assert name == "cpu"
    assert "New GPU" in reason and "not used: its test failed" in reason
    with pytest.raises(DeviceError, match="cannot be used: its test failed"):
        devices.resolve("cuda")


def test_a_usable_gpu_is_what_automatic_means(monkeypatch):
    fake = [devices.Device("cpu", "CPU"), devices.Device("cuda:0", "Good GPU (cuda:0)")]
    monkeypatch.setattr(devices, "candidates", lambda: fake)
    monkeypatch.setattr(devices, "probe", lambda name: None)
    assert devices.resolve("auto") == ("cuda:0", "Automatic: Good GPU (cuda:0).")


@pytest.mark.parametrize("failure", [ImportError("No module named torch"), OSError("[WinError 126]")])
def test_torch_that_does_not_load_is_one_sentence(monkeypatch, failure):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "torch":
                raise failure

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(DependencyError, match="PyTorch is"):
        devices.import_torch()


@pytest.mark.parametrize(
    ("usable", "busy", "threads"), [(2, 0, 2), (2, 1, 1), (2, 2, 1), (4, 9, 1), (16, 3, 8), (64, 60, 4)]
)
def test_default_threads_are_the_idle_cpus(monkeypatch, usable, busy, threads):
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: set(range(usable)), raising=False)
    monkeypatch.setattr(devices, "_busy", lambda: busy)
    assert devices.default_threads() == threads


@pytest.mark.parametrize(
    ("load", "running", "busy"),
    [
        (0.1, "1/300", 0),
        (2.2, "3/300", 2),  # two others compute, as they did for the last minute
        (2.2, "1/300", 0),  # what computed has ended
        (0.1, "6/300", 0),  # a moment's work
        (2.2, None, 2),  # a system that tells the load alone
        (None, "3/300", 0),  # Windows
    ],
)
def test_busy_is_what_lasted_and_runs_now(monkeypatch, tmp_path, load, running, busy):
    def loadavg():
        if load is None:
            raise OSError
        return load, 9.0, 9.0

    def opened(path, **_):
        assert path == "/proc/loadavg"
        if running is None:
            raise FileNotFoundError
        (tmp_path / "loadavg").write_text(f"{load} 9 9 {running} 4711\n")
        return open(tmp_path / "loadavg")

    monkeypatch.setattr(devices.os, "getloadavg", loadavg, raising=False)
    monkeypatch.setattr(devices, "open", opened, raising=False)
    assert devices._busy() == busy
