"""The volumes: a table node, measuring again after corrections, and text for clipboard and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping

import slicer
import vtk
from slicer.i18n import tr as _

from HippoSegLib.errors import InputError
from HippoSegLib.labels import PART, PARTS, SIDES, WHOLE
from HippoSegLib.reference import Judgement

from .comparison import judgementOf
from .inputvolume import checkVolume, voxelVolume
from .scene import FLAGS, INPUT, PROVENANCE, ROW, isEdited, placeBeside
from .sentences import translated
from .structures import STRUCTURES
from .summary import readers

#: Reference from the segmentation node to its table.
TABLE = "HippoSeg.Table"


def comparisonRows(judgement: Judgement | None) -> list[tuple[str, str, str]]:
    """The rows of a comparison with a reference; empty where nothing is compared."""
    if judgement is None or not judgement.measures:
        return []
    from HippoSegLib.report.comparison import percentile_words

    names = {
        "left": _("Left, percentile"),
        "right": _("Right, percentile"),
        "total": _("Both, percentile"),
        "asymmetry": _("Right minus left, percentile"),
    }
    rows = [
        (name, percentile_words(judgement.measures[measure]), "")
        for measure, name in names.items()
        if measure in judgement.measures
    ]
    if judgement.less_asymmetric_controls is not None:
        words = _("{count} of {all}").format(count=judgement.less_asymmetric_controls, all=judgement.controls)
        rows.append((_("Controls with a smaller asymmetry"), words, ""))
    return rows


def tableRows(
    row: dict, flags: list[dict], provenance: Mapping, judgement: Judgement | None = None
) -> list[tuple[str, str, str]]:
    """The rows of the table: measure, value, unit; what is unknown is left out.

    Args:
        row: Columns of `HippoSegLib.results.volumes.COLUMNS`.
        flags: Remarks, shown as rows of their own.
        provenance: What read the scan, and how.
        judgement: How the result compares with a reference, where there is one.
    """
    from HippoSegLib.results.wording import number, unit_of

    names = [
        ("left_quality", _("Left, confidence (0 to 1)")),
        ("right_quality", _("Right, confidence (0 to 1)")),
        ("left_mm3", _("Left hippocampus")),
        ("left_anterior_mm3", _("Left hippocampus, anterior")),
        ("left_posterior_mm3", _("Left hippocampus, posterior")),
        ("right_mm3", _("Right hippocampus")),
        ("right_anterior_mm3", _("Right hippocampus, anterior")),
        ("right_posterior_mm3", _("Right hippocampus, posterior")),
        ("total_mm3", _("Both hippocampi")),
        ("asymmetry_index", _("Asymmetry (right − left) / mean")),
        ("intracranial_mm3", _("Intracranial volume")),
        ("left_per_mille_of_intracranial", _("Left / intracranial")),
        ("right_per_mille_of_intracranial", _("Right / intracranial")),
        ("total_per_mille_of_intracranial", _("Both / intracranial")),
    ]
    rows = []
    for key, name in names:
        if row.get(key) is not None:
            unit = unit_of(key)
            rows.append((name, number(row[key], unit), unit.symbol))
    rows += comparisonRows(judgement)
    # A row for each: two names would not fit.
    rows += [(_("Read by"), name, "") for name in readers(provenance)]
    if (provenance.get("settings") or {}).get("protocol") == "msd":
        rows.append((_("Protocol: without the end of the tail"), "MSD", ""))
    return rows + [(_("Remark"), translated(flag["message"]), "") for flag in flags]


def placeTable(segmentationNode, volumeNode):
    """Make or update the table node of a result from the figures the node carries."""
    row = json.loads(segmentationNode.GetAttribute(ROW) or "{}")
    flags = json.loads(segmentationNode.GetAttribute(FLAGS) or "[]")
    node = segmentationNode.GetNodeReference(TABLE)
    if node is None:
        name = _("{volume} hippocampal volumes").format(volume=volumeNode.GetName())
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
        segmentationNode.SetNodeReferenceID(TABLE, node.GetID())
    wasModifying = node.StartModify()
    node.RemoveAllColumns()
    provenance = json.loads(segmentationNode.GetAttribute(PROVENANCE) or "{}")
    rows = tableRows(row, flags, provenance, judgementOf(segmentationNode))
    for column, title in enumerate((_("Measure"), _("Value"), _("Unit"))):
        array = vtk.vtkStringArray()
        array.SetName(title)
        for line in rows:
            array.InsertNextValue(line[column])
        node.AddColumn(array)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    node.EndModify(wasModifying)
    placeBeside(node, volumeNode)
    return node


def measureAgain(segmentationNode):
    """Measure the segments as they are now and bring the table up to date.

    Voxels of the input's grid are counted per segment (segments that were renamed keep their id) and
    multiplied with the voxel's volume; the intracranial volume stays that of the segmentation.

    Returns:
        The row, see :func:`tableRows`.

    Raises:
        InputError: The node is no result of HippoSeg, or its volume is gone.
    """
    from HippoSegLib.flags import doubted_sides
    from HippoSegLib.results.plausibility import CODES, volume_flags
    from HippoSegLib.results.volumes import Measurements

    if segmentationNode is None or not segmentationNode.GetAttribute(ROW):
        raise InputError("There is no result of HippoSeg to measure.", "Segment the volume first.")
    volumeNode = segmentationNode.GetNodeReference(INPUT)
    if volumeNode is None:
        raise InputError(
            "The volume that was segmented is no longer in the scene.", "Load it again, segment anew."
        )
    earlier = json.loads(segmentationNode.GetAttribute(ROW))
    volumes = _segmentVolumes(segmentationNode, volumeNode)
    whole, parts = {}, {}
    for side in SIDES:
        ofParts = {part: volumes.get(PART[side][part], 0.0) for part in PARTS}
        total = volumes.get(WHOLE[side], 0.0) + sum(ofParts.values())
        if total > 0:
            whole[side] = total
        if sum(ofParts.values()) > 0:
            parts[side] = ofParts
    # What was expected of the outlines as they came says nothing of edited ones.
    edited = isEdited(segmentationNode)
    scores = {side: None if edited else earlier.get(f"{side}_quality") for side in SIDES}
    quality = {side: value for side, value in scores.items() if value is not None}
    measurements = Measurements(whole, parts, earlier.get("intracranial_mm3"), quality)
    # Remarks on volumes are made anew, the others stand.
    flags = json.loads(segmentationNode.GetAttribute(FLAGS) or "[]")
    stale = (*CODES, "edited") + (("quality", "disagreement") if edited else ())
    flags = [flag for flag in flags if flag["code"] not in stale]
    # A person who edits an outline has judged it.
    names = [f"{flag['code']}:{flag['side']}" if flag["side"] else flag["code"] for flag in flags]
    doubted = doubted_sides(names) if edited or quality else None
    flags += [vars(flag) for flag in volume_flags(measurements, doubted)]
    if edited:
        message = _("The segments were edited by hand after the segmentation.")
        flags.append({"code": "edited", "message": message, "side": None, "severity": "info"})
    segmentationNode.SetAttribute(ROW, json.dumps(measurements.as_row()))
    segmentationNode.SetAttribute(FLAGS, json.dumps(flags))
    placeTable(segmentationNode, volumeNode)
    return measurements.as_row()


def _segmentVolumes(segmentationNode, volumeNode) -> dict[int, float]:
    """Label value -> mm³ of the segments HippoSeg knows."""
    checkVolume(volumeNode)
    unit = voxelVolume(volumeNode)
    volumes = {}
    for value, structure in STRUCTURES.items():
        if segmentationNode.GetSegmentation().GetSegment(structure.segmentId) is None:
            continue
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, structure.segmentId, volumeNode)
        volumes[value] = float((mask > 0).sum()) * unit
    return volumes


def tableText(tableNode, delimiter: str = ",") -> str:
    """The table as text: one line of titles, one per row; for the clipboard with tabs."""
    table = tableNode.GetTable()
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow([table.GetColumnName(column) for column in range(table.GetNumberOfColumns())])
    for line in range(table.GetNumberOfRows()):
        writer.writerow(
            [table.GetValue(line, column).ToString() for column in range(table.GetNumberOfColumns())]
        )
    return out.getvalue()


def writeCsv(tableNode, path: str) -> None:
    """Write the table as CSV (UTF-8), whole or not at all; an existing file is replaced.

    Raises:
        OutputError: It cannot be written.
    """
    from HippoSegLib.io.atomic import replacing

    with replacing(path, overwrite=True) as temporary:
        # With a byte order mark, so that spreadsheets read the units.
        temporary.write_text(tableText(tableNode), encoding="utf-8-sig", newline="")
