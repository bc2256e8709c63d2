"""The figure's palette: greys within a level of 64, colours near, black black, and smaller."""

from __future__ import annotations

import io

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")


def _bytes(picture) -> int:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=6)
    return len(file.getvalue())


def test_a_noisy_grey_picture_with_coloured_lines():
    from HippoSegLib.results.compact_picture import compact

    rng = np.random.default_rng(0)
    grey = np.clip(rng.normal(110, 40, (300, 400)), 0, 255).astype(np.uint8)
    values = np.repeat(grey[..., None], 3, axis=2)
    values[:40] = 0
    values[100:103], values[200:203] = (230, 159, 0), (86, 180, 233)
    picture = Image.fromarray(values)
    small = compact(picture)
    assert small.mode == "P" and small.size == picture.size
    back = np.asarray(small.convert("RGB")).astype(int)
    assert np.abs(back[110:200] - values[110:200]).max() <= 3
    assert (back[:40] == 0).all()
    for row, colour in ((101, (230, 159, 0)), (201, (86, 180, 233))):
        assert np.abs(back[row] - colour).max() <= 8
    assert _bytes(small) < 0.7 * _bytes(picture)


@pytest.mark.parametrize("value", [(0, 0, 0), (255, 255, 255), (200, 30, 30)])
def test_a_picture_of_one_colour(value):
    from HippoSegLib.results.compact_picture import compact

    picture = Image.new("RGB", (20, 10), value)
    assert np.abs(np.asarray(compact(picture).convert("RGB")).astype(int) - value).max() <= 8
