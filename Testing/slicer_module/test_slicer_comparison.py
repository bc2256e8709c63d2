"""The panel's comparison with a reference, who was scanned, and the report."""

from __future__ import annotations

import json
import pathlib
import re
import types

import numpy as np
import pytest
from panelbed import add_volume

from HippoSegLib.reference import Identity, Person, read_reference
from HippoSegLib.reference.fitting import Control, fit_reference


@pytest.fixture(scope="module")
def reference_file(tmp_path_factory):
    """40 controls of 20 to 79 years, of the test double's volumes: 700 ± 60 mm³ a side."""
    rng = np.random.default_rng(1)
    controls = []
    for number in range(40):
        left, right = 700 + rng.normal(0, 60, 2)
        measured = {
            "left_mm3": left,
            "right_mm3": right,
            "total_mm3": left + right,
            "asymmetry_index": (right - left) / ((right + left) / 2),
            "intracranial_mm3": rng.uniform(1.3e6, 1.7e6),
        }
        person = Person(20.0 + 1.5 * number, "male" if number % 2 else "female")
        controls.append(Control(person, {k: float(v) for k, v in measured.items()}))
    reference, _ = fit_reference(controls, Identity("double", "", ""))
    path = tmp_path_factory.mktemp("reference") / "our controls.json"
    path.write_text(reference.to_json(), encoding="utf-8")
    return path


def table(panel) -> dict[str, str]:
    """Measure -> value, as the table shows them."""
    found = panel.ui.volumesTable.mrmlTableNode().GetTable()
    lines = range(found.GetNumberOfRows())
    return {found.GetValue(n, 0).ToString(): found.GetValue(n, 1).ToString() for n in lines}


@pytest.fixture
def compared(panel, reference_file):
    """A result, compared with the reference by a user who gives age and sex."""
    panel.parameters.inputVolume = add_volume("T1")
    panel.segment()
    panel.questions.reference = str(reference_file)
    panel.click("referenceButton")
    panel.ui.ageSpinBox.value = 50
    panel.ui.sexComboBox.setCurrentIndex(1)
    return panel


def test_percentiles_stand_in_table_and_summary(compared):
    assert compared.ui.referenceButton.text == "our controls.json"
    values = table(compared)
    assert re.fullmatch(r"\d+ \(\d+–\d+\)", values["Left, percentile"])
    assert values["Controls with a smaller asymmetry"].endswith(" of 40")
    assert f"percentile {values['Right, percentile']}" in compared.ui.summaryLabel.text
    assert "40 controls" in compared.ui.compareLabel.text


def test_what_is_missing_is_said_and_made_good(panel, reference_file):
    panel.parameters.reference = str(reference_file)
    panel.parameters.inputVolume = add_volume("T1")
    panel.segment()
    assert "No percentile: The age is not known." in panel.ui.compareLabel.text
    assert "Left, percentile" not in table(panel)
    panel.ui.ageSpinBox.value = 95
    assert "No percentile: The sex is not known." in panel.ui.compareLabel.text
    panel.ui.sexComboBox.setCurrentIndex(2)
    assert "outside the controls'" in panel.ui.compareLabel.text
    panel.ui.ageSpinBox.value = 40
    assert "Left, percentile" in table(panel)


def test_without_the_reference_the_rows_go(compared):
    compared.click("noReferenceButton")
    assert "Left, percentile" not in table(compared) and not compared.ui.compareLabel.visible
    assert "percentile" not in compared.ui.summaryLabel.text
    assert compared.ui.referenceButton.text.startswith("Choose")


def test_a_file_that_is_no_reference_is_told(compared, tmp_path):
    other = tmp_path / "other.json"
    other.write_text("{}")
    compared.parameters.reference = str(other)
    assert "other.json" in compared.ui.compareLabel.text
    assert "Left, percentile" not in table(compared)
    compared.parameters.reference = str(tmp_path / "gone.json")
    assert "gone.json" in compared.ui.compareLabel.text


def test_a_correction_is_compared_anew(compared):
    import slicer

    before = table(compared)["Left, percentile"]
    node, volume = compared.result, compared.parameters.inputVolume
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, "HippoSeg_17", volume)
    mask[:, mask.shape[1] // 2 :] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "HippoSeg_17", volume)
    compared.click("measureButton")
    assert before != "<1" and table(compared)["Left, percentile"] == "<1"


def test_person_and_comparison_are_saved_with_the_scene(compared, tmp_path):
    import slicer

    before = table(compared)
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(path)
    assert table(compared) == before
    assert compared.ui.ageSpinBox.value == 50 and compared.ui.sexComboBox.currentIndex == 1


def test_each_volume_has_its_own_person(compared):
    first, second = compared.parameters.inputVolume, add_volume("second")
    compared.parameters.inputVolume = second
    assert compared.ui.ageSpinBox.value == 0 and compared.ui.ageSpinBox.text == "age unknown"
    compared.ui.ageSpinBox.value = 33
    compared.parameters.inputVolume = first
    assert compared.ui.ageSpinBox.value == 50


HEADER = {"0010,0040": "F ", "0010,1010": "067Y"}


@pytest.fixture
def dicom(monkeypatch):
    """Slicer's DICOM database with one series; its header can be changed."""
    import slicer

    header = dict(HEADER)
    database = types.SimpleNamespace(isOpen=True)
    database.instanceValue = lambda uid, tag: header.get(tag, "") if uid == "1.2.3" else ""
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    return header


def test_age_and_sex_come_from_dicom(panel, dicom):
    volume = add_volume("3: T1")
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    panel.parameters.inputVolume = volume
    assert panel.ui.ageSpinBox.value == 67 and panel.ui.sexComboBox.currentIndex == 1
    # What the user says stands, also where the user says that it is not known.
    panel.ui.ageSpinBox.value = 0
    panel.panel.refresh()
    assert panel.ui.ageSpinBox.value == 0 and panel.ui.sexComboBox.currentIndex == 1


@pytest.mark.parametrize(
    ("header", "years"),
    [
        ({"0010,1010": "018M"}, 1.5),
        ({"0010,1010": "", "0010,0030": "19800101", "0008,0020": "20250702"}, 45.5),
        ({"0010,1010": "", "0010,0030": "1980", "0008,0020": "20250702"}, 0),
        ({"0010,1010": "999Y"}, 0),
    ],
)
def test_ages_of_headers(panel, dicom, header, years):
    dicom.update(header)
    volume = add_volume("3: T1")
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    panel.parameters.inputVolume = volume
    assert panel.ui.ageSpinBox.value == years


def test_a_volume_without_dicom_has_nobody_s_age(panel, dicom):
    panel.parameters.inputVolume = add_volume("T1")
    assert panel.ui.ageSpinBox.value == 0 and panel.ui.sexComboBox.currentIndex == 0


def test_the_report_opens_with_the_comparison(compared):
    compared.click("pageButton")
    compared.wait()
    (page,) = compared.questions.pages
    text = pathlib.Path(page).read_text(encoding="utf-8")
    values = table(compared)
    assert text.startswith("<!DOCTYPE html>") and values["Left, percentile"] in text
    assert "data:image/png;base64," in text and text.count("<svg") == 2
    assert "of your 40 controls" in text
    assert "report is open" in compared.ui.messageLabel.text


def test_the_report_without_a_reference_says_so(panel):
    panel.parameters.inputVolume = add_volume("T1")
    assert not panel.ui.pageButton.enabled
    panel.segment()
    panel.click("pageButton")
    panel.wait()
    text = pathlib.Path(panel.questions.pages[0]).read_text(encoding="utf-8")
    assert "No reference was used" in text
    flags = json.loads(panel.result.GetAttribute("HippoSeg.Flags"))
    assert flags and all(flag["message"].split("(")[0] in text for flag in flags)


def test_the_report_s_package_is_offered_where_it_is_missing(panel, monkeypatch):
    from HippoSegLib.dependencies import PACKAGES

    jinja2 = [package for package in PACKAGES if package.module == "jinja2"]
    monkeypatch.setattr(
        panel.panel.setup._installer, "missing", lambda modules: jinja2 if "jinja2" in modules else [], False
    )
    panel.panel.setup.lookAgain()
    panel.parameters.inputVolume = add_volume("T1")
    panel.segment()
    panel.click("pageButton")
    panel.wait()
    assert "Jinja2>=3.1" in panel.questions.asked[0] and "1 MB" in panel.questions.asked[0]
    assert not panel.questions.pages


def controls_tables(folder, count):
    """`hippocampus.csv` and `participants.tsv` of controls with the test double's volumes."""
    rng = np.random.default_rng(2)
    names = ("scan", "status", "left_mm3", "right_mm3", "intracranial_ml", "model", "version", "protocol")
    lines, people = [",".join(names)], ["participant_id\tage\tsex\tgroup"]
    for number in range(count):
        left, right = 700 + rng.normal(0, 60, 2)
        lines.append(f"c{number},ok,{left:.0f},{right:.0f},{rng.uniform(1300, 1700):.0f},double,1.0,full")
        people.append(f"c{number}\t{20 + 1.5 * number}\t{'MF'[number % 2]}\t{'HC' if number else 'AD'}")
    (folder / "hippocampus.csv").write_text("\n".join(lines))
    (folder / "participants.tsv").write_text("\n".join(people))
    return str(folder / "hippocampus.csv"), str(folder / "participants.tsv")


def test_a_reference_is_made_from_the_panel_and_taken(panel, tmp_path):
    from HippoSegSlicer.protocols import NewReference

    output = tmp_path / "ours.json"
    tables = controls_tables(tmp_path, 41)
    panel.click("makeReferenceButton")  # cancelled
    assert not panel.parameters.reference
    panel.questions.newOne = NewReference(*tables, "group=AD", str(output))
    panel.click("makeReferenceButton")
    assert "a reference needs 20" in panel.ui.compareLabel.text and not output.exists()
    panel.questions.newOne = NewReference(*tables, "group=HC", str(output))
    panel.click("makeReferenceButton")
    assert read_reference(output).count == 40 and read_reference(output).selection == "group=HC"
    assert panel.parameters.reference == str(output)
    assert "40 controls" in panel.ui.compareLabel.text and panel.ui.compareLabel.visible
    panel.click("noReferenceButton")
    assert not panel.ui.compareLabel.visible


def test_the_dialogs_for_a_new_reference(testbed, monkeypatch):
    import qt
    from HippoSegSlicer.protocols import NewReference
    from HippoSegSlicer.questions import Dialogs

    answers = iter(["table.csv", "people.tsv"])
    monkeypatch.setattr(qt.QFileDialog, "getOpenFileName", lambda *_: next(answers))
    monkeypatch.setattr(qt.QInputDialog, "getText", lambda *_: (" group=HC ", True))
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: ("r.json", ""))
    assert Dialogs().newReference() == NewReference("table.csv", "people.tsv", "group=HC", "r.json")
    answers = iter(["table.csv", ""])
    assert Dialogs().newReference() is None
    answers = iter(["table.csv", "people.tsv"])
    monkeypatch.setattr(qt.QInputDialog, "getText", lambda *_: "")  # as PythonQt answers
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: "")
    assert Dialogs().newReference() is None
