"""The core's sentences can be translated: all of them, with their values."""

from __future__ import annotations

import re

import core_sentences
import pytest
from panelbed import add_volume

from HippoSegLib.errors import InputError


@pytest.fixture
def shouted(testbed, monkeypatch):
    """Another language: English in capitals."""
    from HippoSegSlicer import sentences

    def capitals(text: str) -> str:
        return re.sub(r"[a-z]+", lambda word: word[0].upper(), text)

    monkeypatch.setattr(sentences, "tr", capitals)
    sentences._patterns.cache_clear()
    yield sentences
    sentences._patterns.cache_clear()


@pytest.mark.no_cover
def test_the_table_holds_what_the_core_says(testbed):
    from HippoSegSlicer.coresentences import sentences

    assert list(sentences(lambda text: text)) == core_sentences.sentences(), "run core_sentences.py"


@pytest.mark.no_cover
def test_every_code_has_a_sentence(testbed):
    """Codes are found in another way than sentences: by their looks, as third argument or first of a flag."""
    from HippoSegSlicer.coresentences import sentences

    known, codes = set(sentences(lambda text: text)), {}
    for path in core_sentences.sources():
        for code, text in core_sentences.said(path):
            codes.setdefault(code, set()).add(text)
    source = "\n".join(path.read_text(encoding="utf-8") for path in core_sentences.sources())
    flags = set(re.findall(r'Flag\(\s*"([a-z_]+)"', source))
    assert len(flags) > 10 and flags <= set(codes)
    assert all(texts <= known for texts in codes.values())


def test_values_stay_in_a_translated_sentence(shouted):
    assert shouted.translated("Side 'x' is not known.") == "SIDE 'x' IS NOT KNOWN."
    assert shouted.translated("'a.nii' is a 4D image.") == "'a.nii' IS A 4D IMAGE."
    error = InputError("The sequence holds no volumes.", "Choose the browser of a volume sequence.")
    assert shouted.errorText(error) == str(error).upper()
    assert shouted.translated("Something nobody wrote down.") == "Something nobody wrote down."


def test_the_panel_speaks_the_users_language(shouted, panel, steer):
    panel.parameters.inputVolume = add_volume("T1")
    steer("not-found")
    panel.segment()
    assert "“Point: left”" in panel.ui.messageLabel.text  # the panel's own remedy, from its own table
    panel.parameters.inputVolume = None
    assert panel.ui.reasonLabel.text == "NO VOLUME IS CHOSEN. CHOOSE A T1 VOLUME OF THE HEAD."
