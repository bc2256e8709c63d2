"""The cross-validation's report: folds measured now and earlier, each case once."""

import json

import cross_validation as cv
import pytest

from HippoSegLib.evaluation.metrics import METRICS
from HippoSegLib.evaluation.run import Row
from HippoSegLib.evaluation.summary import cases_csv


def fold(number: int, cases: list[str], dice: float) -> cv.Fold:
    rows = [
        Row(case, structure, "ok", values=dict.fromkeys(METRICS, 1.0) | {"dice": dice})
        for case in cases
        for structure in ("left", "left-anterior", "left-posterior")
    ]
    return cv.Fold(number, f"hipposeg train DATA --fold {number}", 10 + number, 60, rows)


def write(folder, folds):
    rows = [row for one in folds for row in one.rows]
    (folder / "cross_validation.csv").write_text(cases_csv(rows), encoding="utf-8")
    (folder / "cross_validation.json").write_text(
        json.dumps([one.made_by for one in folds]), encoding="utf-8"
    )


def test_what_was_saved_is_reported_as_it_was(tmp_path):
    folds = [fold(0, ["hippocampus_001"], 0.8), fold(1, ["hippocampus_003", "hippocampus_004"], 0.95)]
    write(tmp_path, folds)
    assert cv.saved(tmp_path) == folds
    text = cv.report(cv.saved(tmp_path))
    # By hand: (0.8 + 2 * 0.95) / 3; cases 3 and 4 are one subject's.
    assert "| all | 3 |  |  | 0.900 | 0.900 | 0.900 | 1.00 | 0.800 |" in text
    assert "3 crops of 2 subjects" in text and "| 1 | 2 | 11 | 60 | 0.950 |" in text
    assert "1 of 3 under it" in text and "hippocampus_001 0.800" in text


def test_a_case_in_two_folds_is_refused():
    with pytest.raises(ValueError, match="held out twice"):
        cv.report([fold(0, ["hippocampus_001"], 0.9), fold(1, ["hippocampus_001"], 0.9)])


def test_the_saved_figures_are_of_one_division():
    folds = cv.saved(cv.HERE)
    assert [one.number for one in folds] == [0, 1, 2, 3, 4]
    assert cv.report(folds).strip() == (cv.HERE / "cross_validation.md").read_text(encoding="utf-8").strip()
