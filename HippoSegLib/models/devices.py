"""Which devices can run the network here, and which one "auto" means."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Any

from ..errors import DependencyError, DeviceError


@dataclass(frozen=True)
class Device:
    """A device that passed its probe: `name` as PyTorch calls it, `description` for people."""

    name: str
    description: str


def import_torch() -> Any:
    """Import PyTorch, or say in one sentence why it cannot be.

    Raises:
        DependencyError: PyTorch is missing or does not load.
    """
    try:
        import torch
    except ImportError as error:
        raise DependencyError(
            "PyTorch is not installed or does not load"
            + (" (a library of it is missing)." if "DLL" in str(error) or ".so" in str(error) else "."),
            "Install it (in Slicer: the PyTorch extension; elsewhere: pip install torch); on Windows also "
            "the Microsoft Visual C++ runtime.",
            "not_installed",
        ) from error
    except OSError as error:
        raise DependencyError(
            "PyTorch is installed but does not load.",
            "An antivirus program or a missing Microsoft Visual C++ runtime is the usual cause: install the "
            "runtime, allow PyTorch's libraries, then start again.",
        ) from error
    return torch


def probe(name: str) -> str | None:
    """Run a tiny 3D convolution on a device and compare it with the CPU; None if well, else the reason.

    "Available" is not enough: a driver can lack the kernels for a newer card, and some Apple GPU
    builds compute wrong values.
    """
    torch = import_torch()
    try:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(1, 2, 8, 8, 8, generator=generator)
        w = torch.randn(3, 2, 3, 3, 3, generator=generator)
        expected = torch.nn.functional.conv3d(x, w, padding=1)
        result = torch.nn.functional.conv3d(x.to(name), w.to(name), padding=1).cpu()
        return None if torch.allclose(expected, result, atol=1e-2) else "it computes wrong values"
    except Exception as error:  # drivers raise whatever they like; every failure means "not usable"
        return f"its test failed ({type(error).__name__})"


def torch_is_installed() -> bool:
    """Whether PyTorch can be found; it is not imported for that."""
    try:
        return importlib.util.find_spec("torch") is not None
    except (ImportError, OSError, ValueError):
        return False


def candidates() -> list[Device]:
    """The CPU, and the devices that PyTorch reports where it is installed, not yet probed.

    Raises:
        DependencyError: PyTorch is installed, but does not load.
    """
    found = [Device("cpu", f"CPU, {default_threads()} threads")]
    if not torch_is_installed():
        return found
    torch = import_torch()
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            found.append(Device(f"cuda:{i}", f"{torch.cuda.get_device_name(i)} (cuda:{i})"))
    if getattr(torch.backends, "mps", None) is not None and torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU"))
    return found


def available() -> list[Device]:
    """Devices that pass their probe, CPU first."""
    return [d for d in candidates() if d.name == "cpu" or probe(d.name) is None]


def resolve(name: str = "auto") -> tuple[str, str]:
    """Choose the device for PyTorch.

    Args:
        name: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Returns:
        PyTorch's device name and, in words, why. "auto" is the first CUDA device that passes its
        probe, else the CPU; an Apple GPU only on request, since its results have differed.

    Raises:
        DeviceError: A device was named that is not here or fails its probe. There is no silent fall-back.
        DependencyError: PyTorch is missing or does not load.
    """
    import_torch()
    name = name.strip().lower()
    found = candidates()
    if name == "auto":
        reasons = []
        for device in found:
            if device.name.startswith("cuda"):
                reason = probe(device.name)
                if reason is None:
                    return device.name, f"Automatic: {device.description}."
                reasons.append(f"{device.description} is not used: {reason}.")
        return "cpu", " ".join(["Automatic: CPU.", *reasons, *([] if reasons else ["No CUDA device here."])])
    wanted = "cuda:0" if name == "cuda" else name
    names = [d.name for d in found]
    if wanted not in names:
        raise DeviceError(
            f"Device '{name}' is not available here.", f"Choose one of: auto, {', '.join(names)}."
        )
    if wanted != "cpu":
        reason = probe(wanted)
        if reason is not None:
            raise DeviceError(
                f"Device '{name}' cannot be used: {reason}.", "Update its driver, or choose cpu."
            )
    return wanted, f"As chosen: {wanted}."


def default_threads() -> int:
    """Threads to use when the user does not say: the idle CPUs that this process may use, 1 to 8.

    With more, the work waits for the thread whose CPU is busy with something else.
    """
    return max(1, min(usable_cpus() - _busy(), 8))


def usable_cpus() -> int:
    """CPUs that this process may use, idle or not: a cluster's scheduler and `taskset` give it fewer."""
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:  # Windows, macOS
        usable = os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:  # a container's share
            quota, period = file.read().split()
        return max(1, min(usable, round(int(quota) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):
        return usable


def _busy() -> int:
    """CPUs that other programs keep busy; 0 where the system does not tell (Windows).

    The lower of the last minute's load and what runs right now: neither a run that has just ended nor a
    moment's work counts.
    """
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):
        return 0
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            running = int(file.read().split()[3].split("/")[0]) - 1  # this process runs too
    except (OSError, ValueError, IndexError):  # no Linux
        return round(load)
    return min(round(load), running)
