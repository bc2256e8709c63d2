"""First use: nothing is installed unasked; consent, log, offline, and what to do when it fails."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest
from panelbed import Answers, PanelUnderTest, add_volume

from HippoSegLib import dependencies
from HippoSegLib.dependencies import PACKAGES, explain_import_failure, explain_pip_failure
from HippoSegLib.errors import DependencyError


class FakeMachine:
    """A machine on which packages are missing, with Slicer's and the extension's installers."""

    def __init__(self, monkeypatch, scene, missing):
        import slicer
        from HippoSegSlicer import dependencies as ours

        self.missing, self.calls, self.lines, self.code = list(missing), [], ["Collecting it", "Done"], 0
        monkeypatch.setattr(
            ours, "missing_packages", lambda: [p for p in PACKAGES if p.module in self.missing]
        )
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


def test_nothing_happens_without_consent(first_use):
    ui = first_use.ui
    first_use.parameters.inputVolume = add_volume("T1")
    assert ui.setupButton.visible and not ui.segmentButton.enabled
    assert "Install the packages" in ui.segmentButton.toolTip
    for words in ("torch>=2.4", "scikit-image", "PyWavelets", " MB", "Nothing is sent anywhere"):
        assert words in ui.setupLabel.text
    first_use.panel.enter()
    assert not first_use.logic.worker.isBusy  # nothing is started either
    first_use.click("installButton")
    assert len(first_use.questions.asked) == 1 and not first_use.machine.calls


def test_with_consent_torch_comes_by_the_extension_and_the_rest_by_slicer(first_use):
    first_use.parameters.inputVolume = add_volume("T1")
    first_use.questions.consent = True
    first_use.click("installButton")
    assert first_use.machine.calls == [("torch", ">=2.4"), ("pip", OTHERS)]
    assert not first_use.ui.setupButton.visible and first_use.ui.segmentButton.enabled
    first_use.segment()
    assert first_use.result is not None


def test_an_older_slicer_has_another_pip(first_use, monkeypatch):
    import slicer

    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.delattr(slicer, "packaging")
    first_use.questions.consent = True
    first_use.click("installButton")
    assert first_use.machine.calls == [("torch", ">=2.4"), ("old pip", OTHERS)]
    assert not first_use.ui.setupButton.visible


def test_a_folder_of_wheels_needs_no_network(first_use):
    first_use.questions.wheels = "/média/kola s mezerou"
    first_use.click("wheelsButton")
    ((_kind, arguments),) = first_use.machine.calls
    assert arguments[:5] == ["--only-binary", ":all:", "--no-index", "--find-links", "/média/kola s mezerou"]
    assert arguments[5:] == [package.requirement for package in PACKAGES]


def test_the_log_is_shown_and_a_failure_explained(first_use):
    first_use.machine.code = 1
    first_use.machine.lines = ["Collecting scikit-image", "ERROR: [Errno 28] No space left on device"]
    first_use.questions.consent = True
    first_use.click("installButton")
    ui = first_use.ui
    assert "Collecting torch" in ui.installLog.plainText and "Errno 28" in ui.installLog.plainText
    assert ui.installLog.visible and ui.installButton.enabled
    assert "not enough disk space" in ui.messageLabel.text and "Free at least" in ui.messageLabel.text


def test_without_the_pytorch_extension_it_says_how_to_get_it(first_use, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    first_use.questions.consent = True
    first_use.click("installButton")
    assert "Install the extension 'PyTorch'" in first_use.ui.messageLabel.text


def test_torch_that_installs_but_does_not_load(first_use, monkeypatch):
    def install(**_options):
        first_use.machine.missing.remove("torch")
        raise OSError('[WinError 126] The specified module could not be found. Error loading "c10.dll"')

    monkeypatch.setattr(first_use.machine, "_torch", install)
    sys.modules["PyTorchUtils"].PyTorchUtilsLogic = lambda: types.SimpleNamespace(installTorch=install)
    first_use.questions.consent = True
    first_use.click("installButton")
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
    from panelbed import ROOT

    out = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
