"""The application's stand-in: start it, load a module, click, run inside the event loop, take pictures."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pathlib
import sys
import tempfile
import types

HERE = pathlib.Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

import ctk  # noqa: E402, F401  (registers its widgets)
import mrmlwidgets  # noqa: E402
import nodeselector  # noqa: E402
import qt  # noqa: E402
import scripted  # noqa: E402
import slicer  # noqa: E402
import slicer.util  # noqa: E402
from bootstrap import Module, bootstrap  # noqa: E402
from PySide6 import QtCore, QtTest, QtWidgets  # noqa: E402


class _IO:
    """qSlicerCoreIOManager over the module logics: volumes, segmentations, scenes."""

    def fileType(self, path) -> str:
        path = str(path).lower()
        if path.endswith((".mrml", ".mrb")):
            return "SceneFile"
        return "SegmentationFile" if path.endswith(".seg.nrrd") else "VolumeFile"

    def loadNodes(self, kind, properties, collection=None, messages=None) -> bool:
        path = properties["fileName"]
        name = properties.get("name") or pathlib.Path(path).name.split(".")[0]
        if not os.path.exists(path):
            return False
        if kind == "SceneFile":
            slicer.mrmlScene.SetURL(path)
            isBundle = path.endswith(".mrb")
            return bool(slicer.mrmlScene.ReadFromMRB(path) if isBundle else slicer.mrmlScene.Connect())
        if kind == "VolumeFile":
            asLabels = 1 if properties.get("labelmap") else 0
            node = slicer.modules.volumes.logic().AddArchetypeVolume(path, name, asLabels, None)
        else:
            node = slicer.modules.segmentations.logic().LoadSegmentationFromFile(path, True, name)
        if node is None:
            return False
        if collection is not None:
            collection.AddItem(node)
        return True

    def fileWriterFileType(self, node) -> str:
        return "SegmentationFile" if node.IsA("vtkMRMLSegmentationNode") else "VolumeFile"

    def saveNodes(self, kind, properties, messages=None) -> bool:
        path = str(properties["fileName"])
        if kind == "SceneFile":
            isBundle = path.endswith(".mrb")
            return bool(slicer.mrmlScene.WriteToMRB(path) if isBundle else slicer.mrmlScene.Commit(path))
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(path)
        return bool(node.GetStorageNode().WriteData(node))


class ModuleManager:
    """qSlicerModuleManager: tells the widgets that listen when a module is about to be unloaded."""

    def __init__(self):
        self._slots = []

    def connect(self, signal: str, slot) -> None:
        assert signal == "moduleAboutToBeUnloaded(QString)", signal
        self._slots.append(slot)

    def disconnect(self, signal: str, slot) -> None:
        self._slots.remove(slot)

    def unload(self, name: str) -> None:
        for slot in list(self._slots):
            slot(name)


class ThreeDView:
    """ctkVTKRenderView: counts how often its camera was aimed."""

    def __init__(self):
        self.aimed = 0

    def resetFocalPoint(self) -> None:
        self.aimed += 1


class LayoutManager:
    """qSlicerLayoutManager with some 3D views."""

    def __init__(self, views: int = 1):
        self.views = [ThreeDView() for _ in range(views)]
        self.threeDViewCount = views  # a property in PythonQt

    def mrmlSliceLogics(self):
        return slicer.app.applicationLogic().GetSliceLogics()

    def threeDWidget(self, number: int):
        return types.SimpleNamespace(threeDView=lambda: self.views[number])


class Application(QtWidgets.QApplication):
    """qSlicerApplication, as far as the module needs it."""

    startupCompleted = QtCore.Signal()
    applicationVersion = "5.13.0-testbed"
    os = "linux"
    majorVersion, minorVersion = 5, 13
    isTesting = True
    layout = None  # as without a main window; a LayoutManager where a test wants one

    def testingEnabled(self) -> bool:
        return self.isTesting

    def coreIOManager(self):
        return self._io

    ioManager = coreIOManager

    def layoutManager(self):
        return self.layout

    def moduleManager(self):
        return self._modules

    def applicationLogic(self):
        return self._applicationLogic

    def userSettings(self):
        return self._settings

    def mrmlScene(self):
        return slicer.mrmlScene

    def pauseRender(self):
        pass

    def resumeRender(self):
        pass


def start() -> Application:
    """Start the application; once per process."""
    for module in (mrmlwidgets, nodeselector):
        for name, value in vars(module).items():
            if name.startswith("qMRML"):
                setattr(slicer, name, value)
    _spareNone()
    app = Application([])
    # Qt's own file dialogs: a test can answer them.
    app.setAttribute(QtCore.Qt.AA_DontUseNativeDialogs)
    folder = tempfile.mkdtemp(prefix="slicer-testbed-")
    app._settings = QtCore.QSettings(os.path.join(folder, "Slicer.ini"), QtCore.QSettings.IniFormat)
    app._io, app._modules = _IO(), ModuleManager()
    app.temporaryPath = folder
    slicer.app = app
    _scene, app._applicationLogic = bootstrap()
    scripted.install()
    return app


def _spareNone() -> None:
    """Give None so many references that it outlives PySide6.

    PySide6 6.12 takes one away with every call that returns nothing (`processEvents`, `msleep`: see
    `sys.getrefcount(None)`), and after some ten thousand calls Python 3.11 ends with "deallocating
    None". From 3.12 on None cannot end.
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def loadModule(path):
    """Do what Slicer does with a scripted module: import it, make module and widget, call setup().

    Returns:
        The Python module, the module object, the widget object and the panel.
    """
    name = pathlib.Path(path).stem
    spec = importlib.util.spec_from_file_location(name, path)
    python = importlib.util.module_from_spec(spec)
    sys.modules[name] = python
    folder = str(pathlib.Path(path).parent)
    if folder not in sys.path:  # Slicer does that
        sys.path.append(folder)
    spec.loader.exec_module(python)
    parent = types.SimpleNamespace(path=str(path), title="", categories=[], dependencies=[], icon=None)
    instance = getattr(python, name)(parent)
    module = Module(name, None, str(path))
    module.parent, module.instance = parent, instance
    setattr(slicer.modules, name.lower(), module)
    panel = mrmlwidgets.qMRMLWidget()
    panel.setLayout(QtWidgets.QVBoxLayout())
    panel.setMRMLScene(slicer.mrmlScene)
    widget = getattr(python, name + "Widget")(panel)
    setattr(slicer.modules, name + "Widget", widget)
    widget.setup()
    panel.resize(440, 760)
    panel.show()
    slicer.app.processEvents()
    return python, instance, widget, panel


_retired = []


def retire(window, *forms) -> None:
    """Close a panel: its widgets lose the scene. They are kept, as observers may still name them."""
    for form in forms:
        form.setMRMLScene(None)
        for table in form.findChildren(mrmlwidgets.qMRMLTableView):
            table.setMRMLTableNode(None)
    window.close()
    _retired.append((window, forms))
    slicer.app.processEvents()


def unloadModule(widget, panel) -> None:
    """Undo :func:`loadModule`."""
    slicer.app.moduleManager().unload(widget.moduleName)
    retire(panel, *panel.findChildren(mrmlwidgets.qMRMLWidget))


def click(widget, position: tuple[int, int] | None = None) -> None:
    """Press and release the left mouse button on a widget: in its middle, or at (x, y) pixels."""
    where = QtCore.QPoint() if position is None else QtCore.QPoint(*position)
    QtTest.QTest.mouseClick(widget, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, where)
    slicer.app.processEvents()


def waitFor(condition, seconds: float = 240.0) -> None:
    """Let events happen until a condition holds; AssertionError if it does not in time."""
    timer = QtCore.QElapsedTimer()
    timer.start()
    while not condition():
        if timer.elapsed() > 1000 * seconds:
            raise AssertionError(f"not within {seconds} s")
        slicer.app.processEvents(QtCore.QEventLoop.AllEvents, 20)
        QtCore.QThread.msleep(5)


def run(function):
    """Run a function inside the application's event loop, where dialogs live; returns its value."""
    outcome = []

    def go():
        try:
            outcome.append((True, function()))
        except BaseException as error:
            outcome.append((False, error))
        finally:
            slicer.app.quit()

    QtCore.QTimer.singleShot(0, go)
    slicer.app.exec()
    isFine, value = outcome[0]
    if not isFine:
        raise value
    return value


def grab(widget):
    """A picture of a widget as QImage."""
    slicer.app.processEvents()
    return widget.grab().toImage()


__all__ = [
    "Application",
    "click",
    "grab",
    "loadModule",
    "qt",
    "retire",
    "run",
    "start",
    "unloadModule",
    "waitFor",
]
