"""The part of the panel that says with what a result is compared: the site's reference, age and sex."""

from __future__ import annotations

import os
from pathlib import Path

from slicer.i18n import tr as _

from HippoSegLib.errors import HippoSegError
from HippoSegLib.reference import Judgement, Person
from HippoSegLib.reference.build import built_lines, make_reference

from . import scene
from .comparison import References, compare, judgementOf
from .person import personOf, setPerson
from .protocols import Questions
from .sentences import errorText, translated
from .volumestable import placeTable

#: In the order of the combo box.
SEXES = (None, "female", "male")


class ComparePanel:
    """Reference, age and sex of the chosen volume, and what came of the comparison.

    Args:
        ui: The widgets.
        parameters: Gives the current parameters.
        questions: Asks for the reference's file.
    """

    def __init__(self, ui, parameters, questions: Questions):
        self._ui, self._parameters, self._questions = ui, parameters, questions
        self._references = References()
        self._isFilling = False
        #: What was said of the reference that was made last.
        self._made = ""
        ui.referenceButton.connect("clicked(bool)", self._onChoose)
        ui.makeReferenceButton.connect("clicked(bool)", self._onMake)
        ui.noReferenceButton.connect("clicked(bool)", self._onNone)
        ui.ageSpinBox.connect("valueChanged(double)", self._onPerson)
        ui.sexComboBox.connect("currentIndexChanged(int)", self._onPerson)

    def refresh(self) -> None:
        """Show the parameters, and bring the comparison of the volume's result up to date."""
        parameters = self._parameters()
        volumeNode, path = parameters.inputVolume, parameters.reference
        person = Person() if volumeNode is None else personOf(volumeNode)
        self._isFilling = True
        try:
            self._ui.referenceButton.text = os.path.basename(path) if path else _("Choose a file…")
            self._ui.noReferenceButton.enabled = bool(path)
            self._ui.ageSpinBox.enabled = self._ui.sexComboBox.enabled = volumeNode is not None
            self._ui.ageSpinBox.value = person.age or 0.0
            self._ui.sexComboBox.setCurrentIndex(SEXES.index(person.sex))
        finally:
            self._isFilling = False
        words = (self._made, self._compared(volumeNode, path, person))
        self._ui.compareLabel.text = "\n".join(filter(None, words))
        self._ui.compareLabel.visible = bool(self._ui.compareLabel.text)

    def release(self) -> None:
        """Stop writing: the widgets are about to lose their scene."""
        self._isFilling = True

    def _compared(self, volumeNode, path: str, person: Person) -> str:
        """Compare the volume's result, and say what a reader should know of it; "" where nothing is."""
        node = scene.resultOf(volumeNode) if volumeNode is not None else None
        if node is None:
            return ""
        error, reference = "", None
        try:
            reference = self._references.read(path) if path else None
        except HippoSegError as caught:
            error = errorText(caught)
        if compare(node, reference, person):
            placeTable(node, volumeNode)
        judgement = judgementOf(node)
        return error or ("" if judgement is None else remarks(judgement))

    def _onChoose(self, _checked=False) -> None:
        path = self._questions.referenceFile()
        if path:
            self._made = ""
            self._parameters().reference = path

    def _onMake(self, _checked=False) -> None:
        """Make a reference from tables, take it, and say how far it can be trusted."""
        asked = self._questions.newReference()
        if asked is None:
            return
        output, controls = Path(asked.output), tuple(asked.controls.split())
        try:
            # The dialog has asked whether a file that exists may be replaced.
            built = make_reference(Path(asked.table), Path(asked.participants), controls, output, True)
        except HippoSegError as error:
            self._made = errorText(error)
        else:
            self._made = "\n".join(built_lines(built))
            self._parameters().reference = asked.output
        self.refresh()

    def _onNone(self, _checked=False) -> None:
        self._made = ""
        self._parameters().reference = ""

    def _onPerson(self, _value=None) -> None:
        volumeNode = self._parameters().inputVolume
        if self._isFilling or volumeNode is None:
            return
        sex = SEXES[self._ui.sexComboBox.currentIndex]
        setPerson(volumeNode, Person(self._ui.ageSpinBox.value or None, sex))  # type: ignore[arg-type]


def remarks(judgement: Judgement) -> str:
    """Why a result is not compared, and what else to know of the comparison."""
    reasons = dict.fromkeys(remark.sentence for remark in judgement.withheld.values())
    words = [_("No percentile: {reason}").format(reason=translated(one)) for one in reasons]
    return "\n".join([*words, *(translated(note.sentence) for note in judgement.notes)])
