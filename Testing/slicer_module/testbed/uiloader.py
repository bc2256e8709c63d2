"""Loads .ui files with the test bed's own widgets, and applies their connections to the scene."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import qt
from PySide6 import QtCore, QtUiTools, QtWidgets


class QUiLoader(QtUiTools.QUiLoader):
    """Knows the test bed's CTK and MRML widgets.

    Connections that carry a vtkMRMLScene* are made here (Python classes cannot declare such a signal),
    so that a widget which the .ui file forgot to wire gets no scene, as in Slicer.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        for widgetClass in qt.customWidgets.values():
            self.registerCustomWidget(widgetClass)

    def load(self, device, parent=None):
        if not device.isOpen():
            device.open(QtCore.QIODevice.ReadOnly)
        root = ET.fromstring(bytes(device.readAll()))
        self._refuseUnknown(root)
        connections = self._takeSceneConnections(root)
        buffer = QtCore.QBuffer()
        buffer.setData(QtCore.QByteArray(ET.tostring(root)))
        buffer.open(QtCore.QIODevice.ReadOnly)
        qt.isLoading[0] = True
        try:
            widget = super().load(buffer, parent)
        finally:
            qt.isLoading[0] = False
        if widget is None:
            return None
        for sender, signal, receiver, slot in connections:
            ends = [
                widget if qt.getObjectName(widget) == name else widget.findChild(QtCore.QObject, name)
                for name in (sender, receiver)
            ]
            if None in ends:
                raise RuntimeError(f"connection names a missing object: {sender} -> {receiver}")
            getattr(ends[0], signal.split("(")[0]).connect(getattr(ends[1], slot.split("(")[0]))
        return widget

    @staticmethod
    def _refuseUnknown(root) -> None:
        classes = {widget.get("class") for widget in root.iter("widget")}
        unknown = [c for c in classes if not hasattr(QtWidgets, c) and c not in qt.customWidgets]
        if unknown:
            raise RuntimeError(f"the test bed has no widget class {sorted(unknown)}")

    @staticmethod
    def _takeSceneConnections(root) -> list[tuple[str, ...]]:
        taken, all_ = [], root.find("connections")
        for connection in list(all_) if all_ is not None else []:
            parts = tuple(connection.findtext(tag) for tag in ("sender", "signal", "receiver", "slot"))
            if "vtkMRML" in parts[1] + parts[3]:
                taken.append(parts)
                all_.remove(connection)
        return taken
