"""The page of a scan: what stands on it, in which order, and what does not."""

from __future__ import annotations

import base64
import json
import sys

import pytest
from pages import write
from PIL import Image

from HippoSegLib import cli
from HippoSegLib.batch.record import Failure
from HippoSegLib.batch.verdicts import Verdict, verdict_bytes
from HippoSegLib.errors import DependencyError, InputError, OutputError
from HippoSegLib.flags import Flag
from HippoSegLib.models.store import bundled_folder
from HippoSegLib.report.write import ReportOptions

HOSTILE = '<script>alert("1")</script> &amp; \'"><img src=x>'


def page_of(read, record, **options):
    (page,) = write(record, None, ReportOptions(**options))
    return read(page)


def test_the_page_says_what_was_measured(finished, read):
    page = page_of(read, finished())
    assert page.all("tr") == [
        "LeftRightTotal",
        "Volume, mm³300034006400",
        "anterior, mm³16001800",
        "posterior, mm³14001600",
        "‰ of intracranial volume1.8752.1254.000",
        "Expected overlap0.910.88",
        "Agreement of the readers0.960.97",
    ]
    words = " ".join(page.all("p", "finding"))
    assert "left 12.5 % smaller than right ((right - left) / mean of both: +12.5 %)" in words
    assert "Intracranial volume 1600 mL" in words
    assert "No reference was used" in words
    assert page.all("b")[0] == "No warnings." and not page.all("li")


def test_every_number_has_its_definition(finished, read):
    page = page_of(read, finished())
    terms = page.all("b")[1:]
    assert terms == [
        "Volume",
        "Anterior, posterior",
        "Intracranial volume",
        "‰ of intracranial volume",
        "Asymmetry",
        "Expected overlap",
        "Agreement of the readers",
    ]
    card = json.loads((bundled_folder() / "hipposeg" / "card.json").read_text(encoding="utf-8"))
    # Two readers outlined: their threshold of the score, and that of their agreement.
    assert f"below {card['quality']['agreement']['threshold']:.2f}" in page.text
    assert "below 0.90" in page.text


def trained_on() -> int:
    """How many cases the shipped model's card names."""
    card = json.loads((bundled_folder() / "hipposeg" / "card.json").read_text(encoding="utf-8"))
    return len(card["segmenter"]["training"]["train_cases"])


def test_model_protocol_and_versions_are_named(finished, read):
    page = page_of(read, finished())
    assert f"Trained on {trained_on()} outlined hippocampi" in page.text and "CC-BY-SA" in page.text
    assert "not for clinical use" in page.text
    assert "hipposeg and hipposeg_clahe_sce" in page.text
    assert "full: the whole hippocampus, tail included" in page.text
    assert "181 × 217 × 181 voxels of 1 × 1 × 1.2 mm" in page.text and "numpy 2.4.6" in page.text


def test_the_figure_is_in_the_page(finished, read):
    record = finished()
    page = page_of(read, record)
    (image,) = (attributes for tag, attributes, _ in page.elements if tag == "img")
    data = base64.b64decode(image["src"].partition("base64,")[2])
    assert data == (record.parent / "head_hippocampus.png").read_bytes()


def test_warnings_come_first(finished, read):
    flags = (
        Flag("series_uids", "A remark.", severity="info"),
        Flag("quality", "The left outline is uncertain.", "left"),
    )
    page = page_of(read, finished(status="review", flags=flags))
    assert page.all("li") == ["The left outline is uncertain.", "Note: A remark."]
    assert page.place("li", "warning") < page.place("figure") < page.place("table")
    assert page.all("b")[0] == "Look at the outlines before you use these numbers."


def test_a_large_difference_with_failed_outlines_is_told_from_a_finding(finished, read):
    bad = (Flag("disagreement", "The two readers outline the left hippocampus differently.", "left"),)
    doubted = page_of(read, finished("a", status="review", flags=bad))
    clear = page_of(read, finished("b"))
    words = "the left outline may be wrong: the difference may come from that"
    assert words in doubted.text and words not in clear.text


def test_a_failed_scan_has_a_page_that_says_why(finished, read):
    failure = Failure("no_head", "not_found", "No head was found. Give a whole head.")
    page = page_of(read, finished(status="failed", failure=failure))
    assert page.all("b")[0] == "This scan has no result."
    assert page.all("li") == ["No head was found. Give a whole head."]
    assert not page.all("table") and not page.all("figure") and not page.all("p", "finding")


def test_no_text_breaks_out(finished, read):
    flags = (Flag("input", HOSTILE),)
    record = finished(status="review", flags=flags)
    page = page_of(read, record, name=HOSTILE)
    assert page.all("li", "warning") == [HOSTILE] and HOSTILE in page.all("dd")
    tags = {tag for tag, _, _ in page.elements}
    assert "script" not in tags and sum(tag == "img" for tag, _, _ in page.elements) == 1


def test_the_patient_s_name_stands_there_only_if_asked_for(finished, read):
    record = finished()
    page = page_of(read, record)
    assert "DOE" not in record.with_name("head_report.html").read_text() and "Name" not in page.all("dt")
    again = page_of(read, record, name="Jane Doe", overwrite=True)
    assert "Jane Doe" in again.all("dd")


def test_a_page_is_not_replaced_unasked(finished):
    record = finished()
    (page,) = write(record, None, ReportOptions())
    page.write_text("mine")
    with pytest.raises(OutputError) as caught:
        write(record, None, ReportOptions())
    assert caught.value.code == "exists" and page.read_text() == "mine"
    write(record, None, ReportOptions(overwrite=True))
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert sorted(p.name for p in page.parent.iterdir()) == [
        "head_hippocampus.json",
        "head_hippocampus.nii.gz",
        "head_hippocampus.png",
        "head_report.html",
    ]


def test_labels_edited_after_they_were_measured_are_told(finished, read):
    record = finished()
    record.with_name("head_hippocampus.nii.gz").write_bytes(b"corrected by hand")
    page = page_of(read, record)
    assert "changed after it was measured" in page.all("li", "warning")[0]
    assert page.all("b")[0].startswith("Look at the outlines")


def test_another_figure_is_not_shown(finished, read):
    record = finished()
    Image.new("RGB", (8, 8)).save(record.with_name("head_hippocampus.png"))
    page = page_of(read, record)
    assert not [tag for tag, _, _ in page.elements if tag == "img"]
    assert "not the one of this result" in page.all("figcaption")[0]


def test_another_model_of_that_name_is_not_taken_for_it(finished, read):
    page = page_of(read, finished(provenance={"model": {"name": "hipposeg", "sha256": "0" * 64}}))
    assert "card of this model is not on this computer" in page.text and "Trained on" not in page.text


def test_a_model_elsewhere_can_be_named(finished, read):
    other = {"name": "ours", "sha256": ""}
    record = finished()
    entry = json.loads(record.read_text())
    other["sha256"] = entry["model"]["sha256"]
    record.write_text(json.dumps(entry | {"model": other}))
    assert "is not on this computer" in page_of(read, record).text
    named = page_of(read, record, model=str(bundled_folder() / "hipposeg"), overwrite=True)
    assert f"Trained on {trained_on()} " in named.text


@pytest.mark.parametrize(("text", "words"), [("{", "damaged"), ("{}", "no record"), (None, "cannot be read")])
def test_what_is_no_record_is_refused_in_a_sentence(tmp_path, text, words):
    path = tmp_path / "x_hippocampus.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words):
        write(path, None, ReportOptions())


def test_without_jinja2_the_group_is_named(finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(DependencyError, match="Jinja2>=3.1"):
        write(finished(), None, ReportOptions())


def test_the_command_writes_pages_of_a_folder(finished, tmp_path, capsys):
    finished("a"), finished("b")
    (tmp_path / "out" / "c_hippocampus.json").write_text("{")
    pages = tmp_path / "pages"
    assert cli.main(["report", str(tmp_path / "out"), "-o", str(pages)]) == 10
    out, err = capsys.readouterr()
    assert sorted(p.name for p in pages.iterdir()) == ["a_report.html", "b_report.html"]
    assert out.splitlines() == [str(pages / "a_report.html"), str(pages / "b_report.html")]
    assert "'c_hippocampus.json' is damaged." in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "one.html"], "several scans"),
        (["--name", "Jane"], "of one scan"),
        (["-o", "pages.docx"], "not written as '.docx'"),
    ],
)
def test_calls_that_cannot_be_meant(finished, tmp_path, capsys, arguments, words):
    finished("a"), finished("b")
    assert cli.main(["report", str(tmp_path / "out"), *arguments]) == 3
    assert words in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize("by_folder", [True, False])
def test_results_in_a_bids_derivative_have_pages_beside_their_records(finished, read, tmp_path, by_folder):
    scan = "sub-01_ses-a_T1w"
    flat = finished(scan)
    anat, figures = tmp_path / "bids" / "sub-01" / "ses-a" / "anat", tmp_path / "bids" / "sub-01" / "figures"
    anat.mkdir(parents=True)
    figures.mkdir()
    record = flat.rename(anat / f"{scan}_record.json")
    flat.with_name(f"{scan}_hippocampus.nii.gz").rename(anat / f"{scan}_hippocampus.nii.gz")
    flat.with_name(f"{scan}_hippocampus.png").rename(figures / f"{scan}_hippocampus.png")
    verdict = {scan: Verdict("fail", "Moved too much.")}
    (tmp_path / "bids" / "review.csv").write_bytes(verdict_bytes(verdict))
    assert cli.main(["report", str(tmp_path / "bids" if by_folder else record)]) == 0
    page = read(anat / f"{scan}_report.html")
    assert [tag for tag, _, _ in page.elements if tag == "img"]
    assert page.all("li", "warning") == ["A person looked at the outlines and failed them: Moved too much."]
