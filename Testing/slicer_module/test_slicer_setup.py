"""First use: nothing is installed unasked; consent, log, offline, and what to do when it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import types

import pytest
from panelbed import ROOT, Answers, PanelUnderTest, add_volume

from HippoSegLib import dependencies
from HippoSegLib.dependencies import PACKAGES, explain_import_failure, explain_pip_failure
from HippoSegLib.errors import DependencyError

BUNDLED = ROOT / "Resources" / "Models"


class FakeMachine:
    """A machine on which packages are missing, with Slicer's and the extension's installers."""

    def __init__(self, monkeypatch, scene, missing):
        import slicer
        from HippoSegSlicer import dependencies as ours

        self.missing, self.calls, self.lines, self.code = list(missing), [], ["Collecting it", "Done"], 0
        monkeypatch.setattr(
            ours,
            "missing_packages",
            lambda modules: [p for p in PACKAGES if p.module in self.missing and p.module in modules],
        )
        newest = {"torch": "2.13.0", "scikit-image": "0.26.0", "PyWavelets": "1.9.0"}
        self.index = {n: (0, f"{n} ({v})\nAvailable versions: {v}, 0.1\n") for n, v in newest.items()}
        monkeypatch.setattr(ours, "_pipIndex", lambda name: self.index[name])
        self.packaging = types.ModuleType("slicer.packaging")
        self.packaging.pip_install = self._pip
        self.packaging.isPipInstallInProgress = lambda: False
        monkeypatch.setitem(sys.modules, "slicer.packaging", self.packaging)
        monkeypatch.setattr(slicer, "packaging", self.packaging, raising=False)
        extension = types.ModuleType("PyTorchUtils")
        extension.PyTorchUtilsLogic = lambda: types.SimpleNamespace(installTorch=self._torch)
        monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
        monkeypatch.setattr(slicer.util, "pip_install", self._oldPip)

    def _pip(self, requirements, blocking, show_progress, logCallback, completedCallback):
        self.calls.append(("pip", requirements))
        for line in self.lines:
            logCallback(line)
        if self.code == 0:
            self._installed(requirements)
        completedCallback(self.code)

    def _oldPip(self, requirements):
        self.calls.append(("old pip", requirements))
        print("\n".join(self.lines))
        if self.code:
            raise subprocess.CalledProcessError(self.code, "pip")
        self._installed(requirements)

    def _torch(self, askConfirmation, torchVersionRequirement):
        self.calls.append(("torch", torchVersionRequirement))
        print("Collecting torch")
        self.missing.remove("torch")

    def _installed(self, requirements):
        self.missing = [
            m
            for m in self.missing
            if not any(p.requirement in requirements for p in PACKAGES if p.module == m)
        ]


@pytest.fixture
def machine(monkeypatch, scene):
    return FakeMachine(monkeypatch, scene, ["torch", "skimage", "pywt"])


@pytest.fixture
def first_use(testbed, logic, machine):
    from HippoSegSlicer.dependencies import Installer

    panel = PanelUnderTest(testbed, logic, Answers(), Installer())
    panel.machine = machine
    yield panel
    panel.close()


OTHERS = ["--only-binary", ":all:", "scikit-image>=0.22", "PyWavelets>=1.5"]


@pytest.fixture
def two_readers(first_use, tmp_path):
    """The panel with a model of two readers, the second of which needs packages."""
    for name in ("hipposeg", "hipposeg_clahe_sce"):
        shutil.copytree(BUNDLED / name, tmp_path / name)
    card = tmp_path / "hipposeg" / "card.json"
    values = json.loads(card.read_text(encoding="utf-8"))
    card.write_text(json.dumps({**values, "second_reader": "hipposeg_clahe_sce"}), encoding="utf-8")
    first_use.parameters.model = str(tmp_path / "hipposeg")
    first_use.parameters.inputVolume = add_volume("T1")
    return first_use


def told(panel) -> dict:
    """The options that the worker was given."""
    return json.loads(panel.result.GetAttribute("HippoSeg.Provenance"))["options"]


def test_what_needs_no_package_asks_for_none(first_use):
    first_use.parameters.model = "hipposeg"
    first_use.parameters.singleReader = True
    first_use.parameters.inputVolume = add_volume("T1")
    assert not first_use.ui.setupButton.visible and first_use.ui.segmentButton.enabled
    first_use.segment()
    assert first_use.result is not None and not first_use.machine.calls


def test_nothing_happens_without_consent(two_readers):
    ui = two_readers.ui
    assert ui.setupButton.visible and not ui.segmentButton.enabled
    assert "go on with the plain model" in ui.reasonLabel.text and ui.reasonLabel.visible
    for words in ("scikit-image", "PyWavelets", "20 MB", "Nothing is sent anywhere"):
        assert words in ui.setupLabel.text
    assert "torch" not in ui.setupLabel.text
    assert ui.installButton.text == "Install (20 MB)"
    two_readers.panel.enter()
    assert not two_readers.logic.worker.isBusy  # nothing is started either
    two_readers.click("installButton")
    assert len(two_readers.questions.asked) == 1 and not two_readers.machine.calls


def test_going_on_with_the_plain_model_installs_nothing(two_readers):
    two_readers.click("plainButton")
    ui = two_readers.ui
    assert not ui.setupButton.visible and ui.segmentButton.enabled
    assert two_readers.parameters.singleReader and not ui.readersCheckBox.checked
    assert not two_readers.questions.asked and not two_readers.machine.calls
    two_readers.segment()
    assert told(two_readers)["second_reader"] is False
    two_readers.click("readersCheckBox")  # both again: they need the packages
    assert ui.setupButton.visible and not ui.segmentButton.enabled


def test_with_the_packages_both_readers_read(two_readers):
    two_readers.questions.consent = True
    two_readers.click("installButton")
    assert two_readers.machine.calls == [("pip", OTHERS)]
    assert not two_readers.ui.setupButton.visible and two_readers.ui.segmentButton.enabled
    two_readers.segment()
    assert "second_reader" not in told(two_readers)


def test_a_model_whose_own_reader_needs_them_gives_way_to_the_bundled_one(first_use):
    first_use.parameters.inputVolume = add_volume("T1")
    first_use.parameters.model = "hipposeg_clahe_sce"
    assert first_use.ui.setupButton.visible
    first_use.click("plainButton")
    assert first_use.parameters.model == "hipposeg" and first_use.ui.segmentButton.enabled


def test_an_old_version_counts_as_missing(monkeypatch):
    """Looked up in the metadata: the package itself is not imported."""
    versions = {"torch": "2.3.1+cpu", "scikit-image": "0.22.0", "PyWavelets": "1.10.0rc1", "Jinja2": "3.1"}
    monkeypatch.setattr(dependencies.importlib.metadata, "version", versions.__getitem__)
    monkeypatch.setattr(dependencies.importlib.util, "find_spec", lambda name: object())
    assert [package.module for package in dependencies.missing_packages()] == ["torch"]


def test_fine_tuning_asks_for_torch_alone_and_by_the_extension(first_use):
    first_use.parameters.model = "hipposeg"
    first_use.questions.consent = True
    first_use.open("tuneSection")
    ui = first_use.ui
    assert "needs packages that are missing: torch" in ui.tuneMissingLabel.text
    assert not ui.tuneCheckButton.enabled
    first_use.click("tuneInstallButton")
    assert "200 MB to 3 GB" in first_use.questions.asked[0]
    assert first_use.machine.calls == [("torch", ">=2.4")]
    assert not ui.tuneMissingFrame.visible and ui.tuneCheckButton.enabled


def test_where_torch_cannot_be_had_a_sentence_comes_before_any_download(first_use, monkeypatch):
    first_use.machine.index["torch"] = (0, "torch (2.2.2)\nAvailable versions: 2.2.2, 2.2.1\n")
    first_use.questions.consent = True
    first_use.open("tuneSection")
    first_use.click("tuneInstallButton")
    text = first_use.ui.messageLabel.text
    assert "no build of torch 2.4 or later (the newest is 2.2.2)" in text and "another computer" in text
    assert not first_use.machine.calls


def index_of(folder, *arguments):
    """What pip says of the wheels in a folder, for a Mac with an Intel processor (or under Rosetta)."""
    from HippoSegSlicer.dependencies import _pipIndex

    there = ("--no-index", "--find-links", str(folder), "--platform", "macosx_13_0_x86_64")
    return _pipIndex("torch", *there, "--python-version", "3.12", *arguments)


def test_pip_says_what_there_is_for_a_system(testbed, tmp_path):
    from HippoSegSlicer.dependencies import fromIndex

    torch = PACKAGES[0]
    (tmp_path / "torch-2.13.0-cp312-none-macosx_11_0_arm64.whl").touch()
    (tmp_path / "torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl").touch()
    nothing = fromIndex(torch, *index_of(tmp_path))
    assert nothing.code == "no_build" and "no build of torch 2.4 or later." in nothing.cause
    (tmp_path / "torch-2.2.2-cp312-none-macosx_10_9_x86_64.whl").touch()
    old = fromIndex(torch, *index_of(tmp_path))
    assert old.code == "no_build" and "the newest is 2.2.2" in old.cause
    (tmp_path / "torch-2.10.0-cp312-none-macosx_11_0_x86_64.whl").touch()
    assert fromIndex(torch, *index_of(tmp_path)) is None
    assert "cannot be reached" in str(fromIndex(torch, 1, "NewConnectionError\nNo matching distribution"))
    assert fromIndex(torch, 1, 'ERROR: unknown command "index"') is None


def test_an_older_slicer_has_another_pip(two_readers, monkeypatch):
    import slicer

    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.delattr(slicer, "packaging")
    two_readers.questions.consent = True
    two_readers.click("installButton")
    assert two_readers.machine.calls == [("old pip", OTHERS)]
    assert not two_readers.ui.setupButton.visible


def test_a_folder_of_wheels_needs_no_network(two_readers):
    two_readers.machine.index.clear()  # asking it would fail the test
    two_readers.questions.wheels = "/média/kola s mezerou"
    two_readers.click("wheelsButton")
    ((_kind, arguments),) = two_readers.machine.calls
    assert arguments[:5] == ["--only-binary", ":all:", "--no-index", "--find-links", "/média/kola s mezerou"]
    assert arguments[5:] == OTHERS[2:]


def test_the_log_is_shown_and_a_failure_explained(two_readers):
    two_readers.machine.code = 1
    two_readers.machine.lines = ["Collecting scikit-image", "ERROR: [Errno 28] No space left on device"]
    two_readers.questions.consent = True
    two_readers.click("installButton")
    ui = two_readers.ui
    assert "Collecting scikit" in ui.installLog.plainText and "Errno 28" in ui.installLog.plainText
    assert ui.installLog.visible and ui.installButton.enabled
    assert "not enough disk space" in ui.messageLabel.text and "Free at least" in ui.messageLabel.text
    two_readers.click("plainButton")  # and one may go on all the same
    assert ui.segmentButton.enabled


def test_without_the_pytorch_extension_it_says_how_to_get_it(first_use, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    first_use.questions.consent = True
    first_use.open("tuneSection")
    first_use.click("tuneInstallButton")
    assert "Install the extension 'PyTorch'" in first_use.ui.messageLabel.text


def test_torch_that_installs_but_does_not_load(first_use, monkeypatch):
    def install(**_options):
        first_use.machine.missing.remove("torch")
        raise OSError('[WinError 126] The specified module could not be found. Error loading "c10.dll"')

    sys.modules["PyTorchUtils"].PyTorchUtilsLogic = lambda: types.SimpleNamespace(installTorch=install)
    first_use.questions.consent = True
    first_use.open("tuneSection")
    first_use.click("tuneInstallButton")
    assert "Visual C++" in first_use.ui.messageLabel.text


# What pip really printed: no route to an index, a folder without the wheel.
def pip_log(*arguments) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--retries", "1", "--timeout", "2", *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


def test_pips_own_words_are_understood(tmp_path):
    no_wheel = pip_log("--no-index", "--find-links", str(tmp_path), "hipposeg-needs-this>=9")
    assert "No package that fits" in explain_pip_failure(no_wheel).cause
    no_network = pip_log("--index-url", "http://127.0.0.1:9/simple", "hipposeg-needs-this>=9")
    assert "cannot be reached" in explain_pip_failure(no_network).cause
    proxy = pip_log(
        "--proxy", "http://127.0.0.1:9", "--index-url", "https://pypi.org/simple", "hipposeg-needs-this"
    )
    assert "proxy" in explain_pip_failure(proxy).cause


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ...'))", "PIP_CERT"),
        ("ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407'))", "HTTPS_PROXY"),
        ("ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied", "antivirus"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "damaged"),
        ("something nobody has seen", "last lines of the log"),
    ],
)
def test_failures_have_a_remedy(line, words):
    assert words in str(explain_pip_failure(line))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "is not installed"),
        (ImportError("DLL load failed while importing _C"), "Visual C++"),
        (OSError("[WinError 4551] An Application Control policy has blocked this file"), "Security software"),
        (ImportError("libcudart.so.12: cannot open shared object file"), "does not fit this system"),
        (ImportError("numpy.core.multiarray failed to import"), "NumPy"),
        (ImportError("who knows"), "install it again"),
    ],
)
def test_imports_that_fail_have_a_remedy(error, words):
    assert words in str(explain_import_failure(PACKAGES[0], error))


def test_a_broken_package_is_a_sentence_and_no_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    with pytest.raises(DependencyError, match="pywt.*pip install"):
        dependencies.require_packages()


def test_missing_packages_are_found_without_importing_them():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from HippoSegLib.dependencies import missing_packages\n"
        "missing_packages(); print([m for m in ('torch', 'skimage', 'pywt') if m in sys.modules])\n"
    )
    out = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
