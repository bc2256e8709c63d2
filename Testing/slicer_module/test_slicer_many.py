"""Many scans in the panel, by clicks: a folder in; a table, a list, a result in the scene, a review page."""

from __future__ import annotations

import csv
import pathlib

import numpy as np
import pytest
import SimpleITK as sitk
from panelbed import add_volume, ellipsoids, masks


def write_scan(path: pathlib.Path, shift: int = 0) -> np.ndarray:
    """A scan of two bright ellipsoids in voxels of 6 mm, so large that it may be a head."""
    array = np.roll(ellipsoids(), shift, axis=0).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([6.0, 6.0, 6.0])
    image.SetOrigin([-120.0, -90.0, -70.0])
    sitk.WriteImage(image, str(path))
    return array


@pytest.fixture
def study(tmp_path):
    """A folder of two scans, one that is none, and notes."""
    folder = tmp_path / "složka"
    folder.mkdir()
    write_scan(folder / "anna.nii.gz")
    write_scan(folder / "bert.nii.gz", 2)
    (folder / "cara.nii.gz").write_bytes(b"no scan")
    (folder / "notes.txt").write_text("nothing")
    return folder


@pytest.fixture
def many(panel, study, tmp_path):
    """The panel with both folders chosen and one process, in which the test double works."""
    panel.open("manySection")
    panel.questions.scans, panel.questions.results = str(study), str(tmp_path / "out")
    panel.click("manyFolderButton")
    panel.click("manyOutputButton")
    panel.ui.manyWorkersSpinBox.value = 1
    return panel


def segment_all(panel) -> None:
    assert panel.ui.manyButton.enabled, panel.ui.manyButton.toolTip
    panel.click("manyButton")
    panel.wait_for_training(60)


def lines(panel) -> list[str]:
    return [panel.ui.manyList.item(n).text() for n in range(panel.ui.manyList.count)]


def choose(panel, name: str) -> None:
    (row,) = (n for n, line in enumerate(lines(panel)) if line.startswith(name))
    panel.ui.manyList.setCurrentRow(row)


def test_both_folders_are_needed_and_may_not_be_the_same(panel, study):
    panel.open("manySection")
    assert not panel.ui.manyButton.enabled and "Choose the folder" in panel.ui.manyButton.toolTip
    panel.questions.scans = panel.questions.results = str(study)
    panel.click("manyFolderButton")
    panel.click("manyOutputButton")
    assert not panel.ui.manyButton.enabled and "beside the scans" in panel.ui.manyButton.toolTip
    assert panel.ui.manyFolderButton.text == "složka"


def test_a_folder_is_segmented_and_what_failed_stands_first(many, tmp_path, study):
    before = sorted(study.iterdir())
    segment_all(many)
    assert "3 scans: 2 ok, 1 failed." in many.ui.manyMessageLabel.text
    listed = lines(many)
    assert [line.split(" — ")[0] for line in listed] == ["cara", "anna", "bert"]
    assert listed[0].startswith("cara — failed: ") and "left" in listed[1]
    with open(tmp_path / "out" / "hippocampus.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["scan"]: row for row in csv.DictReader(file)}
    assert f"left {rows['anna']['left_mm3']} mm³" in listed[1]
    assert sorted(study.iterdir()) == before
    # The same click again does what is left: nothing but the one that failed.
    segment_all(many)
    assert "1 failed, 2 done before" in many.ui.manyMessageLabel.text


def test_the_panel_can_be_used_meanwhile_and_a_cancelled_run_goes_on(many, steer):
    steer("hold")
    many.click("manyButton")
    many.testbed.waitFor(lambda: "0 of 3" in many.ui.manyStageLabel.text, 60)
    assert not many.ui.manyButton.enabled
    assert not many.logic.isBusy and not many.ui.tuneButton.enabled
    assert "being segmented already" in many.ui.tuneButton.toolTip
    many.click("manyCancelButton")
    many.wait_for_training(30)
    assert "Start again to go on" in many.ui.manyMessageLabel.text
    steer("")
    segment_all(many)
    assert "2 ok" in many.ui.manyMessageLabel.text


def test_a_result_comes_into_the_scene_as_if_it_had_been_segmented_there(many, study):
    segment_all(many)
    choose(many, "bert")
    many.click("manyLoadButton")
    many.wait()
    volume = many.parameters.inputVolume
    assert volume.GetName() == "bert" and many.result is not None
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(study / "bert.nii.gz")))
    found = masks(many.result, volume)
    assert np.array_equal(found["Left hippocampus"] | found["Right hippocampus"], array > 50)
    assert many.ui.volumesTable.mrmlTableNode() is not None
    assert "Loaded: bert" in many.ui.messageLabel.text
    # In the world, it lies where the file says.
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    assert bounds[0] == pytest.approx(120 + 3 - 40 * 6) and bounds[5] == pytest.approx(-70 - 3 + 24 * 6)


def test_a_failed_scan_cannot_be_loaded(many):
    segment_all(many)
    choose(many, "cara")
    assert not many.ui.manyLoadButton.enabled


def test_a_scan_that_changed_or_went_is_not_loaded(many, study):
    import slicer

    segment_all(many)
    write_scan(study / "anna.nii.gz", 5)
    (study / "bert.nii.gz").unlink()
    for name, words in (("anna", "has changed"), ("bert", "no longer where it was")):
        choose(many, name)
        many.click("manyLoadButton")
        many.wait()
        assert words in many.ui.messageLabel.text
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def test_labels_edited_on_the_disk_are_measured_anew(many, tmp_path):
    import json

    segment_all(many)
    path = str(tmp_path / "out" / "anna_hippocampus.nii.gz")
    labels = sitk.ReadImage(path)
    sitk.WriteImage(labels * sitk.Cast(labels == 17, labels.GetPixelID()), path)  # without the right side
    choose(many, "anna")
    many.click("manyLoadButton")
    many.wait()
    row = json.loads(many.result.GetAttribute("HippoSeg.Row"))
    assert row["left_mm3"] > 0 and row["right_mm3"] is None
    assert "edited by hand" in many.ui.flagsLabel.text


def test_the_review_page_opens(many, tmp_path):
    assert not many.ui.manyPageButton.enabled
    segment_all(many)
    many.click("manyPageButton")
    many.wait()
    assert many.questions.pages == [str(tmp_path / "out" / "index.html")]
    assert "anna" in pathlib.Path(many.questions.pages[0]).read_text(encoding="utf-8")


def test_earlier_results_are_listed_when_their_folder_is_chosen(many, panel):
    segment_all(many)
    many.ui.manyList.clear()
    many.click("manyOutputButton")
    assert len(lines(many)) == 3 and many.ui.manyPageButton.enabled


def test_settings_of_the_panel_reach_the_scans_but_places_do_not(many, tmp_path):
    import json

    many.parameters.parts = True
    many.parameters.inputVolume = add_volume("another")
    segment_all(many)
    record = json.loads((tmp_path / "out" / "anna_hippocampus.json").read_text(encoding="utf-8"))
    assert record["request"]["parts"] is True and record["request"]["points"] is None
