"""What makes a network what it is, apart from its weights; cards and settings state it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkShape:
    """What makes a 3D U-Net what it is, apart from its weights.

    Attributes:
        in_channels, out_channels: Of input and output.
        widths: Feature channels per level; each further level halves the resolution.
    """

    in_channels: int
    out_channels: int
    widths: tuple[int, ...]

    @property
    def divisor(self) -> int:
        """Each side of the input, in voxels, must be a multiple of this."""
        return 1 << (len(self.widths) - 1)

    @property
    def parameters(self) -> int:
        """Number of learned values, without building the network."""
        return sum(math.prod(shape) for shape in self.arrays.values())

    @property
    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of each array of its weights, as `UNet3D.state_dict()` has them."""
        result: dict[str, tuple[int, ...]] = {}
        for level, width in enumerate(self.widths):
            above = self.widths[level - 1] if level else self.in_channels
            result |= _block_arrays(f"down.{level}", above, width)
            if level:
                result[f"enlarge.{level - 1}.weight"] = (width, above, 2, 2, 2)
                result[f"enlarge.{level - 1}.bias"] = (above,)
                result |= _block_arrays(f"up.{level - 1}", 2 * above, above)
        result["head.weight"] = (self.out_channels, self.widths[0], 1, 1, 1)
        return {**result, "head.bias": (self.out_channels,)}

    def takes(self, size: tuple[int, ...]) -> bool:
        """Whether it works on inputs of `size` (z, y, x) voxels; its deepest level needs two each way."""
        return all(n % self.divisor == 0 and n >= 2 * self.divisor for n in size)

    def features(self, size: tuple[int, ...]) -> int:
        """Values that each layer of the first level makes of an input of `size` (z, y, x) voxels."""
        return math.prod(size) * self.widths[0]


def _block_arrays(name: str, inputs: int, width: int) -> dict[str, tuple[int, ...]]:
    """Two 3x3x3 convolutions without bias, each with a norm's scale and shift."""
    return {
        f"{name}.0.weight": (width, inputs, 3, 3, 3),
        f"{name}.1.weight": (width,),
        f"{name}.1.bias": (width,),
        f"{name}.3.weight": (width, width, 3, 3, 3),
        f"{name}.4.weight": (width,),
        f"{name}.4.bias": (width,),
    }
