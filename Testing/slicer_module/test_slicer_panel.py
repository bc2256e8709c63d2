"""The panel, by clicks: from the volume to the result, states, settings, models."""

from __future__ import annotations

import numpy as np
from panelbed import PLAIN, add_volume, ellipsoids, masks


def test_one_click_from_volume_to_segments(panel):
    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    panel.segment()
    found = masks(panel.result, volume)
    assert set(found) == {"Left hippocampus", "Right hippocampus"}
    truth = ellipsoids() > 50
    assert np.array_equal(found["Left hippocampus"] | found["Right hippocampus"], truth)
    # i runs to the patient's left here: the left hippocampus has the larger i.
    assert (
        np.argwhere(found["Left hippocampus"])[:, 2].min()
        > np.argwhere(found["Right hippocampus"])[:, 2].max()
    )
    assert panel.ui.messageLabel.text.startswith("Done in")
    assert panel.ui.volumesTable.mrmlTableNode() is not None
    assert not panel.ui.resultsButton.collapsed and not panel.ui.progressFrame.visible


def test_the_button_says_what_is_missing(panel):
    assert not panel.ui.segmentButton.enabled
    assert "No volume is chosen" in panel.ui.segmentButton.toolTip
    panel.click("segmentButton")  # a disabled button does nothing
    assert panel.result is None and not panel.logic.isBusy
    panel.parameters.inputVolume = add_volume("T1")
    assert panel.ui.segmentButton.enabled
    panel.parameters.model = "no such model"
    assert not panel.ui.segmentButton.enabled and "no such model" in panel.ui.segmentButton.toolTip


def test_the_shown_volume_is_chosen_until_the_user_chooses(panel):
    import slicer

    first, second = add_volume("first"), add_volume("second")
    slicer.util.setSliceViewerLayers(background=second)
    panel.panel.enter()
    assert panel.ui.inputSelector.currentNode() is second
    panel.ui.inputSelector.setCurrentNode(first)
    panel.panel.enter()
    assert panel.parameters.inputVolume is first
    assert panel.ui.inputSelector.nodeIDs() == [first.GetID(), second.GetID()]


def test_label_maps_and_vector_volumes_are_not_offered(panel):
    import slicer

    add_volume("T1")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colours")
    assert len(panel.ui.inputSelector.nodeIDs()) == 1


def test_two_volumes_keep_their_own_results(panel):
    first, second = add_volume("first"), add_volume("second")
    for volume in (first, second):
        panel.ui.inputSelector.setCurrentNode(volume)
        panel.segment()
    results = []
    for volume in (first, second):
        panel.ui.inputSelector.setCurrentNode(volume)
        results.append(panel.result)
        assert panel.ui.volumesTable.mrmlTableNode().GetName() == f"{volume.GetName()} hippocampal volumes"
    assert results[0] is not results[1]
    assert [node.GetName() for node in results] == ["first hippocampi", "second hippocampi"]


def test_devices_are_offered_with_words(panel):
    panel.ui.advancedButton.collapsed = False  # the devices are tried out now
    panel.testbed.waitFor(lambda: panel.ui.deviceComboBox.count == 3)
    combo = panel.ui.deviceComboBox
    assert [combo.itemText(i) for i in range(3)] == ["Automatic", "CPU, 2 threads", "Card B (cuda:1)"]
    assert "Automatic: Card B" in panel.ui.deviceLabel.text
    assert "Not offered: Card A (cuda:0): its test failed" in panel.ui.deviceLabel.text
    combo.setCurrentIndex(2)
    assert panel.parameters.device == "cuda:1"
    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    panel.segment()
    import json

    assert json.loads(panel.result.GetAttribute("HippoSeg.Provenance"))["device"] == "cuda:1"


def test_a_device_saved_elsewhere_is_not_silently_replaced(panel):
    panel.parameters.device = "cuda:7"
    panel.ui.advancedButton.collapsed = False  # the devices are tried out now
    panel.testbed.waitFor(lambda: panel.ui.deviceComboBox.count == 3)
    assert panel.parameters.device == "auto"
    assert "cuda:7 was chosen before and is not usable" in panel.ui.deviceLabel.text


def test_what_the_widgets_say_reaches_the_segmentation(panel):
    import json

    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    panel.ui.regionComboBox.setCurrentIndex(2)
    panel.click("partsCheckBox")
    panel.click("labelMapCheckBox")
    panel.segment()
    assert set(masks(panel.result, volume)) == {"Right hippocampus, anterior", "Right hippocampus, posterior"}
    options = json.loads(panel.result.GetAttribute("HippoSeg.Provenance"))["options"]
    assert options == {"parts": True, "region_side": "right"}
    import slicer

    (labels,) = slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeNode")
    assert set(np.unique(slicer.util.arrayFromVolume(labels))) == {0, 531, 532}


def test_every_control_has_a_tooltip(panel):
    qt = panel.testbed.qt
    kinds = (qt.QAbstractButton, qt.QComboBox, qt.QAbstractSpinBox, qt.QAbstractItemView, qt.QProgressBar)
    for name, widget in vars(panel.ui).items():
        isControl = isinstance(widget, kinds) or type(widget).__name__ in (
            "ctkSliderWidget",
            "qMRMLNodeComboBox",
        )
        if isControl and not name.startswith("qt_"):
            assert widget.toolTip, name


def test_settings_are_saved_with_the_scene_and_restored(panel, tmp_path):
    import slicer

    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    panel.ui.regionComboBox.setCurrentIndex(1)
    panel.click("partsCheckBox")
    panel.click("claheCheckBox")
    panel.ui.clipLimitSlider.setValue(0.05)
    panel.ui.protocolComboBox.setCurrentIndex(1)
    panel.parameters.singleReader = True
    wanted = panel.parameters.preprocessing
    path = tmp_path / "scéna s mezerou.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    assert panel.ui.inputSelector.currentNode() is None
    assert panel.ui.regionComboBox.currentIndex == 0 and not panel.ui.partsCheckBox.checked
    assert panel.ui.protocolComboBox.currentIndex == 0 and not panel.parameters.singleReader
    slicer.util.loadScene(str(path))
    assert panel.ui.inputSelector.currentNode().GetName() == "T1"
    assert panel.ui.regionComboBox.currentIndex == 1 and panel.ui.partsCheckBox.checked
    assert panel.ui.protocolComboBox.currentIndex == 1 and panel.parameters.singleReader
    assert panel.parameters.preprocessing == wanted and wanted
    panel.segment()
    assert panel.result is not None


def test_a_scene_opened_with_the_panel_open_is_shown(panel, tmp_path):
    """File > Open scene calls Connect: EndImportEvent comes within a batch, whose end is all that follows."""
    import slicer

    volume = add_volume("SavedT1")
    panel.parameters.inputVolume = volume
    panel.parameters.region = "left"
    panel.parameters.parts = True
    path = str(tmp_path / "scene.mrml")
    storage = volume.CreateDefaultStorageNode()
    volume.SetAndObserveStorageNodeID(slicer.mrmlScene.AddNode(storage).GetID())
    storage.SetFileName(str(tmp_path / "volume.nrrd"))
    assert storage.WriteData(volume)
    slicer.mrmlScene.SetURL(path)
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.Commit(path)
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    other = add_volume("Other")
    panel.parameters.inputVolume = other
    assert panel.ui.segmentButton.enabled
    slicer.mrmlScene.SetURL(path)
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.Connect()
    assert panel.ui.inputSelector.currentNode().GetName() == "SavedT1"
    assert panel.ui.regionComboBox.currentIndex == 1 and panel.ui.partsCheckBox.checked
    assert panel.ui.segmentButton.enabled
    nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
    assert [node.GetSingletonTag() for node in nodes].count("HippoSeg") == 1


def test_a_change_of_the_volume_asks_the_disk_nothing(panel, monkeypatch):
    """Models and packages are looked for when the module is entered, not at every change in the scene."""
    import importlib.util
    import os

    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    panel.panel.enter()
    asked = []
    for module, name in ((os, "stat"), (os, "scandir"), (os, "listdir"), (importlib.util, "find_spec")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, _o=original, _n=name, **k: (asked.append((_n, a)), _o(*a, **k))[1]
        )
    builtin = open
    monkeypatch.setattr("builtins.open", lambda *a, **k: (asked.append(("open", a)), builtin(*a, **k))[1])
    volume.Modified()
    panel.panel.refresh()
    assert asked == []


def test_a_transform_put_on_the_chosen_volume_is_noticed(panel):
    import slicer

    volume = add_volume("T1", PLAIN)
    panel.parameters.inputVolume = volume
    mirror = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "mirror")
    mirror.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([-1.0, 1, 1, 1])))
    volume.SetAndObserveTransformNodeID(mirror.GetID())
    assert not panel.ui.segmentButton.enabled and "mirrors the head" in panel.ui.segmentButton.toolTip
    volume.SetAndObserveTransformNodeID(None)
    assert panel.ui.segmentButton.enabled


def test_models_bundled_fine_tuned_and_from_a_folder(panel, tmp_path, monkeypatch):
    import shutil

    from panelbed import ROOT

    from HippoSegLib.models import store as checkpoint
    from HippoSegLib.models import user_models as usermodels

    monkeypatch.setenv("HIPPOSEG_MODELS", str(tmp_path / "mine"))
    bundled = ROOT / "Resources" / "Models" / checkpoint.DEFAULT
    own, other = tmp_path / "mine" / "our site", tmp_path / "jinde č" / "shared"
    for folder in (own, other):
        shutil.copytree(bundled, folder)
    panel.parameters.inputVolume = add_volume("T1")
    panel.panel.lookAgain()
    combo = panel.ui.modelComboBox
    assert [combo.itemText(i) for i in range(combo.count)] == [
        "hipposeg (came with HippoSeg)",
        "hipposeg_clahe_sce (came with HippoSeg)",
        "our site (yours)",
    ]
    assert combo.currentIndex == 0
    panel.questions.folder = str(other)
    panel.click("browseModelButton")
    assert combo.currentText == "shared" and panel.parameters.model == str(other)
    assert panel.panel.options()["model"] == str(other)
    combo.setCurrentIndex(2)
    assert panel.parameters.model == str(own)
    # What fine-tuning made the default is offered first, where nothing was chosen.
    panel.parameters.model = ""
    usermodels.make_default(own)
    panel.panel.lookAgain()
    assert combo.currentText == "our site (yours)" and panel.panel.options()["model"] == str(own)
    # A model that is gone is not replaced silently.
    panel.parameters.model = str(own)
    shutil.rmtree(own)
    panel.panel.lookAgain()
    assert combo.currentIndex == -1 and not panel.ui.segmentButton.enabled
    assert "There is no model" in panel.ui.segmentButton.toolTip
    panel.questions.folder = str(tmp_path)
    panel.click("browseModelButton")
    assert "There is no model" in panel.ui.segmentButton.toolTip


def test_a_click_while_the_worker_still_warms_up_waits_and_is_done(panel):
    panel.parameters.inputVolume = add_volume("T1")
    panel.ui.advancedButton.collapsed = False  # the devices are tried out now
    panel.segment()
    assert panel.result is not None and panel.ui.deviceComboBox.count == 3


def test_a_run_that_still_waits_is_cancelled_at_once(panel):
    panel.parameters.inputVolume = add_volume("T1")
    panel.ui.advancedButton.collapsed = False  # the devices are tried out now
    panel.click("segmentButton")
    stillWaits = not panel.logic._current or panel.logic._current.inBackground
    panel.logic.cancel()
    # On a busy machine the warm-up may be over before the click has been: then the worker is asked to stop.
    assert not (stillWaits and panel.logic.isBusy)
    panel.testbed.waitFor(lambda: not panel.logic.isBusy)
    assert panel.result is None
    assert panel.ui.messageLabel.text == "Cancelled; the scene is as it was."
    panel.testbed.waitFor(lambda: panel.ui.deviceComboBox.count == 3)  # the warm-up goes on


def test_what_the_console_runs_does_not_confuse_the_panel(panel):
    from HippoSegSlicer import console

    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    node, _row = console.segment(panel.logic, volume, output=None)
    assert panel.result is node and panel.ui.volumesTable.mrmlTableNode() is not None
    assert panel.ui.messageLabel.text == "" and panel.ui.segmentButton.enabled


def test_packages_that_do_not_load_are_told_where_devices_are_chosen(panel, steer):
    steer("no-devices")
    panel.ui.advancedButton.collapsed = False
    panel.testbed.waitFor(lambda: "does not load" in panel.ui.deviceLabel.text)
