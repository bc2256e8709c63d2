"""The part of the panel that fine-tunes a model on the user's own labelled scans."""

from __future__ import annotations

import os
import re
from typing import Any

import slicer
from slicer.i18n import tr as _

from HippoSegLib.errors import Cancelled, HippoSegError
from HippoSegLib.models.user_models import user_models_folder

from . import finetunecurves, models
from .finetunejobs import FineTuneJob
from .logic import Logic
from .progresspanel import ProgressPanel
from .protocols import Questions
from .report import copyReport
from .sentences import errorText, translated
from .signal import Signal

#: In the order of the combo box: (crops?, side).
REGIONS = ((False, None), (True, None), (True, "left"), (True, "right"))


class FineTunePanel:
    """Cases, check, fine-tuning, verdict; the rest of the panel can be used meanwhile.

    Signals:
        changed(): A job began or ended, maybe with a new model.
        pictureAsked(path): A picture of the cases is to be shown.
        installClicked(): What it needs is to be installed.

    Args:
        ui: The widgets.
        training: Runs the jobs, and nothing else.
        parameters: Gives the current parameters.
        questions: Asks for a folder.
        notReady: Says what keeps a model from being fine-tuned on this computer; "" if nothing does.
    """

    def __init__(self, ui, training: Logic, parameters, questions: Questions, notReady):
        self._ui, self._training, self._notReady = ui, training, notReady
        self._parameters, self._questions = parameters, questions
        self.changed, self.pictureAsked, self.installClicked = Signal(), Signal(), Signal()
        self.run = ProgressPanel(ui, "tune")
        self._job: Any = None  # a FineTuneJob, once one was begun
        self._folder = ""
        self._pictures: list[str] = []
        ui.tuneNote.text = _(
            "Ten or more labelled scans of your own scanner can make a better model for it. It is judged on "
            "scans that it did not learn from; if it is not better, it says so. Meanwhile you can segment."
        )
        ui.tuneNameEdit.text = "my-site"
        ui.tuneSourceComboBox.connect("currentIndexChanged(int)", lambda _index: self.refresh())
        ui.tuneFolderButton.connect("clicked(bool)", self._onFolder)
        ui.tuneCheckButton.connect("clicked(bool)", lambda _checked=False: self._ask(""))
        ui.tuneButton.connect("clicked(bool)", lambda _checked=False: self._ask(self.output))
        ui.tunePictureButton.connect("clicked(bool)", self._onPicture)
        ui.tuneInstallButton.connect("clicked(bool)", lambda _checked=False: self.installClicked.emit())
        ui.tuneSection.connect("contentsCollapsed(bool)", lambda _isCollapsed: self.refresh())
        ui.tuneNameEdit.connect("textChanged(QString)", lambda _text: self.refresh())
        self.run.cancelClicked.connect(self._cancel)
        self.run.reportClicked.connect(self._copyReport)
        training.progress.connect(self._onProgress)
        training.finished.connect(self._onFinished)
        training.error.connect(self._onError)
        self.showAnswer("", "", [])

    def cleanup(self) -> None:
        """The module is unloaded; the logic is left to its owner."""
        self._training.progress.disconnect(self._onProgress)
        self._training.finished.disconnect(self._onFinished)
        self._training.error.disconnect(self._onError)
        self.run.stop()

    @property
    def output(self) -> str:
        """Folder of the model to be made; "" while it has no usable name."""
        name = self._ui.tuneNameEdit.text.strip()
        if not re.fullmatch(r"\w[\w .-]*", name) or name.endswith("."):
            return ""
        return str(user_models_folder() / name)

    def refresh(self) -> None:
        """Enable what can be done."""
        ui, isBusy = self._ui, self._training.isBusy
        isFolder = ui.tuneSourceComboBox.currentIndex == 1
        ui.tuneFolderButton.enabled = isFolder and not isBusy
        ui.tuneLabelMapEdit.enabled = isFolder
        reason = self._notReady()
        ui.tuneMissingLabel.text = reason
        ui.tuneMissingFrame.visible = bool(reason)
        if isBusy:
            words = translated(self._training.runningWords)
            reason = _("{what} Wait for it to finish, or cancel it.").format(what=words)
        elif isFolder and not self._folder:
            reason = reason or _("Choose the folder first.")
        ui.tuneCheckButton.enabled = not reason
        ui.tuneCheckButton.toolTip = reason or _("Look at the cases; nothing is learned")
        if not reason and not self.output:
            reason = _("Give the new model a name of letters and digits.")
        elif not reason and not ui.tuneSection.collapsed and os.path.exists(self.output):
            reason = _("There is a model of this name: a model is never overwritten.")
        ui.tuneButton.enabled = not reason
        ui.tuneButton.toolTip = reason or _(
            "Make a model for your scanner and protocol; volumes can be segmented meanwhile"
        )

    def showAnswer(self, words: str, table: str, pictures: list[str]) -> None:
        """Show what came of a job."""
        self._pictures = pictures
        self._ui.tuneResult.text = words
        self._ui.tuneResult.visible = bool(words)
        self._ui.tuneTable.plainText = table
        self._ui.tuneTable.visible = bool(table)
        self._ui.tunePictureButton.visible = bool(pictures)

    def _onProgress(self, job: FineTuneJob, stage: str, fraction: float) -> None:
        if job is not self._job:
            return
        self.run.setProgress(stage, fraction)
        if job.output and not slicer.mrmlScene.IsBatchProcessing():  # no nodes into a scene being read
            curves = finetunecurves.readCurves(job.output + ".run")
            if any(curves.values()):
                finetunecurves.showCurves(curves)

    def _onFinished(self, job: FineTuneJob) -> None:
        """Show the verdict; a better model is chosen at once, for what is segmented from now on."""
        if job is self._job:
            self.run.stop()
            self.showAnswer(job.words, job.value["table"], job.value["pictures"])
            self._ui.tuneSection.collapsed = False
            if job.value.get("is_default"):
                self._parameters().model = job.value["model"]
                self._parameters().preprocessing = {}
        self.changed.emit()

    def _onError(self, job: FineTuneJob, error: HippoSegError) -> None:
        if job is self._job:
            self._showError(error)
        self.changed.emit()

    def _showError(self, error: HippoSegError) -> None:
        self.run.stop()
        self._ui.tuneSection.collapsed = False
        if not isinstance(error, Cancelled):
            self.run.setMessage(errorText(error), hasReport=True)
        elif self._job.output:
            self.run.setMessage(_("Cancelled. With the same name and cases, Fine-tune goes on from there."))
        else:
            self.run.setMessage(_("Cancelled."))

    def _cancel(self) -> None:
        self.run.setCancelling()
        self._training.cancel()

    def _copyReport(self) -> None:
        copyReport(self.run.message, self._parameters(), self._training, self._folder)

    def _ask(self, output: str) -> None:
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
        self.showAnswer("", "", [])
        try:
            self._job = FineTuneJob(folder, output, options)
            self.run.start()
            self._training.submit(self._job)
        except HippoSegError as error:
            self._showError(error)
        self.changed.emit()

    def _onFolder(self, _checked=False) -> None:
        folder = self._questions.modelFolder()
        if folder:
            self._folder = folder
            self._ui.tuneFolderButton.text = os.path.basename(folder.rstrip("/\\")) or folder
        self.refresh()

    def _onPicture(self, _checked=False) -> None:
        if self._pictures:
            self.pictureAsked.emit(self._pictures[0])
