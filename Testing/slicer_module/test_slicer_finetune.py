"""Fine-tuning in the panel, by clicks: from segmentations in the scene to a model that is chosen."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from panelbed import ROOT, Answers, NothingMissing, PanelUnderTest, add_volume

sys.path.insert(0, str(ROOT / "Testing" / "training"))

from sitefixture import QUICK, body, make_base, wider, write_site


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The user's models are in a folder of this test."""
    monkeypatch.setenv("HIPPOSEG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def own_panel(testbed, scene, models, base_folder):
    """A panel on a worker of its own (which knows the folder of models), set to crops of the left side."""
    import fake_worker
    from HippoSegSlicer.logic import Logic
    from HippoSegSlicer.workerprocess import WorkerProcess

    logic = Logic(WorkerProcess(fake_worker.command(), libraryFolder=str(ROOT)))
    panel = PanelUnderTest(testbed, logic, Answers(), NothingMissing())
    panel.parameters.model, panel.parameters.device = str(base_folder), "cpu"
    panel.open("tuneSection")
    panel.ui.tuneRegionComboBox.setCurrentIndex(2)
    yield panel
    panel.close()
    logic.close()


def add_case(number: int, label: np.ndarray, name: str = "left hippocampus") -> None:
    """A crop and its segmentation, named by a person."""
    import slicer

    image, _ = body(200 + number)
    volume = add_volume(f"crop {number}", np.eye(4), image)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = node.GetSegmentation().AddEmptySegment("", name)
    slicer.util.updateSegmentBinaryLabelmapFromArray((label > 0).astype(np.uint8), node, segment_id, volume)


@pytest.mark.slow
def test_from_the_scene_to_a_chosen_model(own_panel, models, monkeypatch):
    import slicer
    from HippoSegSlicer import finetunejobs

    for number in range(6):
        add_case(number, wider(body(200 + number)[1]))
    ui = own_panel.ui
    own_panel.click("tuneCheckButton")
    own_panel.wait(120)
    assert "can be used" in ui.tuneResult.text and ui.tuneTable.plainText.count(": ok, ") == 6
    assert ui.tunePictureButton.visible and not models.exists()

    # The default settings are for real cases; these end within seconds.
    real = finetunejobs.FineTuneJob.request
    quick = {"settings": QUICK.to_dict(), "threads": 1}
    monkeypatch.setattr(finetunejobs.FineTuneJob, "request", lambda job: {**real(job), **quick})
    ui.tuneNameEdit.setText("our scanner")
    assert ui.tuneButton.enabled
    own_panel.click("tuneButton")
    assert not ui.tuneButton.enabled and ui.progressFrame.visible
    own_panel.wait(600)
    made = models / "our scanner"
    assert (made / "card.json").is_file(), ui.messageLabel.text
    assert "The new model is better" in ui.tuneResult.text
    assert own_panel.parameters.model == str(made)
    assert "our scanner" in ui.modelComboBox.currentText
    # No name of a volume is on the card; the curves are in Slicer's plot.
    assert "crop" not in (made / "card.json").read_text().replace("crops", "")
    (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    series = slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")
    names = {one.GetName() for one in series if chart.HasPlotSeriesNodeID(one.GetID())}
    assert {"fold_0 loss", "fold_0 dice", "fold_1 dice"} <= names
    # The name is taken now.
    assert not ui.tuneButton.enabled and "never overwritten" in ui.tuneButton.toolTip


def test_a_folder_is_checked_and_bad_cases_are_named(own_panel, tmp_path):
    site = write_site(tmp_path / "site", 3)
    ui = own_panel.ui
    ui.tuneSourceComboBox.setCurrentIndex(1)
    assert not ui.tuneCheckButton.enabled and "folder" in ui.tuneCheckButton.toolTip
    own_panel.questions.folder = str(site)
    own_panel.click("tuneFolderButton")
    own_panel.click("tuneButton")
    own_panel.wait(120)
    assert "3 subjects are too few" in ui.messageLabel.text and ui.messageFrame.visible


def test_without_cases_it_says_what_to_do(own_panel):
    own_panel.click("tuneCheckButton")
    assert "Name the segments by side" in own_panel.ui.messageLabel.text
    own_panel.ui.tuneNameEdit.setText("../elsewhere")
    assert not own_panel.ui.tuneButton.enabled and own_panel.ui.tuneCheckButton.enabled


def test_segments_are_known_by_id_or_name(scene):
    from HippoSegSlicer.finetunejobs import labelArray, sceneCases, segmentValues

    label = body(200)[1]
    add_case(0, label, "Right Hippocampus")
    add_case(1, label, "tumour")
    ((volume, node),) = sceneCases()
    assert list(segmentValues(node).values()) == [53]
    assert np.array_equal(labelArray(node, volume) == 53, label > 0)
