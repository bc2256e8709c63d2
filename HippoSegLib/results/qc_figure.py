"""The quality-control figure: is the contour where the hippocampus is?

For each side the whole head, an axial and a sagittal plane through the hippocampus, and three coronal planes,
through head, body and tail (ticks in the sagittal plane show where), so that an error at either end is seen.
Above them what was measured. Radiological convention: the patient's left is at the image's right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..io.atomic import replacing
from ..labels import COLORS, PART, SIDES
from .asymmetry import DEFINITION
from .compact_picture import compact
from .qc_panels import (
    PANEL,
    PLANES,
    TEXT,
    Box,
    Structure,
    View,
    draw_panel,
    head_box,
    structures_of,
    window_about,
)
from .text import font, text, wrapped
from .volumes import Measurements
from .wording import asymmetry_words, millilitres, quality_words, volume_words

if TYPE_CHECKING:
    from PIL.Image import Image

#: Width of the axial and sagittal close-ups, and of the coronal ones, mm.
FIELD_MM, CORONAL_MM = 80.0, 56.0
#: Columns of a side's row; the coronal ones with the place of their plane along the hippocampus, from its
#: anterior (0) to its posterior end (1).
COLUMNS = ("whole image", "axial", "sagittal", "coronal: head", "coronal: body", "coronal: tail")
CORONAL_PLACES = (0.15, 0.5, 0.85)
_AXIAL, _CORONAL, _SAGITTAL = PLANES
_BACKGROUND, _FAINT, _WARNING = (16, 16, 18), (150, 150, 155), (255, 196, 87)
_GAP, _HEADER, _ROW_TITLE, _LINE = 8, 84, 48, 22


@dataclass(frozen=True)
class FigureFacts:
    """What stands in words on the figure.

    Attributes:
        title: For instance the scan's file name without suffix.
        measurements: Volumes, quality and intracranial volume; without them, voxels are counted.
        flags: Remarks in words, one line each.
        model: Name and version of what made the result.
        date: When, as it is to be read.
        region_side: The scan is the crop of one hippocampus of this side, as the user states: only that
            side is drawn, and left and right are not marked, for such a crop may be mirrored.
    """

    title: str = ""
    measurements: Measurements = field(default_factory=lambda: Measurements({}))
    flags: Sequence[str] = ()
    model: str = ""
    date: str = ""
    region_side: str | None = None


def qc_figure(
    image: sitk.Image,
    labels: sitk.Image,
    path: str | Path | None = None,
    facts: FigureFacts | None = None,
    overwrite: bool = False,
) -> Image:
    """Draw the contours of a result over its scan.

    Args:
        image: The scan, 3D, any orientation and spacing.
        labels: The label image of the result: 17/53, or 171/172/531/532 with parts. Its grid may
            differ from the image's; the world geometry counts.
        path: Where to write the figure as PNG, if anywhere.
        facts: What stands on it in words.
        overwrite: Replace an existing file.

    Returns:
        The figure, RGB.

    Raises:
        OutputError: The file exists, or cannot be written.
    """
    from PIL import Image, ImageDraw

    facts = facts or FigureFacts()
    structures = structures_of(labels)
    sides = SIDES if facts.region_side is None else (facts.region_side,)
    width = len(COLUMNS) * (PANEL + _GAP) + _GAP
    lines = [line for flag in facts.flags for line in wrapped(flag, width - 2 * _GAP)]
    row_height = _ROW_TITLE + PANEL + _GAP
    height = _HEADER + len(sides) * row_height + (len(lines) * _LINE + 2 * _GAP if lines else 0)
    figure = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(figure)
    _draw_header(draw, width, facts)
    head = head_box(image)
    for row, side in enumerate(sides):
        top = _HEADER + row * row_height
        own = [structure for structure in structures if structure.side == side]
        _draw_row_title(draw, top, side, own, facts)
        overview = _overview(structures, (_AXIAL, _CORONAL)[row], head)
        panels = [draw_panel(image, structures, _marked(overview, facts), None)]
        if own:
            window = window_about(image, np.concatenate([structure.voxels for structure in own]))
            views = [_marked(view, facts) for view in _closeups(own, head)]
            panels += [draw_panel(image, structures, view, window) for view in views]
        for column, title in enumerate(COLUMNS):
            corner = (_GAP + column * (PANEL + _GAP), top + _ROW_TITLE)
            name = f"{title}, {overview.plane.name}" if column == 0 else title
            text(draw, (corner[0], top + 28), name, 14, _FAINT)
            if column < len(panels):
                figure.paste(panels[column], corner)
                continue
            draw.rectangle((*corner, corner[0] + PANEL - 1, corner[1] + PANEL - 1), outline=(60, 60, 64))
            text(draw, (corner[0] + PANEL // 2, corner[1] + PANEL // 2), "not found", 18, _FAINT, "mm")
    for index, line in enumerate(lines):
        top = height - (len(lines) - index) * _LINE - _GAP
        text(draw, (_GAP, top), line, 15, _WARNING)
    figure = compact(figure)
    if path is not None:
        with replacing(path, overwrite) as temporary:
            figure.save(temporary, "PNG", compress_level=6)
    return figure.convert("RGB")


def _closeups(own: Sequence[Structure], head: Box) -> list[View]:
    """Axial, sagittal and three coronal views of one hippocampus."""
    voxels = np.concatenate([structure.voxels for structure in own])
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    # Less for the crop of one hippocampus.
    most = 1.06 * float((head[1] - head[0]).max())
    middle = (low + high) / 2
    # From the front (small LPS y) to the back.
    places = [float(low[1] + place * (high[1] - low[1])) for place in CORONAL_PLACES]
    marks = tuple(place - float(middle[1]) for place in places)
    centers = [_through(voxels, middle, axis) for axis in (2, 0)]
    views = [
        View(_AXIAL, centers[0], min(FIELD_MM, most)),
        View(_SAGITTAL, centers[1], min(FIELD_MM, most), marks),
    ]
    for place in places:
        thickness = max(1.0, float(high[1] - low[1]) / 12)
        near = voxels[np.abs(voxels[:, 1] - place) <= thickness]
        near = near if len(near) else voxels
        center = (near.min(axis=0) + near.max(axis=0)) / 2
        center[1] = place
        views.append(View(_CORONAL, center, min(CORONAL_MM, most)))
    return views


def _through(voxels: np.ndarray, middle: np.ndarray, across: int) -> np.ndarray:
    """The middle of the structure's bounding box, but across the plane the centre of its voxels."""
    center = middle.copy()
    center[across] = voxels[:, across].mean()
    return center


def _overview(structures: Sequence[Structure], plane, head: Box) -> View:
    low, high = head
    center = (low + high) / 2
    across = int(np.flatnonzero(np.cross(plane.right, plane.down))[0])
    if structures:
        center[across] = np.mean([structure.voxels[:, across].mean() for structure in structures])
    return View(plane, center, float(np.delete(high - low, across).max()) * 1.06)


def _marked(view: View, facts: FigureFacts) -> View:
    """The view, without left and right where they are only stated."""
    if facts.region_side is None:
        return view
    left, right, top, bottom = ("" if letter in "RL" else letter for letter in view.plane.letters)
    return replace(view, plane=replace(view.plane, letters=(left, right, top, bottom)))


def _draw_header(draw, width: int, facts: FigureFacts) -> None:
    title = facts.title if len(facts.title) <= 70 else facts.title[:67] + "..."
    text(draw, (_GAP, 10), f"HippoSeg   {title}".rstrip(), 22, TEXT)
    made = ", ".join(word for word in (facts.model, facts.date) if word)
    text(draw, (width - _GAP, 14), made, 14, _FAINT, "ra")
    measured = facts.measurements
    words = []
    if measured.asymmetry is not None:
        words.append(f"Asymmetry {DEFINITION}: {asymmetry_words(measured.asymmetry)}")
    if measured.intracranial is not None:
        words.append(f"intracranial volume {millilitres(measured.intracranial)}")
    x = float(_GAP)
    for word in words:
        text(draw, (x, 38), word, 16, TEXT)
        x += font(16).getlength(word) + 30
    text(draw, (_GAP, 62), "Quality control, not for diagnosis", 14, _FAINT)
    view = "Radiological view: the patient's left (L) is on the right of the picture"
    if facts.region_side is not None:
        view = f"The crop of one hippocampus, {facts.region_side} as stated; it may be mirrored"
    text(draw, (width - _GAP, 62), view, 14, _FAINT, "ra")


def _draw_row_title(draw, top: int, side: str, own: Sequence[Structure], facts: FigureFacts) -> None:
    red, green, blue = (round(255 * c) for c in COLORS[side])
    color = (red, green, blue)
    name = f"{side.capitalize()} hippocampus"
    if not own:
        text(draw, (_GAP, top + 4), f"{name}: not found", 18, color)
        return
    volume = facts.measurements.whole.get(side, sum(structure.volume for structure in own))
    words = f"{name}: {volume_words(volume)}"
    if side in facts.measurements.quality:
        words += f", quality {quality_words(facts.measurements.quality[side])}"
    text(draw, (_GAP, top + 4), words, 18, color)
    if len(own) > 1:
        x = _GAP + font(18).getlength(words) + 24
        for structure, part in zip(own, PART[side], strict=False):
            words = f"{part} {volume_words(structure.volume)}"
            text(draw, (x, top + 6), words, 15, structure.color)
            x += font(15).getlength(words) + 18
