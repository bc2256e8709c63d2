"""The panel's settings, kept in a parameter node: saved with the scene, restored with it.

A small typed layer over the node's text parameters and references; it needs nothing that is newer
than the oldest Slicer 5.
"""

from __future__ import annotations

import json

from HippoSegLib.models.protocols import PROTOCOLS

SIDES = ("left", "right")


class _Text:
    """A parameter that is text."""

    def __init__(self, default: str = ""):
        self._default = default

    def __set_name__(self, owner, name: str):
        self._name = name

    def __get__(self, parameters, owner=None):
        if parameters is None:
            return self
        return parameters.node.GetParameter(self._name) or self._default

    def __set__(self, parameters, value: str):
        if value != self.__get__(parameters):
            parameters.node.SetParameter(self._name, value)


class _Flag(_Text):
    """A parameter that is yes or no."""

    def __init__(self, default: bool = False):
        super().__init__("true" if default else "false")

    def __get__(self, parameters, owner=None):
        return self if parameters is None else super().__get__(parameters) == "true"

    def __set__(self, parameters, value: bool):  # type: ignore[override]
        if bool(value) != self.__get__(parameters):
            parameters.node.SetParameter(self._name, "true" if value else "false")


class _Json(_Text):
    """A parameter of plain JSON values; what cannot be read is taken as the default (``{}``)."""

    def __init__(self):
        super().__init__("{}")

    def __get__(self, parameters, owner=None):
        if parameters is None:
            return self
        try:
            return json.loads(super().__get__(parameters))
        except ValueError:
            return {}

    def __set__(self, parameters, value):
        text = json.dumps(value, sort_keys=True)
        if text != super().__get__(parameters):
            parameters.node.SetParameter(self._name, text)


class _Reference:
    """A reference to another node."""

    def __set_name__(self, owner, name: str):
        self._role = name

    def __get__(self, parameters, owner=None):
        return self if parameters is None else parameters.node.GetNodeReference(self._role)

    def __set__(self, parameters, node):
        nodeId = node.GetID() if node is not None else None
        if nodeId != parameters.node.GetNodeReferenceID(self._role):
            parameters.node.SetNodeReferenceID(self._role, nodeId)


class Parameters:
    """Typed view of the parameter node.

    Attributes:
        inputVolume: Volume to segment.
        region: "" for a whole head, "left" or "right" for the crop of one hippocampus.
        model: A bundled name or a folder; "" for the default one.
        device: "auto", "cpu", "cuda:N" or "mps".
        singleReader: The model's own reader alone, where it has a second one.
        protocol: One of `HippoSegLib.models.protocols.PROTOCOLS`: where the hippocampus ends.
        parts: Anterior and posterior segments.
        labelMap: Also make a label map volume.
        preprocessing: What differs from the model's card: {step: False or {parameter: value}}.
        reference: File of the site's reference; "" for none.
        placeLeft, placeRight: Where the hippocampi are: point lists or regions of interest.
    """

    inputVolume = _Reference()
    region = _Text()
    model = _Text()
    device = _Text("auto")
    singleReader = _Flag()
    protocol = _Text(PROTOCOLS[0])
    parts = _Flag()
    labelMap = _Flag()
    preprocessing = _Json()
    reference = _Text()
    placeLeft = _Reference()
    placeRight = _Reference()

    def __init__(self, node):
        self.node = node

    def place(self, side: str):
        """The point list or region of interest of a side, or None."""
        return self.placeLeft if side == "left" else self.placeRight

    def setPlace(self, side: str, node) -> None:
        """Set the point list or region of interest of a side."""
        if side == "left":
            self.placeLeft = node
        else:
            self.placeRight = node

    def describe(self) -> str:
        """All settings in one line, for the log and bug reports; without names of nodes."""
        return json.dumps(
            {
                "region": self.region or "whole head",
                "model": self.model.replace("\\", "/").rsplit("/", 1)[-1] or "default",
                "device": self.device,
                "singleReader": self.singleReader,
                "protocol": self.protocol,
                "parts": self.parts,
                "labelMap": self.labelMap,
                "preprocessing": self.preprocessing,
                "reference": bool(self.reference),
                "places": [side for side in SIDES if self.place(side) is not None],
            }
        )
