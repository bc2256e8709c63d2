"""The table: built from records whatever became of it, with the user's columns, quickly for thousands."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from standin import table, visible, write_scan

from HippoSegLib.batch import run as batch
from HippoSegLib.batch import table as table_module
from HippoSegLib.batch.columns import FIELDS, row_of
from HippoSegLib.batch.record import Failure, RecordedSource, ScanRecord, read_record
from HippoSegLib.batch.table import build_table
from HippoSegLib.errors import OutputError
from HippoSegLib.flags import Flag
from HippoSegLib.io.folder_lock import folder_lock
from HippoSegLib.results.volumes import COLUMNS, Measurements
from HippoSegLib.results.wording import TABLE_NAMES


def build(folder: Path) -> None:
    with folder_lock(folder) as lock:
        build_table(folder, lock)


@pytest.fixture
def results(tmp_path, pipeline) -> Path:
    """A folder with the results of three scans."""
    scans = [write_scan(tmp_path / "in" / f"{n}.nii.gz", i) for i, n in enumerate("abc")]
    list(batch.segment_files(scans, tmp_path / "out", picture=False))
    return tmp_path / "out"


def edit(folder: Path, change) -> None:
    """Change the table as a spreadsheet does."""
    with open(folder / batch.TABLE, newline="", encoding="utf-8-sig") as file:
        lines = list(csv.reader(file))
    (folder / batch.TABLE).write_bytes(change(lines))


def joined(lines, separator=",", encoding="utf-8") -> bytes:
    return "\r\n".join(separator.join(f'"{cell}"' for cell in line) for line in lines).encode(encoding)


def test_a_deleted_table_is_built_anew(results, tmp_path):
    before = (results / batch.TABLE).read_bytes()
    for name in (batch.TABLE, ".hippocampus.index.json"):
        (results / name).unlink()
    list(batch.segment_files([tmp_path / "in" / "a.nii.gz"], results))  # exists: nothing else is done
    assert (results / batch.TABLE).read_bytes() == before


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 500, b"\xff\xfe\x00", b'scan,status\r\na,"', b"garbage", b"\n\n"]
)
def test_a_damaged_table_is_built_anew_and_kept_aside(results, data):
    before = (results / batch.TABLE).read_bytes()
    (results / batch.TABLE).write_bytes(data)
    build(results)
    assert (results / batch.TABLE).read_bytes() == before
    assert (results / "hippocampus_damaged-1.csv").read_bytes() == data


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_columns_that_a_user_added_stay_whatever_the_spreadsheet_made_of_the_file(
    results, tmp_path, separator, encoding
):
    def add(lines):
        lines = [lines[0], *reversed(lines[1:])]  # sorted another way
        ages = {"a": "70", "b": "", "c": "55,5"}
        new = [["age", *lines[0], "", "Größe"]]
        new += [[ages[line[0]], *line, "", f"{line[0]} groß"] for line in lines[1:]]
        return joined(new, separator, encoding)

    edit(results, add)
    scan = write_scan(tmp_path / "in" / "d.nii.gz", 9)
    list(batch.segment_files([scan], results, picture=False))
    rows = table(results)
    assert [row["scan"] for row in rows] == ["a", "b", "c", "d"]
    assert [row["age"] for row in rows] == ["70", "", "55,5", ""]
    assert [row["Größe"] for row in rows] == ["a groß", "b groß", "c groß", ""]
    assert list(rows[0]) == [*FIELDS, "age", "Größe"]
    assert all(float(row["left_mm3"]) > 0 for row in rows)
    assert visible(results).isdisjoint({"hippocampus_before-1.csv", "hippocampus_damaged-1.csv"})


def test_what_a_user_changed_in_our_columns_is_put_right(results):
    before = table(results)
    edit(results, lambda lines: joined([[cell.replace("ok", "fine") for cell in line] for line in lines]))
    build(results)
    assert table(results) == before


def test_the_row_of_a_result_that_was_removed_goes_and_the_old_table_is_kept(results):
    edit(results, lambda lines: joined([[*line, "x"] for line in lines]))
    old = (results / batch.TABLE).read_bytes()
    for path in results.glob("b_*"):
        path.unlink()
    build(results)
    assert [row["scan"] for row in table(results)] == ["a", "c"]
    assert (results / "hippocampus_before-1.csv").read_bytes() == old
    build(results)
    assert not (results / "hippocampus_before-2.csv").exists()


@pytest.mark.parametrize(
    ("text", "status"), [("", "failed"), ('{"schema": "hipposeg-scan", "schema_version": 9}', "ok")]
)
def test_a_record_that_cannot_be_read_has_a_row(results, text, status):
    """A damaged one is said to be; of a newer version's the table's row stays."""
    (results / "b_hippocampus.json").write_text(text)
    build(results)
    row = table(results)[1]
    assert (row["scan"], row["status"]) == ("b", status)
    assert (row["error"] == "record_damaged") == (status == "failed")


def test_a_damaged_record_is_repaired_by_overwriting(results, tmp_path):
    (results / "b_hippocampus.json").write_text("")
    (outcome,) = batch.segment_files([tmp_path / "in" / "b.nii.gz"], results, picture=False, overwrite=True)
    assert outcome.error is None and [row["status"] for row in table(results)] == ["ok"] * 3
    assert (results / "b_hippocampus_damaged-1.json").read_text() == ""


def test_a_table_of_an_earlier_version_keeps_its_rows(tmp_path, pipeline):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old_hippocampus.nii.gz").write_bytes(b"labels")
    (out / "old_hippocampus.json").write_text('{"model": {}, "versions": {}, "input_geometry": {}}')
    (out / batch.TABLE).write_text(
        "scan,status,left_mm3,flags,model\n"
        "old,ok,3000.0,Check the outline.,hipposeg\n"
        "gone,failed: No head.,,,\n"
    )
    list(batch.segment_files([write_scan(tmp_path / "new.nii.gz")], out, picture=False))
    new, old = table(out)
    assert (new["scan"], new["status"]) == ("new", "ok")
    assert (old["scan"], old["left_mm3"], old["status"]) == ("old", "3000.0", "review")
    assert (old["flags"], old["remarks"]) == ("", "Check the outline.")
    assert "gone,failed" in (out / "hippocampus_before-1.csv").read_text()
    build(out)
    assert table(out) == [new, old]


def test_a_users_column_of_the_name_of_one_that_came_later_stays(results):
    """The first version wrote fewer columns; one of a new name that a user had added is kept."""
    (results / ".hippocampus.index.json").unlink()
    rows = table(results)
    text = "scan,status,left_mm3,flags,model,source\r\n"
    text += "".join(f"{row['scan']},ok,,,hipposeg,scanner {row['scan']}\r\n" for row in rows)
    (results / batch.TABLE).write_text(text)
    for _ in range(2):
        build(results)
        assert [row["source_user"] for row in table(results)] == ["scanner a", "scanner b", "scanner c"]
        assert [row["source"] for row in table(results)] == [row["source"] for row in rows]
    # Likewise for columns that a later version adds.
    index = json.loads((results / ".hippocampus.index.json").read_text())
    index["fields"].remove("error")
    (results / ".hippocampus.index.json").write_text(json.dumps(index))
    edit(results, lambda lines: joined(lines).replace(b'"","stand-in"', b'"mine","stand-in"'))
    build(results)
    assert [row["error_user"] for row in table(results)] == ["mine"] * 3
    assert [row["error"] for row in table(results)] == [""] * 3


def test_a_table_open_in_a_spreadsheet_ends_nothing(tmp_path, pipeline, monkeypatch):
    """On Windows it cannot be replaced then; the scans are done, and the next call puts it right."""
    scans = [write_scan(tmp_path / f"{n}.nii.gz", i) for i, n in enumerate("ab")]
    replace_file = os.replace

    def shared(source, target):
        if Path(target).name == batch.TABLE:
            raise PermissionError(13, "Permission denied")
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", shared)
    outcomes = []
    with pytest.raises(OutputError, match="hippocampus.csv"):
        outcomes.extend(batch.segment_files(scans, tmp_path / "out", picture=False))
    monkeypatch.setattr(os, "replace", replace_file)
    assert len(pipeline.calls) == 2
    list(batch.segment_files(scans, tmp_path / "out", picture=False))
    assert [row["status"] for row in table(tmp_path / "out")] == ["ok", "ok"]


def test_the_data_dictionary_names_every_column(results):
    words = json.loads((results / "hippocampus.json").read_text(encoding="utf-8"))
    assert list(words) == list(FIELDS) and all(entry["Description"] for entry in words.values())
    columns = [TABLE_NAMES.get(name, name) for name in COLUMNS]
    columns += ["left_agreement", "right_agreement", "seconds"]
    assert all(("Units" in words[name]) == (name in columns) for name in FIELDS)


def test_status_flags_and_text_in_a_row():
    source = RecordedSource("=cmd|x!A0/head.nii", "0" * 32)
    flags = (
        Flag("quality", "Left is uncertain.", "left"),
        Flag("contrast", "No T1."),
        Flag("note", "Nothing.", severity="info"),
    )
    row = row_of(ScanRecord("head", "review", source, flags=flags))
    assert (row["flags"], row["severity"]) == ("quality:left contrast note", "warning")
    assert row["remarks"] == "Left is uncertain. No T1. Nothing."
    assert row["source"] == "'=cmd|x!A0/head.nii"
    row = row_of(ScanRecord("head", "failed", source, failure=Failure("slab", "input", "A slab.")))
    assert (row["status"], row["error"], row["remarks"]) == ("failed", "slab", "A slab.")
    measured = {"left_mm3": 3000.123, "asymmetry_index": -0.012345, "left_quality": 0.9}
    row = row_of(ScanRecord("head", "ok", source, measurements=measured))
    assert (row["left_mm3"], row["asymmetry_percent"], row["left_quality"]) == ("3000", "-1.2", "0.90")


def test_a_table_of_an_earlier_version_is_read_in_todays_units(results):
    """Columns that had other units are no column of the user's; a row without a record is converted."""
    record = read_record(results / "a_hippocampus.json")
    measurements = Measurements({"left": 3000.4, "right": 3100.4}, intracranial=1514499.0).as_row()
    text = replace(record, measurements=measurements).to_json()
    (results / "a_hippocampus.json").write_text(text, encoding="utf-8")
    (results / "b_hippocampus.json").unlink()
    path = results / "hippocampus.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    header = lines[0].replace("asymmetry_percent", "asymmetry_index")
    header = header.replace("intracranial_ml", "intracranial_mm3").split(",")
    old = {"scan": "b", "status": "ok", "asymmetry_index": "-0.0198", "intracranial_mm3": "1514499.0"}
    rows = [old, {**old, "scan": "a", "asymmetry_index": "0.5", "note": "mine"}]
    header.append("note")
    cells = [",".join(row.get(name, "") for name in header) for row in rows]
    path.write_text("\n".join([",".join(header), *cells]), encoding="utf-8")
    (results / ".hippocampus.index.json").unlink()
    build(results)
    found = {row["scan"]: row for row in table(results)}
    assert set(found["a"]) == {*FIELDS, "note"}
    assert (found["b"]["asymmetry_percent"], found["b"]["intracranial_ml"]) == ("-2.0", "1514")
    # By hand: 100 * 100 / 3050.4 = 3.278.
    assert (found["a"]["asymmetry_percent"], found["a"]["intracranial_ml"]) == ("3.3", "1514")
    assert found["a"]["note"] == "mine" and found["a"]["left_mm3"] == "3000"


@pytest.mark.no_cover
def test_five_thousand_records_are_each_read_once(results, monkeypatch):
    """Building the table again reads only what is new; a batch over n scans does not read n² records."""
    record = read_record(results / "a_hippocampus.json")
    for number in range(5000):
        name = f"scan{number:04d}"
        text = replace(record, scan=name, files={}).to_json()
        (results / f"{name}_hippocampus.json").write_text(text, encoding="utf-8")
    read = []

    def counted(path):
        read.append(path.name)
        return read_record(path)

    monkeypatch.setattr(table_module, "read_record", counted)
    build(results)
    assert len(read) == 5000 and len(table(results)) == 5003
    read.clear()
    build(results)
    assert not read
    path = results / "scan0042_hippocampus.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"ok"', '"review"'), encoding="utf-8")
    build(results)
    assert read == [path.name]
    assert [row["scan"] for row in table(results) if row["status"] == "review"] == ["scan0042"]


def test_the_table_is_not_built_after_every_scan_where_that_takes_long(tmp_path, pipeline, monkeypatch):
    clock, built = [0.0], []
    folder_module = __import__("HippoSegLib.batch.folder", fromlist=["folder"])
    build_one = folder_module.build_table

    def slow(folder, lock):
        built.append(clock[0])
        clock[0] += 1.0  # a second each
        return build_one(folder, lock)

    monkeypatch.setattr(folder_module, "build_table", slow)
    monkeypatch.setattr(folder_module.time, "monotonic", lambda: clock[0])
    scans = [write_scan(tmp_path / f"{n}.nii.gz", n) for n in range(8)]
    list(batch.segment_files(scans, tmp_path / "out", picture=False))
    assert len(built) == 2  # after the first scan, and at the end
    assert len(table(tmp_path / "out")) == 8
