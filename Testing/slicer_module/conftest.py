"""What the tests of the Slicer side share: the test bed, volumes, a warm worker, a panel.

The folder must not be called `slicer`: slicer-core's package of that name would take its files for
parts of itself.
"""

from __future__ import annotations

import importlib
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for _folder in (HERE, ROOT / "HippoSeg", ROOT):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))


@pytest.fixture(scope="session")
def testbed():
    """The started test bed; skips where slicer-core, PySide6 or a drawing library is not installed."""
    for module, package in (("slicer_core", "slicer-core"), ("PySide6", "PySide6-Essentials")):
        pytest.importorskip(module, reason=f"needs the package {package}")
    sys.path.insert(0, str(HERE / "testbed"))
    try:
        application = importlib.import_module("application")
    except ImportError as error:
        if "shared object" not in str(error):
            raise
        # libEGL.so.1 is in Debian's libegl1, libGL.so.1 in libgl1, libfontconfig.so.1 in libfontconfig1 …
        pytest.skip(f"needs a drawing library of the system: {error}")
    application.start()
    return application


@pytest.fixture
def scene(testbed):
    """The empty scene, with a slice view as Slicer has."""
    import slicer

    slicer.mrmlScene.Clear(0)
    logics = slicer.app.applicationLogic().GetSliceLogics()
    if logics.GetNumberOfItems() == 0:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        logic.SetMRMLScene(slicer.mrmlScene)
        logics.AddItem(logic)
        logic.AddSliceNode("Red")
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear(0)


@pytest.fixture(scope="session")
def _fake(tmp_path_factory):
    import os

    import fake_worker
    from HippoSegSlicer.workerprocess import WorkerProcess
    from panelbed import Steering

    path = tmp_path_factory.mktemp("steering") / "behaviour"
    os.environ["HIPPOSEG_TEST_STEERING"] = str(path)
    worker = WorkerProcess(fake_worker.command(), libraryFolder=str(ROOT))
    yield worker, Steering(path)
    worker.close()
    del os.environ["HIPPOSEG_TEST_STEERING"]


@pytest.fixture
def steer(_fake):
    """Tells the double what to do next; nothing special by default."""
    _worker, steering = _fake
    steering("")
    yield steering
    steering("")


@pytest.fixture
def logic(scene, _fake, steer):
    """The logic on a worker with the test double, warm for all tests."""
    from HippoSegSlicer.logic import Logic

    worker, _steering = _fake
    logic = Logic(worker)
    yield logic
    logic.removeObservers()
    while worker.isBusy and not logic.isBusy:  # the next test's logic must find the worker free
        logic.poll(wait=0.05)
    if logic.isBusy:
        logic.close()


@pytest.fixture
def volume(scene):
    """A volume node of two bright ellipsoids."""
    from panelbed import add_volume

    return add_volume("T1")


@pytest.fixture
def panel(testbed, logic):
    """The panel on the warm worker with the test double."""
    from panelbed import Answers, NothingMissing, PanelUnderTest

    panel = PanelUnderTest(testbed, logic, Answers(), NothingMissing())
    yield panel
    panel.close()
