"""The quality-control figure: right place, right side, right colours, whatever the orientation."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.errors import OutputError
from HippoSegLib.labels import COLORS, PART, WHOLE
from HippoSegLib.results.qc_figure import (
    _BACKGROUND,
    _GAP,
    _HEADER,
    _ROW_TITLE,
    CORONAL_MM,
    CORONAL_PLACES,
    FIELD_MM,
    FigureFacts,
    qc_figure,
)
from HippoSegLib.results.qc_panels import PANEL
from HippoSegLib.results.volumes import Measurements

#: Centres of two made-up hippocampi, LPS mm: the patient's left is at positive x.
CENTERS = {"left": (30.0, 8.0, -12.0), "right": (-26.0, 4.0, -9.0)}
RADII = (7.0, 18.0, 6.0)
#: A bright bead on the patient's left, in front of and above the left hippocampus.
BEAD = (38.0, -14.0, 6.0)


def scene(direction=None, spacing=(2.0, 2.0, 2.0), values=WHOLE) -> tuple[sitk.Image, sitk.Image]:
    """A head (an ellipsoid of 400 with a bead of 1000) and labels, on a grid of any direction."""
    direction = np.eye(3) if direction is None else np.asarray(direction, float)
    made = _scene(tuple(direction.ravel().tolist()), spacing, tuple(values.items()))
    return sitk.Image(made[0]), sitk.Image(made[1])


@cache
def _scene(direction, spacing, values) -> tuple[sitk.Image, sitk.Image]:
    direction = np.reshape(direction, (3, 3))
    size = [int(200 / s) for s in spacing]
    image = sitk.Image(size, sitk.sitkInt16)
    image.SetSpacing(spacing)
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin((-direction @ (np.array(spacing) * (np.array(size) - 1) / 2)).tolist())
    zyx = np.indices(size[::-1]).reshape(3, -1)
    points = (direction * spacing) @ zyx[::-1] + np.array(image.GetOrigin())[:, None]

    def inside(center, radii):
        axes = zip(points, center, radii, strict=True)
        return (sum(((row - c) / r) ** 2 for row, c, r in axes) < 1).reshape(size[::-1])

    head = np.where(inside((0, 0, 0), (75, 92, 80)), 400, 0)
    labels = np.zeros(size[::-1], np.uint16)
    for side, value in values:
        labels[inside(CENTERS[side], RADII)] = value
    head[labels > 0] = 300
    head[inside(BEAD, (3, 3, 3))] = 1000
    result = []
    for array in (head.astype(np.int16), labels):
        made = sitk.GetImageFromArray(array)
        made.CopyInformation(image)
        result.append(made)
    return result[0], result[1]


def panel(picture, row: int, column: int) -> np.ndarray:
    """RGB array of a panel: column 0 the overview, then axial, sagittal, coronal through
    head, body and tail."""
    left = _GAP + column * (PANEL + _GAP)
    top = _HEADER + row * (_ROW_TITLE + PANEL + _GAP) + _ROW_TITLE
    return np.asarray(picture)[top : top + PANEL, left : left + PANEL].astype(int)


def colored(array: np.ndarray, color, tolerance: float = 40) -> np.ndarray:
    """(row, column) of pixels close to ``color`` (0 to 1)."""
    return np.argwhere(np.abs(array - 255 * np.array(color)).max(axis=-1) < tolerance)


def rotation(degrees) -> np.ndarray:
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*np.deg2rad(degrees))
    return np.reshape(transform.GetMatrix(), (3, 3))


GRIDS = {
    "LPS": np.eye(3),
    "RAS": np.diag([-1.0, -1.0, 1.0]),
    "PIR": np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]]),
    "oblique": rotation((15, -20, 25)),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.5, 1.5, 4.0)])
def test_contours_lie_where_the_structures_are(name, spacing):
    picture = qc_figure(*scene(GRIDS[name], spacing))
    for row, side in enumerate(("left", "right")):
        widths = {1: (0, 1), 2: (1, 2), 4: (0, 2)}  # the world axes along columns and rows
        for column, (across, down) in widths.items():
            scale = (CORONAL_MM if column == 4 else FIELD_MM) / PANEL
            line = colored(panel(picture, row, column), COLORS[side])
            extent = (line.max(axis=0) - line.min(axis=0)) * scale
            assert abs(extent[1] - 2 * RADII[across]) < 1.2 * max(spacing), (side, column)
            assert abs(extent[0] - 2 * RADII[down]) < 1.2 * max(spacing), (side, column)
            middle = (line.max(axis=0) + line.min(axis=0)) / 2
            assert np.abs(middle - PANEL / 2).max() * scale < 0.5 * max(spacing)


@pytest.mark.parametrize("name", GRIDS)
def test_left_is_left_and_front_is_front(name):
    """The bead lies left of, in front of and above the left hippocampus' centre."""
    picture = qc_figure(*scene(GRIDS[name]))
    offset = np.array(BEAD) - CENTERS["left"]  # +8 to the left, 22 to the front, 18 up
    image, labels = scene(GRIDS[name])
    # Move the planes through the bead by moving the structure there.
    shifted = sitk.Image(labels)
    shifted.SetOrigin((np.array(labels.GetOrigin()) + offset + [0, 10, -10]).tolist())
    moved = qc_figure(image, shifted)
    overview = panel(picture, 0, 0)
    left = colored(overview, COLORS["left"]).mean(axis=0)
    right = colored(overview, COLORS["right"]).mean(axis=0)
    assert left[1] > PANEL / 2 > right[1]  # radiological: the patient's left is on the right
    # Sagittal, through the bead's x: the bead is 10 mm in front (picture: left) and 10 mm above.
    bright = colored(panel(moved, 0, 2), (1, 1, 1), 10)
    near = bright[np.abs(bright - PANEL / 2).max(axis=1) < PANEL / 3]
    middle = (np.median(near, axis=0) - PANEL / 2) * FIELD_MM / PANEL
    assert np.abs(middle - [-10, -10]).max() < 2.5


def test_image_beneath_stays_visible():
    picture = qc_figure(*scene())
    close = panel(picture, 0, 1)
    line = colored(close, COLORS["left"])
    rows, columns = (line.max(axis=0) - line.min(axis=0)).tolist()
    assert len(line) < 0.2 * rows * columns
    middle = close[PANEL // 2 - 10 : PANEL // 2 + 10, PANEL // 2 - 10 : PANEL // 2 + 10]
    assert np.ptp(middle, axis=-1).max() == 0  # grey: no tint inside the contour


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_line_is_seen_in_grey_on_a_brain_as_bright_as_it(side):
    """Printed without colour, a dark rim sets the line off."""
    luma = (0.299, 0.587, 0.114)
    image, labels = scene()
    brightness = 255 * np.dot(luma, COLORS[side])
    array = np.full(sitk.GetArrayViewFromImage(image).shape, brightness, np.int16)
    array[:, :5], array[:, 5:15], array[:, -10:] = 0, 1, 255  # so that black and white are as they are
    flat = sitk.GetImageFromArray(array)
    flat.CopyInformation(image)
    figure = qc_figure(flat, labels, facts=FigureFacts(region_side=side))
    seen = panel(figure, 0, 0)
    line = colored(seen, COLORS[side], 30)
    grey = seen @ np.array(luma)
    rims = [grey[r - 3 : r + 4, c - 3 : c + 4].min() for r, c in line]
    assert np.median(grey) == pytest.approx(brightness, abs=3)
    assert len(line) > 30 and np.mean(np.array(rims) < brightness - 40) > 0.95


def test_parts_have_their_own_colours():
    image, labels = scene(values={"left": 17})
    array = sitk.GetArrayFromImage(labels)
    y = np.arange(array.shape[1])[None, :, None]
    parts = sitk.GetImageFromArray(
        np.where(array > 0, np.where(y < 53, PART["left"]["anterior"], PART["left"]["posterior"]), 0).astype(
            np.uint16
        )
    )
    parts.CopyInformation(labels)
    sagittal = panel(qc_figure(image, parts), 0, 2)
    front, back = colored(sagittal, COLORS[171]), colored(sagittal, COLORS[172])
    assert len(front) > 50 and len(back) > 50
    assert front[:, 1].mean() < back[:, 1].mean()  # anterior is on the picture's left


def test_three_coronal_planes_from_front_to_back():
    """The ellipsoid is widest in the middle; each plane shows the width that its place has."""
    picture = qc_figure(*scene(spacing=(1.0, 1.0, 1.0)))
    for column, place in zip((3, 4, 5), CORONAL_PLACES, strict=True):
        line = colored(panel(picture, 0, column), COLORS["left"])
        width = np.ptp(line[:, 1]) * CORONAL_MM / PANEL
        expected = 2 * RADII[0] * np.sqrt(1 - (2 * place - 1) ** 2)
        assert abs(width - expected) < 1.5, (column, width, expected)


def test_an_error_at_the_tail_is_seen_in_the_last_plane():
    image, labels = scene(spacing=(1.0, 1.0, 1.0))
    array = sitk.GetArrayFromImage(labels)
    index = labels.TransformPhysicalPointToIndex(CENTERS["left"])
    y = index[1] + int(0.7 * RADII[1])
    array[index[2] + 4 : index[2] + 14, y - 2 : y + 3, index[0] - 3 : index[0] + 3] = 17
    wrong = sitk.GetImageFromArray(array)
    wrong.CopyInformation(labels)
    before, after = qc_figure(image, labels), qc_figure(image, wrong)
    tall = [np.ptp(colored(panel(p, 0, 5), COLORS["left"])[:, 0]) for p in (before, after)]
    assert tall[1] > 1.5 * tall[0]


def test_missing_sides_are_drawn_as_missing():
    image, labels = scene(values={"left": 17})
    picture = qc_figure(image, labels)
    assert len(colored(panel(picture, 0, 1), COLORS["left"])) > 100
    empty = panel(picture, 1, 1)
    assert (empty[20, 20] == _BACKGROUND).all() and len(np.unique(empty.reshape(-1, 3), axis=0)) < 300
    nothing = qc_figure(image, sitk.Image(labels) * 0)
    for row in (0, 1):
        assert (panel(nothing, row, 1)[20, 20] == _BACKGROUND).all()


def record_text(monkeypatch) -> list[str]:
    from HippoSegLib.results import qc_figure as figure
    from HippoSegLib.results import qc_panels as panels

    written, original = [], figure.text

    def recorded(draw, where, words, *arguments, **options):
        written.append(words)
        original(draw, where, words, *arguments, **options)

    for module in (figure, panels):
        monkeypatch.setattr(module, "text", recorded)
    return written


def test_text_and_flags(monkeypatch):
    """What is written: names, volumes, flags; the numbers given win over the voxels counted."""
    written = record_text(monkeypatch)
    image, labels = scene()
    measured = Measurements({"left": 3123.4}, intracranial=1.5136e6, quality={"left": 0.914})
    facts = FigureFacts("scan_7", measured, ["The left is small."], "hipposeg 0.1.0", "2026-11-26")
    plain = qc_figure(image, labels, facts=facts)
    counted = (sitk.GetArrayViewFromImage(labels) == 53).sum() * 8
    assert "Left hippocampus: 3123 mm³, quality 0.91" in written
    assert "intracranial volume 1514 mL" in written and "hipposeg 0.1.0, 2026-11-26" in written
    assert f"Right hippocampus: {counted} mm³" in written
    assert "The left is small." in written and any("scan_7" in words for words in written)
    for letter, times in (("R", 10), ("L", 10), ("A", 5), ("P", 5), ("S", 9), ("I", 9)):
        assert written.count(letter) == times, letter
    long = qc_figure(image, labels, facts=FigureFacts(flags=["word " * 300, "二 ünï"]))
    assert long.height > plain.height and long.width == plain.width


def test_region_of_one_side_marks_no_left_and_right(monkeypatch, region):
    written = record_text(monkeypatch)
    labels = sitk.Image(region.GetSize(), sitk.sitkUInt16)
    labels[12:24, 10:40, 12:22] = 53
    picture = qc_figure(region, labels, facts=FigureFacts(region_side="right"))
    assert "R" not in written and "L" not in written and "A" in written
    assert not any("Left" in words for words in written)
    assert len(colored(panel(picture, 0, 1), COLORS["right"])) > 100


def test_label_at_the_border_and_tiny_label():
    image, labels = scene(values={})
    labels[0:4, 40:60, 40:50] = 53
    labels[70, 50, 50] = 17
    picture = qc_figure(image, labels)
    assert len(colored(panel(picture, 1, 1), COLORS["right"])) > 50


def test_file_is_written_once(tmp_path):
    from PIL import Image

    image, labels = scene()
    picture = qc_figure(image, labels, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as stored:
        assert np.array_equal(np.asarray(stored.convert("RGB")), np.asarray(picture))
        assert not stored.text
    with pytest.raises(OutputError, match="exists already"):
        qc_figure(image, labels, tmp_path / "a.png")
    qc_figure(image, labels, tmp_path / "a.png", overwrite=True)
    with pytest.raises(OutputError, match="cannot be written"):
        qc_figure(image, labels, tmp_path / "no" / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_input_is_left_alone():
    image, labels = scene(GRIDS["oblique"])
    before = sitk.GetArrayFromImage(image).copy(), sitk.GetArrayFromImage(labels).copy()
    qc_figure(image, labels)
    assert np.array_equal(before[0], sitk.GetArrayViewFromImage(image))
    assert np.array_equal(before[1], sitk.GetArrayViewFromImage(labels))


def test_a_noisy_picture_is_small_and_keeps_its_colours(tmp_path):
    """What a scan takes on the disk is its picture above all: thousands of them are kept."""
    image, labels = scene()
    image = sitk.AdditiveGaussianNoise(sitk.Cast(image, sitk.sitkFloat32), 25.0)
    picture = qc_figure(image, labels, tmp_path / "a.png")
    pixels = np.asarray(picture).reshape(-1, 3)
    grey = (pixels == pixels[:, :1]).all(axis=1)
    assert len(np.unique(pixels[grey])) <= 65
    assert len(colored(picture, COLORS["right"])) > 50
