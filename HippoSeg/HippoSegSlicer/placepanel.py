"""The part of the panel where the user shows the hippocampi: a point or a box per side."""

from __future__ import annotations

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from .inputvolume import isPlaced
from .parameters import SIDES
from .signal import Signal

#: Size of a new box in mm (right-left, front-back, up-down): a hippocampus with some room.
BOX_SIZE = (40.0, 56.0, 48.0)
COLORS = {"left": (0.902, 0.624, 0.0), "right": (0.337, 0.706, 0.914)}


class PlacePanel(slicer.util.VTKObservationMixin):
    """Points and boxes, kept in the scene and named in the parameters.

    Signals:
        placed(): A point was set in a view.
    """

    def __init__(self, ui, parameters):
        super().__init__()
        self._ui, self._parameters = ui, parameters
        self.placed = Signal()
        self._isReleased = False
        ui.placeLeftButton.connect("clicked(bool)", lambda _checked=False: self.startPoint("left"))
        ui.placeRightButton.connect("clicked(bool)", lambda _checked=False: self.startPoint("right"))
        ui.boxLeftButton.connect("clicked(bool)", lambda _checked=False: self.addBox("left"))
        ui.boxRightButton.connect("clicked(bool)", lambda _checked=False: self.addBox("right"))
        ui.clearPlacesButton.connect("clicked(bool)", lambda _checked=False: self.clear())

    @property
    def places(self) -> dict:
        """Side -> point list or region of interest that says where, or None."""
        parameters = self._parameters()
        return {side: node if isPlaced(node := parameters.place(side)) else None for side in SIDES}

    @property
    def missing(self) -> list[str]:
        """The sides without a place."""
        return [side for side, node in self.places.items() if node is None]

    def refresh(self, hasVolume: bool) -> None:
        """Show what has been placed."""
        names = {"left": _("left"), "right": _("right")}
        done = [names[side] for side in SIDES if side not in self.missing]
        self._ui.placeStateLabel.text = (
            _("Placed: {sides}. They are used instead of looking for the hippocampi.").format(
                sides=", ".join(done)
            )
            if done
            else _("Nothing placed: the hippocampi are looked for in the whole volume.")
        )
        for button in (
            self._ui.placeLeftButton,
            self._ui.placeRightButton,
            self._ui.boxLeftButton,
            self._ui.boxRightButton,
        ):
            button.enabled = hasVolume
        self._ui.clearPlacesButton.enabled = bool(done)

    def ask(self) -> None:
        """Open this part of the panel and let the user click in the first place that is missing."""
        self._ui.advancedButton.collapsed = False
        self._ui.placeButton.collapsed = False
        if self.missing:
            self.startPoint(self.missing[0])

    def startPoint(self, side: str) -> None:
        """Let the user click inside a hippocampus in a view."""
        node = self._node(side, "vtkMRMLMarkupsFiducialNode")
        node.RemoveAllControlPoints()
        selection = slicer.app.applicationLogic().GetSelectionNode()
        selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
        selection.SetActivePlaceNodeID(node.GetID())
        slicer.app.applicationLogic().GetInteractionNode().SwitchToSinglePlaceMode()

    def addBox(self, side: str) -> None:
        """Put a box around the middle of the slice views, for the user to move."""
        node = self._node(side, "vtkMRMLMarkupsROINode")
        node.SetCenterWorld(*self._viewCenter(side))
        node.SetSize(*BOX_SIZE)
        self._parameters().node.Modified()

    def clear(self) -> None:
        """Remove all places."""
        parameters = self._parameters()
        for side in SIDES:
            node = parameters.place(side)
            if node is not None:
                self.removeObserver(node, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._onPlaced)
                parameters.setPlace(side, None)
                slicer.mrmlScene.RemoveNode(node)

    def observe(self) -> None:
        """Listen to the places of the current parameters, for instance of a scene just loaded."""
        self.removeObservers()
        for side in SIDES:
            node = self._parameters().place(side)
            if node is not None:
                self.addObserver(node, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._onPlaced)

    def _node(self, side: str, className: str):
        parameters = self._parameters()
        node = parameters.place(side)
        if node is not None and node.GetClassName() != className:
            parameters.setPlace(side, None)
            slicer.mrmlScene.RemoveNode(node)
            node = None
        if node is None:
            name = _("Left hippocampus") if side == "left" else _("Right hippocampus")
            node = slicer.mrmlScene.AddNewNodeByClass(className, name)
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetSelectedColor(*COLORS[side])
            if className == "vtkMRMLMarkupsFiducialNode":
                node.SetMaximumNumberOfControlPoints(1)
                node.SetControlPointLabelFormat("L" if side == "left" else "R")
            parameters.setPlace(side, node)
            self.observe()
        return node

    def _viewCenter(self, side: str) -> list[float]:
        """World RAS of where the slice views cross, 25 mm to the side (the head's midline is shown first)."""
        shift = -25.0 if side == "left" else 25.0
        offsets = {
            node.GetOrientation(): node.GetSliceToRAS()
            for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")
        }
        center = [shift, 0.0, 0.0]
        bounds = [0.0] * 6
        volumeNode = self._parameters().inputVolume
        if volumeNode is not None:
            volumeNode.GetRASBounds(bounds)
            center = [(bounds[2 * i] + bounds[2 * i + 1]) / 2 for i in range(3)]
            center[0] += shift
        for orientation, axis in (("Coronal", 1), ("Axial", 2)):
            matrix = offsets.get(orientation)
            if matrix is not None:
                center[axis] = matrix.GetElement(axis, 3)
        return center

    @vtk.calldata_type(vtk.VTK_INT)
    def _onPlaced(self, caller, event, index=0) -> None:
        # After the event: the markups widget ends the place mode once its own event has been handled, and
        # would end a mode that was begun within it.
        qt.QTimer.singleShot(0, self._tellPlaced)

    def _tellPlaced(self) -> None:
        if not self._isReleased:
            self.placed.emit()

    def release(self) -> None:
        """Listen no more, nor tell what was placed last: the panel is going."""
        self._isReleased = True
        self.removeObservers()
