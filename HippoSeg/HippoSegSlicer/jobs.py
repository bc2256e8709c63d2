"""What the logic can be asked to do: one class per task of the worker.

A job says what the worker is sent and what becomes of the answer. It is made from nodes of the scene
and fails early, with a sentence, where they cannot be used.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from HippoSegLib.errors import HippoSegError, NotFoundError
from HippoSegLib.worker.exchange import exchange_path

from . import scene
from .comparison import JUDGEMENT
from .inputvolume import checkVolume, geometry, voxels
from .summary import readersWords
from .volumestable import placeTable
from .workersegmentation import readChannels, readSegmentation

INPUT_FILE = "in.npy"


class Job:
    """One request to the worker.

    Attributes:
        task: The worker's task.
        volumeNode: The volume it is about, if any; its removal ends the job.
        inBackground: Nobody waits for it: it does not make the logic busy.
        needsScene: Its answer belongs to the scene it was asked from: closing that ends it. Without,
            it goes on once the worker has all it needs.
        runningWords: Said where another job is asked for while this one runs.
        value: The answer, once it is there.
        error: Why there is none.
    """

    task = ""
    inBackground = False
    needsScene = True
    runningWords = "A segmentation is already running."

    def __init__(self, volumeNode=None):
        self.volumeNode = volumeNode
        self.value: Any = None
        self.error: HippoSegError | None = None

    @property
    def isDone(self) -> bool:
        """Whether it has ended, well or not."""
        return self.value is not None or self.error is not None

    def arrays(self) -> dict[str, np.ndarray]:
        """Files the worker is given."""
        return {INPUT_FILE: voxels(self.volumeNode)} if self.volumeNode is not None else {}

    def request(self) -> dict:
        """What else the worker is told."""
        return {}

    def accept(self, result: Mapping, folder: str) -> None:
        """Take the worker's answer: sets `value`."""
        self.value = result

    def _image(self) -> dict:
        return {"array": INPUT_FILE, **geometry(self.volumeNode)}


class DevicesJob(Job):
    """Devices, what "auto" means, and a worker that is warm."""

    task = "devices"
    inBackground = True

    def __init__(self, model: str = ""):
        super().__init__()
        self._model = model

    def request(self) -> dict:
        return {"model": self._model or None}


def given(options: Mapping) -> dict:
    """The options that say something: an empty value stands for the default."""
    return {key: value for key, value in options.items() if value not in (None, "", {})}


class SegmentJob(Job):
    """Segment a volume and show the result in the scene: `value` is the segmentation node.

    Args:
        volumeNode: The volume.
        options: Keyword arguments of :func:`HippoSegLib.pipeline.segment`, plain values.
        segmentationNode: The node to update; None takes the volume's earlier result, if any.
        replaceEdited: Replace a result that has been edited since; otherwise a new node is made.
        labelMap: Also make a label map volume.

    Raises:
        InputError: The volume cannot be segmented.
    """

    task = "segment"

    def __init__(
        self, volumeNode, options: Mapping, segmentationNode=None, replaceEdited=False, labelMap=False
    ):
        super().__init__(volumeNode)
        self._remarks = checkVolume(volumeNode)
        self._options = given(options)
        self._segmentationNode, self._replaceEdited, self._labelMap = (
            segmentationNode,
            replaceEdited,
            labelMap,
        )
        self.received: Any = None  # a WorkerSegmentation, once it is there

    def request(self) -> dict:
        return {"image": self._image(), "options": self._options, "run": "segment"}

    def accept(self, result: Mapping, folder: str) -> None:
        received = readSegmentation(result, folder)
        if not received.values:
            raise NotFoundError(
                "No hippocampus was found in the volume.",
                "Check that it shows a head; if it does, mark both hippocampi and go on from there.",
            )
        received.flags += [
            {"code": "transform", "message": remark, "side": None, "severity": "warning"}
            for remark in self._remarks
        ]
        received.provenance["date"] = time.strftime("%Y-%m-%d")
        node = scene.placeSegmentation(received, self.volumeNode, self._target())
        placeTable(node, self.volumeNode)
        if self._labelMap:
            scene.placeLabelMap(node, self.volumeNode)
        scene.showInViews(received, self.volumeNode)
        self.received, self.value = received, node

    def _target(self):
        node = self._segmentationNode
        if node is None or node.GetScene() is None:
            node = scene.resultOf(self.volumeNode)
        if node is not None and scene.isEdited(node) and not self._replaceEdited:
            return None
        return node


class PreviewJob(Job):
    """Put what the network would see into the scene: `value` is the list of volume nodes."""

    task = "preview"
    _ROLE = "HippoSeg.Preview"

    def __init__(self, volumeNode, options: Mapping):
        super().__init__(volumeNode)
        checkVolume(volumeNode)
        self._options = given(options)

    def request(self) -> dict:
        return {"image": self._image(), "options": self._options, "run": "preview"}

    def accept(self, result: Mapping, folder: str) -> None:
        names = {"left": _("left"), "right": _("right")}
        nodes = []
        for (side, number), image in readChannels(result, folder).items():
            role = f"{self._ROLE}.{side}.{number}"
            name = _("{volume} as the network sees it, {side}, channel {number}").format(
                volume=self.volumeNode.GetName(), side=names[side], number=number + 1
            )
            earlier = self.volumeNode.GetNodeReference(role)
            node = scene.placeImage(image, name, self.volumeNode, earlier)
            node.SetAttribute("HippoSeg.Preview", side)
            self.volumeNode.SetNodeReferenceID(role, node.GetID())
            nodes.append(node)
        self.value = nodes


class PictureJob(Job):
    """Draw the quality-control picture of a result: `value` is the path of a PNG to be moved or read.

    Raises:
        InputError: The volume cannot be used.
    """

    task = "picture"

    def __init__(self, segmentationNode, volumeNode, row: Mapping, flags: list[str], region: str = ""):
        super().__init__(volumeNode)
        checkVolume(volumeNode)
        self._segmentationNode, self._row, self._flags, self._region = segmentationNode, row, flags, region
        self._provenance = json.loads(segmentationNode.GetAttribute(scene.PROVENANCE) or "{}")

    def arrays(self) -> dict[str, np.ndarray]:
        return {**super().arrays(), "labels.npy": scene.labelArray(self._segmentationNode, self.volumeNode)}

    def request(self) -> dict:
        image = self._image()
        return {
            "run": "picture",
            "image": image,
            "labels": {**image, "array": "labels.npy"},
            "title": self.volumeNode.GetName(),
            "volumes": {side: self._row.get(f"{side}_mm3") for side in ("left", "right")},
            "quality": {side: self._row.get(f"{side}_quality") for side in ("left", "right")},
            "intracranial": self._row.get("intracranial_mm3"),
            "model": readersWords(self._provenance),
            "date": self._provenance.get("date", ""),
            "flags": self._flags,
            "region_side": self._region or None,
        }

    def accept(self, result: Mapping, folder: str) -> None:
        self.value = os.path.join(slicer.app.temporaryPath, "HippoSeg-picture.png")
        shutil.move(exchange_path(folder, result["picture"]), self.value)
        os.remove(exchange_path(folder, "labels.npy"))


class ReportJob(PictureJob):
    """Write the page about a result: `value` is the path of an HTML file.

    Args:
        segmentationNode, volumeNode, region: As of :class:`PictureJob`.
        row: Measurements.
        flags: Remarks with `code`, `message`, `side` and `severity`.
        reference: File of the reference that the result is compared with; "" for none.

    Raises:
        InputError: The volume cannot be used.
    """

    task = "report"

    def __init__(
        self, segmentationNode, volumeNode, row: Mapping, flags: list[dict], region: str = "", reference=""
    ):
        super().__init__(segmentationNode, volumeNode, row, [flag["message"] for flag in flags], region)
        self._details, self._reference = flags, reference

    def request(self) -> dict:
        judgement = self._segmentationNode.GetAttribute(JUDGEMENT)
        return {
            **super().request(),
            "row": dict(self._row),
            "details": self._details,
            "provenance": self._provenance,
            "judgement": json.loads(judgement) if judgement else None,
            "reference": self._reference,
        }

    def accept(self, result: Mapping, folder: str) -> None:
        self.value = os.path.join(slicer.app.temporaryPath, "HippoSeg-report.html")
        shutil.move(exchange_path(folder, result["page"]), self.value)
        os.remove(exchange_path(folder, "labels.npy"))
