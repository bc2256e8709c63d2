"""Self-test of the module: in a real Slicer and, as far as that goes, on the project's test bed.

In Slicer: `Slicer --testing --no-splash --python-script Testing/slicer_module/run_in_slicer.py`, or the test
button of the panel in developer mode. The plain reader of the bundled model is used, which needs nothing that
does not come with Slicer.
"""

from __future__ import annotations

import time

import numpy as np
import slicer

from HippoSegLib.dependencies import missing_packages
from HippoSegLib.errors import Cancelled
from HippoSegLib.labels import WHOLE
from HippoSegLib.models.store import DEFAULT

from . import console, models
from .inputvolume import voxelVolume
from .jobs import SegmentJob
from .logic import Logic
from .sampledata import NODE_NAME, sampleFile
from .scene import placeLabelMap
from .structures import STRUCTURES
from .volumestable import measureAgain

#: Volumes of the sample's hippocampi must lie between these, mm³.
PLAUSIBLE_MM3 = (2000.0, 5500.0)


def whyNot() -> str:
    """Why the self-test cannot run here, in a sentence; "" where it can."""
    if problem := models.problem(DEFAULT):
        return problem
    missing = missing_packages(models.packages(DEFAULT, isSingle=True))
    if not missing:
        return ""
    names = ", ".join(package.distribution for package in missing)
    return f"The plain reader of the model {DEFAULT} needs packages that are missing: {names}."


def loadSample():
    """The sample scan as a volume node."""
    return slicer.util.loadVolume(str(sampleFile()), {"name": NODE_NAME})


def testSample(case, logic: Logic) -> None:
    """Segment the sample scan and check segments, volumes and table"""
    volumeNode = loadSample()
    node, row = console.segment(logic, volumeNode, model=DEFAULT, singleReader=True, labelMap=True)
    segmentation = node.GetSegmentation()
    case.assertEqual(segmentation.GetNumberOfSegments(), 2)
    for side, value in WHOLE.items():
        segment = segmentation.GetSegment(STRUCTURES[value].segmentId)
        case.assertTrue(PLAUSIBLE_MM3[0] < row[f"{side}_mm3"] < PLAUSIBLE_MM3[1])
        case.assertEqual(segment.GetLabelValue(), value)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, STRUCTURES[value].segmentId, volumeNode)
        case.assertAlmostEqual(row[f"{side}_mm3"], (mask > 0).sum() * voxelVolume(volumeNode), places=2)
    labels = slicer.util.arrayFromVolume(placeLabelMap(node, volumeNode))
    case.assertEqual(set(np.unique(labels)), {0, *WHOLE.values()})
    _compareWithSegmentStatistics(case, node, volumeNode, row)


def _compareWithSegmentStatistics(case, node, volumeNode, row) -> None:
    """Slicer's own Segment Statistics must find the same volumes; left out where it is not there."""
    try:
        import SegmentStatistics
    except ImportError:
        case.delayDisplay("Segment Statistics is not here: comparison left out")
        return
    statistics = SegmentStatistics.SegmentStatisticsLogic()
    statistics.getParameterNode().SetParameter("Segmentation", node.GetID())
    statistics.getParameterNode().SetParameter("ScalarVolume", volumeNode.GetID())
    statistics.computeStatistics()
    found = statistics.getStatistics()
    for side, value in WHOLE.items():
        key = (STRUCTURES[value].segmentId, "LabelmapSegmentStatisticsPlugin.volume_mm3")
        case.assertAlmostEqual(found[key], row[f"{side}_mm3"], delta=0.01 * voxelVolume(volumeNode))


def testMeasureAgain(case, logic: Logic) -> None:
    """Correct a segment by hand and measure again"""
    volumeNode = loadSample()
    node, before = console.segment(logic, volumeNode, model=DEFAULT, singleReader=True)
    segmentId = STRUCTURES[WHOLE["left"]].segmentId
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, volumeNode).copy()
    mask[: int(np.argwhere(mask)[:, 0].mean())] = 0
    edited = (mask > 0).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(edited, node, segmentId, volumeNode)
    after = measureAgain(node)
    case.assertAlmostEqual(after["left_mm3"], (mask > 0).sum() * voxelVolume(volumeNode), places=2)
    case.assertTrue(after["left_mm3"] < before["left_mm3"])
    case.assertAlmostEqual(after["right_mm3"], before["right_mm3"], places=2)


def testPanel(case, logic: Logic) -> None:
    """Open the panel, choose the sample and click the button"""
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule("HippoSeg")
    elif not hasattr(slicer.modules, "HippoSegWidget"):
        slicer.modules.hipposeg.createNewWidgetRepresentation()
    widget = slicer.modules.HippoSegWidget
    volumeNode = loadSample()
    parameters = widget.panel.parameters()
    parameters.model, parameters.singleReader, parameters.device = DEFAULT, True, "auto"
    parameters.inputVolume = volumeNode
    case.assertTrue(widget.ui.segmentButton.enabled, widget.ui.segmentButton.toolTip)
    widget.ui.segmentButton.click()
    case.assertFalse(widget.ui.segmentButton.enabled)
    deadline = time.monotonic() + 300
    while widget.logic.jobs.isBusy and time.monotonic() < deadline:
        slicer.app.processEvents()
        time.sleep(0.01)
    node = widget.panel.results.segmentationNode
    case.assertIsNotNone(node, widget.ui.messageLabel.text)
    case.assertEqual(node.GetSegmentation().GetNumberOfSegments(), 2)
    case.assertIs(widget.ui.inputSelector.currentNode(), volumeNode)


def testCancel(case, logic: Logic) -> None:
    """Cancel a run: the scene stays as it was"""
    volumeNode = loadSample()
    before = slicer.mrmlScene.GetNumberOfNodes()
    job = logic.submit(SegmentJob(volumeNode, {"model": DEFAULT, "second_reader": False}))
    logic.cancel()
    while not job.isDone:
        logic.poll(wait=0.05)
        slicer.app.processEvents()
    case.assertIsInstance(job.error, Cancelled)
    case.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)


TESTS = (testSample, testMeasureAgain, testPanel, testCancel)
