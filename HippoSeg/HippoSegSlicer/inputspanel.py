"""The part of the panel that says what is segmented, by which model, on which device."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from HippoSegLib.errors import HippoSegError
from HippoSegLib.models.protocols import PROTOCOLS

from . import models
from .parameters import Parameters
from .protocols import Questions
from .sentences import errorText

REGIONS = ("", "left", "right")  # in the order of the combo box
FOLDERS_SETTING = "HippoSeg/ModelFolders"


class InputsPanel:
    """Volume, what it shows, model, device, and what the result is to hold.

    Args:
        ui: The widgets.
        parameters: Gives the current parameters.
        questions: Asks for a model's folder.
    """

    def __init__(self, ui, parameters, questions: Questions):
        self._ui, self._parameters, self._questions = ui, parameters, questions
        self._devices: dict | None = None
        self._devicesError = ""
        self._isFilling = False
        self._chosenByUser = False
        ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onVolume)
        ui.regionComboBox.connect("currentIndexChanged(int)", self._onRegion)
        ui.modelComboBox.connect("currentIndexChanged(int)", self._onModel)
        ui.browseModelButton.connect("clicked(bool)", self._onBrowse)
        ui.deviceComboBox.connect("currentIndexChanged(int)", self._onDevice)
        ui.readersCheckBox.connect("toggled(bool)", self._onReaders)
        ui.protocolComboBox.connect("currentIndexChanged(int)", self._onProtocol)
        ui.partsCheckBox.connect("toggled(bool)", self._onParts)
        ui.labelMapCheckBox.connect("toggled(bool)", self._onLabelMap)

    def refresh(self) -> None:
        """Show the parameters."""
        parameters: Parameters = self._parameters()
        self._isFilling = True
        try:
            self._ui.inputSelector.setCurrentNode(parameters.inputVolume)
            self._ui.regionComboBox.setCurrentIndex(REGIONS.index(parameters.region))
            self._fillModels(parameters)
            self._fillReaders(parameters)
            self._fillDevices(parameters)
            self._ui.partsCheckBox.checked = parameters.parts
            self._ui.labelMapCheckBox.checked = parameters.labelMap
        finally:
            self._isFilling = False

    def release(self) -> None:
        """Stop writing parameters: the widgets are about to lose their scene."""
        self._isFilling = True

    def setDevices(self, devices: dict) -> None:
        """Offer what the worker found, see :func:`HippoSegLib.worker.tasks.devices_task`."""
        self._devices = devices
        parameters = self._parameters()
        names = ["auto", *(device["name"] for device in devices["devices"])]
        if parameters.device not in names:
            devices["refused"].append(
                _("{device} was chosen before and is not usable on this computer").format(
                    device=parameters.device
                )
            )
            parameters.device = "auto"
        self.refresh()

    @property
    def devicesWanted(self) -> bool:
        """Whether the devices have not been looked for yet."""
        return self._devices is None and not self._devicesError

    def setDevicesError(self, error: HippoSegError) -> None:
        """Say why the devices are not known."""
        self._devicesError = errorText(error)

    def chooseShownVolume(self) -> None:
        """Choose the volume shown in the slice views, unless the user has chosen one."""
        parameters = self._parameters()
        if self._chosenByUser and parameters.inputVolume is not None:
            return
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            node = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
            if node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode":
                parameters.inputVolume = node
                return

    def problem(self) -> str:
        """Why these inputs cannot be segmented; "" where they can."""
        return models.problem(self._parameters().model)

    def _fillModels(self, parameters: Parameters) -> None:
        combo = self._ui.modelComboBox
        offered = models.choices([*_rememberedFolders(), parameters.model])
        _fill(combo, [(choice.label, choice.value) for choice in offered])
        # A model that is gone is not replaced silently: nothing is chosen, and the button says why.
        combo.setCurrentIndex(combo.findData(models.resolved(parameters.model)))

    def _fillReaders(self, parameters: Parameters) -> None:
        second = models.secondReader(parameters.model)
        box = self._ui.readersCheckBox
        box.enabled = bool(second)
        box.checked = bool(second) and not parameters.singleReader
        if second:
            box.toolTip = _(
                "Two networks read the scan, and the outline is the mean of both; where they disagree, a "
                "remark says so. Off, one reads it: faster, and nothing to install"
            )
        else:
            box.toolTip = _("The chosen model has one reader")
        isKnown = parameters.protocol in PROTOCOLS
        self._ui.protocolComboBox.setCurrentIndex(PROTOCOLS.index(parameters.protocol) if isKnown else 0)

    def _fillDevices(self, parameters: Parameters) -> None:
        combo = self._ui.deviceComboBox
        offered = [(_("Automatic"), "auto")]
        offered += [(d["description"], d["name"]) for d in (self._devices or {"devices": []})["devices"]]
        if parameters.device not in [value for _label, value in offered]:  # not looked for yet
            offered.append((parameters.device, parameters.device))
        _fill(combo, offered)
        combo.setCurrentIndex(combo.findData(parameters.device))
        if self._devices is None:
            untested = _("The devices of this computer have not been tested yet.")
            self._ui.deviceLabel.text = self._devicesError or untested
            return
        automatic = self._devices["automatic"]
        # Why a program computes with what is no subject for who reads scans; the record says it.
        words = [_("Automatic: the CPU.") if automatic["name"] == "cpu" else automatic["reason"]]
        if self._devices["refused"]:
            words.append(_("Not offered: {reasons}.").format(reasons="; ".join(self._devices["refused"])))
        self._ui.deviceLabel.text = " ".join(words)

    def _onVolume(self, node) -> None:
        if not self._isFilling:
            self._chosenByUser = node is not None
            self._parameters().inputVolume = node

    def _onRegion(self, index: int) -> None:
        if not self._isFilling:
            self._parameters().region = REGIONS[index]

    def _onModel(self, index: int) -> None:
        if not self._isFilling and index >= 0:
            parameters = self._parameters()
            parameters.model = self._ui.modelComboBox.itemData(index)
            parameters.preprocessing = {}  # another model wants another one

    def _onBrowse(self, _checked=False) -> None:
        folder = self._questions.modelFolder()
        if folder:
            models.forget()
            folders = [one for one in _rememberedFolders() if one != folder]
            slicer.app.userSettings().setValue(FOLDERS_SETTING, "\n".join([folder, *folders][:10]))
            parameters = self._parameters()
            parameters.model = folder
            parameters.preprocessing = {}
            self.refresh()

    def _onDevice(self, index: int) -> None:
        if not self._isFilling and index >= 0:
            self._parameters().device = self._ui.deviceComboBox.itemData(index)

    def _onReaders(self, isOn: bool) -> None:
        if not self._isFilling:
            self._parameters().singleReader = not isOn

    def _onProtocol(self, index: int) -> None:
        if not self._isFilling and index >= 0:
            self._parameters().protocol = PROTOCOLS[index]

    def _onParts(self, isOn: bool) -> None:
        if not self._isFilling:
            self._parameters().parts = isOn

    def _onLabelMap(self, isOn: bool) -> None:
        if not self._isFilling:
            self._parameters().labelMap = isOn


def _fill(combo, items: list[tuple[str, str]]) -> None:
    """Put labels with values into a combo box, unless they are there already."""
    if items != [(combo.itemText(i), combo.itemData(i)) for i in range(combo.count)]:
        combo.clear()
        for label, value in items:
            combo.addItem(label, value)


def _rememberedFolders() -> list[str]:
    return [one for one in str(slicer.app.userSettings().value(FOLDERS_SETTING) or "").split("\n") if one]
