"""Files, records and the table of a batch; the pipeline is replaced by a quick one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from standin import table, visible, write_scan

from HippoSegLib.batch import run as batch
from HippoSegLib.batch import runner
from HippoSegLib.batch.record import read_record
from HippoSegLib.batch.source import file_sha256
from HippoSegLib.errors import Cancelled, InputError, ModelError, NotFoundError, OutputError
from HippoSegLib.flags import Flag
from HippoSegLib.models.engines import Engine
from HippoSegLib.results.volumes import COLUMNS

SHARED = {"hippocampus.csv", "hippocampus.json"}
RESULT = {"a_hippocampus.nii.gz", "a_hippocampus.json"}


def test_files_records_and_table_of_two_scans(tmp_path, pipeline):
    scans = [write_scan(tmp_path / "in" / f"{n}.nii.gz", i) for i, n in enumerate("ab")]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "in").iterdir()}
    outcomes = list(batch.segment_files(scans, tmp_path / "out", probabilities=True))
    assert [o.error for o in outcomes] == [None, None]
    endings = (
        "hippocampus.nii.gz",
        "hippocampus.json",
        "hippocampus.png",
        "left_probability.nii.gz",
        "right_probability.nii.gz",
    )
    assert visible(tmp_path / "out") == SHARED | {f"{n}_{end}" for n in "ab" for end in endings}
    assert {p.name for p in outcomes[0].files} == {f"a_{end}" for end in endings}
    assert outcomes[0].files[0].name == "a_hippocampus.nii.gz"
    rows = table(tmp_path / "out")
    said = [(row["scan"], row["status"], row["severity"]) for row in rows]
    assert said == [("a", "ok", "info"), ("b", "ok", "info")]
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "a_hippocampus.nii.gz")))
    assert float(rows[0]["left_mm3"]) == pytest.approx((voxels == 17).sum() * 4.5**3, abs=0.5)
    assert (rows[0]["flags"], rows[0]["remarks"]) == ("input", "A remark, with a comma.")
    assert rows == [o.as_row() | {"path": f"{o.scan}.nii.gz"} for o in outcomes]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "in").iterdir()} == before


def test_the_record_holds_what_the_table_and_a_later_run_need(tmp_path, pipeline, monkeypatch):
    pipeline.flags = (Flag("quality", "The left outline is uncertain.", "left"), Flag("contrast", "No T1."))
    scan = write_scan(tmp_path / "in" / "a.nii.gz")
    monkeypatch.chdir(tmp_path)
    options = {"points": {"left": (25.0, 20.0, -15.0)}, "model": Path("models/mine"), "picture": False}
    (outcome,) = batch.segment_files(["in/a.nii.gz"], "out", **options)
    text = (tmp_path / "out" / "a_hippocampus.json").read_text(encoding="utf-8")
    entry = json.loads(text)
    assert (entry["schema"], entry["schema_version"]) == ("hipposeg-scan", 1)
    assert entry["status"] == outcome.status == "review"
    assert entry["flags"] == ["The left outline is uncertain.", "No T1."]  # as ever
    assert entry["flag_details"][0] == {
        "code": "quality",
        "side": "left",
        "severity": "warning",
        "message": "The left outline is uncertain.",
    }
    assert entry["source"]["sha256"] == file_sha256(scan) and entry["source"]["path"] == "in/a.nii.gz"
    assert str(tmp_path) not in text
    assert entry["request"]["points"] == {"left": [25.0, 20.0, -15.0]}
    assert entry["request"]["model"] == "mine" and "device" not in entry["request"]
    assert set(entry["measurements"]) == set(COLUMNS)
    labels = entry["files"]["labels"]
    assert labels["sha256"] == file_sha256(tmp_path / "out" / labels["name"])
    for key in ("model", "versions", "settings", "seconds", "input_geometry"):
        assert entry[key] == outcome.result.provenance[key]
    assert read_record(tmp_path / "out" / "a_hippocampus.json") == outcome.record
    (row,) = table(tmp_path / "out")
    assert (row["status"], row["flags"], row["severity"]) == ("review", "quality:left contrast", "warning")


def test_a_failed_scan_is_a_row_and_the_rest_goes_on(tmp_path, pipeline):
    scans = [write_scan(tmp_path / f"{n}.nii.gz", i) for i, n in enumerate("abc")]
    (tmp_path / "b.nii.gz").write_bytes(b"not an image")
    pipeline.fails[1] = NotFoundError("No head.", "Give points.")
    outcomes = list(batch.segment_files([*scans, tmp_path / "none.nii"], tmp_path / "out", picture=False))
    assert [o.status for o in outcomes] == ["ok", "failed", "failed", "failed"]
    rows = {row["scan"]: row for row in table(tmp_path / "out")}
    assert rows["a"]["status"] == "ok"
    assert rows["c"]["status"] == "failed" and rows["c"]["severity"] == "error"
    assert (rows["c"]["error"], rows["c"]["remarks"]) == ("not_found", "No head. Give points.")
    assert rows["none"]["status"] == "failed" and "does not exist" in rows["none"]["remarks"]
    records = {f"{n}_hippocampus.json" for n in ("a", "b", "c", "none")}
    assert visible(tmp_path / "out") == SHARED | records | {"a_hippocampus.nii.gz"}


def test_a_failed_scan_that_succeeds_later_has_one_row_and_no_leftovers(tmp_path, pipeline):
    scan = write_scan(tmp_path / "a.nii.gz")
    pipeline.fails[0] = ValueError("unexpected")
    (outcome,) = batch.segment_files([scan], tmp_path / "out", picture=False)
    assert visible(tmp_path / "out") == SHARED | {"a_hippocampus.json", "a_hippocampus.log"}
    (outcome,) = batch.segment_files([scan], tmp_path / "out", picture=False)
    assert outcome.error is None and visible(tmp_path / "out") == SHARED | RESULT
    assert [row["status"] for row in table(tmp_path / "out")] == ["ok"]


def test_a_single_path_that_does_not_exist_writes_nothing(tmp_path, pipeline):
    (outcome,) = batch.segment_files([tmp_path / "nowhere.nii"], tmp_path / "out")
    assert isinstance(outcome.error, InputError) and outcome.as_row()["status"] == "failed"
    assert not (tmp_path / "out").exists()


def test_one_scan_twice_is_refused_before_anything_is_made(tmp_path, pipeline):
    scan = write_scan(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="given twice"):
        list(batch.segment_files([scan, tmp_path / "x" / ".." / "a.nii.gz"], tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_model_that_cannot_be_used_ends_the_batch_at_once(tmp_path, pipeline):
    scans = [write_scan(tmp_path / f"{n}.nii.gz", i) for i, n in enumerate("abc")]
    pipeline.fails[0] = ModelError("There is no such model.", "Give another.")
    with pytest.raises(ModelError):
        list(batch.segment_files(scans, tmp_path / "out"))
    assert len(pipeline.calls) == 1 and visible(tmp_path / "out") == set()


def test_an_existing_result_stays_unless_overwriting(tmp_path, pipeline):
    scan, out = write_scan(tmp_path / "a.nii.gz"), tmp_path / "out"
    list(batch.segment_files([scan], out, picture=False))
    stamp = (out / "a_hippocampus.nii.gz").stat().st_mtime_ns
    (outcome,) = batch.segment_files([scan], out, picture=False, parts=True)
    assert isinstance(outcome.error, OutputError) and "allow overwriting" in str(outcome.error)
    assert outcome.error.code == "other_settings" and outcome.earlier_stays and len(pipeline.calls) == 1
    assert (out / "a_hippocampus.nii.gz").stat().st_mtime_ns == stamp
    assert table(out)[0]["status"] == "ok"
    (outcome,) = batch.segment_files([scan], out, picture=False, overwrite=True)
    assert outcome.error is None and len(table(out)) == 1
    assert (out / "a_hippocampus.nii.gz").stat().st_mtime_ns != stamp


def test_a_later_run_adds_rows(tmp_path, pipeline):
    for name in "ba":
        list(batch.segment_files([write_scan(tmp_path / f"{name}.nii.gz")], tmp_path / "out", picture=False))
    assert [r["scan"] for r in table(tmp_path / "out")] == ["a", "b"]


def test_cancelling_leaves_no_half_result(tmp_path, pipeline):
    pipeline.fails[1] = Cancelled()
    scans = [write_scan(tmp_path / f"{n}.nii.gz", i) for i, n in enumerate("ab")]
    with pytest.raises(Cancelled):
        list(batch.segment_files(scans, tmp_path / "out", picture=False))
    assert visible(tmp_path / "out") == SHARED | RESULT
    assert len(table(tmp_path / "out")) == 1
    assert not list((tmp_path / "out").glob(".hipposeg-*"))


def test_a_failure_while_writing_leaves_a_record_alone(tmp_path, pipeline, monkeypatch):
    def full_disk(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("HippoSegLib.results.qc_figure.qc_figure", full_disk)
    outcomes = batch.segment_files([write_scan(tmp_path / "a.nii.gz")], tmp_path / "out")
    outcome = next(outcomes)
    assert isinstance(outcome.error, OutputError) and "No space left" in str(outcome.error)
    with pytest.raises(OutputError, match="no space left"):
        next(outcomes)
    assert visible(tmp_path / "out") == SHARED | {"a_hippocampus.json"}
    assert not list((tmp_path / "out").glob(".hipposeg-*"))


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission_is_one_sentence(tmp_path, pipeline):
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        list(batch.segment_files([write_scan(tmp_path / "a.nii.gz")], tmp_path / "out"))
    assert not pipeline.calls


def test_an_output_that_is_a_file_is_one_sentence(tmp_path, pipeline):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="cannot be made"):
        list(batch.segment_files([write_scan(tmp_path / "a.nii.gz")], tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "mine" and not pipeline.calls


def test_another_table_of_that_name_is_not_touched_and_said_before_the_work(tmp_path, pipeline):
    out = tmp_path / "out"
    out.mkdir()
    (out / batch.TABLE).write_text("id,age\n1,70\n")
    with pytest.raises(OutputError, match="another table"):
        list(batch.segment_files([write_scan(tmp_path / "a.nii.gz")], out, picture=False))
    assert (out / batch.TABLE).read_text() == "id,age\n1,70\n" and not pipeline.calls


def test_results_beside_the_scans_are_no_scans(tmp_path, pipeline):
    """`hipposeg segment *.nii.gz -o .`, twice."""
    write_scan(tmp_path / "a.nii.gz")
    write_scan(tmp_path / "its_hippocampus.nii.gz", 1)  # no result, whatever its name
    for _ in range(2):
        paths = sorted(tmp_path.glob("*.nii.gz"))
        outcomes = {
            outcome.scan: outcome
            for outcome in batch.segment_files(
                paths, tmp_path, picture=False, probabilities=True, overwrite=True
            )
        }
    assert outcomes["a"].status == outcomes["its_hippocampus"].status == "ok"
    refused = [outcome for outcome in outcomes.values() if outcome.error is not None]
    assert len(refused) == 6 and {outcome.error.code for outcome in refused} == {"is_result"}
    assert [row["scan"] for row in table(tmp_path)] == ["a", "its_hippocampus"]


def test_nothing_is_written_into_a_folder_that_is_a_scan(tmp_path, pipeline, monkeypatch):
    series = tmp_path / "series"
    monkeypatch.setattr("HippoSegLib.batch.run.read_scan", lambda path, series=None: None)
    (series / "sub").mkdir(parents=True)
    for out in (series, series / "sub" / "out", tmp_path / "series" / ".." / "series"):
        with pytest.raises(OutputError) as caught:
            list(batch.segment_files([write_scan(tmp_path / "a.nii.gz"), series], out))
        assert caught.value.code == "within_scan"
    assert os.listdir(series) == ["sub"] and os.listdir(series / "sub") == []


def test_a_folder_of_patients_has_its_own_sentence_wherever_the_output_lies(tmp_path, pipeline):
    write_scan(tmp_path / "study" / "a.nii.gz")
    with pytest.raises(InputError, match="NIfTI"):
        list(batch.segment_files([tmp_path / "study"], tmp_path / "study" / "out"))
    assert os.listdir(tmp_path / "study") == ["a.nii.gz"]


def test_what_is_written_in_part_is_not_kept(tmp_path, pipeline):
    """Files may not be larger than the label image here: the figure ends in the middle."""
    resource = pytest.importorskip("resource")
    scan, out = write_scan(tmp_path / "a.nii.gz"), tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        (outcome,) = batch.segment_files([scan], out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(outcome.error, OutputError)
    assert visible(out) == SHARED | {"a_hippocampus.json"}
    (outcome,) = batch.segment_files([scan], out)
    assert outcome.error is None and visible(out) == SHARED | RESULT | {"a_hippocampus.png"}


def test_a_dicom_folder_is_known_by_its_voxels(tmp_path, pipeline, monkeypatch):
    from HippoSegLib.io.images import Scan

    images = {n: sitk.ReadImage(str(write_scan(tmp_path / f"{n}.mha", n))) for n in (1, 2)}
    (tmp_path / "dicom" / "series").mkdir(parents=True)
    (tmp_path / "dicom" / "series" / "slice").write_bytes(b"1")
    hashes = []
    for number in (1, 2, 1):
        monkeypatch.setattr(runner, "read_scan", lambda *_, n=number: Scan(images[n]))
        options = {"picture": False, "overwrite": True}
        (outcome,) = batch.segment_files([tmp_path / "dicom"], tmp_path / "out", **options)
        assert outcome.record.source.kind == "folder" and outcome.record.source.stamp
        hashes.append(outcome.record.source.sha256)
    assert hashes[0] == hashes[2] != hashes[1] and len(hashes[0]) == 64


@pytest.mark.parametrize(("device", "engine"), [("cuda:0", "torch"), ("cpu", "numpy")])
def test_a_gpu_is_chosen_for_all_scans_and_a_cpu_scan_by_scan(
    tmp_path, pipeline, monkeypatch, device, engine
):
    chosen = Engine(engine, device, 1, "")
    asked, given = [], []
    monkeypatch.setattr(batch, "choose", lambda *values: asked.append(values) or chosen)
    monkeypatch.setattr(
        runner,
        "segment",
        lambda scan, options, *more: given.append(options) or pipeline(scan, options, *more),
    )
    scans = [write_scan(tmp_path / f"{n}.nii.gz", n) for n in range(3)]
    outcomes = list(batch.segment_files(scans, tmp_path / "out", threads=2))
    assert asked == [("auto", "auto", 2, 3)]
    assert [options.engine for options in given] == [chosen if device == "cuda:0" else "auto"] * 3
    # Where the work was done is no part of what was asked for: the results are the same.
    assert all("engine" not in outcome.record.request for outcome in outcomes)
