"""The part of the panel that fine-tunes a model on the user's own labelled scans."""

from __future__ import annotations

import os
import re

from slicer.i18n import tr as _

from HippoSegLib.usermodels import user_models_folder

from . import finetunecurves, models
from .finetunejobs import FineTuneJob
from .signal import Signal

#: In the order of the combo box: (crops?, side).
REGIONS = ((False, None), (True, None), (True, "left"), (True, "right"))


class FineTunePanel:
    """Cases, check, fine-tuning, verdict.

    Signals:
        asked(job): A job is to be started.
        failed(error): It could not even be made.
        pictureAsked(path): A picture of the cases is to be shown.
    """

    def __init__(self, ui, parameters, questions):
        self._ui, self._parameters, self._questions = ui, parameters, questions
        self.asked, self.failed, self.pictureAsked = Signal(), Signal(), Signal()
        self._folder = ""
        self._pictures: list[str] = []
        ui.tuneNote.text = _(
            "Ten or more labelled scans of your own scanner can make a better model for it. It is judged on "
            "scans that it did not learn from; if it is not better, it says so."
        )
        ui.tuneNameEdit.text = "my-site"
        ui.tuneSourceComboBox.connect("currentIndexChanged(int)", lambda _index: self.refresh(False, ""))
        ui.tuneFolderButton.connect("clicked(bool)", self._onFolder)
        ui.tuneCheckButton.connect("clicked(bool)", lambda _checked=False: self._ask(""))
        ui.tuneButton.connect("clicked(bool)", lambda _checked=False: self._ask(self.output))
        ui.tunePictureButton.connect("clicked(bool)", self._onPicture)
        ui.tuneNameEdit.connect("textChanged(QString)", lambda _text: self.refresh(False, ""))
        self.showAnswer("", "", [])

    @property
    def output(self) -> str:
        """Folder of the model to be made; "" while it has no usable name."""
        name = self._ui.tuneNameEdit.text.strip()
        if not re.fullmatch(r"\w[\w .-]*", name) or name.endswith("."):
            return ""
        return str(user_models_folder() / name)

    def refresh(self, isBusy: bool, missing: str) -> None:
        """Enable what can be done.

        Args:
            isBusy: A job is under way.
            missing: What keeps anything from being done, in words.
        """
        ui = self._ui
        isFolder = ui.tuneSourceComboBox.currentIndex == 1
        ui.tuneFolderButton.enabled = isFolder and not isBusy
        ui.tuneLabelMapEdit.enabled = isFolder
        reason = missing
        if isBusy:
            reason = _("Running: wait for it, or cancel it")
        elif isFolder and not self._folder:
            reason = reason or _("Choose the folder first.")
        ui.tuneCheckButton.enabled = not reason
        ui.tuneCheckButton.toolTip = reason or _("Look at the cases; nothing is learned")
        if not reason and not self.output:
            reason = _("Give the new model a name of letters and digits.")
        elif not reason and os.path.exists(self.output):
            reason = _("There is a model of this name: a model is never overwritten.")
        ui.tuneButton.enabled = not reason
        ui.tuneButton.toolTip = reason or _("Make a model for your scanner and protocol")

    def showAnswer(self, words: str, table: str, pictures: list[str]) -> None:
        """Show what came of a job."""
        self._pictures = pictures
        self._ui.tuneResult.text = words
        self._ui.tuneResult.visible = bool(words)
        self._ui.tuneTable.plainText = table
        self._ui.tuneTable.visible = bool(table)
        self._ui.tunePictureButton.visible = bool(pictures)

    def onProgress(self, job: FineTuneJob) -> None:
        """Draw the curves of the epochs that have ended."""
        if job.output:
            curves = finetunecurves.readCurves(job.output + ".run")
            if any(curves.values()):
                finetunecurves.showCurves(curves)

    def onFinished(self, job: FineTuneJob) -> None:
        """Show the verdict; a better model is chosen at once."""
        self.showAnswer(job.words, job.value["table"], job.value["pictures"])
        if job.value.get("is_default"):
            self._parameters().model = job.value["model"]
            self._parameters().preprocessing = {}

    def _ask(self, output: str) -> None:
        from HippoSegLib.errors import HippoSegError

        region, side = REGIONS[self._ui.tuneRegionComboBox.currentIndex]
        parameters = self._parameters()
        options = {
            "region": region,
            "side": side,
            "label_map": self._ui.tuneLabelMapEdit.text.strip() or None,
            "base": models.resolved(parameters.model),
            "device": parameters.device,
        }
        folder = self._folder if self._ui.tuneSourceComboBox.currentIndex == 1 else ""
        try:
            job = FineTuneJob(folder, output, options)
        except HippoSegError as error:
            self.failed.emit(error)
            return
        self.showAnswer("", "", [])
        self.asked.emit(job)

    def _onFolder(self, _checked=False) -> None:
        folder = self._questions.modelFolder()
        if folder:
            self._folder = folder
            self._ui.tuneFolderButton.text = os.path.basename(folder.rstrip("/\\")) or folder
        self.refresh(False, "")

    def _onPicture(self, _checked=False) -> None:
        if self._pictures:
            self.pictureAsked.emit(self._pictures[0])
