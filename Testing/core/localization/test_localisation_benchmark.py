"""What the benchmark of localisation counts, on results whose figures are known by hand."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import localisation
from localisation import measure_head
from localisation_table import (
    Result,
    Side,
    intracranial_table,
    partial_lines,
    side_table,
    write_cases,
)
from synthetic_heads import Truth

from HippoSegLib.errors import NotFoundError
from HippoSegLib.geometry.pose import WORLD_RAS, HeadPose
from HippoSegLib.io.images import read_image
from HippoSegLib.localization.coarse import Localization
from HippoSegLib.localization.placement import Placement
from HippoSegLib.models.store import load_model

ALL = [("all", lambda tags: True)]


def _cells(lines):
    """Column name -> cell of the first row of a Markdown table."""
    names, values = ([c.strip() for c in line.strip("|").split("|")] for line in (lines[0], lines[2]))
    return dict(zip(names[::-1], values[::-1], strict=True))


def test_sides_are_counted_by_what_is_in_view():
    results = [
        Result(
            "a", {}, sides={"left": Side(1.0, "seen", 1.0), "right": Side(0.99, "by pose", 2.0, swapped=True)}
        ),
        Result(
            "b", {}, sides={"left": Side(1.0, "seen", 9.0), "right": Side(0.5, "seen", 30.0, swapped=True)}
        ),
        Result("c", {}, sides={"left": Side(1.0, "missed"), "right": Side(0.0, "seen", 40.0)}),
        Result("d", {}, "No head.", {"left": Side(1.0, "refused"), "right": Side(1.0, "refused")}),
    ]
    cells = _cells(side_table(results, ALL, pipeline=False))
    wanted = {"heads": "4", "refused": "1", "sides": "6", "missed": "3", "by pose alone": "1", "swapped": "1"}
    assert wanted.items() <= cells.items()
    text = partial_lines(results)[0]
    assert "Partly in view: 1 sides, 1 given a place, 1 of them swapped" in text
    assert "Not in view: 1 sides, 1 given" in text
    assert " 2.0 | 8.3 | 9.0 |" in side_table(results, ALL, pipeline=False)[2]  # of 1, 2 and 9


def test_intracranial_volume_is_compared_where_it_is_known():
    pairs = [(110.0, 100.0), (180.0, 200.0), (330.0, 300.0), (400.0, float("nan"))]
    results = [Result("x", {}, intracranial=a, intracranial_true=b) for a, b in pairs]
    cells = _cells(intracranial_table(results, [("all", lambda r: True)]))
    r = np.corrcoef([110, 180, 330], [100, 200, 300])[0, 1]
    assert cells["heads"] == "3" and float(cells["r"]) == pytest.approx(r, abs=5e-4)
    assert (cells["bias"], cells["worst"]) == ("+3.3 %", "10.0 %")


def _truth():
    """Two rods along a long axis that dips by 24 degrees, 50 mm apart: the frame is the world's."""
    t = np.linspace(-20, 20, 41)[:, None]
    dip = np.deg2rad(24)
    rod = t * [0, -np.cos(dip), -np.sin(dip)] + np.random.default_rng(0).normal(0, 1, (41, 3))
    rod -= rod.mean(axis=0)
    points = {"left": rod + [25, 0, 0], "right": rod - [25, 0, 0]}
    return Truth({s: p.mean(axis=0) for s, p in points.items()}, dict.fromkeys(points, 1.0), points, 1e6, 1.0)


@pytest.mark.parametrize("swap", [False, True])
def test_a_head_is_measured_against_its_truth(sample_path, monkeypatch, swap):
    """A localiser that is 3 mm off, by 10 degrees, and perhaps takes one side for the other."""
    truth = _truth()
    turned = Rotation.from_euler("z", 10, degrees=True).as_matrix() @ WORLD_RAS
    centres = {
        side: truth.centres[other if swap else side] + [0, 0, 3.0]
        for side, other in (("left", "right"), ("right", "left"))
    }
    found = Localization(HeadPose(turned, np.zeros(3)), {"left": centres["left"]}, {}, 0.9e6, 1.0)
    monkeypatch.setattr(localisation, "place", lambda *_: Placement(found, centres, {}))
    result = measure_head("x", read_image(sample_path), truth, load_model(), {}, pipeline=False)
    assert [row.swapped for row in result.sides.values()] == [swap, swap]
    assert result.sides["left"].found == "seen" and result.sides["right"].found == "by pose"
    error = np.hypot(50, 3) if swap else 3.0
    assert result.sides["left"].error == pytest.approx(error)
    assert result.turn_error == pytest.approx(10, abs=1.5)
    assert (result.intracranial, result.intracranial_true, result.reported) == (0.9e6, 1e6, True)


def test_a_refused_head_is_kept_with_its_reason(sample_path, monkeypatch, tmp_path):
    def refuse(*_):
        raise NotFoundError("No head.", "Give points.")

    monkeypatch.setattr(localisation, "place", refuse)
    result = measure_head("x", read_image(sample_path), _truth(), load_model(), {"k": "v"}, pipeline=True)
    write_cases(tmp_path / "cases.csv", [result])
    with open(tmp_path / "cases.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["side"], r["found"], r["pipeline"], r["refused"], r["k"]) for r in rows] == [
        (side, "refused", "refused", "No head. Give points.", "v") for side in ("left", "right")
    ]
