"""Fine-tuning in the panel, by clicks: from segmentations in the scene to a model that is chosen."""

from __future__ import annotations

import os
import sys

import numpy as np
import psutil
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
def own_panel(testbed, logic, models, base_folder):
    """A panel set to crops of the left side; its second worker knows the folder of models."""
    panel = PanelUnderTest(testbed, logic, Answers(), NothingMissing())
    panel.parameters.model, panel.parameters.device = str(base_folder), "cpu"
    panel.open("tuneSection")
    panel.ui.tuneRegionComboBox.setCurrentIndex(2)
    yield panel
    panel.close()


@pytest.fixture
def quick(monkeypatch):
    """The default settings are for real cases; with these, a fine-tuning ends within seconds."""
    from HippoSegSlicer.finetunejobs import FineTuneJob

    real = FineTuneJob.request
    settings = {"settings": QUICK.to_dict(), "threads": 1}
    monkeypatch.setattr(FineTuneJob, "request", lambda job: {**real(job), **settings})


def add_case(number: int, label: np.ndarray, name: str = "left hippocampus"):
    """A crop and its segmentation, named by a person; returns the volume."""
    import slicer

    image, _ = body(200 + number)
    volume = add_volume(f"crop {number}", np.eye(4), image)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = node.GetSegmentation().AddEmptySegment("", name)
    slicer.util.updateSegmentBinaryLabelmapFromArray((label > 0).astype(np.uint8), node, segment_id, volume)
    return volume


def add_cases() -> list:
    """Six cases of a site; returns the volumes."""
    return [add_case(number, wider(body(200 + number)[1])) for number in range(6)]


def isWhole(label) -> bool:
    """Whether a label is high enough for its wrapped text."""
    return label.height >= label.heightForWidth(label.width)


def gone(processes) -> bool:
    """Whether processes end."""
    _gone, alive = psutil.wait_procs(processes, timeout=60)
    return not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_from_the_scene_to_a_chosen_model_while_volumes_are_segmented(own_panel, models, quick, tmp_path):
    import slicer

    add_cases()
    ui = own_panel.ui
    own_panel.click("tuneCheckButton")
    own_panel.wait_for_training(120)
    assert "can be used" in ui.tuneResult.text and ui.tuneTable.plainText.count(": ok, ") == 6
    assert ui.tunePictureButton.visible and not models.exists()

    ui.tuneNameEdit.setText("our scanner")
    assert ui.tuneButton.enabled
    own_panel.click("tuneButton")
    assert not ui.tuneButton.enabled and not ui.tuneCheckButton.enabled
    assert ui.tuneProgressFrame.visible and not ui.progressFrame.visible
    ui.tuneNameEdit.setText("another")  # does not enable what cannot be done
    assert not ui.tuneButton.enabled and "A fine-tuning is already running" in ui.tuneButton.toolTip
    ui.tuneNameEdit.setText("our scanner")

    # Everything else can be done while it learns: segment, preview, look at the picture.
    own_panel.testbed.waitFor(lambda: "epoch" in ui.tuneStageLabel.text)
    own_panel.parameters.inputVolume = add_volume("T1")
    own_panel.segment()
    assert own_panel.result.GetName() == "T1 hippocampi" and ui.messageLabel.text.startswith("Done in")
    for button in ("previewButton", "pictureButton", "measureButton"):
        assert getattr(ui, button).enabled, button
    own_panel.open("preprocessingButton")
    own_panel.click("previewButton")
    own_panel.wait()
    assert "What the network sees" in ui.messageLabel.text
    assert own_panel.training.isBusy and ui.tuneProgressFrame.visible, ui.tuneMessageLabel.text
    own_panel.testbed.waitFor(lambda: " left" in ui.tuneStageLabel.text)  # the remaining time
    assert 0 < ui.tuneProgressBar.value < 100

    own_panel.wait_for_training(600)
    assert not ui.tuneProgressFrame.visible and not ui.tuneMessageFrame.visible
    made = models / "our scanner"
    assert (made / "card.json").is_file(), ui.tuneMessageLabel.text
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
    import slicer

    site = write_site(tmp_path / "site", 3)
    ui = own_panel.ui
    ui.tuneSourceComboBox.setCurrentIndex(1)
    assert not ui.tuneCheckButton.enabled and "folder" in ui.tuneCheckButton.toolTip
    own_panel.questions.folder = str(site)
    own_panel.click("tuneFolderButton")
    own_panel.click("tuneButton")
    own_panel.wait_for_training(120)
    assert "3 subjects are too few" in ui.tuneMessageLabel.text and ui.tuneMessageFrame.visible
    assert not ui.messageFrame.visible  # that one is about segmentations
    own_panel.testbed.waitFor(lambda: isWhole(ui.tuneMessageLabel), 10)
    own_panel.click("tuneReportButton")
    report = slicer.app.clipboard().text()
    assert "3 subjects are too few" in report and "Settings:" in report


def test_the_report_of_a_bad_case_does_not_name_it(own_panel, tmp_path):
    import slicer

    site = write_site(tmp_path / "site", 3)
    for kind in ("images", "labels"):
        for path in (site / kind).iterdir():
            path.rename(path.with_name(f"Anna_Mueller_{path.name}"))
    (site / "images" / next(os.walk(site / "images"))[2][0]).write_bytes(b"no image")
    own_panel.ui.tuneSourceComboBox.setCurrentIndex(1)
    own_panel.questions.folder = str(site)
    own_panel.click("tuneFolderButton")
    own_panel.click("tuneButton")
    own_panel.wait_for_training(120)
    assert "Anna_Mueller" in own_panel.ui.tuneMessageLabel.text  # who sits there must know which one
    own_panel.click("tuneReportButton")
    report = slicer.app.clipboard().text()
    assert "<name>" in report and "cannot be" in report and "Anna" not in report


def test_without_cases_it_says_what_to_do(own_panel):
    own_panel.click("tuneCheckButton")
    assert "Name the segments by side" in own_panel.ui.tuneMessageLabel.text
    assert not own_panel.ui.tuneProgressFrame.visible and own_panel.training.worker.processId is None
    own_panel.ui.tuneNameEdit.setText("../elsewhere")
    assert not own_panel.ui.tuneButton.enabled and own_panel.ui.tuneCheckButton.enabled


def test_cancelling_one_does_not_touch_the_other(own_panel, steer, quick, models):
    """A fine-tuning and a segmentation at a time: each is cancelled while the other goes on and ends well."""
    ui = own_panel.ui
    volume = add_cases()[0]
    own_panel.parameters.inputVolume = volume

    def both() -> None:
        steer("hold")
        own_panel.click("tuneCheckButton")
        own_panel.click("segmentButton")
        own_panel.testbed.waitFor(lambda: "Held" in ui.tuneStageLabel.text)
        own_panel.testbed.waitFor(lambda: "Checking" in ui.stageLabel.text)
        assert own_panel.logic.worker.processId != own_panel.training.worker.processId

    both()
    own_panel.click("cancelButton")
    own_panel.wait()
    assert ui.messageLabel.text == "Cancelled; the scene is as it was." and own_panel.result is None
    assert ui.segmentButton.enabled and not ui.progressFrame.visible
    assert own_panel.training.isBusy and ui.tuneProgressFrame.visible and not ui.tuneMessageFrame.visible
    steer("")
    own_panel.wait_for_training(120)
    assert "can be used" in ui.tuneResult.text, ui.tuneMessageLabel.text

    both()
    own_panel.click("tuneCancelButton")
    own_panel.wait_for_training()
    assert ui.tuneMessageLabel.text == "Cancelled." and not ui.tuneReportButton.visible
    assert ui.tuneButton.enabled and not ui.tuneProgressFrame.visible
    assert own_panel.logic.isBusy and ui.progressFrame.visible and not ui.messageFrame.visible
    steer("")
    own_panel.wait()
    assert own_panel.result is not None and ui.messageLabel.text.startswith("Done in")


def test_long_stages_are_shown_whole_and_long_times_in_minutes(own_panel):
    from HippoSegSlicer.progresspanel import ProgressPanel

    now = [0.0]
    progress = ProgressPanel(own_panel.ui, "tune", clock=lambda: now[0])
    progress.start()
    now[0] = 119.0
    # Longer than a line of the panel in any font.
    stage = "Cross-validation of the settings that were found, training 2 of 3, epoch 14 of 50"
    progress.setProgress(f"{stage}, about 7 min left", 0.42)
    label = own_panel.ui.tuneStageLabel
    assert label.text.endswith("about 7 min left — 119 s") and own_panel.ui.tuneProgressBar.value == 42
    own_panel.testbed.waitFor(
        lambda: label.height > 1.5 * label.fontMetrics().height() and isWhole(label), 10
    )
    now[0] = 400.0
    progress.setCancelling()
    progress.setProgress("a stage sent before the cancel was heard", 0.5)
    assert label.text == "Cancelling — 6 min so far"
    progress.stop()


def test_a_second_fine_tuning_is_refused(own_panel, steer):
    from HippoSegSlicer.finetunejobs import FineTuneJob

    from HippoSegLib.errors import HippoSegError

    add_cases()
    ui = own_panel.ui
    steer("hold")
    own_panel.click("tuneButton")
    for button in (ui.tuneButton, ui.tuneCheckButton):
        assert not button.enabled and "A fine-tuning is already running." in button.toolTip
    with pytest.raises(HippoSegError, match=r"A fine-tuning is already running\. Wait for it"):
        own_panel.training.submit(FineTuneJob("", "", {}))
    own_panel.testbed.waitFor(lambda: "Held" in ui.tuneStageLabel.text)
    own_panel.click("tuneCancelButton")
    own_panel.wait_for_training()
    assert "Cancelled" in ui.tuneMessageLabel.text and "goes on from there" in ui.tuneMessageLabel.text


def test_the_scene_may_be_closed_during_a_fine_tuning(own_panel, steer):
    """Its cases were handed over; what is being segmented ends with its volume, as ever."""
    import slicer

    volume, other, *_rest = add_cases()
    ui = own_panel.ui
    own_panel.parameters.inputVolume = volume
    steer("hold")
    own_panel.click("tuneCheckButton")
    own_panel.testbed.waitFor(lambda: "Held" in ui.tuneStageLabel.text)
    slicer.mrmlScene.RemoveNode(other)  # one of the cases
    assert own_panel.training.isBusy
    own_panel.click("segmentButton")
    own_panel.testbed.waitFor(lambda: "Checking" in ui.stageLabel.text)
    slicer.mrmlScene.Clear(0)
    own_panel.wait()
    assert "The scene was closed" in ui.messageLabel.text
    assert own_panel.training.isBusy and not ui.tuneMessageFrame.visible
    steer("")
    own_panel.wait_for_training(120)
    assert ui.tuneTable.plainText.count(": ok, ") == 6, ui.tuneMessageLabel.text
    assert "can be used" in ui.tuneResult.text


def test_the_second_process_starts_late_stands_back_and_ends_with_the_module(
    testbed, scene, models, base_folder
):
    python, _instance, widget, panel = testbed.loadModule(str(ROOT / "HippoSeg" / "HippoSeg.py"))
    training = widget.logic.training
    try:
        assert training is python.HippoSegLogic().training and training is not widget.logic.jobs
        widget.enter()
        assert widget.logic.jobs.worker.processId is None  # nothing was asked for
        widget.ui.advancedButton.collapsed = False
        first = psutil.Process(widget.logic.jobs.worker.processId)
        assert training.worker.processId is None  # nothing was asked for
        add_cases()
        widget.panel.parameters().model = str(base_folder)
        widget.ui.tuneSection.collapsed = False
        widget.ui.tuneRegionComboBox.setCurrentIndex(2)
        testbed.click(widget.ui.tuneButton)
        testbed.waitFor(lambda: "Loading" in widget.ui.tuneStageLabel.text)
        second = psutil.Process(training.worker.processId)
        if hasattr(os, "nice"):
            assert first.nice() == os.nice(0) and second.nice() == min(os.nice(0) + 10, 19)
        folder = training.worker.folder
        assert training.isBusy and os.path.isdir(folder)
    finally:
        testbed.unloadModule(widget, panel)
    assert gone([first, second])
    assert not training.worker.folder and not os.path.exists(folder)
    assert not (models / "my-site").exists()


def test_segments_are_known_by_id_or_name(scene):
    from HippoSegSlicer.finetunejobs import labelArray, sceneCases, segmentValues

    label = body(200)[1]
    add_case(0, label, "Right Hippocampus")
    add_case(1, label, "tumour")
    ((volume, node),) = sceneCases()
    assert list(segmentValues(node).values()) == [53]
    assert np.array_equal(labelArray(node, volume) == 53, label > 0)
