"""What may go wrong while the panel segments: cancelling, closing, killing, errors, odd names and folders."""

from __future__ import annotations

import time

import fake_worker
import numpy as np
import psutil
import pytest
from panelbed import add_volume, within_a_second


@pytest.mark.parametrize("stage", fake_worker.STAGES)
def test_cancel_at_each_stage_is_quick_and_leaves_the_scene(panel, steer, stage):
    import slicer

    panel.parameters.inputVolume = add_volume("T1")
    before = slicer.mrmlScene.GetNumberOfNodes()
    steer(f"stay:{stage}")

    def cancel() -> float:
        panel.click("segmentButton")
        panel.testbed.waitFor(lambda: panel.ui.stageLabel.text.startswith(stage))
        assert not panel.ui.segmentButton.enabled and panel.ui.progressFrame.visible
        start = time.monotonic()
        panel.click("cancelButton")
        panel.wait()
        return time.monotonic() - start

    assert within_a_second(cancel)
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert panel.ui.messageLabel.text == "Cancelled; the scene is as it was."
    assert panel.ui.segmentButton.enabled and not panel.ui.progressFrame.visible


def test_cancel_of_a_worker_that_does_not_listen(panel, steer):
    panel.parameters.inputVolume = add_volume("T1")
    steer("deaf")

    def cancel() -> float:
        panel.click("segmentButton")
        panel.testbed.waitFor(lambda: "Checking" in panel.ui.stageLabel.text)
        start = time.monotonic()
        panel.click("cancelButton")
        panel.wait()
        return time.monotonic() - start

    assert within_a_second(cancel)
    steer("")
    panel.segment()
    assert panel.result is not None


def test_the_window_stays_alive_and_shows_stage_and_time(panel, steer):
    """While the worker sleeps, events are handled: the longest gap between two is short."""
    panel.parameters.inputVolume = add_volume("T1")
    steer("slow")
    panel.click("segmentButton")
    ticks = []
    timer = panel.testbed.qt.QTimer()
    timer.setInterval(10)
    timer.connect("timeout()", lambda: ticks.append(time.monotonic()))
    timer.start()
    panel.testbed.waitFor(lambda: "— 1 s" in panel.ui.stageLabel.text)
    timer.stop()
    # Nearly all gaps are short; a busy machine may take the processor away for longer once in a while.
    assert np.median(np.diff(ticks)) < 0.1 and np.quantile(np.diff(ticks), 0.9) < 0.25
    panel.click("cancelButton")
    panel.wait()


def test_the_volume_is_deleted_while_it_is_segmented(panel, steer):
    import slicer

    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    steer("slow")
    panel.click("segmentButton")
    panel.testbed.waitFor(lambda: "Checking" in panel.ui.stageLabel.text)
    slicer.mrmlScene.RemoveNode(volume)
    panel.wait()
    assert "The volume was removed" in panel.ui.messageLabel.text
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert not panel.ui.segmentButton.enabled


def test_the_scene_is_closed_while_a_volume_is_segmented(panel, steer):
    import slicer

    panel.parameters.inputVolume = add_volume("T1")
    steer("slow")
    panel.click("segmentButton")
    panel.testbed.waitFor(lambda: "Checking" in panel.ui.stageLabel.text)
    slicer.mrmlScene.Clear(0)
    panel.wait()
    assert "The scene was closed" in panel.ui.messageLabel.text
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    steer("")
    panel.parameters.inputVolume = add_volume("next")
    panel.segment()
    assert panel.result.GetName() == "next hippocampi"


def test_the_worker_is_killed_from_outside(panel, steer):
    panel.parameters.inputVolume = add_volume("T1")
    steer("slow")
    panel.click("segmentButton")
    panel.testbed.waitFor(lambda: "Checking" in panel.ui.stageLabel.text)
    psutil.Process(panel.logic.worker.processId).kill()
    panel.wait()
    assert "ended from outside (SIGKILL)" in panel.ui.messageLabel.text
    steer("")
    panel.segment()
    assert panel.result is not None


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("input-error", "The scan is constant. Choose another volume."),
        ("memory", "There is not enough memory."),
        ("bug", "unexpected error (ZeroDivisionError)"),
        ("crash", "ended unexpectedly (exit code 3)"),
        ("segfault", "crashed in a library that it uses (SIGSEGV)"),
    ],
)
def test_errors_are_one_sentence_with_a_remedy_and_a_report(panel, steer, behaviour, words):
    import slicer

    panel.parameters.inputVolume = add_volume("Müller, Anna")
    steer(behaviour)
    panel.segment()
    assert words in panel.ui.messageLabel.text
    assert panel.ui.reportButton.visible
    panel.click("reportButton")
    report = slicer.app.clipboard().text()
    assert words in report and "Settings:" in report and "Müller" not in report
    assert ("Traceback" in report) == (behaviour == "bug")


def test_an_empty_result_is_an_error_and_not_a_success(panel, steer):
    panel.parameters.inputVolume = add_volume("T1")
    steer("empty")
    panel.segment()
    assert "No hippocampus was found" in panel.ui.messageLabel.text and panel.result is None


@pytest.mark.parametrize("name", ["Jiří/č. 7: ümlaut", "头部", "a\\b%d{x}"])
def test_names_of_volumes_are_only_names(panel, name):
    panel.parameters.inputVolume = add_volume(name)
    panel.segment()
    assert panel.result.GetName() == f"{name} hippocampi"


def test_a_folder_for_temporary_files_with_spaces_and_other_letters(panel, tmp_path, monkeypatch):
    import tempfile

    folder = tmp_path / "dočasné soubory 临时"
    folder.mkdir()
    panel.logic.worker.close()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    panel.parameters.inputVolume = add_volume("T1")
    panel.segment()
    assert panel.result is not None and panel.logic.worker.folder.startswith(str(folder))
    assert not list(folder.rglob("*.npy"))  # the scan does not stay on the disk
    panel.logic.worker.close()
    assert not list(folder.iterdir())
