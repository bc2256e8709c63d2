"""Stands in for Slicer's `ctk`: the CTK widgets that the module uses, as PySide6 widgets."""

from __future__ import annotations

import qt
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal


@qt.registerCustomWidget
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box that one can ask not to be shown again."""

    dontShowAgainSettingsKey = ""


@qt.registerCustomWidget
class ctkCollapsibleButton(QtWidgets.QWidget):
    """A bar that hides and shows what is below it."""

    contentsCollapsed = Signal(bool)
    clicked = Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._text, self._isCollapsed = "", False
        self.setContentsMargins(0, 0, 0, 0)

    def _barHeight(self) -> int:
        return self.fontMetrics().height() + 10

    def _update(self) -> None:
        for child in self.children():
            # What was hidden on purpose stays hidden when the bar opens.
            if isinstance(child, QtWidgets.QWidget):
                if self._isCollapsed and not child.isHidden():
                    child.setVisible(False)
                    child.setProperty("hiddenByBar", True)
                elif not self._isCollapsed and QtCore.QObject.property(child, "hiddenByBar"):
                    child.setVisible(True)
                    child.setProperty("hiddenByBar", False)
        self.setMaximumHeight(self._barHeight() if self._isCollapsed else 16777215)
        self.update()

    def event(self, event):
        if event.type() in (QtCore.QEvent.LayoutRequest, QtCore.QEvent.Show):
            layout = QtWidgets.QWidget.layout(self)
            if layout is not None:
                margins = layout.contentsMargins  # a property here, as in PythonQt
                if margins.top() < self._barHeight():
                    layout.setContentsMargins(
                        margins.left(), self._barHeight() + 4, margins.right(), margins.bottom()
                    )
        return super().event(event)

    def paintEvent(self, event):
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.rect.width(), self._barHeight())
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        mark = "\u25b8 " if self._isCollapsed else "\u25be "
        center = int(QtCore.Qt.AlignVCenter.value)
        painter.drawText(option.rect.adjusted(8, 0, 0, 0), center, mark + self._text)

    def mousePressEvent(self, event):
        if event.position().y() <= self._barHeight():
            self.setCollapsed(not self._isCollapsed)
            self.clicked.emit(not self._isCollapsed)

    def setCollapsed(self, value) -> None:
        self._isCollapsed = bool(value)
        self._update()
        self.contentsCollapsed.emit(self._isCollapsed)

    def setText(self, value: str) -> None:
        self._text = value
        self.update()

    collapsed = Property(bool, lambda self: self._isCollapsed, setCollapsed)
    text = Property(str, lambda self: self._text, setText)


@qt.registerCustomWidget
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box."""

    valueChanged = Signal(float)
    _STEPS = 10000

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._slider.setRange(0, self._STEPS)
        self._spinBox = QtWidgets.QDoubleSpinBox()
        self._spinBox.setRange(0, 99)
        layout.addWidget(self._slider)
        layout.addWidget(self._spinBox)
        self._spinBox.valueChanged.connect(self._onSpinBox)
        self._slider.sliderMoved.connect(self._onSlider)

    def _onSpinBox(self, value: float) -> None:
        low, high = self._spinBox.minimum, self._spinBox.maximum
        if high > low:
            self._slider.setValue(int((value - low) / (high - low) * self._STEPS))
        self.valueChanged.emit(value)

    def _onSlider(self, position: int) -> None:
        low, high = self._spinBox.minimum, self._spinBox.maximum
        self._spinBox.setValue(low + position / self._STEPS * (high - low))

    def setValue(self, value: float) -> None:
        self._spinBox.setValue(value)

    def _setMinimum(self, value) -> None:
        self._spinBox.setMinimum(value)

    def _setMaximum(self, value) -> None:
        self._spinBox.setMaximum(value)

    def _setStep(self, value) -> None:
        self._spinBox.setSingleStep(value)

    def _setDecimals(self, value) -> None:
        self._spinBox.setDecimals(value)

    value = Property(float, lambda self: self._spinBox.value, setValue)
    minimum = Property(float, lambda self: self._spinBox.minimum, _setMinimum)
    maximum = Property(float, lambda self: self._spinBox.maximum, _setMaximum)
    singleStep = Property(float, lambda self: self._spinBox.singleStep, _setStep)
    decimals = Property(int, lambda self: self._spinBox.decimals, _setDecimals)
