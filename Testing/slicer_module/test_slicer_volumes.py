"""The volumes: table, independent check, measuring again, clipboard, CSV, picture."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from panelbed import PLAIN, add_volume, ellipsoids, masks
from test_slicer_scene import OBLIQUE, edit


def table_rows(node) -> dict[str, tuple[str, str]]:
    table = node.GetTable()
    return {
        table.GetValue(row, 0).ToString(): tuple(table.GetValue(row, column).ToString() for column in (1, 2))
        for row in range(table.GetNumberOfRows())
    }


@pytest.fixture
def done(panel):
    """A panel with a result on an oblique, anisotropic volume."""
    panel.parameters.inputVolume = add_volume("T1", OBLIQUE)
    panel.parameters.parts = True
    panel.segment()
    return panel


def test_volumes_are_those_of_an_independent_count(done):
    """Against the volume VTK computes from the matrix, and the voxels counted in the input."""
    rows = table_rows(done.ui.volumesTable.mrmlTableNode())
    voxel = abs(np.linalg.det(OBLIQUE[:3, :3]))
    truth = ellipsoids() > 50
    left = truth[:, :, 20:].sum() * voxel
    right = truth[:, :, :20].sum() * voxel
    assert float(rows["Left hippocampus"][0]) == pytest.approx(left, abs=0.51)
    assert float(rows["Right hippocampus"][0]) == pytest.approx(right, abs=0.51)
    assert float(rows["Both hippocampi"][0]) == pytest.approx(left + right, abs=0.51)
    assert float(rows["Asymmetry (right − left) / mean"][0]) == pytest.approx(
        200 * (right - left) / (right + left), abs=0.51
    )
    assert float(rows["Left / intracranial"][0]) == pytest.approx(left / 1500, abs=0.0006)
    parts = [float(rows[f"Left hippocampus, {part}"][0]) for part in ("anterior", "posterior")]
    assert sum(parts) == pytest.approx(left, abs=0.11)
    assert rows["Left hippocampus"][1] == "mm³"


def test_closed_surfaces_have_about_the_same_volume(done):
    """Another independent computation: the volume inside the surface Slicer shows."""
    import vtk

    node, total = done.result, 0.0
    for number in range(node.GetSegmentation().GetNumberOfSegments()):
        surface = vtk.vtkPolyData()
        node.GetClosedSurfaceRepresentation(node.GetSegmentation().GetNthSegmentID(number), surface)
        triangles, mass = vtk.vtkTriangleFilter(), vtk.vtkMassProperties()
        triangles.SetInputData(surface)
        mass.SetInputConnection(triangles.GetOutputPort())
        total += mass.GetVolume()
    rows = table_rows(done.ui.volumesTable.mrmlTableNode())
    assert total == pytest.approx(float(rows["Both hippocampi"][0]), rel=0.1)


def test_remarks_are_rows_in_words(done):
    rows = table_rows(done.ui.volumesTable.mrmlTableNode())
    assert "Remark" not in rows
    done.ui.measureButton.click()  # the double's hippocampi are far too small, and measuring says so
    assert "unusually small" in table_rows(done.ui.volumesTable.mrmlTableNode())["Remark"][0]
    assert "⚠ The left hippocampus is unusually small" in done.ui.flagsLabel.text


def test_measure_again_after_a_correction(done):
    volume = done.parameters.inputVolume
    before = table_rows(done.ui.volumesTable.mrmlTableNode())
    edit(done.result, volume)
    done.click("measureButton")
    rows = table_rows(done.ui.volumesTable.mrmlTableNode())
    voxel = abs(np.linalg.det(OBLIQUE[:3, :3]))
    for name, mask in masks(done.result, volume).items():
        assert float(rows[name][0]) == pytest.approx(mask.sum() * voxel, abs=0.51)
    assert rows != before
    assert rows["Intracranial volume"] == before["Intracranial volume"]
    table = done.ui.volumesTable.mrmlTableNode().GetTable()
    remarks = [table.GetValue(i, 1).ToString() for i in range(table.GetNumberOfRows())]
    assert "The segments were edited by hand after the segmentation." in remarks


def test_copy_and_export(done, tmp_path):
    import slicer

    done.click("copyButton")
    text = slicer.app.clipboard().text()
    assert text.splitlines()[0] == "Measure\tValue\tUnit"
    path = tmp_path / "objemy č. 1.csv"
    done.questions.csv = str(path)
    done.click("exportButton")
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    assert lines == list(csv.reader(text.splitlines(), delimiter="\t"))
    assert {line[0]: line[1] for line in lines}["Left hippocampus"] == table_rows(
        done.ui.volumesTable.mrmlTableNode()
    )["Left hippocampus"][0]
    done.questions.csv = str(tmp_path / "no such folder" / "x.csv")
    done.click("exportButton")
    assert "cannot be written" in done.ui.messageLabel.text


def test_buttons_need_a_result(panel):
    names = ("show3DButton", "editButton", "measureButton", "copyButton", "exportButton", "pictureButton")
    assert not any(getattr(panel.ui, name).enabled for name in names)
    panel.parameters.inputVolume = add_volume("T1")
    panel.segment()
    assert all(getattr(panel.ui, name).enabled for name in names)


def test_show_3d_button(done):
    assert done.ui.show3DButton.segmentationNode() is done.result
    done.click("show3DButton")
    assert done.result.GetDisplayNode().GetVisibility3D() == 0
    done.click("show3DButton")
    assert done.result.GetDisplayNode().GetVisibility3D() == 1


def test_picture_on_a_button(panel, tmp_path):
    """The real drawing, in the worker; saved where the user says."""
    pytest.importorskip("PIL")
    big = np.kron(ellipsoids(), np.ones((2, 2, 2), np.int16))
    panel.parameters.inputVolume = add_volume("T1", PLAIN, big)
    panel.segment()
    panel.click("pictureButton")
    panel.wait()
    dialogs = [
        w
        for w in panel.testbed.qt.QApplication.topLevelWidgets()
        if w.name == "HippoSegPicture" and w.visible
    ]
    assert len(dialogs) == 1, panel.ui.messageLabel.text
    panel.questions.picture = str(tmp_path / "kontrola.png")
    panel.testbed.click(dialogs[0].findChild(panel.testbed.qt.QPushButton))
    from PIL import Image

    picture = Image.open(tmp_path / "kontrola.png")
    assert picture.size[0] > 400 and len(picture.getcolors(1 << 24)) > 10
    dialogs[0].close()


def test_a_result_whose_volume_is_gone(logic):
    import slicer
    from HippoSegSlicer import console
    from HippoSegSlicer.volumestable import measureAgain

    from HippoSegLib.errors import InputError

    volume = add_volume("T1")
    node, _row = console.segment(logic, volume, output=None)
    slicer.mrmlScene.RemoveNode(volume)
    with pytest.raises(InputError, match="no longer in the scene"):
        measureAgain(node)
    with pytest.raises(InputError, match="no result"):
        measureAgain(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"))


def test_message_and_table_say_what_read_the_scan(done):
    assert "read by double alone" in done.ui.messageLabel.text
    assert table_rows(done.ui.volumesTable.mrmlTableNode())["Read by"][0] == "double"
    from HippoSegSlicer.summary import readersWords
    from HippoSegSlicer.volumestable import tableRows

    settings = {"second_reader": {"name": "second", "sha256": "0"}, "protocol": "msd"}
    provenance = {"model": {"name": "first"}, "settings": settings}
    assert readersWords(provenance) == "first and second"
    rows = tableRows({}, [], provenance)
    assert [row[:2] for row in rows] == [
        ("Read by", "first"),
        ("Read by", "second"),
        ("Protocol: without the end of the tail", "MSD"),
    ]


def test_the_protocol_is_chosen_under_advanced(panel, volume):
    panel.parameters.inputVolume = volume
    panel.open("advancedButton")
    panel.ui.protocolComboBox.setCurrentIndex(1)
    panel.segment()
    told = json.loads(panel.result.GetAttribute("HippoSeg.Provenance"))["options"]
    assert told["protocol"] == "msd"
