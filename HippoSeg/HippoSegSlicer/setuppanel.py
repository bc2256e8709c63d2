"""First use: what is missing, consent, installation with its log."""

from __future__ import annotations

from slicer.i18n import tr as _

from HippoSegLib.errors import HippoSegError

from .protocols import Installer, Questions
from .signal import Signal


def consentText(packages) -> str:
    """What will be installed, how much that is and where it comes from."""
    lines = [
        _("• {requirement}: {purpose}, {low} to {high} MB").format(
            requirement=package.requirement,
            purpose=package.purpose,
            low=package.download_mb[0],
            high=package.download_mb[1],
        )
        for package in packages
    ]
    return "\n".join(
        [
            _("HippoSeg needs Python packages that do not come with Slicer:"),
            *lines,
            _(
                "They are downloaded from the Python package index (torch: through the PyTorch extension; "
                "the large size is the one with GPU support) and installed into this Slicer, once. "
                "Nothing is sent anywhere."
            ),
        ]
    )


class SetupPanel:
    """Shown while packages are missing.

    Signals:
        installed(): All packages are there now.
        failed(error): The installation failed.
    """

    def __init__(self, ui, installer: Installer, questions: Questions):
        self._ui, self._installer, self._questions = ui, installer, questions
        self.installed, self.failed = Signal(), Signal()
        self.isInstalling = False
        self._missing: list | None = None
        ui.installButton.connect("clicked(bool)", lambda _checked=False: self._install(""))
        ui.wheelsButton.connect("clicked(bool)", self._onWheels)
        ui.installLog.visible = False

    @property
    def isReady(self) -> bool:
        """Whether nothing is missing, as far as is known since :meth:`lookAgain`."""
        return not self._packages

    @property
    def _packages(self) -> list:
        if self._missing is None:
            self._missing = self._installer.missing()
        return self._missing

    def lookAgain(self) -> None:
        """Something may have been installed: what is missing is to be looked up anew."""
        self._missing = None

    def refresh(self) -> None:
        """Show what is missing; hide this part where nothing is."""
        packages = self._packages
        self._ui.setupButton.visible = bool(packages) or self.isInstalling
        self._ui.setupLabel.text = consentText(packages) if packages else ""
        self._ui.installButton.enabled = self._ui.wheelsButton.enabled = not self.isInstalling

    def _onWheels(self, _checked=False) -> None:
        folder = self._questions.wheelsFolder()
        if folder:
            self._install(folder)

    def _install(self, wheelsFolder: str) -> None:
        # Files from a folder the user has just chosen need no second question.
        if not wheelsFolder and not self._questions.install(consentText(self._installer.missing())):
            return
        self.isInstalling = True
        self._ui.installLog.clear()
        self._ui.installLog.visible = True
        self.refresh()
        self._installer.install(wheelsFolder, self._ui.installLog.appendPlainText, self._onDone)

    def _onDone(self, error: HippoSegError | None) -> None:
        self.isInstalling = False
        self.lookAgain()
        self.refresh()
        if error is None:
            self._ui.installLog.visible = False
            self.installed.emit()
        else:
            self.failed.emit(error)
