"""`hipposeg reference build` and `apply` on tables, and what they refuse."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from simulated import IDENTITY, people, write_participants, write_table

from HippoSegLib.cli import main
from HippoSegLib.reference import Person, judge, read_reference
from HippoSegLib.reference.fitting import fit_reference
from HippoSegLib.reference.participants import age_of, sex_of
from HippoSegLib.reference.volumes import measured
from HippoSegLib.reference.words import columns, ordinal, percentile_words

CONTROLS = people(26)


def rows(path):
    text = path.read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter="\t" if path.suffix == ".tsv" else ","))


def build(folder, *more):
    return main(
        ["reference", "build", str(folder / "hippocampus.csv"), "--participants", str(folder / "p.tsv")]
        + ["-o", str(folder / "reference.json"), *more]
    )


def apply(folder, output="out.csv"):
    return main(
        ["reference", "apply", str(folder / "hippocampus.csv"), "--participants", str(folder / "p.tsv")]
        + ["--reference", str(folder / "reference.json"), "-o", str(folder / output)]
    )


def test_from_two_tables_to_percentiles(tmp_path, capsys):
    write_table(tmp_path / "hippocampus.csv", CONTROLS)
    write_participants(tmp_path / "p.tsv", CONTROLS, manufacturer={"sub-000": "A", "sub-001": "B"})
    assert build(tmp_path, "--controls", "group=HC") == 0
    said = capsys.readouterr().out
    assert "26 controls" in said and "more than one scanner" in said and "full" in said
    reference = read_reference(tmp_path / "reference.json")
    assert reference.identity == IDENTITY and reference.scanner == {"manufacturer": ("A", "B")}
    # The table has whole mm³ and mL: nearly the same as from the exact values.
    exact, _ = fit_reference(CONTROLS, IDENTITY)
    assert reference.fits["left"].sd == pytest.approx(exact.fits["left"].sd, rel=5e-3)
    before = (tmp_path / "hippocampus.csv").read_bytes()
    assert apply(tmp_path) == 0
    assert (tmp_path / "hippocampus.csv").read_bytes() == before
    table = rows(tmp_path / "out.csv")
    assert len(table) == 26 and set(columns()) <= set(table[0])
    for control, row in zip(CONTROLS, table, strict=True):
        judged = judge(exact, control.measurements, control.person, IDENTITY).measures
        for name in ("left", "right", "total", "asymmetry"):
            assert float(row[f"{name}_percentile"]) == pytest.approx(judged[name].percentile, abs=1)
        assert float(row["left_expected_mm3"]) == pytest.approx(judged["left"].expected, abs=5)
        assert row["reference"] == reference.digest and "few_controls" in row["reference_codes"]
    assert apply(tmp_path) == 6 and "exists" in capsys.readouterr().err
    assert build(tmp_path) == 6
    assert apply(tmp_path, "out.tsv") == 0
    assert rows(tmp_path / "out.tsv")[5]["left_percentile"] == table[5]["left_percentile"]


def test_scans_that_are_no_good_are_left_out_and_counted(tmp_path, capsys):
    everybody = people(36)
    write_table(
        tmp_path / "hippocampus.csv",
        everybody,
        status={"sub-000": "failed"},
        review={"sub-001": "fail", "sub-003": "pass"},
        flags={
            "sub-002": "quality:left",
            "sub-003": "disagreement:right",
            "sub-004": "asymmetry",
        },
        intracranial_ml={"sub-005": ""},
        right_mm3={"sub-006": ""},
    )
    someone = [replace(c, person=Person()) if c.name in ("sub-007", "sub-008") else c for c in everybody]
    write_participants(tmp_path / "p.tsv", [c for c in someone if c.name != "sub-009"])
    assert build(tmp_path) == 0
    reference = read_reference(tmp_path / "reference.json")
    assert dict(reference.left_out) == {
        "failed": 1,
        "review_fail": 1,
        "doubted": 1,
        "no_intracranial": 1,
        "no_volumes": 1,
        "age_unknown": 2,
        "no_participant": 1,
    }
    assert reference.count == 28
    assert "1 failed by a reviewer" in capsys.readouterr().out


def test_one_scan_of_each_participant(tmp_path):
    twice = [*CONTROLS, *CONTROLS[:10]]
    write_table(tmp_path / "hippocampus.csv", twice)
    write_participants(tmp_path / "p.tsv", CONTROLS)
    assert build(tmp_path) == 0
    reference = read_reference(tmp_path / "reference.json")
    assert reference.count == 26 and reference.left_out == {"further_scan": 10}


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [("protocol", "msd", "several protocols"), ("version", "0.0.9", "several versions"),
     ("model", "mine", "several models"), ("readers", "mine:1", "several kinds of readers")],
)  # fmt: skip
def test_a_mixed_table_is_refused(tmp_path, capsys, column, value, code):
    write_table(tmp_path / "hippocampus.csv", CONTROLS, **{column: {"sub-010": value}})
    write_participants(tmp_path / "p.tsv", CONTROLS)
    assert build(tmp_path) == 3
    said = capsys.readouterr().err
    assert code in said and value in said and not (tmp_path / "reference.json").exists()
    # Where only a patient is of another one, it is the patient that is not compared.
    groups = {control.name: "AD" if control.name == "sub-010" else "HC" for control in CONTROLS}
    write_participants(tmp_path / "p.tsv", CONTROLS, diagnosis=groups)
    assert build(tmp_path, "--controls", "diagnosis=HC") == 0
    assert apply(tmp_path) == 0
    row = rows(tmp_path / "out.csv")[10]
    assert row["left_percentile"] == "" and row["reference_codes"].startswith("other_")


def test_few_controls_are_refused_with_what_was_left_out(tmp_path, capsys):
    write_table(
        tmp_path / "hippocampus.csv", CONTROLS[:25], status={f"sub-{n:03}": "failed" for n in range(8)}
    )
    write_participants(tmp_path / "p.tsv", CONTROLS)
    assert build(tmp_path) == 3
    said = capsys.readouterr().err
    assert "17 controls" in said and "8 failed" in said


@pytest.mark.parametrize(
    ("condition", "words"),
    [("diagnosis=HC", "participant_id, age, sex, group"), ("group=AD", "No participant meets"), ("HC", "HC")],
)
def test_conditions_that_choose_nobody_are_refused(tmp_path, capsys, condition, words):
    write_table(tmp_path / "hippocampus.csv", CONTROLS)
    write_participants(tmp_path / "p.tsv", CONTROLS)
    assert build(tmp_path, "--controls", condition) == 3
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("hippocampus.csv", b"scan,status\na,ok\n"),
        ("hippocampus.csv", b"\0\1"),
        ("hippocampus.csv", None),
        ("p.tsv", b"participant_id\tage\n1\t2\n"),
        ("p.tsv", b""),
        ("p.tsv", b"participant_id\tage\tsex\n\t1\tF\n"),
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path, capsys, what, content):
    write_table(tmp_path / "hippocampus.csv", CONTROLS)
    write_participants(tmp_path / "p.tsv", CONTROLS)
    (tmp_path / what).unlink()
    if content is not None:
        (tmp_path / what).write_bytes(content)
    assert build(tmp_path) == 3
    said = capsys.readouterr().err
    assert said.startswith("hipposeg: ") and said.count("\n") == 1 and "Traceback" not in said


def test_odd_letters_in_a_table_make_no_reference_that_cannot_be_read(tmp_path):
    write_table(tmp_path / "hippocampus.csv", CONTROLS)
    odd = {control.name: "A\x07 \u202e\x85B" for control in CONTROLS}
    write_participants(tmp_path / "p.tsv", CONTROLS, manufacturer=odd)
    assert build(tmp_path, "--controls", "group=HC,\udcff") == 0
    assert read_reference(tmp_path / "reference.json").scanner == {"manufacturer": ("A B",)}


def test_a_flagged_outline_is_compared_with_a_note(tmp_path):
    write_table(tmp_path / "hippocampus.csv", CONTROLS)
    write_participants(tmp_path / "p.tsv", CONTROLS)
    assert build(tmp_path) == 0
    changes = {"flags": {"sub-002": "quality:left"}, "left_mm3": {"sub-003": ""}}
    write_table(tmp_path / "hippocampus.csv", CONTROLS[:6], **changes)
    assert apply(tmp_path) == 0
    table = rows(tmp_path / "out.csv")
    assert "doubted_outline" in table[2]["reference_codes"]
    assert "left outline" in table[2]["reference_remarks"]
    assert "doubted_outline" not in table[4]["reference_codes"]
    assert table[3]["left_percentile"] == "" and "no_value:left" in table[3]["reference_codes"]
    assert table[3]["right_percentile"] != ""


def test_ages_and_sexes_as_tables_write_them():
    words = ("67", "67.5", "067Y", "67,5", "89+", "n/a", "", "-3", "200")
    assert [age_of(word) for word in words] == [67, 67.5, 67, 67.5, None, None, None, None, None]
    words = ("F", "m", "Male", "woman", "1", "other", "")
    assert [sex_of(word) for word in words] == ["female", "male", "male", "female", None, None, None]


def test_measurements_from_both_sides():
    both = {"left_mm3": 3000, "right_mm3": 3300, "total_mm3": 6300}
    assert measured(3000.0, 3300.0, None) == {**both, "asymmetry_index": pytest.approx(2 / 21)}
    assert measured(0.0, 3300.0, -1.0) == {"right_mm3": 3300}
    assert measured(None, None, 1e6) == {"intracranial_mm3": 1e6}


def test_percentiles_in_words():
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 93)
    words = ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "93rd"]
    assert [ordinal(number) for number in numbers] == words
    reference, _ = fit_reference(CONTROLS, IDENTITY)
    low = {**CONTROLS[0].measurements, "left_mm3": 500.0}
    left = judge(reference, low, CONTROLS[0].person, IDENTITY).measures["left"]
    assert percentile_words(left) == "below the 1st percentile (95 % interval: below 1 to below 1)"


def test_the_table_of_a_bids_group_will_do(tmp_path):
    from HippoSegLib.batch.record import RecordedSource, ScanRecord
    from HippoSegLib.bids.sidecars import KEYS, MEASURES, tsv, volumes_row

    provenance = {
        "model": {"name": "hipposeg", "sha256": "ffd74a52f10a"},
        "versions": {"HippoSeg": "0.1.0"},
        "settings": {"protocol": "full"},
    }
    lines = []
    for control in CONTROLS:
        source = RecordedSource(
            f"bids:raw:{control.name}/anat/{control.name}_T1w.nii.gz", "1", subject=control.name
        )
        record = ScanRecord(f"{control.name}_T1w", "ok", source, control.measurements, provenance=provenance)
        lines.append(volumes_row(record) | {"review": ""})
    columns_of_group = [*KEYS, *MEASURES, "review"]
    (tmp_path / "hippocampus.csv").write_text(tsv(columns_of_group, lines), encoding="utf-8")
    bare = [replace(control, name=control.name.removeprefix("sub-")) for control in CONTROLS]
    write_participants(tmp_path / "p.tsv", bare)
    assert build(tmp_path) == 0
    assert read_reference(tmp_path / "reference.json").count == 26
    assert apply(tmp_path, "out.tsv") == 0
    table = rows(tmp_path / "out.tsv")
    assert all(row["left_percentile"] != "n/a" and row["participant_id"] for row in table)
