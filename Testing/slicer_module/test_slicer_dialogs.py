"""The dialogs as they open for a user: every answer, read and clicked; and the 3D views of a layout."""

from __future__ import annotations

import pathlib

import pytest
from panelbed import add_volume


class Desk:
    """A main window with testing mode off, and somebody who answers the dialog that opens."""

    def __init__(self, testbed):
        self.testbed, self.qt, self.seen = testbed, testbed.qt, []

    def answered(self, ask, answer):
        """Call `ask` inside the event loop; `answer(dialog)` is called when a dialog is there."""
        import slicer

        failed = []

        def wait(left: int = 200) -> None:
            dialog = slicer.app.activeModalWidget()
            if dialog is None:
                if left:
                    self.qt.QTimer.singleShot(20, lambda: wait(left - 1))
                return
            self.seen.append(dialog)
            try:
                answer(dialog)
            except BaseException as error:
                failed.append(error)
                dialog.reject()

        def go():
            self.qt.QTimer.singleShot(20, wait)
            return ask()

        value = self.testbed.run(go)
        if failed:
            raise failed[0]
        assert self.seen, "no dialog opened"
        return value

    def click(self, words: str):
        """An answer: read the dialog, then click the button with this text."""

        def answer(dialog):
            buttons = {button.text.replace("&", ""): button for button in dialog.buttons()}
            self.texts = (dialog.text, dialog.informativeText, sorted(buttons))
            self.testbed.click(buttons[words])

        return answer


@pytest.fixture
def desk(testbed, scene, monkeypatch):
    import shiboken6
    import slicer

    window = testbed.qt.QMainWindow()
    window.name = "qSlicerMainWindow"
    window.show()
    monkeypatch.setattr(type(slicer.app), "isTesting", False)
    yield Desk(testbed)
    window.close()
    shiboken6.delete(window)  # at once: other tests have no main window
    slicer.app.processEvents()


@pytest.fixture
def dialogs(testbed):
    from HippoSegSlicer.questions import Dialogs

    return Dialogs()


@pytest.mark.parametrize(
    ("button", "answer"), [("Replace", "replace"), ("Make a new one", "new"), ("Cancel", None)]
)
def test_an_edited_result_is_asked_about(desk, dialogs, button, answer):
    assert desk.answered(lambda: dialogs.replaceEdited("Head hippocampi"), desk.click(button)) == answer
    text, more, buttons = desk.texts
    assert "“Head hippocampi” has been edited" in text and "losing the edits" in more
    assert buttons == ["Cancel", "Make a new one", "Replace"]


@pytest.mark.parametrize(("button", "answer"), [("OK", True), ("Cancel", False)])
def test_consent_is_asked_for_with_the_size(desk, dialogs, button, answer):
    from HippoSegSlicer.setuppanel import consentText

    from HippoSegLib.dependencies import PACKAGES

    text = consentText(PACKAGES[1:3])
    assert desk.answered(lambda: dialogs.install(text), desk.click(button)) is answer
    assert "20 MB" in desk.texts[0] and "scikit-image" in desk.texts[0]


@pytest.mark.parametrize("question", ["modelFolder", "wheelsFolder"])
@pytest.mark.parametrize("isAccepted", [True, False])
def test_a_folder_is_asked_for(desk, dialogs, tmp_path, question, isAccepted):
    def answer(dialog):
        dialog.setDirectory(str(tmp_path))
        dialog.accept() if isAccepted else dialog.reject()

    found = desk.answered(getattr(dialogs, question), answer)
    assert found == (str(tmp_path) if isAccepted else "")


@pytest.mark.parametrize(("question", "name"), [("csvFile", "výsledky.csv"), ("pictureFile", "qc.png")])
@pytest.mark.parametrize("isAccepted", [True, False])
def test_a_file_to_write_is_asked_for(desk, dialogs, tmp_path, question, name, isAccepted):
    def answer(dialog):
        assert pathlib.Path(dialog.selectedFiles()[0]).name == name  # what was suggested
        dialog.setDirectory(str(tmp_path))
        dialog.selectFile(name)
        dialog.accept() if isAccepted else dialog.reject()

    found = desk.answered(lambda: getattr(dialogs, question)(name), answer)
    assert found == (str(tmp_path / name) if isAccepted else "")


def test_nobody_is_asked_in_testing_mode(dialogs):
    assert dialogs.replaceEdited("Head") == "new" and dialogs.install("Everything") is False


def test_the_3d_views_of_the_layout_are_aimed_at_the_result(panel, testbed, monkeypatch):
    import slicer

    layout = testbed.LayoutManager(2)
    monkeypatch.setattr(type(slicer.app), "layout", layout)
    panel.parameters.inputVolume = add_volume("T1")
    panel.segment()
    assert [view.aimed for view in layout.views] == [1, 1]
