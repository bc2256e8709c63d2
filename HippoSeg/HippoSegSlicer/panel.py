"""The panel: its parts, put together, and what they do with the logic."""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _

from HippoSegLib.errors import Cancelled, HippoSegError, NotFoundError
from HippoSegLib.models.protocols import PROTOCOLS
from HippoSegLib.preprocessing.chain import Preprocessing

from . import models, scene
from .finetunepanel import FineTunePanel
from .inputspanel import InputsPanel
from .inputvolume import checkVolume, placeOptions
from .jobs import DevicesJob, Job, PictureJob, PreviewJob, ReportJob, SegmentJob, given
from .logic import Logic
from .manyjobs import LoadResultJob, ReviewPageJob
from .manypanel import ManyPanel
from .parameters import Parameters
from .placepanel import PlacePanel
from .preprocessingpanel import PreprocessingPanel
from .protocols import Installer, Questions
from .report import copyReport
from .resultspanel import ResultsPanel
from .runpanel import RunPanel
from .sentences import errorText
from .setuppanel import SetupPanel
from .summary import readersWords


class Panel(slicer.util.VTKObservationMixin):
    """Binds the widgets to parameters and logic.

    Args:
        ui: The widgets of HippoSeg.ui.
        logic: Runs the jobs, but
        training: runs checks and fine-tunings, beside them.
        parameterNode: Gives the scene's parameter node, making it where needed.
        questions, installer: See :mod:`.protocols`.
    """

    def __init__(
        self,
        ui,
        logic: Logic,
        training: Logic,
        parameterNode,
        questions: Questions,
        installer: Installer,
    ):
        super().__init__()
        self._ui, self._logic, self._parameterNode, self._questions = ui, logic, parameterNode, questions
        self._parameters: Parameters | None = None
        self._job: Job | None = None  # the last one started here; the console shares the logic
        self._isAsking = False  # the hippocampi were not found: go on when both have been shown
        self._isRefreshing = False
        self.inputs = InputsPanel(ui, self.parameters, questions)
        self.run = RunPanel(ui)
        self.place = PlacePanel(ui, self.parameters)
        self.results = ResultsPanel(ui, self.parameters, questions)
        self.preprocessing = PreprocessingPanel(ui, self.parameters)
        self.setup = SetupPanel(ui, installer, questions, self._packages, self._canGoOn)
        self.fineTuning = FineTunePanel(ui, training, self.parameters, questions, self._notReadyToTune)
        self.many = ManyPanel(ui, training, questions, self._manyOptions, self._notReadyForMany)

        self.run.segmentClicked.connect(self.segment)
        self.run.cancelClicked.connect(self._cancel)
        self.run.reportClicked.connect(self._copyReport)
        self.place.placed.connect(self._onPlaced)
        self.results.failed.connect(self._showError)
        self.results.pictureAsked.connect(self._draw)
        self.preprocessing.previewClicked.connect(self._preview)
        self.setup.installed.connect(self.enter)
        self.many.changed.connect(self.refresh)
        self.many.jobAsked.connect(self._draw)
        self.many.reportClicked.connect(lambda message: copyReport(message, self.parameters(), training))
        self.fineTuning.changed.connect(self._onModelsChanged)
        self.fineTuning.pictureAsked.connect(self.results.showPicture)
        self.setup.failed.connect(self._showError)
        self.setup.plainClicked.connect(self._goOnPlain)
        self.fineTuning.installClicked.connect(self._installForTuning)
        ui.advancedButton.connect("contentsCollapsed(bool)", self._onAdvanced)
        logic.progress.connect(self._onProgress)
        logic.finished.connect(self._onFinished)
        logic.error.connect(self._onError)
        for event, method in (
            (slicer.vtkMRMLScene.EndCloseEvent, self._onSceneReplaced),
            (slicer.vtkMRMLScene.EndImportEvent, self._onSceneReplaced),
            (slicer.vtkMRMLScene.EndBatchProcessEvent, self._onBatchEnded),
            (slicer.vtkMRMLScene.NodeAddedEvent, self._onNodesChanged),
            (slicer.vtkMRMLScene.NodeRemovedEvent, self._onNodesChanged),
        ):
            self.addObserver(slicer.mrmlScene, event, method)
        models.forget()
        self._observeParameters()

    def parameters(self) -> Parameters:
        """The parameters of the current scene."""
        if self._parameters is None or self._parameters.node.GetScene() is not slicer.mrmlScene:
            self._parameters = Parameters(self._parameterNode())
        return self._parameters

    def enter(self) -> None:
        """The module is shown: choose the shown volume. No process is started before it is needed."""
        self.inputs.chooseShownVolume()
        self.lookAgain()

    def _onAdvanced(self, isCollapsed: bool) -> None:
        """The devices are tried out when they can be chosen: that needs the worker, and PyTorch."""
        if not isCollapsed and self.inputs.devicesWanted and not self._logic.isBusy:
            self._logic.submit(DevicesJob(models.resolved(self.parameters().model)))
            self.refresh()

    def lookAgain(self) -> None:
        """Show everything as it is now, models and packages on the disk included."""
        models.forget()
        self.setup.lookAgain()
        self.refresh()

    def cleanup(self) -> None:
        """The module is unloaded; both logics are left to their owner."""
        self.removeObservers()
        self.place.release()
        self.inputs.release()
        self.results.closePicture()
        self.results.comparison.release()
        self.run.stop()
        self.fineTuning.cleanup()
        self.many.cleanup()
        self._logic.progress.disconnect(self._onProgress)
        self._logic.finished.disconnect(self._onFinished)
        self._logic.error.disconnect(self._onError)

    def refresh(self, *_arguments) -> None:
        """Show everything as it is now."""
        if self._isRefreshing or slicer.mrmlScene.IsBatchProcessing():
            return
        self._isRefreshing = True
        try:
            missing, isBusy = self.missing(), self._logic.isBusy
            self.setup.refresh()
            self.inputs.refresh()
            self.run.refresh(missing, isBusy)
            self.place.refresh(self.parameters().inputVolume is not None)
            self.results.refresh(isBusy)
            self.preprocessing.refresh(not missing and not isBusy)
            self.fineTuning.refresh()
            self.many.refresh()
        finally:
            self._isRefreshing = False

    def missing(self) -> str:
        """What keeps the volume from being segmented, in words; "" if nothing does."""
        if notReady := self._notReady():
            return notReady
        try:
            checkVolume(self.parameters().inputVolume)
        except HippoSegError as error:
            return errorText(error)
        return self.inputs.problem()

    def _notReady(self) -> str:
        """What keeps the library from being used, in words; "" if nothing does."""
        if self.setup.isInstalling:
            return _("Wait for the installation to finish.")
        if self.setup.isReady:
            return ""
        if self._canGoOn(self.setup.missing(self._packages())):
            return _("Choose above: install what is missing, or go on with the plain model.")
        return _("Install the packages that are missing first (above).")

    def _packages(self) -> frozenset[str]:
        """Modules that the present choice needs beyond Slicer's own packages."""
        parameters = self.parameters()
        needed = models.packages(parameters.model, parameters.singleReader)
        if parameters.preprocessing:
            needed |= Preprocessing.from_dict(parameters.preprocessing).packages
        if parameters.device not in ("auto", "cpu"):
            needed |= {"torch"}
        return needed

    def _tuningPackages(self) -> frozenset[str]:
        return models.packages(self.parameters().model, isSingle=True) | {"torch"}

    def _notReadyToTune(self) -> str:
        if self.setup.isInstalling:
            return _("Wait for the installation to finish.")
        if packages := self.setup.missing(self._tuningPackages()):
            names = ", ".join(package.distribution for package in packages)
            return _("Fine-tuning needs packages that are missing: {names}.").format(names=names)
        return ""

    def _notReadyForMany(self) -> str:
        return self._notReady() or self.inputs.problem()

    def _manyOptions(self) -> dict:
        """The options for scans on the disk: those of a whole head, without places."""
        options = given({**self.options(withPlaces=False), "parts": self.parameters().parts})
        options.pop("region_side", None)
        return options

    def _installForTuning(self) -> None:
        self.setup.install(self._tuningPackages())

    def _canGoOn(self, missing: list) -> bool:
        """Whether there is a model that needs none of the missing packages."""
        return models.plain(self.parameters().model, [package.module for package in missing]) is not None

    def _goOnPlain(self) -> None:
        """One reader alone, the bundled one where the chosen model's own needs something, on the CPU."""
        parameters = self.parameters()
        missing = [package.module for package in self.setup.missing(self._packages())]
        model = models.plain(parameters.model, missing)
        if model is None:
            return
        wasModifying = parameters.node.StartModify()
        if model != models.resolved(parameters.model):
            parameters.model = model
        parameters.singleReader = True
        if parameters.preprocessing:
            parameters.preprocessing = {}
        if "torch" in missing:
            parameters.device = "auto"
        parameters.node.EndModify(wasModifying)
        self.lookAgain()

    def options(self, withPlaces: bool = True) -> dict:
        """The keyword arguments of the segmentation that follow from the panel."""
        parameters = self.parameters()
        options = {
            "model": models.resolved(parameters.model),
            "device": parameters.device,
            "region_side": parameters.region,
            "preprocessing": parameters.preprocessing,
        }
        if parameters.protocol != PROTOCOLS[0]:
            options["protocol"] = parameters.protocol
        if parameters.singleReader:
            options["second_reader"] = False
        if withPlaces and not parameters.region:
            options |= placeOptions(self.place.places, parameters.inputVolume)
        return options

    def segment(self) -> None:
        """What the button does."""
        parameters = self.parameters()
        earlier = scene.resultOf(parameters.inputVolume)
        replaceEdited = False
        if earlier is not None and scene.isEdited(earlier):
            answer = self._questions.replaceEdited(earlier.GetName())
            if answer is None:
                return
            replaceEdited = answer == "replace"
        self._isAsking = False
        try:
            options = {**self.options(), "parts": parameters.parts}
            job = SegmentJob(
                parameters.inputVolume, options, replaceEdited=replaceEdited, labelMap=parameters.labelMap
            )
        except HippoSegError as error:
            self._showError(error)
            return
        self._start(job)

    def _draw(self, job: Job) -> None:
        """Start a job; a small package that pages need may be missing."""
        pages = frozenset({"jinja2"})
        if isinstance(job, ReportJob | ReviewPageJob) and self.setup.missing(pages):
            self.setup.install(pages)
            self.refresh()
        else:
            self._start(job)

    def _preview(self) -> None:
        try:
            self._start(PreviewJob(self.parameters().inputVolume, self.options()))
        except HippoSegError as error:
            self._showError(error)

    def _start(self, job: Job) -> None:
        self.run.start()
        self._job = job
        try:
            self._logic.submit(job)
        except HippoSegError as error:
            self._showError(error)
        self.refresh()

    def _cancel(self) -> None:
        self.run.setCancelling()
        self._logic.cancel()

    def _onProgress(self, job: Job, stage: str, fraction: float) -> None:
        if job is self._job:
            self.run.setProgress(stage, fraction)

    def _onFinished(self, job: Job) -> None:
        if isinstance(job, DevicesJob):
            self.inputs.setDevices(job.value)
        elif job is self._job:
            self.run.stop()
            self._show(job)
        self.refresh()

    def _show(self, job: Job) -> None:
        if isinstance(job, SegmentJob):
            self._ui.resultsButton.collapsed = False
            words = [
                _("Done in {seconds} s, read by {readers}.").format(
                    seconds=f"{self.run.elapsedSeconds:.1f}", readers=readersWords(job.received.provenance)
                )
            ]
            if job.received.flags:
                words.append(_("Heed the remarks below the volumes."))
            self.run.setMessage(" ".join(words))
        elif isinstance(job, PreviewJob):
            names = ", ".join(node.GetName() for node in job.value)
            self.run.setMessage(_("What the network sees is in the scene: {names}.").format(names=names))
        elif isinstance(job, ReportJob):
            self._questions.openPage(job.value)
            self.run.setMessage(_("The report is open in the browser: print or save it from there."))
        elif isinstance(job, ReviewPageJob):
            self._questions.openPage(job.value)
            self.run.setMessage(_("The review page is open in the browser."))
        elif isinstance(job, LoadResultJob):
            self.parameters().inputVolume = job.placedVolume
            self._ui.resultsButton.collapsed = False
            self.run.setMessage(_("Loaded: {name}.").format(name=job.placedVolume.GetName()))
        elif isinstance(job, PictureJob):
            self.results.showPicture(job.value)

    def _onError(self, job: Job, error: HippoSegError) -> None:
        if isinstance(job, DevicesJob):
            self.inputs.setDevicesError(error)
        elif job is self._job:
            self._showError(error)
        self.refresh()
        if job is self._job and isinstance(job, SegmentJob) and isinstance(error, NotFoundError):
            self._isAsking = True
            self.place.ask()

    def _showError(self, error: HippoSegError) -> None:
        self.run.stop()
        if isinstance(error, Cancelled):
            self.run.setMessage(_("Cancelled; the scene is as it was."))
        else:
            self.run.setMessage(errorText(error), hasReport=True)
        self.refresh()

    def _onPlaced(self) -> None:
        self.refresh()
        if self._isAsking and self.place.missing:
            self.place.startPoint(self.place.missing[0])
        elif self._isAsking and not self.missing() and not self._logic.isBusy:
            self.segment()

    def _copyReport(self) -> None:
        copyReport(self.run.message, self.parameters(), self._logic)

    def _observeParameters(self) -> None:
        """Follow the parameter node of the current scene and the volume it names."""
        self.removeObservers(self._onParameters)
        self.removeObservers(self.refresh)
        parameters = self.parameters()
        self.addObserver(parameters.node, vtk.vtkCommand.ModifiedEvent, self._onParameters)
        volumeNode = parameters.inputVolume
        if volumeNode is not None:
            for event in (
                vtk.vtkCommand.ModifiedEvent,
                slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
            ):
                self.addObserver(volumeNode, event, self.refresh)
        self.place.observe()
        self.refresh()

    def _onModelsChanged(self) -> None:
        models.forget()
        self.refresh()

    def _onParameters(self, caller, event) -> None:
        self._observeParameters()

    def _onSceneReplaced(self, caller, event) -> None:
        self._isAsking = False
        self._parameters = None
        # A scene that is opened is closed and imported within one batch: asked for now, a parameter node
        # would be made that the file brings, too.
        if not slicer.mrmlScene.IsBatchProcessing():
            self._observeParameters()

    def _onBatchEnded(self, caller, event) -> None:
        if slicer.mrmlScene.IsBatchProcessing():  # the end of an inner one
            return
        if self._parameters is None or self._parameters.node.GetScene() is not slicer.mrmlScene:
            self._parameters = None
            self._observeParameters()
        else:
            self.refresh()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodesChanged(self, caller, event, node) -> None:
        if not slicer.mrmlScene.IsBatchProcessing() and node.IsA("vtkMRMLScalarVolumeNode"):
            self.refresh()
