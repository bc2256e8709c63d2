"""When the hippocampi are not found: points and boxes in the views, and on from there."""

from __future__ import annotations

import json

import numpy as np
from panelbed import PLAIN, add_volume
from test_slicer_scene import OBLIQUE, rotation, transform


def click_in_view(side_node, position) -> None:
    """What a click in a slice view does in place mode: the point list gets a defined point.

    With the events that follow it, for the panel goes on after the click, not within it.
    """
    import slicer

    side_node.AddControlPointWorld(*[float(value) for value in position])
    slicer.app.processEvents()


def options_of(node) -> dict:
    return json.loads(node.GetAttribute("HippoSeg.Provenance"))["options"]


def active_place_node():
    import slicer

    selection = slicer.app.applicationLogic().GetSelectionNode()
    return slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID() or "")


def test_not_found_asks_for_a_click_on_each_and_goes_on(panel, steer):
    import slicer

    moved = rotation(20, 1)
    moved[:3, 3] = (10, 20, 30)
    volume = add_volume("T1", OBLIQUE)
    volume.SetAndObserveTransformNodeID(transform(moved).GetID())
    panel.parameters.inputVolume = volume
    steer("not-found")
    panel.segment()
    assert "No hippocampus was found" in panel.ui.messageLabel.text
    assert not panel.ui.placeButton.collapsed
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    left_node = active_place_node()
    assert left_node is panel.parameters.placeLeft
    ijk = {"left": (28, 15, 12), "right": (12, 15, 12)}
    click_in_view(left_node, (moved @ OBLIQUE @ np.append(ijk["left"], 1))[:3])
    assert active_place_node() is panel.parameters.placeRight and panel.result is None
    click_in_view(panel.parameters.placeRight, (moved @ OBLIQUE @ np.append(ijk["right"], 1))[:3])
    panel.wait()  # it goes on by itself
    points = options_of(panel.result)["points"]
    for side, index in ijk.items():
        expected = np.diag([-1, -1, 1]) @ (OBLIQUE @ np.append(index, 1))[:3]  # LPS, the volume's own frame
        assert np.allclose(points[side], expected, atol=1e-6)


def test_one_side_alone_can_be_given(panel):
    panel.parameters.inputVolume = add_volume("T1")
    panel.open("placeButton")
    panel.click("placeRightButton")
    assert panel.ui.placeStateLabel.text.startswith("Nothing placed")
    click_in_view(panel.parameters.placeRight, (-8, 0, 0))
    assert "Placed: right" in panel.ui.placeStateLabel.text and panel.result is None
    panel.segment()
    assert list(options_of(panel.result)["points"]) == ["right"]


def test_a_box_in_place_of_a_point(panel):
    volume = add_volume("T1", PLAIN)
    panel.parameters.inputVolume = volume
    panel.open("placeButton")
    panel.click("placeLeftButton")
    panel.click("boxLeftButton")
    box = panel.parameters.placeLeft
    assert box.IsA("vtkMRMLMarkupsROINode") and "Placed: left" in panel.ui.placeStateLabel.text
    box.SetCenterWorld(-8.0, 1.0, 2.0)
    box.SetSize(10.0, 20.0, 30.0)
    panel.segment()
    options = options_of(panel.result)
    assert "points" not in options
    lower, upper = options["boxes"]["left"]
    assert np.allclose(lower, (8 - 5, -1 - 10, 2 - 15)) and np.allclose(upper, (8 + 5, -1 + 10, 2 + 15))


def test_clear_removes_points_and_boxes(panel):
    import slicer

    panel.parameters.inputVolume = add_volume("T1")
    count = slicer.mrmlScene.GetNumberOfNodes()
    assert not panel.ui.clearPlacesButton.enabled
    panel.open("placeButton")
    panel.click("boxLeftButton")
    panel.click("boxRightButton")
    panel.click("clearPlacesButton")
    assert panel.parameters.placeLeft is None and panel.parameters.placeRight is None
    assert not slicer.util.getNodesByClass("vtkMRMLMarkupsNode")
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    panel.segment()
    assert "points" not in options_of(panel.result) and "boxes" not in options_of(panel.result)


def test_points_are_saved_with_the_scene(panel, tmp_path):
    import slicer

    panel.parameters.inputVolume = add_volume("T1")
    panel.open("placeButton")
    panel.click("placeLeftButton")
    click_in_view(panel.parameters.placeLeft, (8, 1, 2))
    path = str(tmp_path / "s.mrb")
    slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    assert panel.ui.placeStateLabel.text.startswith("Nothing placed")
    slicer.util.loadScene(path)
    assert "Placed: left" in panel.ui.placeStateLabel.text


def test_crops_need_no_places(panel):
    panel.parameters.inputVolume = add_volume("T1")
    panel.open("placeButton")
    panel.click("boxLeftButton")
    panel.ui.regionComboBox.setCurrentIndex(1)
    panel.segment()
    assert options_of(panel.result) == {"parts": False, "region_side": "left"}


def test_two_clicks_of_the_mouse_in_a_real_view(panel, steer):
    """Mouse events into Slicer's own markups widget: the second click must find place mode on."""
    import rendering
    import slicer

    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    view = rendering.SliceView("Green", "Axial", volume, (0, 0, 0), interactive=True)
    view.window.Render()
    steer("not-found")
    panel.segment()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    view.click(150, 210)
    slicer.app.processEvents()
    assert isDefined(panel.parameters.placeLeft)
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert active_place_node() is panel.parameters.placeRight
    view.click(280, 210)
    slicer.app.processEvents()
    panel.wait()
    assert isDefined(panel.parameters.placeRight)
    assert sorted(options_of(panel.result)["points"]) == ["left", "right"]


def isDefined(node) -> bool:
    return node.GetNumberOfControlPoints() == 1 and (
        node.GetNthControlPointPositionStatus(0) == node.PositionDefined
    )
