"""Every value of both bundled cards altered in every way: one sentence that names the field, or a card that
works."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from cards import DROPPED, alterations, bundled, shortened

from HippoSegLib.evaluation.output import trained_on
from HippoSegLib.models.card import ModelCard, card_text
from HippoSegLib.models.card_words import card_lines
from HippoSegLib.models.fields import FieldError
from HippoSegLib.models.quality_card import FEATURES
from HippoSegLib.models.store import bundled_models
from HippoSegLib.preprocessing.chain import channels
from HippoSegLib.results.quality import QualityModel
from HippoSegLib.results.quality_features import likeness

RNG = np.random.default_rng(0)
CROP = RNG.random((24, 28, 20)).astype(np.float32)
RANKS = RNG.random((6, 7, 5)) - 0.5


def works(card: ModelCard, before: ModelCard) -> None:
    """Do with a card what the program does, as far as it differs from the card it was made of."""
    text = card_text(card)  # read again as it is written
    assert json.loads(text)["format_version"] == 2
    assert card_lines(card) and all(isinstance(line, str) for line in card_lines(card))
    assert isinstance(trained_on(["hippocampus_001"], card.segmenter.training), list)
    for role in ("segmenter", "localizer", "refiner"):
        shape = card.network(role)
        assert (shape is None) == (card.file_of(role) is None)
        assert shape is None or shape.parameters > 0
    if card.segmenter.preprocessing != before.segmenter.preprocessing:
        found = channels(CROP, card.segmenter.preprocessing)
        assert found.shape[1:] == CROP.shape and np.isfinite(found).all()
    if card.quality is not None and card.quality != before.quality:
        quality = QualityModel.from_card(card.quality)
        assert 0 <= quality.score(dict.fromkeys(FEATURES, 0.3)) <= 1
        assert 0 <= quality.score(dict.fromkeys(FEATURES, 0.3), 0.95) <= 1 and 0 <= quality.least(0.95) <= 1
        assert -1 <= likeness(RANKS, quality.pattern) <= 1


def names(named: str, altered: str) -> bool:
    """Whether the field that an error names is the altered one, one within it or around it, or one that must
    fit it."""
    if named.startswith(altered) or altered.startswith(named):
        return True
    first, second = named.split("."), altered.split(".")
    if named == "files":  # which must be those of the networks that there are
        return len(second) == 1
    of_network = {"widths", "region_size", "grid_size", "preprocessing"}
    fits = {first[1], second[1]} <= of_network or first[1] == second[1] == "t1_pattern"
    return first[0] == second[0] and fits


@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "done"), [("hipposeg", None), ("hipposeg_clahe_sce", "hipposeg")])
@pytest.mark.filterwarnings("ignore")
def test_an_altered_card_is_refused_by_its_field_or_works(name, done):
    """Of the second card, what differs from the first one."""
    assert set(bundled_models()) == {"hipposeg", "hipposeg_clahe_sce"}
    card = shortened(bundled(name))
    before = ModelCard.read(card)
    outcomes = Counter()
    before_it = DROPPED if done is None else shortened(bundled(done))
    for path, what, values in alterations(card, before_it):
        where = ".".join(map(str, path))
        try:
            found = ModelCard.read(values)
        except FieldError as error:
            assert names(error.place.replace("[", ".").replace("]", ""), where), (where, what, str(error))
            assert str(error) and "\x1b" not in str(error) and len(str(error)) < 400
            outcomes["refused"] += 1
            continue
        try:
            works(found, before)
        except Exception as error:  # the place and what was put there, not only what failed
            raise AssertionError(f"{where}: {what}: {type(error).__name__}: {error}") from error
        outcomes["works"] += 1
    # Neither is an exception.
    assert min(outcomes["refused"], outcomes["works"]) > (1500 if done is None else 700), outcomes
