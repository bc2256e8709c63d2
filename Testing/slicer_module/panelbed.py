"""Helpers of the tests of the Slicer side: volumes, answers to dialogs, a panel to click."""

from __future__ import annotations

import importlib
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]


def within_a_second(cancel) -> bool:
    """Whether a cancel takes less than a second; the best of three, as a machine can be busy.

    Args:
        cancel: Starts something, cancels it, and returns the seconds from the cancel to its end.
    """
    return any(cancel() < 1.0 for _attempt in range(3))


class Steering:
    """Tells the test double in the worker what to do."""

    def __init__(self, path: pathlib.Path):
        self._path = path

    def __call__(self, behaviour: str) -> None:
        self._path.write_text(behaviour, encoding="utf-8")


def ellipsoids(shape=(24, 30, 40)) -> np.ndarray:
    """A dark volume (z, y, x) with two bright ellipsoids, one per half of x."""
    z, y, x = np.indices(shape).astype(float)
    array = np.full(shape, 10, np.int16)
    for centre in (0.3, 0.7):
        inside = (
            ((z - shape[0] / 2) / 5) ** 2 + ((y - shape[1] / 2) / 8) ** 2 + ((x - centre * shape[2]) / 4) ** 2
        )
        array[inside < 1] = 100
    return array


#: Right and anterior as in most scans (i to the left, j to the back), in mm.
PLAIN = np.array([[-1.0, 0, 0, 20], [0, -1.0, 0, 15], [0, 0, 1.0, -12], [0, 0, 0, 1.0]])


def add_volume(name: str, matrix=PLAIN, array=None):
    """Put a volume into the scene."""
    import slicer

    return slicer.util.addVolumeFromArray(ellipsoids() if array is None else array, matrix, name)


def masks(node, volume_node) -> dict[str, np.ndarray]:
    """Segment name -> (z, y, x) bool on the volume's grid."""
    import slicer

    segmentation = node.GetSegmentation()
    found = {}
    for number in range(segmentation.GetNumberOfSegments()):
        segment_id = segmentation.GetNthSegmentID(number)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume_node)
        found[segmentation.GetSegment(segment_id).GetName()] = mask > 0
    return found


class Answers:
    """Stands in for the dialogs: answers from attributes, and remembers what was asked."""

    def __init__(self):
        self.asked: list[str] = []
        self.scans = self.results = ""
        self.reference, self.pages = "", list[str]()
        self.newOne = None
        self.edited, self.folder, self.wheels, self.csv, self.picture, self.consent = (
            None,
            "",
            "",
            "",
            "",
            False,
        )

    def replaceEdited(self, name):
        self.asked.append(name)
        return self.edited

    def modelFolder(self):
        return self.folder

    def wheelsFolder(self):
        return self.wheels

    def csvFile(self, suggestion):
        return self.csv

    def pictureFile(self, suggestion):
        return self.picture

    def referenceFile(self):
        return self.reference

    def newReference(self):
        return self.newOne

    def scansFolder(self):
        return self.scans

    def outputFolder(self):
        return self.results

    def openPage(self, path):
        self.pages.append(path)

    def install(self, text):
        self.asked.append(text)
        return self.consent


class NothingMissing:
    """Stands in for the installer where all packages are there."""

    def missing(self, modules):
        return []

    def unavailable(self, packages):
        return None

    def install(self, packages, wheels_folder, log, done):
        raise AssertionError("nothing to install")


def training_logic():
    """What fine-tunes, on a worker of its own that starts when it is asked for something.

    Not at low priority as the product's: on a busy machine a test would wait for minutes.
    """
    import fake_worker
    from HippoSegSlicer.logic import Logic
    from HippoSegSlicer.workerprocess import WorkerProcess

    return Logic(WorkerProcess(fake_worker.command(), libraryFolder=str(ROOT)))


class PanelUnderTest:
    """A panel with its widgets, as a user has it before the eyes."""

    def __init__(self, testbed, logic, questions, installer, training=None):
        import slicer
        from HippoSegSlicer.panel import Panel

        self.testbed, self.logic, self.questions = testbed, logic, questions
        self.training = training or training_logic()
        self.window = slicer.qMRMLWidget()
        layout = testbed.qt.QVBoxLayout()
        self.window.setLayout(layout)
        self.form = form = slicer.util.loadUI(str(ROOT / "HippoSeg" / "Resources" / "UI" / "HippoSeg.ui"))
        layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        form.setMRMLScene(slicer.mrmlScene)
        node = importlib.import_module("scripted").ScriptedLoadableModuleLogic()
        node.moduleName = "HippoSeg"
        self.panel = Panel(self.ui, logic, self.training, node.getParameterNode, questions, installer)
        self.window.resize(440, 800)
        self.window.show()
        slicer.app.processEvents()

    @property
    def parameters(self):
        return self.panel.parameters()

    def click(self, name: str) -> None:
        """Click a widget by name; a check box is only where its mark and text are."""
        widget = getattr(self.ui, name)
        self.reveal(widget)
        isCheckBox = isinstance(widget, self.testbed.qt.QCheckBox)
        self.testbed.click(widget, (10, widget.height // 2) if isCheckBox else None)

    def open(self, name: str) -> None:
        """Open a part of the panel with a click on its bar."""
        bar = getattr(self.ui, name)
        self.reveal(bar)
        if bar.collapsed:
            self.testbed.click(bar, (20, 5))

    def reveal(self, widget) -> None:
        """Open the parts of the panel that a widget is hidden in, from the outermost."""
        above, outer = [], widget.parent()
        while outer is not None:
            if hasattr(outer, "contentsCollapsed") and outer is not widget:
                above.append(outer)
            outer = outer.parent()
        closed = [bar for bar in reversed(above) if bar.collapsed]
        for bar in closed:
            self.testbed.click(bar, (20, 5))
        if closed:
            self.wait()  # the devices are tried out

    def wait(self, seconds: float = 240.0) -> None:
        """Until nothing runs that was asked for; a fine-tuning may."""
        self.testbed.waitFor(lambda: not self.logic.isBusy, seconds)

    def wait_for_training(self, seconds: float = 240.0) -> None:
        """Until no check or fine-tuning runs."""
        self.testbed.waitFor(lambda: not self.training.isBusy, seconds)

    def segment(self) -> None:
        """Click the button and wait."""
        assert self.ui.segmentButton.enabled, self.ui.segmentButton.toolTip
        self.click("segmentButton")
        self.wait()

    @property
    def result(self):
        return self.panel.results.segmentationNode

    def close(self) -> None:
        """Do what Slicer does when a module is unloaded."""
        self.panel.cleanup()
        self.training.close()
        self.testbed.retire(self.window, self.form)
