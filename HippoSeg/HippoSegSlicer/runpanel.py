"""The part of the panel that starts, shows and cancels a run, and says what went wrong."""

from __future__ import annotations

from slicer.i18n import tr as _

from .progresspanel import ProgressPanel
from .signal import Signal


class RunPanel(ProgressPanel):
    """Segment button, and how it goes.

    Signals:
        segmentClicked(), and those of :class:`.progresspanel.ProgressPanel`.
    """

    def __init__(self, ui):
        super().__init__(ui)
        self._ui = ui
        self.segmentClicked = Signal()
        ui.segmentButton.connect("clicked(bool)", lambda _checked=False: self.segmentClicked.emit())

    def refresh(self, missing: str, isRunning: bool) -> None:
        """Enable what can be done.

        Args:
            missing: What keeps the volume from being segmented, in words; "" if nothing does.
            isRunning: A run is under way.
        """
        button = self._ui.segmentButton
        button.enabled = not missing and not isRunning
        # Why a button cannot be clicked stands in the panel: nobody hovers over a grey button.
        self._ui.reasonLabel.text = missing
        self._ui.reasonLabel.visible = bool(missing) and not isRunning
        if isRunning:
            button.toolTip = _("Running: wait for it, or cancel it")
        else:
            button.toolTip = missing or _("Segment the hippocampi of the chosen volume")
