"""The part of the panel with the preprocessing: on, off, parameters, preview, reset, note."""

from __future__ import annotations

from slicer.i18n import tr as _

from HippoSegLib.errors import HippoSegError

from . import models
from .preprocessingsettings import PreprocessingSettings, differences, steps
from .signal import Signal


class PreprocessingPanel:
    """CLAHE and SCE-3DWT, as the model's card wants them or as the user does.

    The parameters hold a description of the channels only where it differs from the card's.

    Signals:
        previewClicked()
    """

    def __init__(self, ui, parameters):
        self._ui, self._parameters = ui, parameters
        self.previewClicked = Signal()
        self._isFilling = False
        for widget, signal in (
            (ui.claheCheckBox, "toggled(bool)"),
            (ui.clipLimitSlider, "valueChanged(double)"),
            (ui.kernelXSpinBox, "valueChanged(int)"),
            (ui.kernelYSpinBox, "valueChanged(int)"),
            (ui.kernelZSpinBox, "valueChanged(int)"),
            (ui.waveletCheckBox, "toggled(bool)"),
            (ui.waveletComboBox, "currentIndexChanged(int)"),
            (ui.levelsSpinBox, "valueChanged(int)"),
            (ui.factorSlider, "valueChanged(double)"),
            (ui.thresholdSlider, "valueChanged(double)"),
        ):
            widget.connect(signal, self._onChange)
        ui.resetButton.connect("clicked(bool)", self._onReset)
        ui.previewButton.connect("clicked(bool)", lambda _checked=False: self.previewClicked.emit())

    def refresh(self, canPreview: bool) -> None:
        """Show the parameters; without a readable card there is nothing to set."""
        ui = self._ui
        card = self._card()
        ui.previewButton.enabled = canPreview and card is not None
        for widget in (ui.claheCheckBox, ui.waveletCheckBox):
            widget.enabled = card is not None
        if card is None:
            ui.preprocessingNote.text = _("The model's card cannot be read.")
            return
        description = self._parameters().preprocessing or card
        self._isFilling = True
        try:
            self._show(PreprocessingSettings.of(description))
        finally:
            self._isFilling = False
        words = differences(description, card)
        ui.resetButton.enabled = bool(words)
        ui.preprocessingNote.text = (
            _("⚠ Differs from what the model was trained with: {differences}.").format(
                differences="; ".join(words)
            )
            if words
            else _("As the model was trained with.")
        )
        better = models.trainedWith(steps(description)) if steps(description) != steps(card) else ""
        if better:
            text = (
                _("The model {name} was trained with these steps.")
                if steps(description)
                else _("The model {name} was trained without them.")
            )
            ui.preprocessingNote.text += " " + text.format(name=better)
        ui.preprocessingButton.text = _("Preprocessing (changed)") if words else _("Preprocessing")

    def _show(self, settings: PreprocessingSettings) -> None:
        ui = self._ui
        ui.claheCheckBox.checked = settings.clahe
        ui.clipLimitSlider.value = settings.clipLimit
        ui.kernelZSpinBox.value, ui.kernelYSpinBox.value, ui.kernelXSpinBox.value = settings.kernel
        ui.waveletCheckBox.checked = settings.waveletOn
        if ui.waveletComboBox.findText(settings.wavelet) < 0:
            ui.waveletComboBox.addItem(settings.wavelet)
        ui.waveletComboBox.setCurrentIndex(ui.waveletComboBox.findText(settings.wavelet))
        ui.levelsSpinBox.value = settings.levels
        isNumber = isinstance(settings.factor, int | float)
        if isNumber:
            ui.factorSlider.value = settings.factor
        ui.thresholdSlider.value = settings.threshold
        for widget in (ui.clipLimitSlider, ui.kernelXSpinBox, ui.kernelYSpinBox, ui.kernelZSpinBox):
            widget.enabled = settings.clahe
        for widget in (ui.waveletComboBox, ui.levelsSpinBox, ui.thresholdSlider):
            widget.enabled = settings.waveletOn
        ui.factorSlider.enabled = settings.waveletOn and isNumber

    def _onChange(self, _value=None) -> None:
        card = self._card()
        if self._isFilling or card is None:
            return
        ui = self._ui
        earlier = PreprocessingSettings.of(self._parameters().preprocessing or card)
        settings = PreprocessingSettings(
            clahe=ui.claheCheckBox.checked,
            clipLimit=round(ui.clipLimitSlider.value, 4),
            kernel=(ui.kernelZSpinBox.value, ui.kernelYSpinBox.value, ui.kernelXSpinBox.value),
            waveletOn=ui.waveletCheckBox.checked,
            wavelet=ui.waveletComboBox.currentText,
            levels=ui.levelsSpinBox.value,
            factor=round(ui.factorSlider.value, 4)
            if isinstance(earlier.factor, int | float)
            else earlier.factor,
            threshold=round(ui.thresholdSlider.value, 4),
        )
        description = settings.applied(card)
        self._parameters().preprocessing = description if differences(description, card) else {}

    def _onReset(self, _checked=False) -> None:
        self._parameters().preprocessing = {}

    def _card(self) -> dict | None:
        try:
            return models.card(self._parameters().model).segmenter.preprocessing.to_dict()
        except HippoSegError:
            return None
