"""The page on paper: one sheet, A4 and US letter, however much there is to say."""

from __future__ import annotations

import re

import pytest
from pages import write

from HippoSegLib import cli
from HippoSegLib.errors import DependencyError, OutputError
from HippoSegLib.flags import Flag
from HippoSegLib.reference import Person
from HippoSegLib.report import pdf
from HippoSegLib.report.write import ReportOptions

needs_browser = pytest.mark.skipif(pdf.find_browser() is None, reason="needs Chromium, Chrome or Edge")

#: Paper -> width and height in points.
SIZES = {"a4": (595, 842), "letter": (612, 792)}


def pages(data: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", data))


def flags(count: int) -> tuple[Flag, ...]:
    words = (
        "The two readers outline the left hippocampus differently (overlap 0.80): check it, and once more."
    )
    return tuple(Flag("disagreement", f"{words} {n}", "left") for n in range(count))


@needs_browser
@pytest.mark.parametrize("paper", SIZES)
def test_a_page_with_much_to_say_is_one_sheet(finished, reference, paper):
    """Warnings, comparison, curves and change, all at once."""
    change = (
        "Change between visits (2 scans over 2.0 years; % of their mean volume): left: -60 mm³ per year.",
    )
    options = ReportOptions(
        pdf=True,
        paper=paper,
        name="Jane Doe",
        reference=reference,
        person=Person(62.0, "female"),
        change=lambda _record: change,
    )
    written = write(finished(status="review", flags=flags(5)), None, options)
    data = written[1].read_bytes()
    assert pages(data) == 1
    box = [float(n) for n in re.search(rb"/MediaBox\s*\[([^]]*)\]", data)[1].split()]
    assert box == pytest.approx([0, 0, *SIZES[paper]], abs=1)
    assert data.startswith(b"%PDF") and [path.suffix for path in written] == [".html", ".pdf"]


@needs_browser
def test_what_does_not_fit_goes_on_a_second_sheet(finished):
    written = write(finished(status="review", flags=flags(60)), None, ReportOptions(pdf=True))
    assert pages(written[1].read_bytes()) > 1


def test_without_a_browser_a_sentence_says_what_to_do(finished, monkeypatch, capsys):
    monkeypatch.setattr(pdf, "_browsers", lambda: iter(()))
    record = finished()
    with pytest.raises(DependencyError) as caught:
        write(record, None, ReportOptions(pdf=True))
    assert caught.value.code == "no_browser" and not list(record.parent.glob("*.html"))
    assert cli.main(["report", str(record), "--pdf"]) == 9
    assert "open the page in any browser and print it" in capsys.readouterr().err


def test_a_browser_that_does_not_print_is_told(tmp_path):
    silent = tmp_path / "browser"
    silent.write_text("#!/bin/sh\nexit 0\n")
    silent.chmod(0o755)
    with pytest.raises(OutputError, match="could not print"):
        pdf.print_pdf("<p>", tmp_path / "page.pdf", str(silent))
    assert not (tmp_path / "page.pdf").exists()
