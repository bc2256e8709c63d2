"""The offsets: found where there are some by hand, and told apart from chance by the two sides."""

import csv
from types import SimpleNamespace

import label_offsets
import numpy as np
import pytest
import SimpleITK as sitk
from label_offsets import Offset
from scipy import ndimage


def blob() -> np.ndarray:
    grid = np.indices((24, 30, 22)).astype(float)
    middle, radii = np.array([12, 14, 11]), np.array([5, 9, 4])
    distance = np.sqrt((((grid.T - middle) / radii) ** 2).sum(axis=-1)).T
    return 1 / (1 + np.exp(8 * (distance - 1)))


@pytest.mark.parametrize("offset", [(1.0, -0.5, 0.75), (0, 0, 0), (-1.25, 1.0, -1.0)])
def test_a_shifted_label_is_found(offset):
    probability = blob()
    truth = ndimage.shift(probability, offset, order=3) > 0.5
    shift, before, after = label_offsets.best_shift(probability, truth)
    assert np.abs(np.subtract(shift, offset)).max() <= 0.25
    assert after > 0.97 and (after > before) == any(offset)


def test_nothing_found_is_no_offset():
    assert label_offsets.best_shift(np.zeros((5, 5, 5)), np.eye(5)[None] * np.ones((5, 1, 1)) > 0) == (
        (0.0, 0.0, 0.0),
        0.0,
        0.0,
    )


def persons(rng) -> list[Offset]:
    """Both sides of 30 persons share an offset, but for the x of mirrored right ones; some have one side."""
    found = []
    for k in range(30):
        own = rng.normal(0, 0.5, 3)
        for side in range(2 if k < 25 else 1):
            shift = (own * (1, 1, 1 - 2 * side)).tolist()
            found.append(Offset(f"c{k:02d}_{side}", f"s{k}", k % 5, 0.8 + 0.004 * k, 0.93, tuple(shift)))
    return found


def test_sides_of_a_person_agree_in_the_report():
    text = label_offsets.report(persons(np.random.default_rng(0)), ["hipposeg train …"])
    for axis in "zyx":
        assert f"| {axis} | 25 | +1.00 |" in text
    assert "55 crops" in text and "- `hipposeg train …`" in text
    assert "| c00_0 | s0 | 0.800 | 0.930 |" in text


@pytest.mark.parametrize("direction", [np.diag([1, 1, 1]), np.diag([-1, -1, 1])])
def test_a_heads_shift_is_told_in_the_heads_axes(direction, monkeypatch, tmp_path):
    """Labels half a voxel above, a voxel in front of and a voxel beside the result, towards the middle."""
    sides = {"left": (12, 14, 30), "right": (12, 14, 50)}
    along = (0.5, 1.0)

    def image(array):
        """Arrays along right, anterior, superior, stored along other axes."""
        made = sitk.GetImageFromArray(array.astype(np.float32))
        made.SetDirection(np.diag([-1.0, -1.0, 1.0]).ravel().tolist())
        made.SetSpacing((1.0, 1.0, 1.2))
        letters = "".join("LRPA"[2 * k + (direction[k, k] < 0)] for k in range(2)) + "S"
        return sitk.DICOMOrient(made, letters)

    volumes = {}
    for side, middle in sides.items():
        found = np.zeros((24, 30, 80))
        start = middle[2] - 11
        found[:, :, start : start + 22] = blob()
        inwards = 1 if side == "left" else -1
        volumes[side] = found, ndimage.shift(found, (*along, inwards), order=3) > 0.5
    path = tmp_path / "head.nii.gz"
    sitk.WriteImage(image(volumes["left"][0]), str(path))
    result = SimpleNamespace(probabilities={side: image(found) for side, (found, _) in volumes.items()})
    monkeypatch.setattr(label_offsets, "segment", lambda *rest, **options: result)
    offsets = label_offsets.of_head(path, lambda side: image(volumes[side][1]) > 0.5, None)
    for one in offsets:
        assert np.abs(np.subtract(one.shift, (0.6, 1.0, 1.0))).max() <= 0.31, one
    text = label_offsets.heads_report(
        {"manual": label_offsets.of_head(path, lambda s: image(volumes[s][1]) > 0.5, None) * 2}
    )
    assert text.count("| manual | left | 2 |") == 1 and "+1.00 (0.00)" in text


def test_a_row_per_case(tmp_path):
    offsets = persons(np.random.default_rng(1))
    label_offsets.write_rows(offsets, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == sorted(one.case for one in offsets)
    first = next(one for one in offsets if one.case == rows[0]["case"])
    assert float(rows[0]["x_mm"]) == first.shift[2] and float(rows[0]["dice_after"]) == first.after
