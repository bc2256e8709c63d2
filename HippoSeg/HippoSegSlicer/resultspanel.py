"""The part of the panel with the volumes of the last result, and what can be done with it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil

import qt
import slicer
from slicer.i18n import tr as _

from HippoSegLib.errors import HippoSegError
from HippoSegLib.io.atomic import replacing

from . import scene
from .comparepanel import ComparePanel
from .comparison import judgementOf
from .jobs import PictureJob, ReportJob
from .protocols import Questions
from .sentences import translated
from .signal import Signal
from .summary import summaryHtml
from .volumestable import TABLE, measureAgain, tableText, writeCsv

#: Pixels of the columns measure, value and unit; the last one takes the rest.
COLUMN_WIDTHS = (228, 138, 40)
#: Pixels of a row, and rows that are shown without scrolling.
ROW_HEIGHT, MOST_ROWS = 22, 20


class ResultsPanel:
    """Table, surfaces, corrections, export and picture of the chosen volume's result.

    Signals:
        failed(error): Something the user should read.
        pictureAsked(job): The quality-control picture, or the report, is to be made.
    """

    def __init__(self, ui, parameters, questions: Questions):
        self._ui, self._parameters, self._questions = ui, parameters, questions
        self.failed, self.pictureAsked = Signal(), Signal()
        self.comparison = ComparePanel(ui, parameters, questions)
        self._dialog = None
        for button, slot in (
            (ui.measureButton, self._onMeasure),
            (ui.editButton, self._onEdit),
            (ui.copyButton, self._onCopy),
            (ui.exportButton, self._onExport),
            (ui.pictureButton, self._onPicture),
            (ui.pageButton, self._onPage),
        ):
            button.connect("clicked(bool)", lambda _checked=False, slot=slot: self._guarded(slot))

    @property
    def segmentationNode(self):
        """The result of the chosen volume, or None."""
        volumeNode = self._parameters().inputVolume
        return scene.resultOf(volumeNode) if volumeNode is not None else None

    @property
    def _tableNode(self):
        node = self.segmentationNode
        return node.GetNodeReference(TABLE) if node is not None else None

    def refresh(self, isBusy: bool) -> None:
        """Show the result of the chosen volume."""
        self.comparison.refresh()
        node, table = self.segmentationNode, self._tableNode
        self._ui.volumesTable.setMRMLTableNode(table)
        if table is not None:
            for column, width in enumerate(COLUMN_WIDTHS):
                self._ui.volumesTable.setColumnWidth(column, width)
            self._ui.volumesTable.resizeRowsToContents()
            # All rows are seen without scrolling.
            height = ROW_HEIGHT * (min(table.GetNumberOfRows(), MOST_ROWS) + 1) + 4
            self._ui.volumesTable.setMinimumHeight(height)
        flags = json.loads(node.GetAttribute(scene.FLAGS) or "[]") if node is not None else []
        row = json.loads(node.GetAttribute(scene.ROW) or "{}") if node is not None else {}
        self._ui.summaryLabel.text = summaryHtml(row, flags, judgementOf(node) if node is not None else None)
        self._ui.summaryLabel.visible = bool(self._ui.summaryLabel.text)
        self._ui.flagsLabel.text = "\n".join("⚠ " + translated(flag["message"]) for flag in flags)
        self._ui.flagsLabel.visible = bool(flags)
        self._ui.show3DButton.setSegmentationNode(node)
        for button in (self._ui.measureButton, self._ui.editButton, self._ui.show3DButton):
            button.enabled = node is not None
        for button in (self._ui.copyButton, self._ui.exportButton):
            button.enabled = table is not None
        for button in (self._ui.pictureButton, self._ui.pageButton):
            button.enabled = node is not None and not isBusy

    def showPicture(self, path: str) -> None:
        """Show the quality-control picture in a window of its own, with a button to save it."""
        self.closePicture()
        dialog = qt.QDialog(slicer.util.mainWindow())
        dialog.setAttribute(qt.Qt.WA_DeleteOnClose)
        dialog.name = "HippoSegPicture"
        dialog.windowTitle = _("HippoSeg: quality-control picture")
        label = qt.QLabel()
        label.setPixmap(qt.QPixmap(path))
        area = qt.QScrollArea()
        area.setWidget(label)
        save = qt.QPushButton(_("Save…"))
        save.toolTip = _("Save the picture as a PNG file")
        layout = qt.QVBoxLayout(dialog)
        layout.addWidget(area)
        layout.addWidget(save)
        save.connect("clicked(bool)", lambda _checked=False: self._guarded(lambda: self._savePicture(path)))
        dialog.resize(960, 720)
        dialog.show()
        self._dialog = dialog  # a window without a reference would vanish at once

    def closePicture(self) -> None:
        """Close the picture's window, if there is one."""
        if self._dialog is not None:
            # Closed by the user, it is gone already.
            with contextlib.suppress(ValueError, RuntimeError):
                self._dialog.close()
            self._dialog = None

    def _savePicture(self, path: str) -> None:
        target = self._questions.pictureFile("hippocampi.png")
        if target:
            with replacing(target, overwrite=True) as temporary:  # the dialog has asked
                shutil.copyfile(path, temporary)

    def _guarded(self, slot) -> None:
        try:
            slot()
        except HippoSegError as error:
            self.failed.emit(error)
        except OSError as error:
            self.failed.emit(
                HippoSegError(f"The file could not be written ({error.strerror}).", "Choose another place.")
            )

    def _onMeasure(self) -> None:
        measureAgain(self.segmentationNode)
        self.refresh(False)

    def _onEdit(self) -> None:
        node = self.segmentationNode
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(self._parameters().inputVolume)

    def _onCopy(self) -> None:
        slicer.app.clipboard().setText(tableText(self._tableNode, "\t"))

    def _onExport(self) -> None:
        path = self._questions.csvFile(_("hippocampal volumes") + ".csv")
        if path:
            writeCsv(self._tableNode, path if os.path.splitext(path)[1] else path + ".csv")

    def _onPicture(self) -> None:
        node, row, flags = self._measured()
        parameters = self._parameters()
        words = [flag["message"] for flag in flags]
        self.pictureAsked.emit(PictureJob(node, parameters.inputVolume, row, words, parameters.region))

    def _onPage(self) -> None:
        node, row, flags = self._measured()
        self.refresh(False)  # the comparison is of the segments as they are, too
        parameters = self._parameters()
        job = ReportJob(node, parameters.inputVolume, row, flags, parameters.region, parameters.reference)
        self.pictureAsked.emit(job)

    def _measured(self):
        """The result, its measurements and flags, for the segments as they are."""
        node = self.segmentationNode
        measureAgain(node)
        return node, json.loads(node.GetAttribute(scene.ROW)), json.loads(node.GetAttribute(scene.FLAGS))
