"""The part of the panel that segments the scans in a folder, and brings results of it into the scene."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from HippoSegLib.batch.layout import FLAT
from HippoSegLib.batch.tablefile import TABLE, read_table
from HippoSegLib.errors import Cancelled, HippoSegError

from .logic import Logic
from .manyjobs import LoadResultJob, ManyJob, ReviewPageJob
from .progresspanel import ProgressPanel
from .protocols import Questions
from .sentences import errorText, translated
from .signal import Signal

#: So many results are listed; the review page shows all.
MOST_LISTED = 2000


class ManyPanel:
    """Folder of scans, folder for the results, start, progress, and the list of what is there.

    Signals:
        changed(): A job began or ended.
        jobAsked(job): A result is to be loaded, or the review page to be written.
        reportClicked(message): The report of an error is to be copied.

    Args:
        ui: The widgets.
        background: Runs the batch, beside the panel's other jobs.
        questions: Asks for folders.
        options: Gives the options of a segmentation that follow from the panel.
        notReady: Says what keeps scans from being segmented; "" if nothing does.
    """

    def __init__(
        self,
        ui,
        background: Logic,
        questions: Questions,
        options: Callable[[], dict],
        notReady: Callable[[], str],
    ):
        self._ui, self._background, self._questions = ui, background, questions
        self._options, self._notReady = options, notReady
        self.changed, self.jobAsked, self.reportClicked = Signal(), Signal(), Signal()
        self.run = ProgressPanel(ui, "many")
        self._job: Any = None  # the last ManyJob
        self._scans: list[str] = []  # of the list's lines; "" where there is nothing to load
        self.scansFolder = self.output = ""
        ui.manyNote.text = _(
            "All scans in a folder, with the model and the settings above: files per scan and one table. "
            "Given again, it goes on where it ended. Meanwhile you can go on working."
        )
        ui.manyFolderButton.connect("clicked(bool)", self._onFolder)
        ui.manyOutputButton.connect("clicked(bool)", self._onOutput)
        ui.manyButton.connect("clicked(bool)", self._onStart)
        ui.manyPageButton.connect("clicked(bool)", self._onPage)
        ui.manyLoadButton.connect("clicked(bool)", lambda _checked=False: self._load())
        ui.manyList.connect("itemDoubleClicked(QListWidgetItem*)", lambda _item: self._load())
        ui.manyList.connect("currentRowChanged(int)", lambda _row: self.refresh())
        self.run.cancelClicked.connect(self._cancel)
        self.run.reportClicked.connect(lambda: self.reportClicked.emit(self.run.message))
        background.progress.connect(self._onProgress)
        background.finished.connect(self._onFinished)
        background.error.connect(self._onError)

    def cleanup(self) -> None:
        """The module is unloaded; the logic is left to its owner."""
        self._background.progress.disconnect(self._onProgress)
        self._background.finished.disconnect(self._onFinished)
        self._background.error.disconnect(self._onError)
        self.run.stop()

    def refresh(self) -> None:
        """Enable what can be done."""
        ui, isBusy = self._ui, self._background.isBusy
        ui.manyFolderButton.text = _name(self.scansFolder) or _("Choose a folder…")
        ui.manyOutputButton.text = _name(self.output) or _("Choose a folder…")
        for button in (ui.manyFolderButton, ui.manyOutputButton, ui.manyWorkersSpinBox):
            button.enabled = not isBusy
        reason = self._missing()
        ui.manyButton.enabled = not reason
        ui.manyButton.toolTip = reason or _("Segment all scans of the folder that have no result yet")
        ui.manyPageButton.enabled = bool(self._scans)
        ui.manyLoadButton.enabled = bool(self._chosen())

    def _missing(self) -> str:
        if self._background.isBusy:
            words = translated(self._background.runningWords)
            return _("{what} Wait for it to finish, or cancel it.").format(what=words)
        if not self.scansFolder or not self.output:
            return _("Choose the folder of the scans, and one for the results.")
        if os.path.realpath(self.scansFolder) == os.path.realpath(self.output):
            return _("Choose another folder for the results: nothing is written beside the scans.")
        return self._notReady()

    def _chosen(self) -> str:
        """The scan that is chosen in the list, where it has a result; else ""."""
        row = self._ui.manyList.currentRow
        return self._scans[row] if 0 <= row < len(self._scans) else ""

    def _onFolder(self, _checked=False) -> None:
        self.scansFolder = self._questions.scansFolder() or self.scansFolder
        self.refresh()

    def _onOutput(self, _checked=False) -> None:
        self.output = self._questions.outputFolder() or self.output
        self._list()
        self.refresh()

    def _onStart(self, _checked=False) -> None:
        workers = int(self._ui.manyWorkersSpinBox.value)
        options = {**self._options(), "workers": workers or None}
        self.run.start()
        self._job = ManyJob([self.scansFolder], self.output, options)
        try:
            self._background.submit(self._job)
        except HippoSegError as error:
            self._showError(error)
        self.changed.emit()

    def _cancel(self) -> None:
        self.run.setCancelling()
        self._background.cancel()

    def _onPage(self, _checked=False) -> None:
        self.jobAsked.emit(ReviewPageJob(self.output))

    def _load(self) -> None:
        scan = self._chosen()
        if scan:
            self.jobAsked.emit(LoadResultJob(str(FLAT.record_path(Path(self.output), scan))))

    def _onProgress(self, job, stage: str, fraction: float) -> None:
        if job is self._job:
            self.run.setProgress(stage, fraction)

    def _onFinished(self, job) -> None:
        if job is self._job:
            self.run.stop()
            self.run.setMessage(summaryWords(job.value))
            self._ui.manySection.collapsed = False
            self._list()
        self.changed.emit()

    def _onError(self, job, error: HippoSegError) -> None:
        if job is self._job:
            self._showError(error)
            self._list()
        self.changed.emit()

    def _showError(self, error: HippoSegError) -> None:
        self.run.stop()
        self._ui.manySection.collapsed = False
        if isinstance(error, Cancelled):
            self.run.setMessage(_("Cancelled. Start again to go on from there."))
        else:
            self.run.setMessage(errorText(error), hasReport=True)

    def _list(self) -> None:
        """Show what the table in the folder of the results says."""
        try:
            rows = list(read_table(Path(self.output) / TABLE).rows.values()) if self.output else []
        except OSError:
            rows = []
        names = {"ok": _("ok"), "review": _("to be reviewed"), "failed": _("failed")}
        # What somebody has to look at stands first.
        order = {"failed": 0, "review": 1}
        rows.sort(key=lambda row: order.get(row.get("status", ""), 2))
        self._scans = []
        self._ui.manyList.clear()
        for row in rows[:MOST_LISTED]:
            hasResult = bool(row.get("left_mm3") or row.get("right_mm3"))
            self._scans.append(row["scan"] if hasResult else "")
            words = _volumes(row) if hasResult else row.get("remarks", "")
            status = names.get(row.get("status", ""), "")
            item = qt.QListWidgetItem(f"{row['scan']} — {status}{f': {words}' if words else ''}")
            item.setToolTip(row.get("remarks", ""))
            self._ui.manyList.addItem(item)
        self._ui.manyList.visible = bool(rows)


def summaryWords(value: dict) -> str:
    """What came of many scans, in words."""
    names = {
        "ok": _("ok"),
        "review": _("to be reviewed"),
        "failed": _("failed"),
        "refused": _("refused"),
        "skipped": _("done before"),
    }
    ends = value["ends"]
    counts = [f"{ends[end]} {word}" for end, word in names.items() if ends.get(end)]
    words = _("{count} scans: {ends}.").format(count=value["total"], ends=", ".join(counts))
    if value["left_out"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in value["left_out"].items())
        words += " " + _("Left out: {reasons}.").format(reasons=reasons)
    return words


def _volumes(row) -> str:
    sides = (("left_mm3", _("left {volume} mm³")), ("right_mm3", _("right {volume} mm³")))
    return ", ".join(words.format(volume=row[column]) for column, words in sides if row.get(column))


def _name(folder: str) -> str:
    return os.path.basename(folder.rstrip("/\\")) or folder
