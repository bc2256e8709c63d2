"""The one Bland-Altman panel that evaluation and fine-tuning draw: its points and its lines."""

from __future__ import annotations

import statistics

import pytest

from HippoSegLib.evaluation import plots

pytest.importorskip("matplotlib")
#: (volume, reference): differences 100, -20, 40 | 60.
LEFT = [(3100.0, 3000.0), (2980.0, 3000.0), (3540.0, 3500.0)]
RIGHT = [(2560.0, 2500.0)]


def rows(pairs):
    return [{"volume_mm3": volume, "reference_mm3": reference} for volume, reference in pairs]


def panel(*groups, **options):
    figure = plots.new_figure(4, 4)
    axes = figure.subplots()
    plots.draw_bland_altman(axes, [(rows(g), {"s": 9}) for g in groups], "T", "label", **options)
    assert plots.png(figure)[:4] == b"\x89PNG"
    return axes


def heights(axes) -> list[float]:
    return [line.get_ydata()[0] for line in axes.lines]


def test_points_are_difference_over_mean():
    axes = panel(LEFT, RIGHT)
    drawn = [collection.get_offsets().tolist() for collection in axes.collections]
    assert drawn == [[[3050, 100], [2990, -20], [3520, 40]], [[2530, 60]]]
    assert axes.get_xlabel() == "mean of result and label (mm³)" and axes.get_title() == "T"
    assert axes.get_ylabel() == "result − label (mm³)"


def test_lines_are_of_all_groups_together():
    differences = [100, -20, 40, 60]
    mean, spread = statistics.mean(differences), 1.96 * statistics.stdev(differences)
    axes = panel(LEFT, RIGHT, linewidth=1.5)
    assert heights(axes) == pytest.approx([0, mean, mean + spread, mean - spread])
    assert [text.get_text() for text in axes.texts][0] == f"mean\n+{mean:.0f}"
    assert [line.get_linewidth() for line in axes.lines[1:]] == [1.5] * 3


def test_two_points_have_no_limits():
    assert heights(panel(LEFT[:2])) == pytest.approx([0, 40])


def test_fine_tuning_draws_it_before_and_after(monkeypatch):
    from HippoSegLib.finetuning import curves

    drawn = []
    monkeypatch.setattr(curves, "draw_bland_altman", lambda axes, groups, title, truth: drawn.append(title))
    curves.bland_altman_png(rows(LEFT), rows(RIGHT))
    assert drawn == ["before", "after"]
