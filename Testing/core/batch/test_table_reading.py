"""The table as others read it: pandas without a hint, a spreadsheet; columns that came later."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from standin import table, write_scan

from HippoSegLib.batch import run as batch
from HippoSegLib.batch.columns import FIELDS, LATER_FIELDS, row_of
from HippoSegLib.batch.common_root import relative_to_common_root
from HippoSegLib.batch.record import RecordedSource, ScanRecord, read_record
from HippoSegLib.batch.table import build_table
from HippoSegLib.errors import OutputError
from HippoSegLib.flags import Flag
from HippoSegLib.io.folder_lock import folder_lock
from HippoSegLib.results.volumes import COLUMNS

FORMULAS = ("=1+1.nii", "+1.nii", "-1.nii", "@SUM(A1).nii", "\t=1.nii", "\r=1.nii", "=cmd|' /C calc'!A0.nii")
KNOWN = dict.fromkeys(COLUMNS) | {"left_mm3": 3000.6, "right_mm3": 2990.2, "asymmetry_index": -0.0035}


def recorded(folder: Path, scan: str, path: str, **changes) -> ScanRecord:
    """A record in a folder."""
    record = ScanRecord(scan, "ok", RecordedSource(path, scan), measurements=KNOWN)
    record = replace(record, **changes)
    folder.mkdir(exist_ok=True)
    (folder / f"{scan}_hippocampus.json").write_text(record.to_json(), encoding="utf-8")
    return record


def build(folder: Path) -> list[dict[str, str]]:
    with folder_lock(folder) as lock:
        build_table(folder, lock)
    return table(folder)


def test_a_row_says_whose_scan_it_is_and_what_made_the_result(tmp_path):
    source = RecordedSource("/data/sub-01/a.nii.gz", "1", subject="sub-01", session="ses-a")
    provenance = {
        "model": {"name": "hipposeg", "sha256": "ffd74a52f10a" + "0" * 52},
        "versions": {"HippoSeg": "0.3.0"},
        "settings": {"protocol": "msd", "second_reader": {"name": "hipposeg_clahe_sce", "sha256": "1" * 64}},
        "agreement": {"left": 0.9512, "right": 1.0},
        "seconds_total": 2.4449,
    }
    row = row_of(ScanRecord("a", "ok", source, measurements=KNOWN, provenance=provenance))
    expected = {"subject": "sub-01", "session": "ses-a", "model": "hipposeg", "version": "0.3.0"}
    expected |= {"readers": "hipposeg:ffd74a52f10a hipposeg_clahe_sce:111111111111"}
    expected |= {"protocol": "msd", "seconds": "2.4", "left_agreement": "0.951", "right_agreement": "1.000"}
    assert expected.items() <= row.items()
    # A record that knows none of it, or something else in its place.
    odd = row_of(
        ScanRecord("a", "ok", RecordedSource("a.nii", "1"), provenance={"versions": [1], "agreement": 3})
    )
    assert all(odd[name] == "" for name in expected)


def test_pandas_reads_it_without_a_hint(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed (requirements/test.txt)")
    out = tmp_path / "out"
    flags = (Flag("contrast", 'Überprüfen, bitte; "T1"?\nZeile zwei.'),)
    source = RecordedSource("in/Größe/b.nii", "2", subject="sub-007", session="ses-01")
    recorded(out, "a", "in/=1+1.nii")
    recorded(out, "b", "in/Größe/b.nii", source=source, flags=flags, status="review")
    build(out)
    frame = pandas.read_csv(out / "hippocampus.csv")
    assert list(frame.columns) == list(FIELDS)
    assert frame["left_mm3"].tolist() == [3001, 3001] and frame["asymmetry_percent"].tolist() == [-0.4, -0.4]
    numeric = [
        name for name in FIELDS if name.endswith(("_mm3", "_ml", "_percent", "_quality", "_agreement"))
    ]
    assert all(frame[name].dtype.kind in "if" for name in [*numeric, "seconds"])
    assert frame["path"].tolist() == ["'=1+1.nii", "Größe/b.nii"]
    # A zero at the beginning stays, for BIDS names subjects with a word.
    assert frame["subject"].tolist()[1] == "sub-007" and pandas.isna(frame["subject"][0])
    assert frame["remarks"][1] == flags[0].message and frame["flags"][1] == "contrast"


def test_no_cell_is_a_formula_whatever_a_scan_is_called(tmp_path):
    out = tmp_path / "out"
    for number, name in enumerate(FORMULAS):
        source = RecordedSource(name, str(number), subject=name, session=name)
        recorded(out, f"s{number}", name, source=source, flags=(Flag("=x", "@y"),))
    rows = build(out)
    assert len(rows) == len(FORMULAS)
    numbers = {"asymmetry_percent"}
    for row in rows:
        for name, cell in row.items():
            assert name in numbers or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), name
    assert rows[0]["path"] == "'=1+1.nii" and rows[2]["subject"] == "'-1.nii"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/d/in/a.nii"], ["a.nii"]),
        (["/d/s1/a.nii", "/d/s2/x/a.nii"], ["s1/a.nii", "s2/x/a.nii"]),
        (["in/a.nii", "./in/b.nii"], ["a.nii", "b.nii"]),
        (["a.nii", "in/b.nii"], ["a.nii", "in/b.nii"]),
        (["../in/a.nii", "../in/x/b.nii"], ["a.nii", "x/b.nii"]),
        (["/d/a.nii", "in/b.nii"], ["/d/a.nii", "in/b.nii"]),
        (["C:/d/a.nii", "D:/d/b.nii"], ["C:/d/a.nii", "D:/d/b.nii"]),
        (["/d/cd", "/d/cd"], ["cd", "cd"]),
        ([], []),
    ],
)
def test_paths_are_relative_to_what_all_scans_lie_in(paths, expected):
    named = {f"s{n}": path for n, path in enumerate(paths)}
    assert list(relative_to_common_root(named).values()) == expected


def test_the_paths_follow_the_scans_of_the_table(tmp_path):
    out = tmp_path / "out"
    recorded(out, "a", "/d/s1/a.nii")
    assert [row["path"] for row in build(out)] == ["a.nii"]
    recorded(out, "b", "/d/s2/b.nii")
    assert [row["path"] for row in build(out)] == ["s1/a.nii", "s2/b.nii"]


def test_a_verdict_stands_in_the_table_until_the_result_is_another(tmp_path, pipeline):
    scans = [write_scan(tmp_path / f"{n}.nii.gz", i) for i, n in enumerate("ab")]
    out = tmp_path / "out"
    list(batch.segment_files(scans, out, picture=False))
    labels = read_record(out / "a_hippocampus.json").files["labels"].sha256
    text = f"scan,verdict,comment,when,result\r\na,fail,Too large.,,r{labels[:12]}\r\nb,PASS,,,\r\n"
    (out / "review.csv").write_text(text)
    assert [row["review"] for row in build(out)] == ["fail", "pass"]
    (out / "review.csv").write_text(text.replace(labels[:12], "0" * 12))
    assert [row["review"] for row in build(out)] == ["", "pass"]


def test_damaged_verdicts_are_named_and_the_table_keeps_what_they_were(tmp_path):
    out = tmp_path / "out"
    recorded(out, "a", "a.nii")
    (out / "review.csv").write_text("scan,verdict\na,pass\n")
    build(out)
    recorded(out, "b", "b.nii")
    (out / "review.csv").write_text("scan,verdict\na,perhaps\n")
    with pytest.raises(OutputError) as caught:
        build(out)
    assert caught.value.code == "review_file"
    assert [(row["scan"], row["review"]) for row in table(out)] == [("a", "pass"), ("b", "")]


def test_a_users_columns_of_the_names_that_are_new_stay(tmp_path):
    """The last version had no column `subject`: one in its table is the user's, with the index or without."""
    before = [name for name in FIELDS if name not in LATER_FIELDS]
    for index in (True, False):
        out = tmp_path / str(index)
        recorded(out, "a", "in/a.nii")
        with open(out / "hippocampus.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*before, "subject", "review", "age"])
            writer.writerow(["a", *[""] * (len(before) - 1), "Smith", "done", "70"])
        if index:
            values = {"version": "0.2.0", "fields": before, "rows": {}}
            (out / ".hippocampus.index.json").write_text(json.dumps(values))
        for _ in range(2):
            (row,) = build(out)
            assert (row["subject_user"], row["review_user"], row["age"]) == ("Smith", "done", "70")
            assert (row["subject"], row["review"], row["path"]) == ("", "", "a.nii")
