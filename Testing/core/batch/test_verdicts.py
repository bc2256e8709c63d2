"""`review.csv`: read whatever a spreadsheet made of it, never half, and only for the result that was seen."""

from __future__ import annotations

import csv
import io

import pytest

from HippoSegLib.batch.record import RecordedSource, ScanRecord, WrittenFile
from HippoSegLib.batch.verdicts import (
    REVIEW,
    Verdict,
    assign,
    read_verdicts,
    result_id,
    take_over,
    verdict_bytes,
)
from HippoSegLib.errors import InputError

WHEN = "2026-11-26T08:00:00Z"
VERDICTS = {
    "sub-01_T1w": Verdict("fail", 'cut at the tail, "badly"; see 2', WHEN, "r0123456789ab"),
    "sub-02_T1w": Verdict("pass", "", WHEN, "rffffffffffff"),
    "-Straße\u202e": Verdict("", "=SUM(1) is no formula\nsecond line", WHEN, ""),
}


def lines(separator: str = ",", ends: str = "\r\n") -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=ends)
    writer.writerow(["scan", "verdict", "comment", "when", "result"])
    for scan, v in VERDICTS.items():
        marked = [f"'{cell}" if cell[:1] in "=-" and cell else cell for cell in (scan, v.verdict, v.comment)]
        writer.writerow([*marked, v.when, v.result])
    return text.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + lines().encode("utf-8"),
        lines(ends="\n").encode("utf-8"),
        b"\xef\xbb\xbf" + lines(";").encode("utf-8"),
        lines("\t").encode("utf-16"),
        lines(";").replace("\u202e", "").encode("cp1252"),
        (lines() + ",,,,\r\n\r\n").encode("utf-8"),
    ],
    ids=["as saved", "Unix", "semicolons", "Unicode text", "Windows", "empty rows"],
)
def test_whatever_a_spreadsheet_made_of_it(tmp_path, data):
    (tmp_path / REVIEW).write_bytes(data)
    found = read_verdicts(tmp_path)
    assert {scan.rstrip("\u202e"): v for scan, v in found.items()} == {
        scan.rstrip("\u202e"): v for scan, v in VERDICTS.items()
    }


def test_what_is_written_is_read(tmp_path):
    (tmp_path / REVIEW).write_bytes(verdict_bytes(VERDICTS))
    assert read_verdicts(tmp_path) == VERDICTS
    with open(tmp_path / REVIEW, encoding="utf-8-sig", newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "-", "+", "@"))]


def test_no_file_and_columns_in_another_order(tmp_path):
    assert read_verdicts(tmp_path) == {}
    (tmp_path / REVIEW).write_text("Mine;Verdict;Scan\nx; FAIL ;a\n", encoding="utf-8")
    assert read_verdicts(tmp_path) == {"a": Verdict("fail", beside={"Mine": "x"})}


def test_columns_that_somebody_added_stay(tmp_path):
    """Through other reviewers' files, newer or older, and written so that no spreadsheet computes them."""
    text = f"scan,verdict,when,Rater,=note\na,pass,{WHEN},Kim,=1+1\nb,fail,,,\n"
    (tmp_path / REVIEW).write_text(text, encoding="utf-8")
    other = tmp_path / "other.csv"
    other.write_text(
        "scan,verdict,when,Second\na,fail,2027-01-01,Lee\nb,pass,2027-01-01,\n", encoding="utf-8"
    )
    assert take_over(tmp_path, [other]) == 2
    with open(tmp_path / REVIEW, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["verdict"] == "fail" and rows[1]["verdict"] == "pass"
    assert [(row["Rater"], row["'=note"], row["Second"]) for row in rows] == [
        ("Kim", "'=1+1", "Lee"),
        ("",) * 3,
    ]
    older = tmp_path / "older.csv"
    older.write_text("scan,verdict,when,Rater,Third\na,pass,2020-01-01,Old,kept\n", encoding="utf-8")
    take_over(tmp_path, [older])
    assert read_verdicts(tmp_path)["a"].beside == {
        "Rater": "Kim",
        "=note": "=1+1",
        "Second": "Lee",
        "Third": "kept",
    }
    assert read_verdicts(tmp_path)["a"].verdict == "fail"


def test_the_latest_line_of_a_scan_counts(tmp_path):
    rows = ["scan,verdict,when", f"a,pass,{WHEN}", "a,fail,2026-11-25T08:00:00Z", "b,pass,", "b,fail,"]
    (tmp_path / REVIEW).write_text("\n".join(rows), encoding="utf-8")
    assert {scan: v.verdict for scan, v in read_verdicts(tmp_path).items()} == {"a": "pass", "b": "fail"}


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\0\1\2", "no table"),
        (b'scan,verdict\na,"pass', "no table"),
        (b"", "first line"),
        (b"name,age\na,3\n", "first line"),
        (b"scan,verdict\na,pass\nb,perhaps\n", "row 3"),
        (b"scan,verdict\n,fail\n", "row 2"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, data, word):
    (tmp_path / REVIEW).write_bytes(data)
    with pytest.raises(InputError, match=word) as caught:
        read_verdicts(tmp_path)
    assert caught.value.code == "review_file" and caught.value.remedy
    assert (tmp_path / REVIEW).read_bytes() == data


def record(scan: str, sha256: str | None) -> ScanRecord:
    files = {} if sha256 is None else {"labels": WrittenFile(f"{scan}.nii.gz", 1, sha256)}
    return ScanRecord(scan, "ok", RecordedSource("x", "y"), files=files)


def test_a_verdict_is_of_one_result():
    results = {scan: result_id(record(scan, sha)) for scan, sha in (("a", "ab" * 32), ("b", None))}
    assert results == {"a": "rabababababab", "b": ""}
    seen = {"a": Verdict("fail", "", WHEN, results["a"]), "b": Verdict("fail"), "gone": Verdict("pass")}
    found = assign(seen, results)
    assert (found.counting, found.earlier, found.unknown) == (
        {"a": seen["a"], "b": seen["b"]},
        {},
        ("gone",),
    )
    again = assign(seen, results | {"a": "rcdcdcdcdcdcd"})
    assert (again.counting, again.earlier) == ({"b": seen["b"]}, {"a": seen["a"]})


def test_names_that_a_spreadsheet_took_for_numbers():
    results = {"0012": "raaaaaaaaaaaa", "012": "rbbbbbbbbbbbb", "1234567890123456789": "rcccccccccccc"}
    seen = {
        "12": Verdict("fail", "", WHEN, "rbbbbbbbbbbbb"),
        "1.23457E+18": Verdict("pass", "", WHEN, "rcccccccccccc"),
    }
    assert assign(seen, results).counting == {"012": seen["12"], "1234567890123456789": seen["1.23457E+18"]}
    by_hand = {"12": Verdict("fail")}  # may be either
    assert assign(by_hand, results).unknown == ("12",)
    assert assign(by_hand, {"0012": ""}).counting == {"0012": by_hand["12"]}


def test_verdicts_of_several_reviewers_come_together(tmp_path):
    own = {"a": Verdict("pass", "mine", "2026-11-26T08:00:00Z"), "b": Verdict("fail", "", WHEN)}
    (tmp_path / REVIEW).write_bytes(before := verdict_bytes(own))
    first, second = tmp_path / "review (1).csv", tmp_path / "review (2).csv"
    later, earlier = (
        Verdict("fail", "no", "2026-11-26T09:00:00Z"),
        Verdict("fail", "", "2026-11-25T09:00:00Z"),
    )
    first.write_bytes(verdict_bytes({"a": later, "c": Verdict("pass", "", WHEN)}))
    second.write_bytes(verdict_bytes({"a": earlier}))
    assert take_over(tmp_path, [first, second]) == 2
    assert read_verdicts(tmp_path) == {"a": later, "b": own["b"], "c": Verdict("pass", "", WHEN)}
    assert (tmp_path / "review_before-1.csv").read_bytes() == before
    assert take_over(tmp_path, [first, second]) == 0
    assert not (tmp_path / "review_before-2.csv").exists()
    second.write_bytes(b"scan,verdict\na,perhaps\n")
    now = (tmp_path / REVIEW).read_bytes()
    for bad in (second, tmp_path / "nowhere.csv"):
        with pytest.raises(InputError):
            take_over(tmp_path, [first, bad])
    assert (tmp_path / REVIEW).read_bytes() == now
