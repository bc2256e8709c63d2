"""Which engine computes the networks, and what the pipeline calls one: arrays in, arrays out."""

from __future__ import annotations

import copy
import sys
from ctypes.util import find_library
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from ..errors import DependencyError, DeviceError, InputError
from . import devices

if TYPE_CHECKING:
    from torch import nn

#: What a user may ask for.
ENGINES = ("auto", "numpy", "torch")
#: From so many scans on, a GPU makes up for the seconds in which PyTorch and its libraries are loaded: it
#: saves a few tenths of a second of each scan.
GPU_SCANS = 20


class Network(Protocol):
    """A U-Net in evaluation mode: float32 (channels, z, y, x) -> logits float32 (classes, z, y, x)."""

    def __call__(self, image: np.ndarray) -> np.ndarray: ...


Net = TypeVar("Net", bound="Threaded")


class Threaded:
    """Something that computes on `threads` CPU threads."""

    threads: int = 1

    def with_threads(self: Net, threads: int) -> Net:
        """The same with another number of threads; the weights are shared."""
        other = copy.copy(self)
        other.threads = threads
        return other


class TorchNetwork(Threaded):
    """A `UNet3D`, or another module of its shapes, in evaluation mode, on the device it lies on."""

    def __init__(self, module: nn.Module):
        self.module = module
        self.device = next(module.parameters()).device

    def __call__(self, image: np.ndarray) -> np.ndarray:
        import torch

        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        with torch.inference_mode():
            logits = self.module(torch.from_numpy(np.ascontiguousarray(image)[None]).to(self.device))
            result: np.ndarray = logits[0].float().cpu().numpy()
        return result


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of the classes, (classes, ...)."""
    powers: np.ndarray = np.exp(logits - logits.max(axis=0))
    result: np.ndarray = powers / powers.sum(axis=0)
    return result


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of one class."""
    result: np.ndarray = 0.5 * (1 + np.tanh(0.5 * logits))
    return result


@dataclass(frozen=True)
class Engine:
    """What computes the networks.

    Attributes:
        name: "numpy" or "torch".
        device: "cpu", or a device as PyTorch calls it.
        threads: On the CPU.
        reason: Why this one, in words.
    """

    name: str
    device: str
    threads: int
    reason: str


def choose(engine: str = "auto", device: str = "auto", threads: int | None = None, scans: int = 1) -> Engine:
    """What is the fastest for the job among what is there, within what is asked for.

    On a CPU that is numpy, also beside a PyTorch that is loaded; a GPU where one is asked for, and by itself
    where PyTorch is loaded already or many scans are to come.

    Args:
        engine: One of `ENGINES`.
        device: "auto", "cpu", or a device as PyTorch calls it.
        threads: CPU threads; None takes the idle CPUs.
        scans: How many are to come.

    Raises:
        InputError: Unknown engine, or the numpy engine on a GPU.
        DeviceError, DependencyError: See `devices.resolve`; only where PyTorch or a device was asked for.
    """
    if engine not in ENGINES:
        raise InputError(f"Engine '{engine}' is not known.", f"Choose one of: {', '.join(ENGINES)}.")
    threads, device = threads or devices.default_threads(), device.strip().lower()
    on_cpu = device in ("auto", "cpu")
    if engine == "numpy" and not on_cpu:
        raise InputError(
            f"The numpy engine computes on the CPU, not on '{device}'.",
            "Choose cpu as the device, or the engine torch.",
        )
    if engine == "torch" or not on_cpu:
        return Engine("torch", *_on_device(device, threads))
    if engine == "numpy" or device == "cpu":
        return Engine("numpy", "cpu", threads, f"As chosen: {'numpy' if engine == 'numpy' else 'cpu'}.")
    refused = ""
    if "torch" in sys.modules or (scans >= GPU_SCANS and devices.torch_is_installed() and _has_cuda_driver()):
        try:
            name, threads, reason = _on_device("auto", threads)
        except (DependencyError, DeviceError) as error:
            refused = f" {error.cause}"
        else:
            if name != "cpu":
                return Engine("torch", name, threads, reason)
            refused = reason.removeprefix("Automatic: CPU.")
    return Engine("numpy", "cpu", threads, f"Automatic: numpy on the CPU.{refused}")


def _has_cuda_driver() -> bool:
    return any(find_library(name) for name in ("cuda", "nvcuda"))


def _on_device(device: str, threads: int) -> tuple[str, int, str]:
    name, reason = devices.resolve(device)
    return name, threads, reason
