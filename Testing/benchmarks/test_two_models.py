"""The comparison of the two models: its folds must match, its differences and signs are counted by hand."""

from dataclasses import replace

import pytest
import two_models
from cross_validation import Fold

from HippoSegLib.evaluation.metrics import METRICS
from HippoSegLib.evaluation.run import Row


def fold(number: int, dice: dict[str, float], epochs: int = 36) -> Fold:
    rows = [
        Row(f"hippocampus_{case}", structure, "ok", values=dict.fromkeys(METRICS, 1.0) | {"dice": value})
        for case, value in dice.items()
        for structure in ("left", "left-anterior", "left-posterior")
    ]
    return Fold(number, "hipposeg train …", epochs, 60, rows)


PLAIN = [fold(0, {"001": 0.80, "002": 0.90}), fold(1, {"003": 0.9, "005": 0.8, "007": 0.7})]
BOTH = [fold(0, {"001": 0.82, "002": 0.92}), fold(1, {"003": 0.9, "005": 0.81, "007": 0.66})]


def test_subjects_count_once():
    assert two_models.by_subject(PLAIN, "left", "dice") == pytest.approx(
        {"subject_001": 0.85, "subject_002": 0.9, "subject_003": 0.8, "subject_004": 0.7}
    )


def test_difference_and_folds_by_hand():
    """Subjects differ by +0.02, 0, +0.01 and -0.04: -0.0025 in the mean, as fold 1 alone has it."""
    whole = two_models.crops_table(PLAIN, BOTH)[2]
    cells = [cell.strip() for cell in whole.strip("|").split("|")]
    assert cells[:4] == ["Dice whole", "0.8125", "0.8100", "-0.0025"] and cells[6] == "1 of 2"


def test_folds_of_other_cases_or_epochs_are_refused():
    two_models.check(PLAIN, BOTH)
    for other in ([BOTH[0], replace(BOTH[1], epochs=60)], [fold(0, {"001": 0.8}), BOTH[1]]):
        with pytest.raises(ValueError, match="more than the preprocessing"):
            two_models.check(PLAIN, other)


def test_the_report_counts_sides():
    heads = [{"a left": 0.8, "a right": 0.9}, {"a left": 0.81, "a right": 0.85}]
    text = two_models.report(PLAIN, BOTH, heads)
    assert "agrees better in 1 of 2 sides" in text and "36, 36 epochs" in text
    assert "| `hipposeg` | 0.8500 | 0.8000 |" in text and "5 crops" in text
