"""The module as Slicer loads it: quick, importing nothing heavy, with texts, sample data and self-test."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ET

import pytest
from panelbed import ROOT

MODULE = ROOT / "HippoSeg" / "HippoSeg.py"
SCRIPTS = sorted((ROOT / "HippoSeg").rglob("*.py"))

LOADING = """
import sys, time, types
sys.path.insert(0, sys.argv[1])
import application
application.start()
import importlib.util
before = set(sys.modules)
start = time.perf_counter()
spec = importlib.util.spec_from_file_location("HippoSeg", sys.argv[2])
module = importlib.util.module_from_spec(spec)
sys.modules["HippoSeg"] = module
spec.loader.exec_module(module)
parent = types.SimpleNamespace(path=sys.argv[2], title="", categories=[], dependencies=[], icon=None)
module.HippoSeg(parent)
print("milliseconds", 1000 * (time.perf_counter() - start))
print("modules", *sorted(set(sys.modules) - before))
print("title", parent.title, "|", parent.categories, "|", parent.helpText, parent.acknowledgementText)
"""


def milliseconds(told: str) -> float:
    """How long loading took."""
    return float(re.search(r"milliseconds (\S+)", told)[1])


@pytest.fixture(scope="module")
def loading(testbed):
    """What loading the module in a fresh process costs and brings: of up to three times, the first that is
    quick enough."""
    folder = ROOT / "Testing" / "slicer_module" / "testbed"
    command = [sys.executable, "-c", LOADING, str(folder), str(MODULE)]
    runs: list[str] = []
    while len(runs) < 3 and not any(milliseconds(run) < 50 for run in runs):
        runs.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return min(runs, key=milliseconds)


def test_loading_adds_less_than_50_ms(loading):
    assert milliseconds(loading) < 50


def test_loading_imports_nothing_heavy(loading):
    modules = re.search(r"modules (.*)", loading)[1].split()
    heavy = [
        m
        for m in modules
        if m.split(".")[0] in ("torch", "skimage", "pywt", "SimpleITK", "scipy", "HippoSegLib")
    ]
    assert heavy == [] and modules == ["HippoSeg"]


def test_help_and_acknowledgement(loading):
    for words in ("Not for clinical use", "10.1109/access.2025.3577266", "Segmentation", "CC-BY-SA"):
        assert words in loading


def test_file_scope_imports_are_of_slicer_and_the_standard_library_only():
    allowed = set(sys.stdlib_module_names) | {"slicer", "qt", "ctk", "vtk", "numpy", "scipy", "SimpleITK"}
    allowed |= {"HippoSegLib", "HippoSegSlicer"}
    for path in SCRIPTS:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            assert not [n for n in names if n.split(".")[0] not in allowed], path.name


def test_the_library_knows_nothing_of_slicer():
    for path in sorted((ROOT / "HippoSegLib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            roots = {name.split(".")[0] for name in names}
            assert not roots & {"slicer", "qt", "ctk", "vtk", "HippoSegSlicer"}, path.name


def test_texts_that_a_user_sees_can_be_translated():
    """Every text assigned to a widget goes through the translation function."""
    shown = re.compile(r"\.(text|toolTip|windowTitle|informativeText) = (?!.*_\()(f?\"[^\"]*[a-z]{3})")
    for path in SCRIPTS:
        for line in path.read_text(encoding="utf-8").splitlines():
            isName = re.search(r' = "(HippoSeg|[a-z]+(-[a-z]+)+)"$', line)  # of the product, of a file
            assert not shown.search(line) or isName, f"{path.name}: {line}"


def test_the_form_is_wired_and_names_only_known_widgets():
    root = ET.parse(ROOT / "HippoSeg" / "Resources" / "UI" / "HippoSeg.ui").getroot()
    custom = {one.findtext("class") for one in root.iter("customwidget")}
    used = {w.get("class") for w in root.iter("widget") if w.get("class").startswith(("ctk", "qMRML"))}
    assert used == custom
    wired = {c.findtext("receiver") for c in root.iter("connection")}
    selectors = {w.get("name") for w in root.iter("widget") if w.get("class") == "qMRMLNodeComboBox"}
    assert selectors <= wired


@pytest.fixture
def loaded(testbed, scene):
    """The module, loaded as Slicer does it."""
    python, instance, widget, panel = testbed.loadModule(str(MODULE))
    yield python, instance, widget, panel
    testbed.unloadModule(widget, panel)


def test_sample_data_is_registered_and_loads_offline(loaded, testbed):
    import slicer
    from HippoSegSlicer.sampledata import SHA256, sampleFile

    _python, _instance, widget, _panel = loaded
    assert hashlib.sha256(sampleFile().read_bytes()).hexdigest() == SHA256
    sources = sys.modules["SampleData"].SampleDataLogic.sources
    sources.clear()
    slicer.app.startupCompleted.emit()
    (source,) = sources["HippoSeg"]
    assert source["uris"].startswith("file://") and source["checksums"] == f"SHA256:{SHA256}"
    picture = testbed.qt.QImage(source["thumbnailFileName"])
    assert (picture.width(), picture.height()) == (260, 280)
    node = sys.modules["SampleData"].SampleDataLogic().downloadSample(source["sampleName"])
    assert node.GetClassName() == "vtkMRMLScalarVolumeNode"
    widget.panel.inputs.chooseShownVolume()


def test_entering_and_leaving_leaves_nothing_behind(loaded):
    import psutil

    _python, _instance, widget, _panel = loaded
    widget.enter()
    worker = widget.logic.jobs.worker
    assert worker.processId is None  # nothing was asked for
    widget.ui.advancedButton.collapsed = False
    process = psutil.Process(worker.processId)
    widget.cleanup()
    gone, alive = psutil.wait_procs([process], timeout=60)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
    assert not worker.folder


def test_panel_and_console_share_one_worker(loaded):
    python, _instance, widget, _panel = loaded
    assert python.HippoSegLogic().jobs is widget.logic.jobs is python.HippoSegLogic().jobs


RELOADING = """
import sys, types
sys.path.insert(0, sys.argv[1])
import application
application.start()
import slicer
python, instance, widget, panel = application.loadModule(sys.argv[2])
def reload():  # what qSlicerScriptedLoadableModuleWidget does
    new = sys.modules["HippoSeg"].HippoSegWidget(panel)
    slicer.modules.HippoSegWidget = new
    new.setup()
widget.parent = types.SimpleNamespace(reload=reload)
slicer.modules.hipposeg.widgetRepresentation = lambda: panel
names = [n for n in sys.modules if n.split(".")[0] in ("HippoSegLib", "HippoSegSlicer")]
for name in names:
    sys.modules[name].isOld = True
widget.onReload()
new = slicer.modules.HippoSegWidget
assert new is not widget and type(new.panel) is not type(widget.panel)
print("before", len(names), "old", [n for n in names if hasattr(sys.modules.get(n), "isOld")])
new.panel.enter()
new.cleanup()
"""


def test_reload_brings_the_library_anew_too():
    folder = ROOT / "Testing" / "slicer_module" / "testbed"
    command = [sys.executable, "-c", RELOADING, str(folder), str(MODULE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, old = re.search(r"before (\d+) old (.*)", done.stdout).groups()
    assert int(count) > 20 and old == "[]"


def test_the_self_test_skips_with_a_reason_where_packages_are_missing(loaded, monkeypatch):
    from HippoSegSlicer import selftest

    from HippoSegLib.dependencies import PACKAGES

    monkeypatch.setattr(selftest, "missing_packages", lambda modules: list(PACKAGES[:1]))
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(loaded[0].HippoSegTest).run(result)
    ((_test, reason),) = result.skipped
    assert "packages that are missing: torch" in reason
    assert result.testsRun == 1 and result.wasSuccessful()


def test_the_self_test_runs_with_what_comes_with_slicer(loaded, monkeypatch):
    """With the plain reader: scikit-image, PyWavelets and torch cannot be imported in the worker."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "Testing" / "slicer_module" / "without_packages"))
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(loaded[0].HippoSegTest).run(result)
    assert not result.skipped and result.testsRun == 1
    assert result.wasSuccessful(), (result.errors + result.failures)[0][1]


def test_what_slicer_is_told_to_run_has_no_code_at_file_scope():
    tree = ast.parse((ROOT / "Testing/slicer_module/run_in_slicer.py").read_text(encoding="utf-8"))
    kinds = (ast.Expr, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.If)
    assert all(isinstance(node, kinds) for node in tree.body)
    (guard,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(guard.test) == "__name__ == '__main__'"
