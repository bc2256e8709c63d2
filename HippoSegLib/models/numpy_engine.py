"""The networks of `unet3d.py` on a CPU in plain numpy: the same weights, the same labels, no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .blas import one_blas_thread
from .engines import Threaded
from .numpy_layers import EPSILON, Grid, Run, convolution_weights, convolve, enlarge, normalise, pool


class NumpyUNet(Threaded):
    """A `UNet3D` in evaluation mode.

    Args:
        state: Name -> array, as `UNet3D.state_dict()` names them.
        threads: Threads of a call. One that waits sleeps, so that a busy machine is not slowed down, and
            the result does not depend on their number.

    Shapes: float32 (in_channels, z, y, x) -> logits float32 (out_channels, z, y, x); z, y and x must be
    multiples of `divisor`.
    """

    def __init__(self, state: Mapping[str, np.ndarray], threads: int = 1):
        self._state = {
            name: convolution_weights(value) if value.shape[2:] == (3, 3, 3) else value.astype(np.float32)
            for name, value in state.items()
        }
        self._levels = 1 + sum(name.startswith("enlarge.") for name in state) // 2
        self.threads = threads

    @property
    def divisor(self) -> int:
        """Each side of the input must be a multiple of this."""
        return 1 << (self._levels - 1)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        if any(n % self.divisor for n in image.shape[1:]):
            raise ValueError(f"Each side of {image.shape[1:]} must be a multiple of {self.divisor}.")
        with one_blas_thread():
            if self.threads == 1:
                return self._forward(image, map)
            with ThreadPoolExecutor(self.threads) as threads:
                return self._forward(image, threads.map)

    def _block(self, name: str, grid: Grid, inputs: Sequence[np.ndarray], run: Run) -> np.ndarray:
        for layer in (0, 3):
            array, mean, variance = convolve(grid, inputs, self._state[f"{name}.{layer}.weight"], run)
            gamma, beta = (self._state[f"{name}.{layer + 1}.{kind}"] for kind in ("weight", "bias"))
            scale = gamma / np.sqrt(variance + EPSILON)
            normalise(grid, array, scale, beta - mean * scale, run)
            inputs = [array]
        return array

    def _forward(self, image: np.ndarray, run: Run) -> np.ndarray:
        plain = image.astype(np.float32, copy=False).transpose(1, 0, 2, 3)
        skips: list[tuple[Grid, np.ndarray]] = []
        for level in range(self._levels):
            grid = Grid((plain.shape[0], *plain.shape[2:]))
            array = self._block(f"down.{level}", grid, [grid.split(plain)], run)
            skips.append((grid, array))
            plain = pool(grid, array)
        skips.pop()
        for level in reversed(range(self._levels - 1)):
            plain = grid.join(grid.body(array))
            grid, skip = skips.pop()
            weight, bias = (self._state[f"enlarge.{level}.{kind}"] for kind in ("weight", "bias"))
            array = self._block(f"up.{level}", grid, [skip, enlarge(grid, plain, weight, bias)], run)
        weight, bias = self._state["head.weight"], self._state["head.bias"]
        logits = np.matmul(weight.reshape(len(bias), -1), grid.body(array)) + bias[:, None]
        return grid.join(logits).transpose(1, 0, 2, 3)
