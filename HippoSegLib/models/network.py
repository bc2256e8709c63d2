"""The one place where a network is built, from the shape that a card or a training's settings state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .network_shape import NetworkShape

if TYPE_CHECKING:
    import numpy as np
    import torch

    from .unet3d import UNet3D

    Weights = Mapping[str, np.ndarray] | Mapping[str, torch.Tensor]


def build(shape: NetworkShape, weights: Weights | None = None, dropout: float = 0.0) -> UNet3D:
    """Build a network on the CPU, with the state `weights` (any precision) or random ones; in float32.

    A network with weights is in evaluation mode, one with random weights in training mode.

    Raises:
        RuntimeError: The weights are of another network.
        DependencyError: PyTorch is missing or does not load.
    """
    from .devices import import_torch

    torch = import_torch()
    from .unet3d import UNet3D

    network = UNet3D(shape.in_channels, shape.out_channels, shape.widths, dropout)
    if weights is None:
        return network
    state = {name: torch.as_tensor(value).detach().float().cpu() for name, value in weights.items()}
    network.load_state_dict(state)
    return network.eval()
