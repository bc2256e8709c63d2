"""The result in the scene: voxels, geometry, transforms, terminology, hierarchy, editing, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from panelbed import PLAIN, add_volume, ellipsoids, masks

from HippoSegLib.errors import InputError


def segment(logic, volume, **options):
    from HippoSegSlicer import console

    return console.segment(logic, volume, output=None, **options)


def transform(matrix=None, kind="vtkMRMLLinearTransformNode"):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass(kind, "transform")
    if matrix is not None:
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.asarray(matrix, float)))
    return node


def rotation(degrees: float, axis: int) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    i, j = [a for a in range(3) if a != axis]
    matrix = np.eye(4)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


OBLIQUE = rotation(25, 2) @ rotation(-15, 0) @ PLAIN @ np.diag([0.8, 1.1, 2.3, 1])
GEOMETRIES = {
    "plain": PLAIN,
    "oblique and anisotropic": OBLIQUE,
    "sagittal": PLAIN[:, [1, 2, 0, 3]],
    "flipped": PLAIN @ np.diag([-1, 1, -1, 1]),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_voxels_lie_where_they_were_found(logic, name):
    """Same voxels of the array, same place in the world, side by the patient's left."""
    import slicer

    matrix = GEOMETRIES[name]
    volume = add_volume("T1", matrix)
    node, _row = segment(logic, volume)
    found = masks(node, volume)
    assert np.array_equal(found["Left hippocampus"] | found["Right hippocampus"], ellipsoids() > 50)
    world = {}
    for side, mask in found.items():
        ijk = np.argwhere(mask)[:, ::-1].mean(axis=0)
        world[side] = (matrix @ np.append(ijk, 1))[:3]
    assert world["Left hippocampus"][0] < world["Right hippocampus"][0]  # RAS: left is smaller
    geometry = (
        slicer.util.getNode(node.GetID()).GetSegmentation().GetConversionParameter("Reference image geometry")
    )
    assert geometry and node.GetNodeReference("referenceImageGeometryRef") is volume


def test_the_worker_gets_the_geometry_simpleitk_would_read(logic, tmp_path):
    """The volume's own matrix, in LPS: the same image read from a file by SimpleITK."""
    import SimpleITK as sitk
    import slicer

    volume = add_volume("T1", OBLIQUE)
    node, _row = segment(logic, volume)
    spacing, origin, direction = json.loads(node.GetAttribute("HippoSeg.Provenance"))["geometry"]
    path = str(tmp_path / "t1.nrrd")
    slicer.util.saveNode(volume, path)
    image = sitk.ReadImage(path)
    assert np.allclose(spacing, image.GetSpacing(), atol=1e-5)
    assert np.allclose(origin, image.GetOrigin(), atol=1e-4)
    assert np.allclose(direction, image.GetDirection(), atol=1e-5)


def test_parts_have_their_own_voxels_and_label_values(logic):
    volume = add_volume("T1")
    node, _row = segment(logic, volume, parts=True)
    found = masks(node, volume)
    assert len(found) == 4
    assert np.array_equal(sum(mask.astype(int) for mask in found.values()), (ellipsoids() > 50).astype(int))
    front = np.argwhere(found["Left hippocampus, anterior"])[:, 1]
    back = np.argwhere(found["Left hippocampus, posterior"])[:, 1]
    assert front.max() < back.min()  # j runs to the back
    segmentation = node.GetSegmentation()
    values = [segmentation.GetNthSegment(i).GetLabelValue() for i in range(4)]
    assert sorted(values) == [171, 172, 531, 532]


def test_names_terminology_and_colours(logic):
    import slicer
    import vtk

    node, _row = segment(logic, add_volume("T1"))
    segmentation = node.GetSegmentation()
    entries = {}
    for number in range(2):
        one = segmentation.GetNthSegment(number)
        tag = vtk.reference("")
        assert one.GetTag(one.GetTerminologyEntryTagName(), tag)
        entry = slicer.vtkSlicerTerminologyEntry()
        assert slicer.modules.terminologies.logic().DeserializeTerminologyEntry(str(tag), entry)
        entries[one.GetName()] = (
            entry.GetTypeObject().GetCodeValue(),
            entry.GetTypeModifierObject().GetCodeValue(),
            one.GetColor(),
            one.GetLabelValue(),
        )
    assert entries["Left hippocampus"][:2] == ("5366008", "7771000")
    assert entries["Right hippocampus"][:2] == ("5366008", "24028007")
    assert [entries[name][3] for name in ("Left hippocampus", "Right hippocampus")] == [17, 53]
    # Orange and sky blue of Okabe and Ito: told apart with every common colour-vision deficiency.
    assert np.allclose(entries["Left hippocampus"][2], (0.902, 0.624, 0.0))
    assert np.allclose(entries["Right hippocampus"][2], (0.337, 0.706, 0.914))


@pytest.mark.parametrize("moved", [np.eye(4), rotation(30, 1), rotation(180, 2)])
def test_under_a_linear_transform_the_result_moves_with_the_volume(logic, moved):
    """The surface lies, in the world, where the bright voxels lie."""
    import slicer
    import vtk

    moved = moved.copy()
    moved[:3, 3] = (50, -20, 10)
    volume = add_volume("T1", OBLIQUE)
    volume.SetAndObserveTransformNodeID(transform(moved).GetID())
    node, row = segment(logic, volume)
    assert node.GetTransformNodeID() == volume.GetTransformNodeID()
    assert not row["flags"]
    ijk = np.argwhere(ellipsoids() > 50)[:, ::-1]
    expected = (moved @ OBLIQUE @ np.c_[ijk, np.ones(len(ijk))].T)[:3].mean(axis=1)
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    center = np.array(bounds).reshape(3, 2).mean(axis=1)
    points = []
    for number in range(2):
        surface = vtk.vtkPolyData()
        node.GetClosedSurfaceRepresentation(node.GetSegmentation().GetNthSegmentID(number), surface)
        points.append(
            slicer.util.arrayFromVTKMatrix(vtk.vtkMatrix4x4())[:3, :3] @ np.array(surface.GetCenter())
        )
    world = (moved @ np.append(np.mean(points, axis=0), 1))[:3]
    assert np.linalg.norm(world - expected) < 1.5 and np.linalg.norm(center - expected) < 3
    found = masks(node, volume)
    assert np.array_equal(found["Left hippocampus"] | found["Right hippocampus"], ellipsoids() > 50)


def test_a_chain_of_transforms_counts_as_one(logic):
    volume = add_volume("T1")
    inner, outer = transform(rotation(20, 0)), transform(rotation(10, 1))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    volume.SetAndObserveTransformNodeID(inner.GetID())
    node, _row = segment(logic, volume)
    assert node.GetParentTransformNode() is inner
    mirror = transform(np.diag([1.0, -1, 1, 1]))
    outer.SetAndObserveTransformNodeID(mirror.GetID())
    with pytest.raises(InputError, match="mirrors the head"):
        segment(logic, volume)


def test_a_mirroring_transform_is_refused(logic):
    volume = add_volume("T1")
    volume.SetAndObserveTransformNodeID(transform(np.diag([-1.0, 1, 1, 1])).GetID())
    with pytest.raises(InputError, match="left and right would be exchanged"):
        segment(logic, volume)


@pytest.mark.parametrize("kind", ["vtkMRMLBSplineTransformNode", "vtkMRMLGridTransformNode"])
def test_a_bending_transform_is_refused_with_the_remedy(logic, kind):
    volume = add_volume("T1")
    volume.SetAndObserveTransformNodeID(transform(kind=kind).GetID())
    with pytest.raises(InputError, match="non-linear.*Harden"):
        segment(logic, volume)


def test_a_scaling_transform_is_remarked(logic):
    volume = add_volume("T1")
    plain = segment(logic, volume)[1]
    volume.SetAndObserveTransformNodeID(transform(np.diag([1.1, 1, 1, 1])).GetID())
    row = segment(logic, volume)[1]
    assert row["left_mm3"] == plain["left_mm3"]
    assert "factor 1.100" in row["remarks"] and (row["status"], row["flags"]) == ("review", "transform")


def test_sheared_axes_are_refused(logic):
    sheared = PLAIN.copy()
    sheared[0, 1] = 0.3
    with pytest.raises(InputError, match="right angles"):
        segment(logic, add_volume("T1", sheared))


def test_the_result_stands_beside_the_volume_in_the_hierarchy(logic):
    import slicer

    volume = add_volume("T1")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    hierarchy.CreateItem(study, volume)
    node, _row = segment(logic, volume, labelMap=True)
    table = node.GetNodeReference("HippoSeg.Table")
    labels = node.GetNodeReference("HippoSeg.LabelMap")
    for one in (node, table, labels):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(one)) == study


def test_surfaces_and_views(logic):
    import slicer

    volume = add_volume("T1", OBLIQUE)
    node, _row = segment(logic, volume)
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    assert node.GetDisplayNode().GetPreferredDisplayRepresentationName3D() == "Closed surface"
    # The scene keeps the nodes of views that other files of tests have made.
    nodes = [slicer.util.getNodesByClass(f"vtkMRMLSlice{kind}Node") for kind in ("Composite", "")]
    (composite,), (view,) = ([one for one in kind if one.GetLayoutName() == "Red"] for kind in nodes)
    assert composite.GetBackgroundVolumeID() == volume.GetID()
    ijk = np.argwhere(ellipsoids() > 50)[:, ::-1].mean(axis=0)
    expected = (OBLIQUE @ np.append(ijk, 1))[:3]
    toRas = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
    assert abs((expected - toRas[:3, 3]) @ toRas[:3, 2]) < 0.01  # the slice passes through it


def test_the_label_map_has_the_values_on_the_volumes_grid(logic):
    import slicer

    volume = add_volume("T1", OBLIQUE)
    volume.SetAndObserveTransformNodeID(transform(rotation(30, 1)).GetID())
    node, _row = segment(logic, volume, labelMap=True)
    labels = node.GetNodeReference("HippoSeg.LabelMap")
    array, found = slicer.util.arrayFromVolume(labels), masks(node, volume)
    assert np.array_equal(array == 17, found["Left hippocampus"])
    assert np.array_equal(array == 53, found["Right hippocampus"])
    assert labels.GetTransformNodeID() == volume.GetTransformNodeID()
    import vtk

    matrices = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
    for one, matrix in zip((volume, labels), matrices, strict=True):
        one.GetIJKToRASMatrix(matrix)
    assert np.allclose(*(slicer.util.arrayFromVTKMatrix(matrix) for matrix in matrices))
    assert labels.GetDisplayNode().GetColorNode().GetColorName(17) == "Left hippocampus"
    again, _row = segment(logic, volume, labelMap=True)
    assert again.GetNodeReference("HippoSeg.LabelMap") is labels


def test_a_second_run_updates_the_same_node(logic):
    import slicer

    volume = add_volume("T1")
    first, _row = segment(logic, volume)
    first.GetSegmentation().GetNthSegment(0).SetName("mine")
    count = slicer.mrmlScene.GetNumberOfNodes()
    second, _row = segment(logic, volume)
    assert second is first and slicer.mrmlScene.GetNumberOfNodes() == count
    assert second.GetSegmentation().GetNthSegment(0).GetName() == "mine"  # no voxel was edited
    third, _row = segment(logic, volume, parts=True)
    assert third is first and third.GetSegmentation().GetNumberOfSegments() == 4


def edit(node, volume):
    """What the Segment Editor does: another set of voxels in a segment."""
    import slicer

    segment_id = node.GetSegmentation().GetNthSegmentID(0)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume).copy()
    filled = np.argwhere(mask)
    mask[filled[0][0]] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray((mask > 0).astype(np.uint8), node, segment_id, volume)


def test_an_edited_result_is_kept_and_a_new_node_made(logic):
    volume = add_volume("T1")
    first, _row = segment(logic, volume)
    edit(first, volume)
    kept = masks(first, volume)
    second, _row = segment(logic, volume)
    assert second is not first
    assert all(np.array_equal(mask, masks(first, volume)[name]) for name, mask in kept.items())
    third, _row = segment(logic, volume)
    assert third is second  # the newest one, which nobody edited


@pytest.mark.parametrize("answer", ["replace", "new", None])
def test_the_panel_asks_before_it_replaces_an_edited_result(panel, answer):
    import slicer

    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    panel.segment()
    first = panel.result
    panel.segment()
    assert not panel.questions.asked
    edit(first, volume)
    panel.questions.edited = answer
    panel.click("segmentButton")
    panel.wait()
    assert panel.questions.asked == ["T1 hippocampi"]
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == (2 if answer == "new" else 1)
    found = masks(first, volume)
    is_whole = np.array_equal(found["Left hippocampus"] | found["Right hippocampus"], ellipsoids() > 50)
    assert is_whole == (answer == "replace")


def test_adding_or_removing_a_segment_is_an_edit_and_showing_it_is_not(logic):
    from HippoSegSlicer.scene import isEdited

    volume = add_volume("T1")
    node, _row = segment(logic, volume)
    node.GetDisplayNode().SetOpacity(0.5)
    node.RemoveClosedSurfaceRepresentation()
    assert not isEdited(node)
    node.GetSegmentation().AddEmptySegment("other", "other")
    assert isEdited(node)


def test_undo_takes_the_result_back(logic):
    import slicer

    slicer.mrmlScene.SetUndoOn()
    for name in ("vtkMRMLSegmentationNode", "vtkMRMLTableNode"):
        default = slicer.mrmlScene.CreateNodeByClass(name)
        default.UnRegister(None)
        default.SetUndoEnabled(True)
        slicer.mrmlScene.AddDefaultNode(default)
    try:
        volume = add_volume("T1")
        segment(logic, volume)
        assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        slicer.mrmlScene.Undo()
        assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        assert slicer.mrmlScene.GetNodeByID(volume.GetID()) is volume
    finally:
        slicer.mrmlScene.SetUndoOff()
        slicer.mrmlScene.RemoveAllDefaultNodes()


def test_seg_nrrd_is_read_alike_by_slicer_and_by_an_independent_reader(logic, tmp_path):
    import slicer

    slicerio = pytest.importorskip("slicerio")

    volume = add_volume("T1", OBLIQUE)
    node, _row = segment(logic, volume, parts=True)
    before = masks(node, volume)
    path = str(tmp_path / "výsledek s mezerou.seg.nrrd")
    assert slicer.util.saveNode(node, path)
    read = slicerio.read_segmentation(path)
    assert {one["name"] for one in read["segments"]} == set(before)
    for one in read["segments"]:
        assert one["terminology"]["type"] == ["SCT", "5366008", "Hippocampus"]
        side = "Left" if one["name"].startswith("Left") else "Right"
        assert one["terminology"]["typeModifier"][2] == side
        assert (read["voxels"] == one["labelValue"]).sum() == before[one["name"]].sum()
    slicer.mrmlScene.RemoveNode(node)
    loaded = slicer.util.loadSegmentation(path)
    after = masks(loaded, volume)
    assert all(np.array_equal(after[name], mask) for name, mask in before.items())
    assert {one["labelValue"] for one in read["segments"]} == {171, 172, 531, 532}


def test_mrb_keeps_names_colours_terminology_voxels_and_the_link(logic, tmp_path):
    import slicer
    import vtk
    from HippoSegSlicer.scene import isEdited, resultOf

    volume = add_volume("T1 / č")
    node, _row = segment(logic, volume)
    segmentation = node.GetSegmentation()

    def description(segmentation):
        found = []
        for number in range(segmentation.GetNumberOfSegments()):
            one, tag = segmentation.GetNthSegment(number), vtk.reference("")
            one.GetTag(one.GetTerminologyEntryTagName(), tag)
            found.append((one.GetName(), np.round(one.GetColor(), 3).tolist(), str(tag), one.GetLabelValue()))
        return sorted(found)

    before, voxels = description(segmentation), masks(node, volume)
    path = str(tmp_path / "scéna 1.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(path)
    volume = slicer.util.getNode("T1 / č")
    loaded = resultOf(volume)
    assert description(loaded.GetSegmentation()) == before
    assert all(np.array_equal(mask, masks(loaded, volume)[name]) for name, mask in voxels.items())
    assert not isEdited(loaded)
    assert loaded.GetNodeReference("HippoSeg.Table").GetNumberOfRows() > 3
    again, _row = segment(logic, volume)
    assert again is loaded
