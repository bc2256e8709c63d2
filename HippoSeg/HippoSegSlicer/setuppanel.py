"""Packages that a choice needs and that are missing: install them, or go on without."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _

from HippoSegLib.errors import HippoSegError

from .protocols import Installer, Questions
from .signal import Signal


def sizeWords(packages) -> str:
    """About how much is downloaded: ``20 MB``, ``200 MB to 3 GB``."""
    low, high = (sum(package.download_mb[end] for package in packages) for end in (0, 1))
    if high < 100:
        return _("{size} MB").format(size=10 * round(low / 10) or low)
    largest = _("{size} GB").format(size=round(high / 1000)) if high >= 1000 else f"{high} MB"
    return _("{low} MB to {high}").format(low=10 * round(low / 10), high=largest)


def consentText(packages) -> str:
    """What will be installed, how much that is and where it comes from."""
    lines = [
        _("• {requirement}: {purpose}").format(requirement=package.requirement, purpose=package.purpose)
        for package in packages
    ]
    source = _(
        "About {size} are downloaded from the Python package index and installed into this Slicer, once. "
        "Nothing is sent anywhere."
    )
    if any(package.module == "torch" for package in packages):
        source = _(
            "About {size} are downloaded (PyTorch: through the PyTorch extension; the large size is the one "
            "with GPU support) and installed into this Slicer, once. Nothing is sent anywhere."
        )
    return "\n".join([*lines, source.format(size=sizeWords(packages))])


class SetupPanel:
    """Shown while packages are missing that the choice of model, reader and device needs.

    Signals:
        installed(): All packages that were asked for are there now.
        failed(error): The installation failed.
        plainClicked(): Go on with what needs none of them.

    Args:
        ui: The widgets.
        installer, questions: See :mod:`.protocols`.
        wanted: Gives the modules that the present choice needs.
        canGoOn: Whether there is a choice that needs none of the packages that it is given.
    """

    def __init__(
        self,
        ui,
        installer: Installer,
        questions: Questions,
        wanted: Callable[[], frozenset[str]],
        canGoOn: Callable[[list], bool],
    ):
        self._ui, self._installer, self._questions = ui, installer, questions
        self._wanted, self._canGoOn = wanted, canGoOn
        self.installed, self.failed, self.plainClicked = Signal(), Signal(), Signal()
        self.isInstalling = False
        self._missing: dict[frozenset[str], list] = {}
        ui.installButton.connect("clicked(bool)", lambda _checked=False: self.install(self._wanted()))
        ui.wheelsButton.connect("clicked(bool)", self._onWheels)
        ui.plainButton.connect("clicked(bool)", lambda _checked=False: self.plainClicked.emit())
        ui.installLog.visible = False

    @property
    def isReady(self) -> bool:
        """Whether nothing is missing for the present choice, as far as is known since :meth:`lookAgain`."""
        return not self.missing(self._wanted())

    def missing(self, modules: frozenset[str]) -> list:
        """Which of some packages are missing; the disk is asked once, see :meth:`lookAgain`."""
        if modules not in self._missing:
            self._missing[modules] = self._installer.missing(modules)
        return self._missing[modules]

    def lookAgain(self) -> None:
        """Something may have been installed: what is missing is to be looked up anew."""
        self._missing.clear()

    def refresh(self) -> None:
        """Show what is missing; hide this part where nothing is."""
        packages = self.missing(self._wanted())
        ui = self._ui
        ui.setupButton.visible = bool(packages) or self.isInstalling
        if not packages:
            ui.setupLabel.text = ""
        else:
            needs = _("What is chosen needs Python packages that do not come with Slicer:")
            ui.setupLabel.text = "\n".join([needs, consentText(packages)])
            ui.installButton.text = _("Install ({size})").format(size=sizeWords(packages))
        for button in (ui.installButton, ui.wheelsButton):
            button.visible = bool(packages)
            button.enabled = not self.isInstalling
        ui.plainButton.visible = bool(packages) and self._canGoOn(packages)
        ui.plainButton.enabled = not self.isInstalling

    def install(self, modules: frozenset[str], wheelsFolder: str = "") -> None:
        """Install what is missing of some packages, after asking, and telling where it cannot be had.

        Args:
            modules: What is needed.
            wheelsFolder: Folder of wheel files to install from; "" for online.
        """
        packages = self.missing(modules)
        if self.isInstalling or not packages:
            return
        # Files from a folder the user has just chosen need no second question.
        if not wheelsFolder:
            if not self._questions.install(consentText(packages)):
                return
            error = self._installer.unavailable(packages)
            if error is not None:
                self.failed.emit(error)
                return
        self.isInstalling = True
        self._ui.installLog.clear()
        self._ui.installLog.visible = True
        self.refresh()
        self._installer.install(packages, wheelsFolder, self._ui.installLog.appendPlainText, self._onDone)

    def _onWheels(self, _checked=False) -> None:
        folder = self._questions.wheelsFolder()
        if folder:
            self.install(self._wanted(), folder)

    def _onDone(self, error: HippoSegError | None) -> None:
        self.isInstalling = False
        self.lookAgain()
        self.refresh()
        if error is None:
            self._ui.installLog.visible = False
            self.installed.emit()
        else:
            self.failed.emit(error)
