"""Pictures of the check: every case's scan with the label's contour, a dozen on a sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..labels import COLORS
from ..results.text import text
from .site_case import STATUSES, SiteCase

#: Cases on a sheet, in rows of so many.
PER_SHEET, PER_ROW = 12, 3
#: Edge of a panel: pixels, and voxels of 1 mm shown.
_PANEL, _VOXELS = 132, 64
_GAP, _CAPTION = 6, 40
_BACKGROUND, _TEXT = (16, 16, 18), (235, 235, 235)
_STATUS = dict(zip(STATUSES, ((120, 200, 120), (255, 196, 87), (240, 110, 100)), strict=True))
_LINES = {1: COLORS[171], 2: COLORS[172], 3: COLORS["left"]}


def sheets(cases: Sequence[SiteCase]) -> list:
    """Draw cases that have a region: a list of RGB `PIL.Image`, up to `PER_SHEET` cases each."""
    there = [case for case in cases if case.case is not None]
    return [_sheet(there[first : first + PER_SHEET]) for first in range(0, len(there), PER_SHEET)]


def _sheet(cases: Sequence[SiteCase]):
    from PIL import Image, ImageDraw

    width, height = 3 * _PANEL + _GAP, _PANEL + _CAPTION
    rows = -(-len(cases) // PER_ROW)
    columns = min(PER_ROW, len(cases))
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, case in enumerate(cases):
        left = _GAP + (number % PER_ROW) * (width + _GAP)
        top = _GAP + (number // PER_ROW) * (height + _GAP)
        name = case.name if len(case.name) <= 34 else case.name[:31] + "..."
        text(draw, (left, top), name, 15, _TEXT)
        words = f"{case.status} - {case.volume_mm3:.0f} mm³, base model Dice {case.base_dice:.2f}"
        text(draw, (left, top + 19), words, 13, _STATUS[case.status])
        for column, panel in enumerate(_panels(case)):
            sheet.paste(panel, (left + column * (_PANEL + _GAP // 2), top + _CAPTION))
    return sheet


def _panels(case: SiteCase) -> list:
    """Axial, coronal and sagittal plane through the label's centre."""
    image, label = case.crop.image, case.crop.label
    centre = np.round(np.argwhere(label > 0).mean(axis=0)).astype(int)
    inside = image[label > 0]
    window = float(np.percentile(image, 1)), float(max(np.percentile(image, 99), inside.mean() * 1.3))
    panels = []
    for axis in range(3):
        # Superior and anterior are drawn upwards.
        plane, marks = (np.take(a, centre[axis], axis)[::-1] for a in (image, label))
        panels.append(_panel(plane, marks, window, np.delete(centre, axis)))
    return panels


def _panel(image: np.ndarray, label: np.ndarray, window: tuple[float, float], centre: np.ndarray):
    from PIL import Image

    rows, columns = image.shape
    shift = (rows - 1 - int(centre[0]) - _VOXELS // 2, int(centre[1]) - _VOXELS // 2)
    grey = _window(np.clip((image - window[0]) / max(window[1] - window[0], 1e-6), 0, 1), shift)
    marks = _window(label, shift)
    panel = Image.fromarray((255 * grey).astype(np.uint8)).resize((_PANEL, _PANEL), Image.Resampling.BICUBIC)
    panel = panel.convert("RGB")
    for value, color in _LINES.items():
        mask = Image.fromarray((255 * (marks == value)).astype(np.uint8))
        large = np.asarray(mask.resize((_PANEL, _PANEL), Image.Resampling.BILINEAR)) > 127
        inner = large.copy()
        inner[1:-1, 1:-1] &= large[:-2, 1:-1] & large[2:, 1:-1] & large[1:-1, :-2] & large[1:-1, 2:]
        line = Image.fromarray((255 * (large & ~inner)).astype(np.uint8))
        panel.paste(tuple(round(255 * c) for c in color), (0, 0), line)
    return panel


def _window(plane: np.ndarray, start: tuple[int, int]) -> np.ndarray:
    """A square of `_VOXELS` from `start` (may be negative) on, 0 beyond the plane."""
    result = np.zeros((_VOXELS, _VOXELS), plane.dtype)
    source = [slice(max(s, 0), max(min(s + _VOXELS, n), 0)) for s, n in zip(start, plane.shape, strict=True)]
    target = [
        slice(q.start - s, q.start - s + max(q.stop - q.start, 0)) for q, s in zip(source, start, strict=True)
    ]
    result[tuple(target)] = plane[tuple(source)]
    return result
