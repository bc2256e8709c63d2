"""What the pipeline calls a network: arrays in, arrays out, whichever engine computes."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Network(Protocol):
    """A U-Net in evaluation mode: float32 (channels, z, y, x) -> logits float32 (classes, z, y, x)."""

    def __call__(self, image: np.ndarray) -> np.ndarray: ...


class TorchNetwork:
    """A `UNet3D`, or another module of its shapes, in evaluation mode, on the device it lies on."""

    def __init__(self, module: Any):
        self.module = module
        self.device = next(module.parameters()).device

    def __call__(self, image: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            logits = self.module(torch.from_numpy(np.ascontiguousarray(image)[None]).to(self.device))
            return logits[0].float().cpu().numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of the classes, (classes, ...)."""
    result = np.exp(logits - logits.max(axis=0))
    return result / result.sum(axis=0)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of one class."""
    return 0.5 * (1 + np.tanh(0.5 * logits))
