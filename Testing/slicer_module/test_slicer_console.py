"""The console, without any widget: one volume, all volumes, frames, folders; devices of the worker."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from panelbed import PLAIN, add_volume, ellipsoids, masks
from test_slicer_scene import OBLIQUE, rotation, transform

from HippoSegLib.errors import HippoSegError, InputError, NotFoundError


def options_of(node) -> dict:
    return json.loads(node.GetAttribute("HippoSeg.Provenance"))["options"]


def test_segment_returns_node_and_measurements_and_prints_progress(logic, capsys):
    from HippoSegSlicer import console

    volume = add_volume("T1", OBLIQUE)
    node, row = console.segment(logic, volume)
    voxel = abs(np.linalg.det(OBLIQUE[:3, :3]))
    found = masks(node, volume)
    assert row["left_mm3"] == pytest.approx(found["Left hippocampus"].sum() * voxel)
    assert row["right_mm3"] == pytest.approx(found["Right hippocampus"].sum() * voxel)
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines][:2] == [
        "Checking the scan (0 %)",
        "Finding the hippocampi (25 %)",
    ]


def test_segment_passes_points_and_boxes_of_the_world_on(logic):
    from HippoSegSlicer import console

    moved = rotation(90, 2)
    volume = add_volume("T1", PLAIN)
    volume.SetAndObserveTransformNodeID(transform(moved).GetID())
    node, _row = console.segment(
        logic, volume, points={"left": (1, 2, 3)}, boxes={"right": ((0, 0, 0), (10, 20, 30))}, output=None
    )
    options = options_of(node)
    local = np.linalg.inv(moved) @ (1, 2, 3, 1)
    assert np.allclose(options["points"]["left"], np.diag([-1, -1, 1]) @ local[:3])
    corners = np.array(
        [np.linalg.inv(moved) @ (x, y, z, 1) for x in (0, 10) for y in (0, 20) for z in (0, 30)]
    )
    lps = corners[:, :3] * (-1, -1, 1)
    assert np.allclose(options["boxes"]["right"], [lps.min(axis=0), lps.max(axis=0)])


def test_errors_are_raised_with_cause_and_remedy(logic, steer):
    from HippoSegSlicer import console

    with pytest.raises(InputError, match="No volume is chosen"):
        console.segment(logic, None)
    steer("not-found")
    with pytest.raises(NotFoundError) as caught:
        console.segment(logic, add_volume("T1"), output=None)
    assert caught.value.cause and caught.value.remedy
    steer("crash")
    with pytest.raises(HippoSegError, match="ended unexpectedly"):
        console.segment(logic, add_volume("T1"), output=None)


def test_all_volumes_of_a_scene_and_a_failed_one_is_a_row(logic, capsys):
    import slicer
    from HippoSegSlicer import console

    first, mirrored = add_volume("first"), add_volume("mirrored")
    add_volume("last")
    mirrored.SetAndObserveTransformNodeID(transform(np.diag([-1.0, 1, 1, 1])).GetID())
    hidden = add_volume("hidden")
    hidden.SetHideFromEditors(True)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    rows = console.segmentAll(logic)
    assert [row["scan"] for row in rows] == ["first", "mirrored", "last"]
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    assert "mirrors the head" in rows[1]["remarks"] and rows[1]["error"] and rows[1]["node"] is None
    assert rows[0]["left_mm3"] > 0 and rows[2]["node"].GetName() == "last hippocampi"
    assert "last (3 of 3)" in capsys.readouterr().out
    assert console.segmentAll(logic, [first], output=None)[0]["node"] is rows[0]["node"]


def make_sequence(frames):
    """A sequence of volumes with a browser, as a user has it after loading one."""
    import slicer

    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "T1s")
    for number, array in enumerate(frames):
        volume = add_volume("frame", PLAIN, array)
        sequence.SetDataNodeAtValue(volume, str(number))
        slicer.mrmlScene.RemoveNode(volume)
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser


def test_all_frames_of_a_sequence(logic):
    import slicer
    from HippoSegSlicer import console

    constant = np.zeros_like(ellipsoids())
    shifted = np.roll(ellipsoids(), 3, axis=0)
    browser = make_sequence([ellipsoids(), constant, shifted])
    rows = console.segmentSequence(logic, browser, output=None)
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    (results,) = [
        n
        for n in slicer.util.getNodesByClass("vtkMRMLSequenceNode")
        if n is not browser.GetMasterSequenceNode()
    ]
    assert [results.GetNthIndexValue(i) for i in range(results.GetNumberOfDataNodes())] == ["0", "2"]
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    for number, index in ((0, 0), (2, 1)):
        found = masks(results.GetNthDataNode(index), volume)
        truth = (ellipsoids(), constant, shifted)[number] > 50
        assert np.array_equal(found["Left hippocampus"] | found["Right hippocampus"], truth)
    # Beside the sequence itself, only the shown frame's nodes stay in the scene.
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1
    assert not slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert browser.GetSelectedItemNumber() == 0


def test_all_volumes_of_a_scene_include_all_frames_of_its_sequences(logic):
    from HippoSegSlicer import console

    add_volume("single")
    browser = make_sequence([ellipsoids(), ellipsoids()])
    proxy = browser.GetProxyNode(browser.GetMasterSequenceNode())
    rows = console.segmentAll(logic, output=None)
    assert [row["scan"] for row in rows] == ["single", f"{proxy.GetName()} 0", f"{proxy.GetName()} 1"]
    assert all(row["status"] == "ok" for row in rows)


def test_a_sequence_without_volumes_is_refused(logic):
    import slicer
    from HippoSegSlicer import console

    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    with pytest.raises(InputError, match="no volumes"):
        console.segmentSequence(logic, browser)


def test_a_folder_without_scans_is_refused(logic, tmp_path):
    from HippoSegSlicer import console

    (tmp_path / "notes.txt").write_text("nothing")
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError):
            console.segmentFolder(logic, str(folder), str(tmp_path / "out"))


def test_the_real_worker_lists_devices():
    """Without Slicer: what the panel is told on this machine."""
    pytest.importorskip("torch")
    from HippoSegLib.worker.tasks import devices_task

    stages = []
    found = devices_task({}, "", lambda stage, fraction: stages.append(stage), lambda: False)
    assert found["devices"][0]["name"] == "cpu" and found["automatic"]["reason"].startswith("Automatic")
    assert stages == ["Loading libraries"]


def test_a_device_that_fails_its_probe_is_not_offered(monkeypatch):
    pytest.importorskip("torch")
    from HippoSegLib.models import devices
    from HippoSegLib.worker.tasks import devices_task

    card = devices.Device("cuda:0", "Card A (cuda:0)")
    monkeypatch.setattr(devices, "candidates", lambda: [devices.Device("cpu", "CPU, 2 threads"), card])
    monkeypatch.setattr(devices, "probe", lambda name: "its test failed (RuntimeError)")
    found = devices_task({}, "", lambda *_: None, lambda: False)
    assert [device["name"] for device in found["devices"]] == ["cpu"]
    assert found["refused"] == ["Card A (cuda:0): its test failed (RuntimeError)"]
    assert found["automatic"]["name"] == "cpu" and "Card A" in found["automatic"]["reason"]


def test_the_worker_is_started_without_a_shell_and_as_the_right_python(monkeypatch, tmp_path):
    from HippoSegSlicer.workerprocess import pythonCommand

    monkeypatch.delenv("SLICER_HOME", raising=False)
    assert pythonCommand() == [sys.executable]
    # Inside Slicer, PythonSlicer of its PATH.
    program = tmp_path / "PythonSlicer"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLICER_HOME", str(tmp_path))
    assert pythonCommand() == [str(program)]
    monkeypatch.setattr(sys, "executable", "/opt/Slicer/SlicerApp-real")
    program.unlink()
    with pytest.raises(HippoSegError, match="PythonSlicer"):
        pythonCommand()
