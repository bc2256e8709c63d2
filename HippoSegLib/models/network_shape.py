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
        total = (self.widths[0] + 1) * self.out_channels
        for level, width in enumerate(self.widths):
            above = self.widths[level - 1] if level else self.in_channels
            total += _block(above, width)
            if level:
                total += (8 * width + 1) * above + _block(2 * above, above)
        return total

    def takes(self, size: tuple[int, ...]) -> bool:
        """Whether it works on inputs of `size` (z, y, x) voxels; its deepest level needs two each way."""
        return all(n % self.divisor == 0 and n >= 2 * self.divisor for n in size)

    def features(self, size: tuple[int, ...]) -> int:
        """Values that each layer of the first level makes of an input of `size` (z, y, x) voxels."""
        return math.prod(size) * self.widths[0]


def _block(inputs: int, width: int) -> int:
    """Learned values of two 3x3x3 convolutions without bias, each with a norm's scale and shift."""
    return 27 * width * (inputs + width) + 4 * width
