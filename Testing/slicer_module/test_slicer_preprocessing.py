"""The preprocessing part of the panel, and the plain functions beneath it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from HippoSegSlicer.preprocessingsettings import PreprocessingSettings, differences
from panelbed import add_volume

from HippoSegLib.preprocessing.chain import Preprocessing

BOTH = Preprocessing.named("both").to_dict()
METHOD = Preprocessing.named("method").to_dict()
CARDS = {name: Preprocessing.named(name).to_dict() for name in ("plain", "method", "both")}


@pytest.mark.parametrize("card", CARDS)
def test_the_cards_own_settings_change_nothing(card):
    assert differences(PreprocessingSettings.of(CARDS[card]).applied(CARDS[card]), CARDS[card]) == []


def test_a_step_is_left_out_where_it_is_and_added_where_no_channel_has_it():
    off = PreprocessingSettings.of(BOTH).but(clahe=False).applied(BOTH)
    assert [[s["step"] for s in channel] for channel in off["channels"]] == [
        ["min_max"],
        ["min_max", "sce_dwt_3d"],
    ]
    plain = CARDS["plain"]
    on = PreprocessingSettings.of(plain).but(clahe=True, waveletOn=True).applied(plain)
    assert [[s["step"] for s in channel] for channel in on["channels"]] == [
        ["min_max", "clahe_3d", "sce_dwt_3d"]
    ]


def test_parameters_go_where_they_belong():
    changed = (
        PreprocessingSettings.of(METHOD)
        .but(clipLimit=0.05, kernel=(8, 9, 10), factor=1.5, levels=1)
        .applied(METHOD)
    )
    _min_max, clahe, wavelet = changed["channels"][0]
    assert clahe["clip_limit"] == 0.05 and clahe["kernel_size"] == [8, 9, 10]
    assert wavelet["factor"] == 1.5 and wavelet["levels"] == 1 and wavelet["wavelet"] == "coif5"
    assert len(differences(changed, METHOD)) == 4


def test_a_factor_per_band_is_kept():
    card = json.loads(json.dumps(METHOD))
    card["channels"][0][2]["factor"] = {"ddd": 0.5, "mixed": 0.9}
    assert PreprocessingSettings.of(card).but(threshold=0.0).applied(card)["channels"][0][2]["factor"] == {
        "ddd": 0.5,
        "mixed": 0.9,
    }


def card_of(preprocessing: dict):
    """A model's card, as far as the panel reads it."""
    segmenter = SimpleNamespace(preprocessing=Preprocessing.from_dict(preprocessing))
    return SimpleNamespace(segmenter=segmenter, second_reader=None)


@pytest.fixture
def card(monkeypatch):
    """A model whose card wants both channels."""
    from HippoSegSlicer import models

    monkeypatch.setattr(models, "card", lambda model: card_of(BOTH))
    monkeypatch.setattr(models, "problem", lambda model: "")


def test_changes_by_clicks_note_and_reset(card, panel):
    panel.parameters.inputVolume = add_volume("T1")
    ui = panel.ui
    assert ui.preprocessingNote.text == "As the model was trained with." and not ui.resetButton.enabled
    assert ui.preprocessingButton.collapsed
    panel.open("preprocessingButton")
    panel.click("claheCheckBox")
    assert (
        "⚠ Differs" in ui.preprocessingNote.text and ui.preprocessingButton.text == "Preprocessing (changed)"
    )
    assert not ui.clipLimitSlider.enabled and not ui.kernelXSpinBox.enabled
    ui.factorSlider.setValue(1.2)
    panel.segment()
    used = json.loads(panel.result.GetAttribute("HippoSeg.Provenance"))["options"]["preprocessing"]
    assert used == PreprocessingSettings.of(BOTH).but(clahe=False, factor=1.2).applied(BOTH)
    panel.click("resetButton")
    assert panel.parameters.preprocessing == {} and ui.claheCheckBox.checked
    assert ui.factorSlider.value == 0.8
    assert ui.preprocessingNote.text == "As the model was trained with."
    panel.segment()
    assert "preprocessing" not in json.loads(panel.result.GetAttribute("HippoSeg.Provenance"))["options"]


def test_another_model_is_named_that_was_trained_with_the_steps(panel, monkeypatch):
    """Of a plain model CLAHE is switched on: no bundled model has it alone; with SCE-3DWT one does."""
    from HippoSegSlicer import models

    cards = {"here": CARDS["plain"], "there": CARDS["both"]}
    monkeypatch.setattr(models.checkpoint, "bundled_models", lambda: ["damaged", *cards])
    monkeypatch.setattr(models, "card", lambda model: card_of(cards.get(model, cards["here"])))
    monkeypatch.setattr(models, "problem", lambda model: "damaged" if model == "damaged" else "")
    panel.parameters.inputVolume = add_volume("T1")
    panel.open("preprocessingButton")
    panel.click("claheCheckBox")
    assert "⚠ Differs" in panel.ui.preprocessingNote.text and "there" not in panel.ui.preprocessingNote.text
    panel.click("waveletCheckBox")
    assert panel.ui.preprocessingNote.text.endswith("The model there was trained with these steps.")
    panel.click("resetButton")
    assert panel.ui.preprocessingNote.text == "As the model was trained with."


def test_a_change_that_is_undone_by_hand_is_none(card, panel):
    panel.ui.levelsSpinBox.setValue(1)
    assert panel.parameters.preprocessing
    panel.ui.levelsSpinBox.setValue(2)
    assert panel.parameters.preprocessing == {}


def test_preview_puts_channels_beside_the_input_and_replaces_them(card, panel):
    import slicer

    volume = add_volume("T1")
    panel.parameters.inputVolume = volume
    panel.open("preprocessingButton")
    panel.click("previewButton")
    panel.wait()
    nodes = [n for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if n is not volume]
    assert len(nodes) == 4 and all("as the network sees it" in node.GetName() for node in nodes)
    (first,) = [n for n in nodes if "left, channel 1" in n.GetName()]
    assert np.array_equal(slicer.util.arrayFromVolume(first), slicer.util.arrayFromVolume(volume)[:6, :5, :4])
    import vtk

    matrices = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
    for node, matrix in zip((first, volume), matrices, strict=True):
        node.GetIJKToRASMatrix(matrix)
    assert np.allclose(*(slicer.util.arrayFromVTKMatrix(matrix) for matrix in matrices))
    panel.click("previewButton")
    panel.wait()
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 5
    assert panel.parameters.inputVolume is volume
