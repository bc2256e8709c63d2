"""A part of the panel that shows how a job goes and how it ended; each worker process has one."""

from __future__ import annotations

import time

import qt
from slicer.i18n import tr as _

from .sentences import translated
from .signal import Signal


class ProgressPanel:
    """Progress with the stage in words and the elapsed time, cancel, message.

    Signals:
        cancelClicked(), reportClicked()

    Args:
        ui: The widgets.
        prefix: Of the widgets' names: "" for `progressBar`, "tune" for `tuneProgressBar`.
        clock: Seconds that only grow.
    """

    def __init__(self, ui, prefix: str = "", clock=time.monotonic):
        self._clock = clock
        self.cancelClicked, self.reportClicked = Signal(), Signal()

        def widget(name: str):
            return getattr(ui, prefix + name[0].upper() + name[1:] if prefix else name)

        self._frame, self._bar = widget("progressFrame"), widget("progressBar")
        self._stageLabel, self._cancelButton = widget("stageLabel"), widget("cancelButton")
        self._messageFrame, self._messageLabel = widget("messageFrame"), widget("messageLabel")
        self._reportButton = widget("reportButton")
        self._cancelButton.connect("clicked(bool)", lambda _checked=False: self.cancelClicked.emit())
        self._reportButton.connect("clicked(bool)", lambda _checked=False: self.reportClicked.emit())
        self._started = 0.0
        self._stage = ""
        self._isCancelling = False
        self._timer = qt.QTimer()
        self._timer.setInterval(500)
        self._timer.connect("timeout()", self._showStage)
        self.setMessage("")
        self.stop()

    @property
    def message(self) -> str:
        """What is shown; "" where nothing is."""
        return self._messageLabel.text

    @property
    def elapsedSeconds(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    def start(self) -> None:
        """Show that a run has begun."""
        self._started = self._clock()
        self._isCancelling = False
        self.setMessage("")
        self._frame.visible = True
        self._cancelButton.enabled = True
        self.setProgress(_("Starting"), 0.0)
        self._timer.start()

    def setProgress(self, stage: str, fraction: float) -> None:
        """Show the stage in words and the fraction 0..1."""
        if self._isCancelling:  # the worker has not heard it yet
            return
        self._stage = translated(stage)
        self._bar.value = int(round(100 * fraction))
        self._showStage()

    def setCancelling(self) -> None:
        """Show that the run is being cancelled."""
        self._isCancelling = True
        self._cancelButton.enabled = False
        self._stage = _("Cancelling")
        self._showStage()

    def stop(self) -> None:
        """Show that nothing runs."""
        self._timer.stop()
        self._frame.visible = False

    def setMessage(self, text: str, hasReport: bool = False) -> None:
        """Show a message in place of the progress; "" hides it."""
        self._messageLabel.text = text
        self._messageFrame.visible = bool(text)
        self._reportButton.visible = hasReport

    def _showStage(self) -> None:
        seconds = int(self.elapsedSeconds)
        if seconds < 120:
            elapsed = _("{seconds} s").format(seconds=seconds)
        else:
            elapsed = _("{minutes} min so far").format(minutes=seconds // 60)
        self._stageLabel.text = _("{stage} — {elapsed}").format(stage=self._stage, elapsed=elapsed)
