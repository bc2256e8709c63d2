"""Panels of the quality-control figure: one plane of the scan with the contours of the result.

Planes are those of the world (LPS mm), whatever the orientation in which the scan was stored; radiological
convention: the patient's left is at the image's right. Drawn with Pillow alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..geometry import masks
from ..labels import COLORS, PART, SIDES, WHOLE
from .text import text

if TYPE_CHECKING:
    from PIL.Image import Image

#: Edge of a panel, pixels.
PANEL = 264
#: Contours are drawn this much larger and scaled down, which smooths them.
_OVERSAMPLING = 2
#: A dark rim about each line: pixels of the mask to either side of the border, and how much of it is seen.
_RIM, _RIM_SEEN = 3, 0.55
TEXT = (235, 235, 235)

#: Lower and upper corner, LPS mm.
Box = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Plane:
    """A plane of the world: unit vectors (LPS) along a picture's columns and downwards, and edge letters."""

    name: str
    right: tuple[int, int, int]
    down: tuple[int, int, int]
    letters: tuple[str, str, str, str]  # left, right, top, bottom


PLANES = (
    Plane("axial", (1, 0, 0), (0, 1, 0), ("R", "L", "A", "P")),
    Plane("coronal", (1, 0, 0), (0, 0, -1), ("R", "L", "S", "I")),
    Plane("sagittal", (0, 1, 0), (0, 0, -1), ("A", "P", "S", "I")),
)


@dataclass(frozen=True)
class View:
    """What a panel shows: a square of `field_mm` about `center` (LPS mm) in a plane.

    Attributes:
        marks: Ticks at the upper and lower edge, mm to the right of the middle.
    """

    plane: Plane
    center: np.ndarray
    field_mm: float
    marks: tuple[float, ...] = ()


@dataclass(frozen=True)
class Structure:
    """One label value of the result: a cut-out of the mask (float32, 0 or 1) and where it lies."""

    side: str
    color: tuple[int, int, int]
    mask: sitk.Image
    voxels: np.ndarray  # (n, 3) LPS mm
    volume: float  # mm³


def structures_of(labels: sitk.Image) -> list[Structure]:
    """The label values of both sides that are present, in the order left, right."""
    array = sitk.GetArrayViewFromImage(labels)
    flat = np.flatnonzero(array)
    values = array.ravel()[flat]
    matrix = np.reshape(labels.GetDirection(), (3, 3)) * labels.GetSpacing()
    found: list[Structure] = []
    for side in SIDES:
        for value in (WHOLE[side], *PART[side].values()):
            zyx = np.stack(np.unravel_index(flat[values == value], array.shape), axis=1)
            if len(zyx) == 0:
                continue
            low = np.maximum(zyx.min(axis=0) - 2, 0)
            high = np.minimum(zyx.max(axis=0) + 3, array.shape)
            (z0, y0, x0), (z1, y1, x1) = low.tolist(), high.tolist()
            # Two voxels of margin at the image's border too, where the contour is to be closed.
            part = sitk.ConstantPad(labels[x0:x1, y0:y1, z0:z1], [2] * 3, [2] * 3, 0)
            mask = sitk.Cast(sitk.Equal(part, value), sitk.sitkFloat32)
            red, green, blue = (round(255 * c) for c in COLORS.get(value, COLORS[side]))
            found.append(
                Structure(
                    side=side,
                    color=(red, green, blue),
                    mask=mask,
                    voxels=zyx[:, ::-1] @ matrix.T + labels.GetOrigin(),
                    volume=len(zyx) * float(np.prod(labels.GetSpacing())),
                )
            )
    return found


def head_box(image: sitk.Image) -> Box:
    """Lower and upper corner (LPS mm) of what is brighter than a tenth of the robust maximum."""
    array = sitk.GetArrayViewFromImage(image)
    step = tuple(max(1, n // 64) for n in array.shape)
    coarse = array[:: step[0], :: step[1], :: step[2]]
    dark = float(coarse.min())
    bright = coarse > dark + 0.1 * (float(np.percentile(coarse, 99.5)) - dark)
    zyx = np.argwhere(bright if bright.any() else np.ones_like(bright)) * step
    matrix = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    points = zyx[:, ::-1] @ matrix.T + image.GetOrigin()
    return points.min(axis=0), points.max(axis=0)


def draw_panel(
    image: sitk.Image, structures: Sequence[Structure], view: View, window: tuple[float, float] | None
) -> Image:
    """One square picture of a view with contours, letters and scale bar.

    Args:
        image: The scan.
        structures: Drawn as contours.
        view: What is shown.
        window: Grey values that become black and white; by percentiles where it is None.
    """
    from PIL import Image, ImageDraw

    grey = _slice(image, view, PANEL)
    if window is None:
        seen = grey[grey > grey.min()]
        low, high = np.percentile(seen, (1, 99.5)) if len(seen) else (0.0, 1.0)
    else:
        low, high = window
    grey = np.clip((grey - low) / max(high - low, 1e-12), 0, 1)
    panel = Image.fromarray((255 * grey).astype(np.uint8)).convert("RGB")
    for structure in structures:
        inside = _slice(structure.mask, view, PANEL * _OVERSAMPLING) > 0.5
        if inside.any():
            # A dark rim: printed in grey, the line alone would be as bright as the brain.
            panel.paste((0, 0, 0), (0, 0), _contour(inside, _RIM).point(lambda seen: int(_RIM_SEEN * seen)))
            panel.paste(structure.color, (0, 0), _contour(inside, 1))
    draw = ImageDraw.Draw(panel)
    middle, edge = PANEL // 2, 5
    places = (
        (edge, middle, "lm"),
        (PANEL - edge, middle, "rm"),
        (middle, edge, "mt"),
        (middle, PANEL - edge, "mb"),
    )
    for letter, (x, y, anchor) in zip(view.plane.letters, places, strict=True):
        text(draw, (x, y), letter, 20 if letter in "RL" else 16, TEXT, anchor, outline=True)
    for position in view.marks:
        tick = PANEL / 2 + position * PANEL / view.field_mm
        draw.line((tick, 0, tick, 9), fill=TEXT, width=1)
        draw.line((tick, PANEL - 9, tick, PANEL), fill=TEXT, width=1)
    bar_mm = max((b for b in (5, 10, 20, 50) if b <= view.field_mm / 3), default=1)
    length = bar_mm * PANEL / view.field_mm
    below = PANEL - 12
    draw.rectangle((9, below - 2, 11 + length, below + 2), fill=(0, 0, 0))
    draw.rectangle((10, below - 1, 10 + length, below + 1), fill=TEXT)
    text(draw, (10, below - 5), f"{bar_mm} mm", 13, TEXT, "lb", outline=True)
    return panel


def _slice(image: sitk.Image, view: View, pixels: int) -> np.ndarray:
    """Linear interpolation of ``image`` on a square plane; array (rows, columns), 0 outside."""
    right, down = np.array(view.plane.right, float), np.array(view.plane.down, float)
    spacing = view.field_mm / pixels
    origin = view.center - (right + down) * spacing * (pixels - 1) / 2
    direction = np.stack([right, down, np.cross(right, down)], axis=1)
    plane_image = sitk.Resample(
        image,
        [pixels, pixels, 1],
        sitk.Transform(),
        sitk.sitkLinear,
        origin.tolist(),
        [spacing] * 3,
        direction.ravel().tolist(),
        0.0,
        sitk.sitkFloat32,
    )
    return sitk.GetArrayFromImage(plane_image)[0]


def _contour(mask: np.ndarray, width: int) -> Image:
    """A smooth line along a mask's border, as an 8-bit transparency of the panel's size.

    Args:
        mask: With at least one voxel.
        width: Of the line, to either side of the border; in pixels of the mask.
    """
    from PIL import Image

    outer, inner = masks.dilated(mask, width), ~masks.dilated(~mask, width + 1)
    line = Image.fromarray((255 * (outer & ~inner)).astype(np.uint8))
    return line.resize((PANEL, PANEL), Image.Resampling.BOX)


def window_about(image: sitk.Image, voxels: np.ndarray, margin_mm: float = 15.0) -> tuple[float, float]:
    """Robust percentiles of the scan in the structure's bounding box and ``margin_mm`` around it."""
    low, high = voxels.min(axis=0) - margin_mm, voxels.max(axis=0) + margin_mm
    count = np.maximum(np.ceil((high - low) / 1.5).astype(int), 2)
    near = sitk.Resample(
        image,
        count.tolist(),
        sitk.Transform(),
        sitk.sitkLinear,
        low.tolist(),
        [1.5] * 3,
        np.eye(3).ravel().tolist(),
        0.0,
    )
    values = sitk.GetArrayViewFromImage(near)
    dark, bright = (float(v) for v in np.percentile(values, (2, 99)))
    return dark, bright + 0.1 * (bright - dark)
