"""The part of the panel that starts, shows and cancels a run, and says what went wrong."""

from __future__ import annotations

import time

import qt
from slicer.i18n import tr as _

from .signal import Signal


class RunPanel:
    """Segment button, progress with the stage in words and the elapsed time, cancel, message.

    Signals:
        segmentClicked(), cancelClicked(), reportClicked()
    """

    def __init__(self, ui, clock=time.monotonic):
        self._ui, self._clock = ui, clock
        self.segmentClicked, self.cancelClicked, self.reportClicked = Signal(), Signal(), Signal()
        self._started = 0.0
        self._stage = ""
        ui.segmentButton.connect("clicked(bool)", lambda _checked=False: self.segmentClicked.emit())
        ui.cancelButton.connect("clicked(bool)", lambda _checked=False: self.cancelClicked.emit())
        ui.reportButton.connect("clicked(bool)", lambda _checked=False: self.reportClicked.emit())
        self._timer = qt.QTimer()
        self._timer.setInterval(500)
        self._timer.connect("timeout()", self._showStage)
        self.setMessage("")
        self.stop()

    def refresh(self, missing: str, isRunning: bool) -> None:
        """Enable what can be done.

        Args:
            missing: What keeps the volume from being segmented, in words; "" if nothing does.
            isRunning: A run is under way.
        """
        button = self._ui.segmentButton
        button.enabled = not missing and not isRunning
        if isRunning:
            button.toolTip = _("Running: wait for it, or cancel it")
        else:
            button.toolTip = missing or _("Segment the hippocampi of the chosen volume")

    def start(self) -> None:
        """Show that a run has begun."""
        self._started = self._clock()
        self.setMessage("")
        self._ui.progressFrame.visible = True
        self._ui.cancelButton.enabled = True
        self.setProgress(_("Starting"), 0.0)
        self._timer.start()

    def setProgress(self, stage: str, fraction: float) -> None:
        """Show the stage in words and the fraction 0..1."""
        self._stage = stage
        self._ui.progressBar.value = int(round(100 * fraction))
        self._showStage()

    def setCancelling(self) -> None:
        """Show that the run is being cancelled."""
        self._ui.cancelButton.enabled = False
        self._stage = _("Cancelling")
        self._showStage()

    def stop(self) -> None:
        """Show that nothing runs."""
        self._timer.stop()
        self._ui.progressFrame.visible = False

    def setMessage(self, text: str, hasReport: bool = False) -> None:
        """Show a message below the button; "" hides it."""
        self._ui.messageLabel.text = text
        self._ui.messageFrame.visible = bool(text)
        self._ui.reportButton.visible = hasReport

    @property
    def elapsedSeconds(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    def _showStage(self) -> None:
        self._ui.stageLabel.text = _("{stage} — {seconds} s").format(
            stage=self._stage, seconds=int(self.elapsedSeconds)
        )
