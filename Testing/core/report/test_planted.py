"""What pages say of 200 simulated participants: healthy, atrophied, asymmetric, or with a failed outline."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pages import MEASURED

from HippoSegLib.batch.record import RecordedSource, ScanRecord
from HippoSegLib.flags import Flag, doubted_sides, status_of
from HippoSegLib.reference import Identity, Person, identity_of, judge
from HippoSegLib.reference.fitting import fit_reference
from HippoSegLib.report.content import Beside, page_of

PROVENANCE = {
    "model": {"name": "double", "sha256": ""},
    "versions": {"HippoSeg": "0"},
    "settings": {"protocol": "full"},
}
DISAGREE = Flag("disagreement", "The two readers outline the left hippocampus differently.", "left")
#: Kind -> number of participants, what the left and the right side are multiplied with, flags.
KINDS = {
    "healthy": (110, 1.0, 1.0, ()),
    "atrophied": (30, 0.6, 0.6, ()),
    "asymmetric": (30, 0.75, 1.0, ()),
    "failed outline": (30, 0.75, 1.0, (DISAGREE,)),
}


@pytest.fixture(scope="module")
def pages(controls):
    """Kind -> the pages of its participants; they are drawn as the controls are."""
    reference, _far = fit_reference(controls, Identity("double", "0", "full"))
    rng = np.random.default_rng(11)
    return {
        kind: [_page(reference, rng, left, right, flags) for _ in range(count)]
        for kind, (count, left, right, flags) in KINDS.items()
    }


def _page(reference, rng, of_left, of_right, flags):
    age, head = float(rng.uniform(25, 75)), float(rng.uniform(1.4e6, 1.7e6))
    both = 3600 - 10 * (age - 50) + 1500 * np.log(head / 1.5e6) + rng.normal(0, 200)
    left, right = (both + rng.normal(0, 60)) * of_left, (both + rng.normal(0, 60)) * of_right
    measured = dict.fromkeys(MEASURED) | {
        "left_mm3": left,
        "right_mm3": right,
        "total_mm3": left + right,
        "asymmetry_index": (right - left) / ((right + left) / 2),
        "intracranial_mm3": head,
    }
    record = ScanRecord(
        "sub", status_of(flags), RecordedSource("", ""), measured, tuple(flags), provenance=PROVENANCE
    )
    doubted = doubted_sides(flag.name for flag in flags)
    person = Person(age, "female")
    judgement = judge(reference, measured, person, identity_of(PROVENANCE), doubted=doubted)
    assert not judgement.withheld
    return page_of(record, Beside(judgement=judgement))


def percentiles(pages, side):
    """As the table shows them; "<1" counts as 0."""
    cells = (getattr(next(row for row in page.rows if row.name == "Percentile"), side) for page in pages)
    return np.array([0 if cell.startswith("<") else int(re.match(r">?(\d+)", cell)[1]) for cell in cells])


def smaller_in(pages):
    """In how many of the 64 controls the asymmetry is smaller, as the words say."""
    words = (" ".join(page.findings) for page in pages)
    return np.array([int(re.search(r"in (\d+) of your 64 controls", one)[1]) for one in words])


def test_of_the_healthy_few_are_small(pages):
    for side in ("left", "right", "total"):
        low = (percentiles(pages["healthy"], side) < 5).mean()
        assert 0.005 < low < 0.14, side  # 5 % of 110, with the reference's own uncertainty


def test_atrophy_shows_on_both_sides_and_without_asymmetry(pages):
    for side in ("left", "right", "total"):
        assert (percentiles(pages["atrophied"], side) < 1).mean() > 0.95
    assert np.median(smaller_in(pages["atrophied"])) < 60


def test_asymmetry_is_larger_than_in_the_controls_and_the_healthy_side_is_healthy(pages):
    found = pages["asymmetric"]
    assert (smaller_in(found) == 64).all()
    assert np.median(percentiles(found, "left")) < 1 and 20 < np.median(percentiles(found, "right")) < 80
    words = [" ".join(page.findings) for page in found]
    assert all(re.search(r"left \d+\.\d % smaller than right", one) for one in words)
    assert not any("may be wrong" in one for one in words) and all(page.status == "ok" for page in found)


def test_a_failed_outline_is_no_finding(pages):
    for page in pages["failed outline"]:
        assert page.status == "review" and DISAGREE.message in page.warnings
        assert "The left outline may be wrong: look at it before its percentile is used." in page.findings


def test_no_page_makes_a_diagnosis(pages):
    forbidden = re.compile(
        r"atroph|normal|abnormal|patholog|sclerosis|dementia|Alzheimer|disease", re.IGNORECASE
    )
    for page in (one for kind in pages.values() for one in kind):
        said = " ".join([*page.findings, *page.warnings, *(one.words for one in page.definitions)])
        assert not forbidden.search(said), said
