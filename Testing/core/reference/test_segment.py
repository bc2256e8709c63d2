"""`hipposeg segment --reference`: the judgement on the terminal and in the scan's record."""

from __future__ import annotations

import json

import pytest
from simulated import IDENTITY, people, write_participants

import HippoSegLib
from HippoSegLib.batch.record import read_record
from HippoSegLib.cli import main
from HippoSegLib.models.store import load_model
from HippoSegLib.reference import Identity, Person, judge, judgement_of
from HippoSegLib.reference.fitting import fit_reference


def write_reference(path, identity, controls=64):
    reference, _ = fit_reference(people(controls), identity)
    path.write_text(reference.to_json(), encoding="utf-8")
    return reference


def test_percentiles_of_the_sample_scan(tmp_path, sample_path, capsys):
    model = load_model(None)
    second = model.second()
    readers = f"{model.name}:{model.sha256[:12]} {second.name}:{second.sha256[:12]}"
    identity = Identity(model.name, HippoSegLib.__version__, "full", readers)
    reference = write_reference(tmp_path / "r.json", identity)
    arguments = [
        "segment",
        str(sample_path),
        "-o",
        str(tmp_path / "out"),
        "--no-picture",
        "-q",
        "--threads",
        "1",
    ]
    assert main([*arguments, "--reference", str(tmp_path / "r.json"), "--age", "45", "--sex", "M"]) == 0
    said = capsys.readouterr().out
    assert "percentile" in said and "of 64 controls" in said and "(right - left) / mean of both" in said
    (path,) = (tmp_path / "out").glob("*_hippocampus.json")
    record = read_record(path)
    judgement = judgement_of(record.provenance["reference"])
    assert judgement == judge(reference, record.measurements, Person(45.0, "male"), identity)
    assert set(judgement.measures) == {"left", "right", "total", "asymmetry"}
    # The same again, and with another reference: what was done before stays, and that is said.
    more = ["--threads", "1", "--reference", str(tmp_path / "r.json"), "--age", "45", "--sex", "M"]
    assert main([*arguments, *more]) == 0 and "Not compared" not in capsys.readouterr().out
    write_reference(tmp_path / "r.json", identity, 40)
    assert main([*arguments, *more]) == 0 and "Not compared with this reference" in capsys.readouterr().out


def test_a_reference_of_other_volumes_and_a_person_who_is_not_in_the_table(tmp_path, pipeline, scan):
    write_reference(tmp_path / "r.json", IDENTITY)
    write_participants(tmp_path / "p.tsv", people(3))
    arguments = ["segment", str(scan), "-o", str(tmp_path / "out"), "--no-picture", "-q"]
    more = ["--reference", str(tmp_path / "r.json"), "--participants", str(tmp_path / "p.tsv")]
    assert main([*arguments, *more]) == 0
    (path,) = (tmp_path / "out").glob("*_hippocampus.json")
    entry = json.loads(path.read_text(encoding="utf-8"))["reference"]
    assert {one["code"] for one in entry["withheld"].values()} == {"other_model"} and not entry["measures"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--age", "45"], "Add --reference"),
        (["--reference", "R", "--age", "old"], "cannot be read"),
        (["--reference", "R", "--age", "40", "--participants", "P"], "single scan"),
        (["--reference", "P"], "cannot be read"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_made(tmp_path, capsys, scan, options, words):
    write_reference(tmp_path / "r.json", IDENTITY)
    write_participants(tmp_path / "p.tsv", people(3))
    paths = {"R": str(tmp_path / "r.json"), "P": str(tmp_path / "p.tsv")}
    options = [paths.get(word, word) for word in options]
    assert main(["segment", str(scan), "-o", str(tmp_path / "out"), *options]) == 3
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()
