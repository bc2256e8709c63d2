"""Jobs for many scans on the disk: segment them, page to review the results, one result into the scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from HippoSegLib.reference import Person
from HippoSegLib.worker.exchange import take_array

from . import scene
from .jobs import Job
from .person import setPerson
from .volumestable import placeTable
from .workersegmentation import Image, WorkerSegmentation, readSegmentation


class ManyJob(Job):
    """Segment files and folders on the disk, without the scene: `value` is the worker's answer.

    The answer is that of :func:`HippoSegLib.worker.cohorttask.cohort_task`.

    Args:
        inputs: Files, or folders of scans.
        output: Folder for the results.
        options: Fields of `HippoSegLib.options.SegmentOptions` and of
            `HippoSegLib.batch.request.BatchOptions`, plain values.
        withRows: Whether the answer is to hold all rows of the table.
    """

    task = "cohort"
    needsScene = False
    runningWords = "Many scans are being segmented already."

    def __init__(self, inputs: list[str], output: str, options: Mapping, withRows: bool = False):
        super().__init__()
        self.output = output
        self._request = {"inputs": inputs, "output": output, "options": dict(options), "rows": withRows}

    def request(self) -> dict:
        return self._request


class ReviewPageJob(Job):
    """Write the page to review the results in a folder: `value` is its path."""

    task = "review"
    needsScene = False

    def __init__(self, output: str):
        super().__init__()
        self._output = output

    def request(self) -> dict:
        return {"output": self._output}

    def accept(self, result: Mapping, folder: str) -> None:
        self.value = result["page"]


class LoadResultJob(Job):
    """Put a scan and its result from the disk into the scene: `value` is the segmentation node.

    Args:
        record: Path of the scan's record.

    Attributes:
        placedVolume: The scan's node, once it is there.
        received: The result, once it is there.
    """

    task = "load"

    def __init__(self, record: str):
        super().__init__()
        self._record = record
        self.placedVolume: Any = None
        self.received: WorkerSegmentation | None = None

    def request(self) -> dict:
        return {"record": self._record}

    def accept(self, result: Mapping, folder: str) -> None:
        one = result["image"]
        image = Image(take_array(folder, one["array"]), one["spacing"], one["origin"], one["direction"])
        received = readSegmentation(result, folder)
        volumeNode = scene.placeImage(image, result["name"])
        if result["person"]:
            setPerson(volumeNode, Person(**result["person"]))
        node = scene.placeSegmentation(received, volumeNode)
        placeTable(node, volumeNode)
        scene.showInViews(received, volumeNode)
        self.placedVolume, self.received, self.value = volumeNode, received, node
