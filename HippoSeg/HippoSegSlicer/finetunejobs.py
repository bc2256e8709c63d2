"""The job of fine-tuning: cases from the scene or from a folder, to the worker and back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import numpy as np
import slicer
from slicer.i18n import tr as _

from HippoSegLib.errors import InputError
from HippoSegLib.worker.exchange import exchange_path

from .inputvolume import checkVolume, geometry, voxels
from .jobs import Job
from .structures import STRUCTURES


def sceneCases() -> list[tuple]:
    """(volume node, segmentation node) of every segmentation in the scene that marks a hippocampus."""
    cases = []
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        volumeNode = node.GetNodeReference(
            slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        )
        if volumeNode is not None and segmentValues(node):
            cases.append((volumeNode, node))
    return cases


def segmentValues(segmentationNode) -> dict[str, int]:
    """Segment id -> HippoSeg's label value, by id or by what the name says (left, anterior …)."""
    segmentation = segmentationNode.GetSegmentation()
    values = {}
    for number in range(segmentation.GetNumberOfSegments()):
        segmentId = segmentation.GetNthSegmentID(number)
        name = segmentation.GetSegment(segmentId).GetName().lower()
        for value, structure in STRUCTURES.items():
            isNamed = structure.side in name and all(
                (part in name) == (part == structure.part) for part in ("anterior", "posterior")
            )
            if segmentId == structure.segmentId or (isNamed and not segmentId.startswith("HippoSeg_")):
                values[segmentId] = value
    return values


def labelArray(segmentationNode, volumeNode) -> np.ndarray:
    """(z, y, x) uint16 on the volume's grid, with HippoSeg's label values; parts lie over wholes."""
    array = np.zeros(slicer.util.arrayFromVolume(volumeNode).shape, np.uint16)
    for segmentId, value in sorted(segmentValues(segmentationNode).items(), key=lambda item: item[1]):
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentId, volumeNode)
        array[mask > 0] = value
    return array


class FineTuneJob(Job):
    """Check cases, or fine-tune on them: `value` is the worker's answer.

    The cases are copied when the worker is asked: what becomes of the scene afterwards does not matter.
    The answer is that of :func:`HippoSegLib.worker.finetunetask.finetune_task`, with ``pictures`` as paths.

    Args:
        folder: Of the site's files; "" takes the cases of the scene.
        output: Folder of the model to be made; "" only checks.
        options: ``region``, ``side``, ``label_map``, ``base``, ``device``.

    Raises:
        InputError: No cases in the scene, or a volume that cannot be used.
    """

    task = "finetune"
    needsScene = False
    runningWords = "A fine-tuning is already running."

    def __init__(self, folder: str, output: str, options: Mapping):
        super().__init__()
        self.output = output
        self._folder, self._options = folder, dict(options)
        self._cases = [] if folder else sceneCases()
        if not folder and not self._cases:
            raise InputError(
                "The scene has no volume with a segmentation of the hippocampus.",
                "Name the segments by side (left, right), or choose a folder of files.",
            )
        for volumeNode, _segmentation in self._cases:
            checkVolume(volumeNode)

    def arrays(self) -> dict[str, np.ndarray]:
        files = {}
        for number, (volumeNode, segmentationNode) in enumerate(self._cases):
            files[f"case-{number}.npy"] = voxels(volumeNode)
            files[f"case-{number}-label.npy"] = labelArray(segmentationNode, volumeNode)
        return files

    def request(self) -> dict:
        request = {**self._options, "output": self.output, "check_only": not self.output}
        if self._folder:
            return {**request, "site": self._folder}
        cases = []
        for number, (volumeNode, _segmentation) in enumerate(self._cases):
            name = f"{volumeNode.GetName()}_{number + 1}"
            where = geometry(volumeNode)
            image, label = ({"array": f"case-{number}{end}.npy", **where} for end in ("", "-label"))
            # Two segmentations of one volume are one subject.
            cases.append({"name": name, "subject": volumeNode.GetID(), "image": image, "label": label})
        return {**request, "cases": cases, "label_map": "hipposeg"}

    def accept(self, result: Mapping, folder: str) -> None:
        pictures = []
        for name in result["pictures"]:
            source = exchange_path(folder, name)
            pictures.append(os.path.join(slicer.app.temporaryPath, f"HippoSeg-{name}"))
            shutil.move(source, pictures[-1])
        self.value = {**result, "pictures": pictures}

    @property
    def words(self) -> str:
        """What came of it, in a sentence."""
        value = self.value
        bad = value["unusable"]
        if "words" not in value:
            words = [*value["warnings"]]
            if bad:
                words.append(_("{count} of the cases cannot be used.").format(count=bad))
            return " ".join(words) or _("The cases can be used; look at the remarks and the pictures.")
        words = [value["words"]]
        if value["is_default"]:
            words.append(_("It is chosen above, and is offered first from now on."))
        else:
            words.append(_("It is in the list of models, but not chosen."))
        return " ".join(words)
