"""The survey of 200 simulated participants: what was planted is said, what cannot be compared is withheld."""

from __future__ import annotations

from pathlib import Path

import pytest
import reference_people as bench


@pytest.fixture(scope="module")
def found():
    return bench.survey()


def test_there_are_200_and_the_printed_table_is_the_one_that_is_kept(found):
    assert sum(kind.count for kind in bench.KINDS) == 200
    lines = [line for line in bench.table(found) if line.startswith("| ")]
    kept = Path(bench.__file__).with_suffix(".md").read_text(encoding="utf-8")
    assert all(line in kept for line in lines)


def test_what_was_planted_is_said(found):
    normal, small, left, right, failed, nothing, old, large, other = found
    assert small.codes["asymmetric"] < 5 and normal.codes["status ok"] == normal.kind.count
    for one, rate in ((normal, 0.15), (small, None)):
        low = sum(j.measures["total"].percentile < 5 for j in one.judgements if j.measures)
        compared = sum(bool(j.measures) for j in one.judgements)
        assert low < rate * compared if rate else low > 0.7 * compared
    for one in (left, right):
        assert one.codes["asymmetric"] >= 14 and not one.codes["implausible"]
        assert all(bench.uneven(j) for j in one.judgements if j.measures)
    assert failed.codes["implausible"] >= 18 and not failed.codes["asymmetric"]
    assert failed.codes["status review"] == failed.kind.count == failed.codes["quality"]
    assert nothing.codes["status failed"] == 5
    for one, code in ((old, "age_outside"), (large, "head_outside"), (other, "other_protocol")):
        assert one.codes[code] == one.kind.count and not any(j.measures for j in one.judgements)


def test_no_page_diagnoses(found):
    words = ("atrophy", "sclerosis", "dementia", "Alzheimer", "abnormal", "patholog", "stage")
    for said in found:
        for page in said.pages:
            text = " ".join((*page.warnings, *page.notes, *page.findings))
            assert not [word for word in words if word in text]
