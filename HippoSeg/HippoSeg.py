"""HippoSeg, a 3D Slicer module: left and right hippocampus from a T1 MRI of the head.

This file holds the shells that Slicer looks for; what they do is in `HippoSegSlicer` and, without
Slicer, in `HippoSegLib`. Both are imported when the module is first used, not when Slicer starts.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

if TYPE_CHECKING:
    from HippoSegSlicer.logic import Logic
    from HippoSegSlicer.panel import Panel


def findLibrary() -> None:
    """Let `HippoSegLib` be found: beside this file where installed, one folder up in the sources."""
    here = os.path.dirname(os.path.abspath(__file__))
    if importlib.util.find_spec("HippoSegLib") is None:
        sys.path.append(here if os.path.isdir(os.path.join(here, "HippoSegLib")) else os.path.dirname(here))


def unloadLibrary() -> None:
    """Forget `HippoSegLib` and `HippoSegSlicer`: they are loaded anew when they are next imported."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("HippoSegLib", "HippoSegSlicer"):
            del sys.modules[name]


class HippoSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "HippoSeg"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "Markups"]
        parent.contributors = ["HippoSeg contributors"]
        parent.helpText = _(
            "Segments the left and right hippocampus in a T1-weighted MRI of the head and measures them. "
            "Choose the volume and click <b>Segment Hippocampus</b>. Not for clinical use. "
            '<a href="https://github.com/HippoSeg/SlicerHippoSeg#readme">Documentation</a>'
        )
        parent.acknowledgementText = _(
            "The preprocessing (CLAHE and SCE-3DWT) and the 3D U-Net follow: Khan, Kim, Park, Kim, Kwon, "
            "A Resource-Efficient 3D U-Net for Hippocampus Segmentation Using CLAHE and SCE-3DWT Techniques, "
            'IEEE Access 2025, <a href="https://doi.org/10.1109/access.2025.3577266">'
            "doi 10.1109/access.2025.3577266</a>. Please cite it with HippoSeg. Training data: Medical "
            "Segmentation Decathlon, Task04 (CC-BY-SA 4.0). Not for clinical use."
        )
        slicer.app.connect("startupCompleted()", self.registerSampleData)

    def registerSampleData(self) -> None:
        """Offer the shipped sample in the Sample Data module."""
        findLibrary()
        from HippoSegSlicer.sampledata import registerSampleData

        registerSampleData(self.resourcePath("Icons/HippoSegSample.png"))


class HippoSegWidget(ScriptedLoadableModuleWidget):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.logic: HippoSegLogic | None = None
        self.panel: Panel | None = None
        self.ui = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        findLibrary()
        from HippoSegSlicer.dependencies import Installer
        from HippoSegSlicer.panel import Panel
        from HippoSegSlicer.questions import Dialogs

        widget = slicer.util.loadUI(self.resourcePath("UI/HippoSeg.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = HippoSegLogic()
        self.panel = Panel(
            self.ui,
            self.logic.jobs,
            self.logic.training,
            self.logic.getParameterNode,
            Dialogs(),
            Installer(),
        )

    def onReload(self) -> None:
        """The developer's button "Reload": the library is loaded anew too, not this file alone."""
        if self.logic is not None:
            self.logic.close()
        unloadLibrary()
        ScriptedLoadableModuleWidget.onReload(self)

    def enter(self) -> None:
        if self.panel is not None:
            self.panel.enter()

    def cleanup(self) -> None:
        if self.panel is not None:
            self.panel.cleanup()
        if self.logic is not None:
            self.logic.close()


class HippoSegLogic(ScriptedLoadableModuleLogic):
    """What can be done without the panel; see `HippoSegSlicer.console`.

    All instances, the panel's among them, share one worker process, and one more for fine-tuning, which
    starts when it is first asked for.
    """

    _jobs: Logic | None = None
    _training: Logic | None = None

    @property
    def jobs(self):
        """What runs the jobs: a `HippoSegSlicer.logic.Logic`."""
        if HippoSegLogic._jobs is None:
            findLibrary()
            from HippoSegSlicer.logic import Logic

            HippoSegLogic._jobs = Logic()
        return HippoSegLogic._jobs

    @property
    def training(self):
        """What runs a fine-tuning, beside the other jobs: a `HippoSegSlicer.logic.Logic`."""
        if HippoSegLogic._training is None:
            findLibrary()
            from HippoSegSlicer.logic import trainingLogic

            HippoSegLogic._training = trainingLogic()
        return HippoSegLogic._training

    def close(self) -> None:
        """End both worker processes and what they do."""
        for one in (HippoSegLogic._jobs, HippoSegLogic._training):
            if one is not None:
                one.close()

    def segment(self, volumeNode, **options):
        """Segment one volume; returns (segmentation node, measurements). See `console.segment`."""
        jobs = self.jobs  # finds the library
        from HippoSegSlicer import console

        return console.segment(jobs, volumeNode, **options)

    def segmentAll(self, volumeNodes=None, **options) -> list:
        """Segment the scene's volumes; returns a row per volume. See `console.segmentAll`."""
        jobs = self.jobs
        from HippoSegSlicer import console

        return console.segmentAll(jobs, volumeNodes, **options)

    def segmentSequence(self, browserNode, **options) -> list:
        """Segment all frames of a sequence; returns a row per frame. See `console.segmentSequence`."""
        jobs = self.jobs
        from HippoSegSlicer import console

        return console.segmentSequence(jobs, browserNode, **options)

    def segmentFolder(self, folder, outputFolder, **options) -> list:
        """Segment the scans of a folder; returns a row per scan. See `console.segmentFolder`."""
        jobs = self.jobs
        from HippoSegSlicer import console

        return console.segmentFolder(jobs, folder, outputFolder, **options)


class HippoSegTest(ScriptedLoadableModuleTest):
    """Self-test: `Slicer --testing --python-script …`, or the button in developer mode."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        findLibrary()
        from HippoSegSlicer.selftest import TESTS, whyNot

        if reason := whyNot():
            self.delayDisplay(reason)
            self.skipTest(reason)

        for test in TESTS:
            self.setUp()
            self.delayDisplay((test.__doc__ or test.__name__).splitlines()[0])
            test(self, HippoSegLogic().jobs)
        self.delayDisplay("HippoSeg: all tests passed")
