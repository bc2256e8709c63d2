"""Panel and console on the real core: the shipped model and sample, the command line beside them."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from panelbed import ROOT, Answers, NothingMissing, PanelUnderTest, masks, within_a_second

pytest.importorskip("torch")

SAMPLE = ROOT / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"


@pytest.fixture(scope="module")
def real_worker():
    """One warm worker with the real core for all tests here."""
    from HippoSegSlicer.workerprocess import WorkerProcess

    worker = WorkerProcess(libraryFolder=str(ROOT))
    yield worker
    worker.close()


@pytest.fixture
def real_logic(scene, real_worker):
    from HippoSegSlicer.logic import Logic

    logic = Logic(real_worker)
    yield logic
    logic.removeObservers()
    while real_worker.isBusy and not logic.isBusy:
        logic.poll(wait=0.05)
    if logic.isBusy:
        logic.close()


@pytest.fixture
def sample(scene):
    import slicer

    return slicer.util.loadVolume(str(SAMPLE))


@pytest.fixture(scope="module")
def command_line(tmp_path_factory):
    """What the command line makes of the sample."""
    out = tmp_path_factory.mktemp("command line")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "HippoSegLib.cli",
            "segment",
            str(SAMPLE),
            "-o",
            str(out),
            "--no-picture",
            "-q",
        ],
        check=True,
        cwd=ROOT,
    )
    return out


def read(path, volume) -> np.ndarray:
    """Labels of a file on the grid of a volume node, whose axes Slicer may have turned while loading."""
    import SimpleITK as sitk
    from HippoSegSlicer.inputvolume import geometry, voxels

    image, grid = sitk.ReadImage(str(path)), sitk.GetImageFromArray(voxels(volume))
    for name, value in geometry(volume).items():
        getattr(grid, f"Set{name.capitalize()}")(value)
    return sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor))


def test_a_click_on_the_sample_gives_what_the_command_line_gives(testbed, real_logic, sample, command_line):
    panel = PanelUnderTest(testbed, real_logic, Answers(), NothingMissing())
    panel.parameters.inputVolume = sample
    panel.segment()
    assert panel.result is not None, panel.ui.messageLabel.text
    expected = read(command_line / "hipposeg_sample_T1_hippocampus.nii.gz", sample)
    found = masks(panel.result, sample)
    assert np.array_equal(found["Left hippocampus"], expected == 17)
    assert np.array_equal(found["Right hippocampus"], expected == 53)
    provenance = json.loads(panel.result.GetAttribute("HippoSeg.Provenance"))
    text = (command_line / "hipposeg_sample_T1_hippocampus.json").read_text(encoding="utf-8")
    assert provenance["model"] == json.loads(text)["model"]
    # The second click finds the worker warm.
    first = panel.logic.worker.processId
    panel.segment()
    assert panel.logic.worker.processId == first
    panel.click("pictureButton")
    panel.wait()
    assert not panel.ui.messageFrame.visible, panel.ui.messageLabel.text
    panel.close()


def test_the_console_measures_what_the_command_line_measures(real_logic, sample, command_line):
    from HippoSegSlicer import console

    node, row = console.segment(real_logic, sample, labelMap=True, output=None)
    import slicer

    labels = slicer.util.arrayFromVolume(node.GetNodeReference("HippoSeg.LabelMap"))
    assert np.array_equal(labels, read(command_line / "hipposeg_sample_T1_hippocampus.nii.gz", sample))
    with open(command_line / "hippocampus.csv", encoding="utf-8", newline="") as file:
        (expected,) = csv.DictReader(file)
    assert expected["left_mm3"] and expected["intracranial_ml"] and expected["asymmetry_percent"]
    for name in ("left_mm3", "right_mm3", "total_mm3"):
        assert f"{row[name]:.0f}" == expected[name]
    assert f"{row['intracranial_mm3'] / 1000:.0f}" == expected["intracranial_ml"]
    assert f"{100 * row['asymmetry_index']:.1f}" == expected["asymmetry_percent"]


def test_a_folder_goes_on_after_a_scan_that_fails(real_logic, sample, command_line, tmp_path):
    from HippoSegSlicer import console

    folder = tmp_path / "složka s mezerou"
    folder.mkdir()
    shutil.copy(SAMPLE, folder / "a.nii.gz")
    (folder / "b.nii.gz").write_bytes(SAMPLE.read_bytes()[:20000])
    (folder / "notes.txt").write_text("no scan")
    lines = []
    out = folder / "výstup"
    rows = console.segmentFolder(real_logic, str(folder), str(out), picture=False, output=lines.append)
    assert [row["scan"] for row in rows] == ["a", "b"]
    assert [row["status"] for row in rows] == ["ok", "failed"]
    assert rows[1]["remarks"] and rows[1]["error"] and rows[1]["severity"] == "error"
    files = (
        out / "a_hippocampus.nii.gz",
        command_line / "hipposeg_sample_T1_hippocampus.nii.gz",
    )
    assert np.array_equal(*(read(path, sample) for path in files))
    assert any("0 of 2" in line for line in lines)
    # Neither the output folder nor results beside the scans are scans.
    for name in ("a_hippocampus.nii.gz", "a_hippocampus.json"):
        shutil.copy(out / name, folder / name)
    again = console.segmentFolder(real_logic, str(folder), str(out), picture=False, output=None)
    assert [row["scan"] for row in again] == ["a", "b"]
    assert [row["error"] for row in again] == ["", rows[1]["error"]]  # done before, and tried again


def test_preview_is_what_the_network_sees(real_logic, sample, tmp_path):
    import slicer
    from HippoSegSlicer.jobs import PreviewJob

    subprocess.run(
        [sys.executable, "-m", "HippoSegLib.cli", "preprocess", str(SAMPLE), "-o", str(tmp_path)],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    nodes = real_logic.run(PreviewJob(sample, {}))
    files = sorted(tmp_path.glob("*_channel*.nii.gz"))
    assert len(nodes) == len(files) >= 2
    for node in nodes:
        side = node.GetAttribute("HippoSeg.Preview")
        number = node.GetName().rsplit(" ", 1)[1]
        (path,) = [f for f in files if f"_{side}_channel{number}" in f.name]
        assert np.allclose(slicer.util.arrayFromVolume(node), read(path, node), atol=1e-6)


@pytest.mark.parametrize("stage", ["Loading libraries", "Finding the hippocampi", "Segmenting"])
def test_cancel_while_the_real_core_works(real_logic, sample, stage):
    import slicer
    from HippoSegSlicer.jobs import SegmentJob

    from HippoSegLib.errors import Cancelled

    before = slicer.mrmlScene.GetNumberOfNodes()

    def cancel() -> float:
        if stage == "Loading libraries":
            real_logic.worker.close()  # a cold start takes seconds, and can be cancelled all the same
        times = []

        def on_progress(job, words, fraction):
            if words == stage and not times:
                times.append(time.monotonic())
                real_logic.cancel()

        real_logic.progress.connect(on_progress)
        try:
            with pytest.raises(Cancelled):
                real_logic.run(SegmentJob(sample, {}))
        finally:
            real_logic.progress.disconnect(on_progress)
        return time.monotonic() - times[0]

    assert within_a_second(cancel)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_the_self_test_that_also_runs_in_slicer(testbed, scene):
    python, _instance, widget, window = testbed.loadModule(str(ROOT / "HippoSeg" / "HippoSeg.py"))
    python.HippoSegTest().runTest()
    testbed.unloadModule(widget, window)
