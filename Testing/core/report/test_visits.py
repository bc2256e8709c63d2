"""The change between visits on the page: from the folder's table and a table of visits."""

from __future__ import annotations

from math import sqrt

import pytest
from pages import MEASURED

from HippoSegLib import cli
from HippoSegLib.batch.folder import OutputFolder
from HippoSegLib.batch.layout import FLAT
from HippoSegLib.batch.record import RecordedSource


@pytest.fixture
def two_visits(finished, tmp_path):
    """A folder with two scans of one subject and one of another, and a table of visits."""
    for name, subject, session, left in (("a1", "sub-01", "1", 3000.0), ("a2", "sub-01", "2", 2880.0)):
        finished(name, **_of(subject, session, left))
    finished("b1", **_of("sub-02", "1", 3000.0))
    finished("nobody")
    OutputFolder(tmp_path / "out", FLAT).update_table()
    table = tmp_path / "visits.tsv"
    table.write_text(
        "participant_id\tsession_id\tacq_time\n"
        "sub-01\tses-1\t2020-01-01\nsub-01\tses-2\t2022-01-01\nsub-02\tses-1\t2020-01-01\n"
    )
    return tmp_path / "out", table


def _of(subject, session, left):
    total = left + 3400.0
    measured = {**MEASURED, "left_mm3": left, "total_mm3": total}
    measured |= {"asymmetry_index": (3400.0 - left) / (total / 2)}
    source = RecordedSource(
        f"/data/{subject}_{session}.nii.gz", subject + session, subject=subject, session=session
    )
    return {"measurements": measured, "source": source}


def test_the_change_stands_on_the_pages_of_the_subject(two_visits, read):
    out, table = two_visits
    arguments = ["--visits", str(table), "--same-scanner", "--sd-percent", "1"]
    assert cli.main(["report", str(out), *arguments]) == 0
    years = 731 / 365.25  # 2020 was a leap year
    slope, mean = -120 / years, 2940.0
    reach = 1.95996 * 0.01 * mean * sqrt(2) / years
    percents = [100 * value / mean for value in (slope, slope - reach, slope + reach)]
    expected = f"left: {slope:+.0f} mm³ per year, {percents[0]:+.1f} % (95 % interval {percents[1]:+.1f} to "
    for scan in ("a1", "a2"):
        words = " ".join(read(out / f"{scan}_report.html").all("p", "finding"))
        assert "Change between visits (2 scans over 2.0 years" in words
        assert f"{expected}{percents[2]:+.1f} %)" in words
        assert "right: +0 mm³ per year" in words
    assert "No change per year: There are not two scans" in read(out / "b1_report.html").text
    assert "does not say whose scan it is" in read(out / "nobody_report.html").text


def test_several_scanners_are_not_compared(two_visits, read):
    out, table = two_visits
    assert cli.main(["report", str(out), "--visits", str(table), "--sd-percent", "1"]) == 0
    words = read(out / "a1_report.html").text
    assert "No change per year: Whether one scanner made all scans is not known" in words


def test_without_being_asked_for_nothing_is_said_of_change(two_visits, read):
    out, _table = two_visits
    assert cli.main(["report", str(out)]) == 0
    assert "per year" not in read(out / "a1_report.html").text


def test_a_table_of_visits_without_times_is_refused(two_visits, capsys, tmp_path):
    out, table = two_visits
    table.write_text("participant_id\nsub-01\n")
    assert cli.main(["report", str(out), "--visits", str(table)]) == 3
    assert "none with times" in capsys.readouterr().err and not list(out.glob("*.html"))
