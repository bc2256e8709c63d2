"""A small 3D U-Net (torch code: import it where it is needed, not at a module's top)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .network_shape import NetworkShape

#: 1.4 million parameters; the method's own network (32 … 512, five levels) has 22.6 million.
WIDTHS = (16, 32, 64, 128)


class ConvBlock(nn.Sequential):
    """Two times 3x3x3 convolution, instance norm, leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int):
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers += [
                # The norm that follows takes any bias away again.
                nn.Conv3d(channels, out_channels, 3, padding=1, bias=False),
                nn.InstanceNorm3d(out_channels, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        super().__init__(*layers)


class UNet3D(nn.Module):
    """3D U-Net: max pooling down, transposed convolutions up, skip connections by concatenation.

    After Çiçek et al., MICCAI 2016, with instance norm, and spatial dropout in the two deepest levels.

    Args:
        in_channels: Channels of the input.
        out_channels: Classes.
        widths: Feature channels per level; each further level halves the resolution.
        dropout: Probability of dropping a whole feature map in the two deepest levels.

    Shapes: float (n, in_channels, z, y, x) -> logits (n, out_channels, z, y, x). z, y and x must be
    multiples of ``2 ** (len(widths) - 1)``.
    """

    #: Of a network that was trained here: a dict per epoch, see `training.trainer`.
    history: list[dict]

    def __init__(
        self,
        in_channels: int = 2,
        out_channels: int = 3,
        widths: Sequence[int] = WIDTHS,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.widths, self.dropout_probability = tuple(widths), dropout
        ins = (in_channels, *widths[:-1])
        self.down = nn.ModuleList(ConvBlock(a, b) for a, b in zip(ins, widths, strict=True))
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose3d(deep, high, 2, stride=2) for high, deep in pairs)
        self.up = nn.ModuleList(ConvBlock(2 * high, high) for high, _ in pairs)
        self.pool = nn.MaxPool3d(2)
        self.dropout = nn.Dropout3d(dropout)
        self.head = nn.Conv3d(widths[0], out_channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, a=0.01, nonlinearity="leaky_relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def shape(self) -> NetworkShape:
        """What `network.build` makes the same kind of network from."""
        return NetworkShape(self.in_channels, self.out_channels, self.widths)

    @property
    def divisor(self) -> int:
        """Each side of the input must be a multiple of this."""
        return self.shape.divisor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)
            if level >= len(self.down) - 2:
                x = self.dropout(x)
            skips.append(x)
        for level in range(len(self.up) - 1, -1, -1):
            x = self.up[level](torch.cat((skips[level], self.enlarge[level](x)), dim=1))
        logits: torch.Tensor = self.head(x)
        return logits


def count_parameters(model: nn.Module) -> int:
    """Return the number of learned values."""
    return sum(parameter.numel() for parameter in model.parameters())
