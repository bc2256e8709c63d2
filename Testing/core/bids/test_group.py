"""The group level: one table from the output alone, without what failed or was judged to be poor."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from HippoSegLib.batch.record import read_record
from HippoSegLib.batch.verdicts import result_id
from HippoSegLib.bids.layout import BIDS
from HippoSegLib.commands.bids import main


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture
def results(dataset, tmp_path, pipeline) -> Path:
    """The derivative of four scans, one of which failed; the raw data are gone."""
    out = tmp_path / "hipposeg"
    assert main([str(dataset), str(out), "participant", "--no-picture", "--n-cpus", "1"]) == 65
    shutil.rmtree(dataset)
    return out


def test_all_scans_in_one_table_and_why_one_is_not(results, dataset, capsys):
    assert main([str(dataset), str(results), "group"]) == 0
    page = results / "index.html"
    assert str(page) in capsys.readouterr().out and "sub-02_acq-mprage" in page.read_text(encoding="utf-8")
    table = rows(results / "group_hippocampus.tsv")
    assert [(row["participant_id"], row["session_id"]) for row in table] == [
        ("sub-01", "ses-a"),
        ("sub-01", "ses-b"),
        ("sub-02", "n/a"),
    ]
    for row in table:
        stem = row["source"].removeprefix("bids:raw:").removesuffix("_T1w.nii.gz")
        (one,) = rows(results / f"{stem}_seg-hipposeg_volumes.tsv")
        assert row == one | {"review": "n/a"}  # the table of each scan and that of all say the same
        assert all(row.values())  # BIDS: n/a, never empty
    (left_out,) = rows(results / "group_excluded.tsv")
    assert left_out["reason"] == "failed" and left_out["comment"].startswith("truncated: ")
    for name in ("hippocampus", "excluded"):
        words = json.loads((results / f"group_{name}.json").read_text(encoding="utf-8"))
        assert list(words) == list(rows(results / f"group_{name}.tsv")[0])
        assert all(entry["Description"] for entry in words.values())


def test_pandas_reads_the_table(results, dataset):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed (requirements/test.txt)")
    assert main([str(dataset), str(results), "group"]) == 0
    frame = pandas.read_csv(results / "group_hippocampus.tsv", sep="\t")
    assert frame["left_mm3"].dtype.kind in "if" and frame["left_quality"].isna().all()
    assert frame["session_id"].isna().tolist() == [False, False, True]


def test_verdicts_count(results, dataset, capsys):
    record = read_record(BIDS.record_path(results, "sub-02_acq-mprage"))
    verdicts = f"scan,verdict,comment,when,result\nsub-02_acq-mprage,fail,Cut off,,{result_id(record)}\n"
    verdicts += "sub-01_ses-a_run-1,pass,,,\nsub-01_ses-b,fail,Of before,,r000000000000\n"
    (results / "review.csv").write_text(verdicts)
    assert main([str(dataset), str(results), "group"]) == 0
    assert [row["review"] for row in rows(results / "group_hippocampus.tsv")] == ["pass", "n/a"]
    left_out = {row["source"].split("/")[-1]: row for row in rows(results / "group_excluded.tsv")}
    poor = left_out["sub-02_acq-mprage_T1w.nii.gz"]
    assert (poor["reason"], poor["comment"]) == ("review", "Cut off")
    assert "sub-01_ses-b" in capsys.readouterr().out  # a verdict on an earlier result is said, not taken
    (results / "review.csv").write_text("scan,verdict\nsub-02_acq-mprage,bad\n")
    assert main([str(dataset), str(results), "group"]) == 65


def test_labels_select_and_a_damaged_record_is_said(results, dataset):
    BIDS.record_path(results, "sub-01_ses-b").write_text("{")
    words = [str(dataset), str(results), "group", "--participant-label", "01"]
    assert main(words) == 0
    assert [row["session_id"] for row in rows(results / "group_hippocampus.tsv")] == ["ses-a"]
    assert [row["reason"] for row in rows(results / "group_excluded.tsv")] == ["record"]
    assert main([*words[:-1], "77"]) == 18


def test_the_same_output_gives_the_same_table_to_the_byte(results, dataset):
    names = ("group_hippocampus.tsv", "group_excluded.tsv")
    main([str(dataset), str(results), "group"])
    before = [((results / name).read_bytes(), (results / name).stat().st_mtime_ns) for name in names]
    main([str(dataset), str(results), "group"])
    assert [((results / name).read_bytes(), (results / name).stat().st_mtime_ns) for name in names] == before


def test_review_and_report_find_the_records_beside_the_group_table(results, dataset):
    """The data dictionary of the group's table is called as a record of `hipposeg batch`."""
    from HippoSegLib.report.write import find_records
    from HippoSegLib.review.cards import cards_of

    assert main([str(dataset), str(results), "group"]) == 0
    assert (results / "group_hippocampus.json").exists()
    assert len(cards_of(results)) == len(find_records(results)) == 4
