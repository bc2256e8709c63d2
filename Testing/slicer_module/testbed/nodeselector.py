"""Stands in for qMRMLNodeComboBox: a combo box of the scene's nodes."""

from __future__ import annotations

import qt
import shiboken6
import slicer
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

_OPTIONS = {
    "noneEnabled": (bool, False),
    "addEnabled": (bool, True),
    "removeEnabled": (bool, True),
    "showHidden": (bool, False),
    "showChildNodeTypes": (bool, True),
    "noneDisplay": (str, "None"),
}


class _Base(QtWidgets.QWidget):
    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._types, self._observers, self._ids, self._selected = None, [], [], [], ""
        self._options = {name: default for name, (_kind, default) in _OPTIONS.items()}
        self._isFilling = False
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._comboBox = QtWidgets.QComboBox()
        self._comboBox.setEnabled(False)  # until it has a scene
        self._comboBox.currentIndexChanged.connect(self._onIndex)
        layout.addWidget(self._comboBox)

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        for tag in self._observers:
            self._scene.RemoveObserver(tag)
        self._scene, self._observers = scene, []
        if scene is not None:
            for event in (
                slicer.vtkMRMLScene.NodeAddedEvent,
                slicer.vtkMRMLScene.NodeRemovedEvent,
                slicer.vtkMRMLScene.EndBatchProcessEvent,
            ):
                self._observers.append(scene.AddObserver(event, lambda *_: self._refresh()))
        self._comboBox.setEnabled(scene is not None)
        self._refresh()

    def nodeIDs(self) -> list[str]:
        """The ids of the nodes offered (for tests)."""
        return [node.GetID() for node in self._nodes()]

    def _nodes(self) -> list:
        count = self._scene.GetNumberOfNodes() if self._scene is not None else 0
        nodes = [self._scene.GetNthNode(number) for number in range(count)]
        isWanted = (
            (lambda node, kind: node.IsA(kind))
            if self._options["showChildNodeTypes"]
            else (lambda node, kind: node.GetClassName() == kind)
        )
        return [
            node
            for node in nodes
            if any(isWanted(node, kind) for kind in self._types)
            and (self._options["showHidden"] or not node.GetHideFromEditors())
        ]

    def _refresh(self) -> None:
        if not shiboken6.isValid(self) or self._isFilling:  # the observer of a deleted widget
            return
        self._isFilling = True
        self._comboBox.clear()
        self._ids = []
        if self._options["noneEnabled"]:
            self._comboBox.addItem(self._options["noneDisplay"])
            self._ids.append("")
        for node in self._nodes():
            self._comboBox.addItem(node.GetName())
            self._ids.append(node.GetID())
        selected = self._selected
        if selected not in self._ids:
            nodes = [one for one in self._ids if one]
            selected = "" if self._options["noneEnabled"] or not nodes else nodes[0]
        self._comboBox.setCurrentIndex(self._ids.index(selected) if selected in self._ids else -1)
        self._isFilling = False
        self._select(selected)

    def _onIndex(self, index: int) -> None:
        if not self._isFilling:
            self._select(self._ids[index] if 0 <= index < len(self._ids) else "")

    def _select(self, nodeId: str) -> None:
        if nodeId != self._selected:
            self._selected = nodeId
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(nodeId)

    def currentNode(self):
        return self._scene.GetNodeByID(self._selected) if self._scene is not None and self._selected else None

    def setCurrentNode(self, node) -> None:
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, nodeId: str) -> None:
        nodeId = nodeId or ""
        if nodeId and nodeId not in self._ids:
            self._refresh()
        self._isFilling = True
        self._comboBox.setCurrentIndex(self._ids.index(nodeId) if nodeId in self._ids else -1)
        self._isFilling = False
        self._select(nodeId if nodeId in self._ids else "")

    currentNodeID = Property(str, lambda self: self._selected, setCurrentNodeID)

    def _setTypes(self, value) -> None:
        self._types = list(value)
        self._refresh()

    nodeTypes = Property("QStringList", lambda self: tuple(self._types), _setTypes)


def _option(name: str, kind: type) -> Property:
    def write(self, value):
        self._options[name] = value
        self._refresh()

    return Property(kind, lambda self: self._options[name], write)


qMRMLNodeComboBox = qt.registerCustomWidget(
    type(_Base)(
        "qMRMLNodeComboBox", (_Base,), {name: _option(name, kind) for name, (kind, _d) in _OPTIONS.items()}
    )
)
