"""Stands in for the other MRML widgets that the module uses."""

from __future__ import annotations

import qt
import shiboken6
import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal


@qt.registerCustomWidget
class qMRMLWidget(QtWidgets.QWidget):
    """A widget that hands the scene on."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def setMRMLScene(self, scene) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return self._scene


class _TableModel(QtCore.QAbstractTableModel):
    """The cells of a vtkMRMLTableNode."""

    def __init__(self):
        super().__init__()
        self.node = None

    def _table(self):
        return self.node.GetTable() if self.node is not None else None

    def rowCount(self, parent=None):
        return self._table().GetNumberOfRows() if self._table() else 0

    def columnCount(self, parent=None):
        return self._table().GetNumberOfColumns() if self._table() else 0

    def data(self, index, role=QtCore.Qt.DisplayRole):
        if role == QtCore.Qt.DisplayRole:
            return self._table().GetValue(index.row(), index.column()).ToString()
        return None

    def headerData(self, section, orientation, role=QtCore.Qt.DisplayRole):
        if role == QtCore.Qt.DisplayRole and orientation == QtCore.Qt.Horizontal and self._table():
            return self._table().GetColumnName(section)
        return None


@qt.registerCustomWidget
class qMRMLTableView(QtWidgets.QTableView):
    """Shows a table node and follows its changes."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._model, self._tag = _TableModel(), None
        self.setModel(self._model)

    def setMRMLTableNode(self, node) -> None:
        if self._model.node is not None:
            self._model.node.RemoveObserver(self._tag)
        self._model.beginResetModel()
        self._model.node = node
        self._model.endResetModel()
        if node is not None:
            self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._onModified())

    def mrmlTableNode(self):
        return self._model.node

    def _onModified(self) -> None:
        if shiboken6.isValid(self):
            self._model.beginResetModel()
            self._model.endResetModel()


@qt.registerCustomWidget
class qMRMLSegmentationShow3DButton(QtWidgets.QPushButton):
    """Shows and hides a segmentation's surfaces in 3D."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node = None
        self.setCheckable(True)
        self.clicked.connect(self._onClicked)

    def setSegmentationNode(self, node) -> None:
        if node is not None and not node.IsA("vtkMRMLSegmentationNode"):
            raise TypeError("vtkMRMLSegmentationNode expected")
        self._node = node
        self.setChecked(node is not None and node.GetDisplayNode().GetVisibility3D())

    def segmentationNode(self):
        return self._node

    def _onClicked(self, isOn: bool) -> None:
        if self._node is not None:
            self._node.CreateClosedSurfaceRepresentation()
            self._node.GetDisplayNode().SetVisibility3D(isOn)
