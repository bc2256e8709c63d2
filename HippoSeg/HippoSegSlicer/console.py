"""Segmenting from Slicer's Python console, without any widget: one volume, many, frames, folders.

The same worker and the same core as the panel and the command line. Every function prints progress;
in the functions for many, a volume that fails becomes a row with its reason and the rest goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import slicer

from HippoSegLib.errors import Cancelled, HippoSegError, InputError
from HippoSegLib.flags import Flag, flag_columns

from .inputvolume import checkVolume, worldToLocal
from .jobs import Job, SegmentJob
from .logic import Logic
from .manyjobs import ManyJob
from .scene import placeBeside

#: Columns before the measurements in the rows of the functions for many volumes.
NAME, STATUS = "scan", "status"


def segment(  # noqa: PLR0913 - a person types these names in the console
    logic: Logic,
    volumeNode,
    *,
    model: str = "",
    device: str = "auto",
    parts: bool = False,
    singleReader: bool = False,
    protocol: str = "",
    region: str = "",
    points: Mapping | None = None,
    boxes: Mapping | None = None,
    preprocessing: Mapping | None = None,
    labelMap: bool = False,
    segmentationNode=None,
    replaceEdited: bool = False,
    output: Callable[[str], None] = print,
):
    """Segment a volume and wait for it.

    Args:
        volumeNode: Scalar volume.
        model, device, parts, preprocessing: As :func:`HippoSegLib.pipeline.segment` takes them.
        singleReader: The model's own reader alone, where it has a second one.
        protocol: "full" (also where nothing is given) or "msd".
        region: "left" or "right" if the volume is the crop of that hippocampus.
        points: Side -> world RAS mm of a point inside the hippocampus.
        boxes: Side -> (lower, upper) corners, world RAS mm, of a box around it.
        labelMap: Also make a label map volume.
        segmentationNode: Node to update; by default the volume's earlier result, if it was not edited.
        replaceEdited: Update it even if it was edited.
        output: Takes the lines of progress; None keeps quiet.

    Returns:
        The segmentation node and the measurements: columns of `HippoSegLib.results.volumes.COLUMNS`, with
        `status` ("ok" or "review"), `flags` (codes), `severity` and `remarks` (sentences).

    Raises:
        HippoSegError: What is wrong and what to do.
    """
    checkVolume(volumeNode)
    options = {
        "model": model,
        "device": device,
        "parts": parts,
        "protocol": protocol,
        "region_side": region,
        "preprocessing": dict(preprocessing or {}),
        "points": {side: worldToLocal(volumeNode, point).tolist() for side, point in (points or {}).items()},
        "boxes": {side: _localBox(volumeNode, box) for side, box in (boxes or {}).items()},
    }
    if singleReader:
        options["second_reader"] = False
    job = SegmentJob(volumeNode, options, segmentationNode, replaceEdited, labelMap)
    node = _run(logic, job, output, volumeNode.GetName())
    return node, {**job.received.row, **flag_columns(Flag(**flag) for flag in job.received.flags)}


def segmentAll(
    logic: Logic, volumeNodes=None, *, output: Callable[[str], None] = print, **options
) -> list[dict]:
    """Segment volumes of the scene one after the other.

    Args:
        volumeNodes: By default all scalar volumes that are not hidden and not previews, and every
            frame of the sequences among them.
        options: As in :func:`segment`.

    Returns:
        A row per volume or frame: `scan`, `status` ("ok", "review" or "failed"), measurements, `flags`
        (codes), `severity`, `remarks` (sentences), `error` (its code), `node`.
    """
    browsers = {}
    if volumeNodes is None:
        browsers = _volumeSequences()
        volumeNodes = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            if node.GetClassName() == "vtkMRMLScalarVolumeNode"
            and not node.GetHideFromEditors()
            and not node.GetAttribute("HippoSeg.Preview")
        ]
    rows = []
    for number, volumeNode in enumerate(volumeNodes, start=1):
        _say(output, f"{volumeNode.GetName()} ({number} of {len(volumeNodes)})")
        if volumeNode.GetID() in browsers:
            rows += segmentSequence(logic, browsers[volumeNode.GetID()], output=output, **options)
        else:
            rows.append(_row(logic, volumeNode, output, options))
    return rows


def _volumeSequences() -> dict:
    """Id of the volume that shows a sequence -> its browser."""
    found = {}
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"):
        sequence = browser.GetMasterSequenceNode()
        proxy = browser.GetProxyNode(sequence) if sequence is not None else None
        if proxy is not None:
            found[proxy.GetID()] = browser
    return found


def segmentSequence(
    logic: Logic, browserNode, *, output: Callable[[str], None] = print, **options
) -> list[dict]:
    """Segment every frame of a volume sequence; the results become a sequence beside it.

    Args:
        browserNode: Sequence browser whose master sequence holds volumes.
        options: As in :func:`segment`.

    Returns:
        A row per frame, as in :func:`segmentAll`; `node` is None.

    Raises:
        InputError: The sequence holds no volumes.
    """
    sequence = browserNode.GetMasterSequenceNode()
    proxy = browserNode.GetProxyNode(sequence) if sequence is not None else None
    if proxy is None or not proxy.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError("The sequence holds no volumes.", "Choose the browser of a volume sequence.")
    results = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{sequence.GetName()} hippocampi")
    results.SetIndexName(sequence.GetIndexName())
    results.SetIndexUnit(sequence.GetIndexUnit())
    rows, shown, work = [], browserNode.GetSelectedItemNumber(), None
    for number in range(sequence.GetNumberOfDataNodes()):
        browserNode.SetSelectedItemNumber(number)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browserNode)
        index = sequence.GetNthIndexValue(number)
        _say(output, f"{sequence.GetName()} {index} ({number + 1} of {sequence.GetNumberOfDataNodes()})")
        row = _row(logic, proxy, output, {**options, "segmentationNode": work, "replaceEdited": True})
        if row["node"] is not None:
            work = row["node"]
            results.SetDataNodeAtValue(work, index)
        rows.append({**row, NAME: f"{proxy.GetName()} {index}", "node": None})
    if work is not None:
        slicer.mrmlScene.RemoveNode(work.GetNodeReference("HippoSeg.Table"))
        slicer.mrmlScene.RemoveNode(work)
    browserNode.AddSynchronizedSequenceNode(results)
    browserNode.SetSelectedItemNumber(shown)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browserNode)
    shownNode = browserNode.GetProxyNode(results)
    if shownNode is not None:
        placeBeside(shownNode, proxy)
    return rows


def segmentFolder(
    logic: Logic, folder: str, outputFolder: str, *, output: Callable[[str], None] = print, **options
) -> list[dict]:
    """Segment the scans in a folder, as `hipposeg batch` does: files and one table in `outputFolder`.

    The same call again goes on where an earlier one ended.

    Args:
        folder: Of NIfTI, NRRD, MetaImage, FreeSurfer or DICOM files, in it or below, or the root of a BIDS
            data set; or a list (.txt, .csv, .tsv) of scans. Results of HippoSeg, and the output folder, are
            not looked at.
        options: As in :func:`HippoSegLib.batch.cohort.segment_cohort`; ``workers=2`` for two processes.

    Returns:
        The rows of the table, one per scan; `status` is "ok", "review" or "failed", and `what` says what this
        call did: that, or "skipped" or "refused".

    Raises:
        InputError: The folder holds no scans. OutputError: The output folder cannot be used.
    """
    if not os.path.exists(folder):
        raise InputError("There is no such folder.", "Choose another one.")
    job = ManyJob([os.path.abspath(folder)], os.path.abspath(outputFolder), options, withRows=True)
    return _run(logic, job, output, "")["rows"]


def _localBox(volumeNode, box) -> list[list[float]]:
    """The box in the volume's frame (LPS mm) around a box in the world (RAS mm)."""
    lower, upper = box
    corners = [
        worldToLocal(volumeNode, [(lower, upper)[i][0], (lower, upper)[j][1], (lower, upper)[k][2]])
        for i in (0, 1)
        for j in (0, 1)
        for k in (0, 1)
    ]
    return [
        [min(c[axis] for c in corners) for axis in range(3)],
        [max(c[axis] for c in corners) for axis in range(3)],
    ]


def _row(logic: Logic, volumeNode, output, options: Mapping) -> dict:
    row = {NAME: volumeNode.GetName(), STATUS: "failed", "node": None}
    try:
        node, measurements = segment(logic, volumeNode, output=output, **options)
    except Cancelled:
        raise
    except HippoSegError as error:
        _say(output, f"  {row[STATUS]}: {error}")
        return {**row, "flags": "", "severity": "error", "remarks": str(error), "error": error.code}
    return {**row, **measurements, "error": "", "node": node}


def _run(logic: Logic, job: Job, output, name: str):
    seen = set()

    def tell(reported: Job, stage: str, fraction: float) -> None:
        if reported is job and stage not in seen:
            seen.add(stage)
            _say(output, f"  {stage} ({100 * fraction:.0f} %)")

    logic.progress.connect(tell)
    try:
        return logic.run(job)
    finally:
        logic.progress.disconnect(tell)


def _say(output, line: str) -> None:
    if output is not None:
        output(line)
