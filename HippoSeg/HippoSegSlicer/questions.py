"""The questions the panel asks, as Slicer's dialogs."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from .protocols import NewReference


class Dialogs:
    """Implements :class:`.protocols.Questions`. In testing mode nothing is asked."""

    def replaceEdited(self, name: str) -> str | None:
        """Replace a result that was edited, make a new one, or neither."""
        if slicer.app.testingEnabled():
            return "new"
        box = qt.QMessageBox(slicer.util.mainWindow())
        box.windowTitle = "HippoSeg"
        box.text = _("“{name}” has been edited since it was made.").format(name=name)
        box.informativeText = _("Replace it, losing the edits, or keep it and make a new one?")
        box.setStandardButtons(qt.QMessageBox.Yes | qt.QMessageBox.No | qt.QMessageBox.Cancel)
        box.button(qt.QMessageBox.Yes).text = _("Replace")
        box.button(qt.QMessageBox.No).text = _("Make a new one")
        box.setDefaultButton(qt.QMessageBox.No)
        answer = box.exec_()
        return {int(qt.QMessageBox.Yes): "replace", int(qt.QMessageBox.No): "new"}.get(int(answer))

    def modelFolder(self) -> str:
        """A folder that holds a model."""
        return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of a model")) or ""

    def wheelsFolder(self) -> str:
        """A folder that holds wheel files."""
        return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of wheel files")) or ""

    def csvFile(self, suggestion: str) -> str:
        """Name of the CSV file to write."""
        return _saveFile(_("Export volumes"), suggestion, "CSV (*.csv)")

    def pictureFile(self, suggestion: str) -> str:
        """Name of the PNG file to write."""
        return _saveFile(_("Save picture"), suggestion, "PNG (*.png)")

    def referenceFile(self) -> str:
        """The file that `hipposeg reference build` wrote."""
        return _openFile(_("Reference of your own controls"), _("Reference (*.json)"))

    def newReference(self) -> NewReference | None:
        """Two tables, who is a control, and where the reference goes; asked one after the other."""
        tables = _("Tables (*.csv *.tsv)")
        table = _openFile(_("Volumes of your controls: hippocampus.csv"), tables)
        people = _openFile(_("Participants: age, sex, group"), tables) if table else ""
        if not people:
            return None
        text = _("Who is a control, as column=value (nothing: all participants)")
        parent, normal = slicer.util.mainWindow(), qt.QLineEdit.Normal
        answer = qt.QInputDialog.getText(parent, "HippoSeg", text, normal, "group=HC")
        # PythonQt gives the text alone; where it is cancelled there, the next dialog can be.
        controls = answer[0] if isinstance(answer, tuple) else answer
        output = _saveFile(_("Save the reference"), "reference.json", _("Reference (*.json)"))
        return NewReference(table, people, (controls or "").strip(), output) if output else None

    def scansFolder(self) -> str:
        """A folder that holds scans."""
        return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of scans")) or ""

    def outputFolder(self) -> str:
        """A folder for results."""
        return (
            qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the results")) or ""
        )

    def openPage(self, path: str) -> None:
        """Show a page in the user's browser; not in testing mode."""
        if not slicer.app.testingEnabled():
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(path))

    def install(self, text: str) -> bool:
        """Consent to an installation; never given in testing mode."""
        if slicer.app.testingEnabled():
            return False
        return slicer.util.confirmOkCancelDisplay(text, windowTitle=_("HippoSeg: install packages?"))


def _openFile(title: str, kind: str) -> str:
    result = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", kind)
    return (result[0] if isinstance(result, tuple) else result) or ""


def _saveFile(title: str, suggestion: str, kind: str) -> str:
    result = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, suggestion, kind)
    return (result[0] if isinstance(result, tuple) else result) or ""
