"""A page with a reference: percentiles, curves over age, asymmetry among the controls, and refusals."""

from __future__ import annotations

import re

import pytest
from pages import MEASURED, write

from HippoSegLib.batch.verdicts import Verdict, verdict_bytes
from HippoSegLib.reference import Person, judge
from HippoSegLib.reference.values import identity_of
from HippoSegLib.report.comparison import percentile_words
from HippoSegLib.report.write import ReportOptions, load

WOMAN = Person(62.0, "female")


@pytest.fixture
def compared(finished, read, reference):
    record = finished()
    (page,) = write(record, None, ReportOptions(reference=reference, person=WOMAN))
    return read(page), record


def test_percentiles_and_expected_ranges_stand_under_the_volumes(compared, reference):
    page, record = compared
    judgement = judge(reference, MEASURED, WOMAN, identity_of(load(record).provenance))
    left, right, total = (judgement.measures[name] for name in ("left", "right", "total"))
    rows = page.all("tr")
    assert rows[1].startswith("Volume")
    assert rows[2] == "Percentile" + "".join(percentile_words(one) for one in (left, right, total))
    expected = "".join(f"{one.expected_low:.0f}–{one.expected_high:.0f}" for one in (left, right, total))
    assert rows[3] == f"95 % range, mm³{expected}"
    # 3000 mm³ against about 3480: small; the other side is as expected.
    assert left.percentile < 10 < right.percentile
    assert {"Age", "Sex"} <= set(page.all("dt")) and {"62", "female"} <= set(page.all("dd"))


def test_the_asymmetry_is_ranked_among_the_controls(compared, controls):
    page, _ = compared
    less = sum(abs(control.measurements["asymmetry_index"]) < 0.125 for control in controls)
    assert less > 55
    words = " ".join(page.all("p", "finding"))
    assert f"A larger difference than in {less} of your 64 controls" in words
    assert "No reference was used" not in words and "nine of ten" not in words
    assert "64 controls: how sure a percentile is, its interval says" in words


def test_the_numbers_of_the_comparison_are_defined(compared):
    page, _ = compared
    assert page.all("b")[1:4] == ["Volume", "Percentile", "95 % range"]
    assert "of 100 people like this one in age, head size and sex" in page.text


def drawing(page, number):
    """Start tags within the n-th drawing, and the values of its axes at two places each."""
    starts = [n for n, (tag, _, _) in enumerate(page.elements) if tag == "svg"]
    end = (*starts[1:], None)[number]
    found = page.elements[starts[number] : end]
    texts = [(attributes, "".join(words)) for tag, attributes, words in found if tag == "text"]
    across = [(float(a["x"]), float(w)) for a, w in texts if a.get("text-anchor") == "middle"]
    up = [(float(a["y"]) - 2.8, 1000 * float(w)) for a, w in texts if re.fullmatch(r"\d\.\d", w)]
    return found, across, up


def value_at(place, ticks):
    (p, v), (q, w) = ticks[0], ticks[-1]
    return v + (place - p) / (q - p) * (w - v)


@pytest.mark.parametrize(("number", "volume"), [(0, 3000), (1, 3400)])
def test_the_dot_is_at_the_person_s_age_and_volume(compared, number, volume):
    page, _ = compared
    found, across, up = drawing(page, number)
    (dot,) = (attributes for tag, attributes, _ in found if tag == "circle")
    assert value_at(float(dot["cx"]), across) == pytest.approx(62, abs=0.5)
    assert value_at(float(dot["cy"]), up) == pytest.approx(volume, abs=15)


def test_the_middle_curve_falls_as_the_controls_do(compared):
    page, _ = compared
    found, across, up = drawing(page, 0)
    curves = [attributes for tag, attributes, _ in found if tag == "polyline"]
    assert len(curves) == 5 and [("stroke-dasharray" in one) for one in curves] == [
        True,
        True,
        False,
        True,
        True,
    ]
    points = [tuple(map(float, pair.split(","))) for pair in curves[2]["points"].split()]
    ages, volumes = zip(*((value_at(x, across), value_at(y, up)) for x, y in points), strict=True)
    assert (min(ages), max(ages)) == pytest.approx((20, 80), abs=0.5)
    assert (volumes[-1] - volumes[0]) / 60 == pytest.approx(-10, abs=3)  # mm³ a year


@pytest.mark.parametrize(
    ("person", "words"),
    [
        (Person(None, "female"), "The age is not known."),
        (Person(95.0, "male"), "outside the controls' (20.0 to 80.0)"),
    ],
)
def test_why_there_is_no_percentile_is_said(finished, read, reference, person, words):
    (path,) = write(finished(), None, ReportOptions(reference=reference, person=person))
    page = read(path)
    said = [one for one in page.all("p", "finding") if words in one]
    assert len(said) == 1 and said[0].startswith("Not compared with the 64 controls of the reference: ")
    assert not any(row.startswith("Percentile") for row in page.all("tr"))
    assert not [tag for tag, _, _ in page.elements if tag == "svg"]


def test_a_comparison_in_the_record_is_shown_without_the_reference(finished, read, reference):
    provenance = load(finished("a")).provenance
    judgement = judge(reference, MEASURED, WOMAN, identity_of(provenance))
    record = finished("b", provenance={**provenance, "reference": judgement.to_dict()})
    (path,) = write(record, None, ReportOptions())
    page = read(path)
    assert page.all("tr")[2].startswith("Percentile") and "62" in page.all("dd")
    assert not [tag for tag, _, _ in page.elements if tag == "svg"]


def test_tails_are_told_no_more_exactly_than_one_percent(finished, read, reference):
    tiny = {**MEASURED, "left_mm3": 1600.0}
    (path,) = write(finished(measurements=tiny), None, ReportOptions(reference=reference, person=WOMAN))
    assert read(path).all("tr")[2].startswith("Percentile<1") and "(<1" not in read(path).text


@pytest.mark.parametrize(("verdict", "place"), [("fail", "warning"), ("pass", "note")])
def test_what_a_reviewer_said_stands_there(finished, read, verdict, place):
    record = finished()
    (record.parent / "review.csv").write_bytes(verdict_bytes({"head": Verdict(verdict, "Tail is missing.")}))
    (path,) = write(record, None, ReportOptions())
    (words,) = read(path).all("li", place)
    assert words.endswith("Tail is missing.") and f"{verdict}ed them" in words
