"""Loss and Dice of a fine-tuning under way, in Slicer's own plot view."""

from __future__ import annotations

import csv
import os

import slicer
import vtk
from slicer.i18n import tr as _

#: Okabe and Ito's colours, one per training.
COLORS = ((0.0, 0.447, 0.698), (0.902, 0.624, 0.0), (0.0, 0.62, 0.451), (0.8, 0.475, 0.655))
_NAME = "HippoSegFineTuning"


def readCurves(runFolder: str) -> dict[str, list[tuple[float, float, float | None]]]:
    """Name of each training -> (epoch, loss, Dice or None) per finished epoch; {} before the first."""
    curves: dict[str, list[tuple[float, float, float | None]]] = {}
    if not os.path.isdir(runFolder):
        return curves
    for name in sorted(os.listdir(runFolder)):
        path = os.path.join(runFolder, name, "log.csv")
        if os.path.isfile(path):
            with open(path, newline="", encoding="utf-8") as file:
                curves[name] = [
                    (
                        float(row["epoch"]),
                        float(row["train_loss"]),
                        float(row["val_whole"]) if row["val_whole"] else None,
                    )
                    for row in csv.DictReader(file)
                ]
    return curves


def showCurves(curves: dict[str, list[tuple[float, float, float | None]]]):
    """Make or update the chart in the scene and show it; returns the chart node."""
    chart = _node("vtkMRMLPlotChartNode", _NAME)
    chart.SetTitle(_("Fine-tuning: loss (dashed) and Dice on cases kept apart"))
    chart.SetXAxisTitle(_("epoch"))
    shown = []
    for number, (name, rows) in enumerate(curves.items()):
        table = _node("vtkMRMLTableNode", f"{_NAME}-{name}")
        table.RemoveAllColumns()
        for title, column in (("epoch", 0), ("loss", 1), ("dice", 2)):
            values = vtk.vtkFloatArray()
            values.SetName(title)
            for row in rows:
                values.InsertNextValue(float("nan") if row[column] is None else row[column])
            table.AddColumn(values)
        for title, line in (("loss", "Dash"), ("dice", "Solid")):
            if title == "dice" and all(row[2] is None for row in rows):
                continue  # the final model is judged by nothing: it has learned from all cases
            series = _node("vtkMRMLPlotSeriesNode", f"{_NAME}-{name}-{title}")
            series.SetName(f"{name} {title}")
            series.SetAndObserveTableNodeID(table.GetID())
            series.SetXColumnName("epoch")
            series.SetYColumnName(title)
            series.SetPlotType(series.PlotTypeScatter)
            series.SetLineStyle(getattr(series, f"LineStyle{line}"))
            series.SetMarkerStyle(series.MarkerStyleNone)
            series.SetColor(*COLORS[number % len(COLORS)])
            shown.append(series)
    for series in shown:
        if not chart.HasPlotSeriesNodeID(series.GetID()):
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
    _showInView(chart)
    return chart


def _node(className: str, tag: str):
    for node in slicer.util.getNodesByClass(className):
        if node.GetAttribute(_NAME) == tag:
            return node
    node = slicer.mrmlScene.AddNewNodeByClass(className, tag)
    node.SetAttribute(_NAME, tag)
    return node


def _showInView(chart) -> None:
    """Let the plot views of the current layout show the chart; the layout is left as the user has it."""
    for view in slicer.util.getNodesByClass("vtkMRMLPlotViewNode"):
        view.SetPlotChartNodeID(chart.GetID())
