"""The quality-control picture: is the contour where the hippocampus is?

For each side three planes through the hippocampus's centre, and the whole head beside them, so that
a gross error is seen. Radiological convention: the patient's left is at the image's right. Planes
are those of the world (LPS mm), whatever the orientation in which the scan was stored.

Drawn with Pillow alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..io.atomic import replacing
from ..labels import COLORS, PART, SIDES, WHOLE
from .text import font, text, wrapped

if TYPE_CHECKING:
    from PIL.Image import Image

#: Width of a close-up, mm, and of every panel, pixels.
FIELD_MM, PANEL = 80.0, 330
#: Contours are drawn this much larger and scaled down, which smooths them.
_OVERSAMPLING = 2
_BACKGROUND, _TEXT, _FAINT, _WARNING = (16, 16, 18), (235, 235, 235), (150, 150, 155), (255, 196, 87)
_GAP, _HEADER, _ROW_TITLE, _LINE = 8, 58, 30, 22


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


def _unsided(letters: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("" if letter in "RL" else letter for letter in letters)


@dataclass
class Structure:
    """One label value of the result: a cut-out of the mask (float32, 0 or 1) and where it lies."""

    side: str
    color: tuple[int, int, int]
    mask: sitk.Image
    voxels: np.ndarray  # (n, 3) LPS mm
    volume: float  # mm³


def qc_picture(
    image: sitk.Image,
    labels: sitk.Image,
    path: str | Path | None = None,
    title: str = "",
    *,
    volumes: Mapping[str, float | None] | None = None,
    flags: Sequence[str] = (),
    region_side: str | None = None,
    overwrite: bool = False,
) -> Image:
    """Draw the contours of a result over its scan.

    Args:
        image: The scan, 3D, any orientation and spacing.
        labels: The label image of the result: 17/53, or 171/172/531/532 with parts. Its grid may
            differ from the image's; the world geometry counts.
        path: Where to write the picture as PNG, if anywhere.
        title: Shown at the top, for instance the scan's file name without suffix.
        volumes: mm³ of "left" and "right" as measured; without it, the voxels are counted.
        flags: Remarks in words, one line each.
        region_side: The scan is the crop of one hippocampus of this side, as the user states: only
            that side is drawn, and left and right are not marked, for such a crop may be mirrored.
        overwrite: Replace an existing file.

    Returns:
        The picture, RGB.

    Raises:
        OutputError: The file exists, or cannot be written.
    """
    from PIL import Image, ImageDraw

    structures = _structures(labels)
    sides = SIDES if region_side is None else (region_side,)
    planes = PLANES if region_side is None else tuple(replace(p, letters=_unsided(p.letters)) for p in PLANES)
    lines = [line for flag in flags for line in wrapped(flag, 4 * PANEL + 3 * _GAP)]
    width = 4 * PANEL + 5 * _GAP
    row_height = _ROW_TITLE + PANEL + _GAP
    height = _HEADER + len(sides) * row_height + (len(lines) * _LINE + 2 * _GAP if lines else 0)
    picture = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    _draw_header(draw, width, title, region_side)
    head = _head_box(image)
    for row, (side, overview) in enumerate(zip(sides, planes, strict=False)):
        top = _HEADER + row * row_height
        text(draw, (_GAP, top + 6), f"Whole image, {overview.name}", 15, _FAINT)
        picture.paste(_overview(image, structures, overview, head), (_GAP, top + _ROW_TITLE))
        own = [s for s in structures if s.side == side]
        _draw_row_title(draw, top, side, own, (volumes or {}).get(side))
        for column, plane in enumerate(planes):
            corner = (2 * _GAP + PANEL + column * (PANEL + _GAP), top + _ROW_TITLE)
            if own:
                picture.paste(_closeup(image, structures, own, plane, head), corner)
            else:
                draw.rectangle((*corner, corner[0] + PANEL - 1, corner[1] + PANEL - 1), outline=(60, 60, 64))
                text(draw, (corner[0] + PANEL // 2, corner[1] + PANEL // 2), "not found", 18, _FAINT, "mm")
    for index, line in enumerate(lines):
        top = height - (len(lines) - index) * _LINE - _GAP
        text(draw, (_GAP, top), line, 15, _WARNING)
    if path is not None:
        with replacing(path, overwrite) as temporary:
            picture.save(temporary, "PNG", compress_level=3)
    return picture


def _structures(labels: sitk.Image) -> list[Structure]:
    """The label values of both sides that are present, in the order left, right."""
    array = sitk.GetArrayViewFromImage(labels)
    flat = np.flatnonzero(array)
    values = array.ravel()[flat]
    matrix = np.reshape(labels.GetDirection(), (3, 3)) * labels.GetSpacing()
    found = []
    for side in SIDES:
        for value in (WHOLE[side], *PART[side].values()):
            zyx = np.stack(np.unravel_index(flat[values == value], array.shape), axis=1)
            if len(zyx) == 0:
                continue
            low = np.maximum(zyx.min(axis=0) - 2, 0)
            high = np.minimum(zyx.max(axis=0) + 3, array.shape)
            (z0, y0, x0), (z1, y1, x1) = low.tolist(), high.tolist()
            # Two voxels of margin at the image's border too, where the contour is to be closed.
            cut = sitk.ConstantPad(labels[x0:x1, y0:y1, z0:z1], [2] * 3, [2] * 3, 0)
            mask = sitk.Cast(sitk.Equal(cut, value), sitk.sitkFloat32)
            color = COLORS.get(value, COLORS[side])
            found.append(
                Structure(
                    side=side,
                    color=tuple(round(255 * c) for c in color),
                    mask=mask,
                    voxels=zyx[:, ::-1] @ matrix.T + labels.GetOrigin(),
                    volume=len(zyx) * float(np.prod(labels.GetSpacing())),
                )
            )
    return found


def _closeup(
    image: sitk.Image, structures: list[Structure], own: list[Structure], plane: Plane, head: Box
) -> Image:
    voxels = np.concatenate([s.voxels for s in own])
    center = _inside_center(voxels, plane)
    field_mm = min(FIELD_MM, 1.06 * float((head[1] - head[0]).max()))  # less for the crop of one hippocampus
    return _panel(image, structures, plane, center, field_mm, _window(image, voxels))


def _inside_center(voxels: np.ndarray, plane: Plane) -> np.ndarray:
    """The middle of the structure's bounding box, but across the plane the centre of its voxels."""
    center = (voxels.min(axis=0) + voxels.max(axis=0)) / 2
    across = int(np.flatnonzero(np.cross(plane.right, plane.down))[0])
    center[across] = voxels[:, across].mean()
    return center


def _overview(image: sitk.Image, structures: list[Structure], plane: Plane, head: Box) -> Image:
    low, high = head
    center = (low + high) / 2
    across = int(np.flatnonzero(np.cross(plane.right, plane.down))[0])
    if structures:
        center[across] = np.mean([s.voxels[:, across].mean() for s in structures])
    field_mm = float(np.delete(high - low, across).max()) * 1.06
    return _panel(image, structures, plane, center, field_mm, None)


def _head_box(image: sitk.Image) -> Box:
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


def _panel(
    image: sitk.Image,
    structures: list[Structure],
    plane: Plane,
    center: np.ndarray,
    field_mm: float,
    window: tuple[float, float] | None,
) -> Image:
    """One square picture of a plane through ``center`` (LPS mm) with contours, letters and scale bar."""
    from PIL import Image, ImageDraw

    grey = _slice(image, plane, center, field_mm, PANEL)
    if window is None:
        seen = grey[grey > grey.min()]
        window = tuple(np.percentile(seen, (1, 99.5))) if len(seen) else (0.0, 1.0)
    low, high = window
    grey = np.clip((grey - low) / max(high - low, 1e-12), 0, 1)
    panel = Image.fromarray((255 * grey).astype(np.uint8)).convert("RGB")
    for structure in structures:
        line = _contour(_slice(structure.mask, plane, center, field_mm, PANEL * _OVERSAMPLING) > 0.5)
        if line is not None:
            panel.paste(structure.color, (0, 0), line)
    draw = ImageDraw.Draw(panel)
    middle, edge = PANEL // 2, 5
    places = (
        (edge, middle, "lm"),
        (PANEL - edge, middle, "rm"),
        (middle, edge, "mt"),
        (middle, PANEL - edge, "mb"),
    )
    for letter, (x, y, anchor) in zip(plane.letters, places, strict=True):
        text(draw, (x, y), letter, 20 if letter in "RL" else 16, _TEXT, anchor, outline=True)
    bar_mm = max((b for b in (5, 10, 20, 50) if b <= field_mm / 3), default=1)
    length = bar_mm * PANEL / field_mm
    y = PANEL - 12
    draw.rectangle((9, y - 2, 11 + length, y + 2), fill=(0, 0, 0))
    draw.rectangle((10, y - 1, 10 + length, y + 1), fill=_TEXT)
    text(draw, (10, y - 5), f"{bar_mm} mm", 13, _TEXT, "lb", outline=True)
    return panel


def _slice(image: sitk.Image, plane: Plane, center: np.ndarray, field_mm: float, pixels: int) -> np.ndarray:
    """Linear interpolation of ``image`` on a square plane; array (rows, columns), 0 outside."""
    right, down = np.array(plane.right, float), np.array(plane.down, float)
    spacing = field_mm / pixels
    origin = center - (right + down) * spacing * (pixels - 1) / 2
    direction = np.stack([right, down, np.cross(right, down)], axis=1)
    cut = sitk.Resample(
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
    return sitk.GetArrayFromImage(cut)[0]


def _contour(mask: np.ndarray) -> Image | None:
    """A thin smooth line along a mask's border, as an 8-bit transparency of the panel's size."""
    from PIL import Image

    if not mask.any():
        return None
    outer = _grown(mask)
    inner = ~_grown(_grown(~mask))
    line = Image.fromarray((255 * (outer & ~inner)).astype(np.uint8))
    return line.resize((PANEL, PANEL), Image.Resampling.BOX)


def _grown(mask: np.ndarray) -> np.ndarray:
    """``mask`` and its four neighbours on every side."""
    padded = np.pad(mask, 1, mode="edge")
    return mask | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]


def _window(image: sitk.Image, voxels: np.ndarray, margin_mm: float = 15.0) -> tuple[float, float]:
    """Robust percentiles of the scan in the structure's bounding box and ``margin_mm`` around it."""
    low, high = voxels.min(axis=0) - margin_mm, voxels.max(axis=0) + margin_mm
    count = np.maximum(np.ceil((high - low) / 1.5).astype(int), 2)
    cut = sitk.Resample(
        image,
        count.tolist(),
        sitk.Transform(),
        sitk.sitkLinear,
        low.tolist(),
        [1.5] * 3,
        np.eye(3).ravel().tolist(),
        0.0,
    )
    values = sitk.GetArrayViewFromImage(cut)
    dark, bright = (float(v) for v in np.percentile(values, (2, 99)))
    return dark, bright + 0.1 * (bright - dark)


def _draw_header(draw, width: int, title: str, region_side: str | None) -> None:
    title = title if len(title) <= 70 else title[:67] + "..."
    text(draw, (_GAP, 10), f"HippoSeg   {title}".rstrip(), 22, _TEXT)
    text(draw, (_GAP, 38), "Quality control, not for diagnosis", 14, _FAINT)
    words = "Radiological view: the patient's left (L) is on the right of the picture"
    if region_side is not None:
        words = f"The crop of one hippocampus, {region_side} as stated; it may be mirrored"
    text(draw, (width - _GAP, 38), words, 14, _FAINT, "ra")


def _draw_row_title(draw, top: int, side: str, own: list[Structure], volume: float | None) -> None:
    left = 2 * _GAP + PANEL
    color = tuple(round(255 * c) for c in COLORS[side])
    name = f"{side.capitalize()} hippocampus"
    if not own:
        text(draw, (left, top + 4), f"{name}: not found", 18, color)
        return
    volume = sum(s.volume for s in own) if volume is None else volume
    words = f"{name}: {volume:.0f} mm³"
    text(draw, (left, top + 4), words, 18, color)
    if len(own) > 1:
        x = left + font(18).getlength(words) + 24
        for structure, part in zip(own, PART[side], strict=False):
            words = f"{part} {structure.volume:.0f} mm³"
            text(draw, (x, top + 6), words, 15, structure.color)
            x += font(15).getlength(words) + 18
