"""Names, files and the table of a batch; the street itself is replaced by a recorded result."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.batch import run as batch
from HippoSegLib.errors import Cancelled, InputError, NotFoundError, OutputError
from HippoSegLib.flags import Flag
from HippoSegLib.pipeline import SegmentationResult
from HippoSegLib.results.volumes import measure


def _scan(path: Path, seed=0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).normal(500, 100, (60, 62, 64)).astype(np.float32)
    array[:8] = 0
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([3.0, 3.0, 3.0])
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def street(monkeypatch):
    """Stands in for `segment`: labels two boxes; fails for scans listed in `fails`."""
    fails = {}

    def segment(scan, options, progress=None, cancel=None):
        image, probabilities = scan.image, options.probabilities
        error = fails.get(len(calls))
        calls.append(image)
        if error:
            raise error
        labels = np.zeros(image.GetSize()[::-1], np.uint16)
        labels[20:25, 20:25, 20:25], labels[20:25, 20:25, 40:45] = 53, 17
        out = sitk.GetImageFromArray(labels)
        out.CopyInformation(image)
        maps = {s: sitk.Cast(out == v, sitk.sitkFloat32) for s, v in (("left", 17), ("right", 53))}
        record = {"model": {"name": "stand-in"}, "flags": []}
        flags = [Flag("input", "A remark, with a comma.")]
        return SegmentationResult(out, maps if probabilities else None, measure(out), flags, record)

    calls = []
    segment.fails = fails
    monkeypatch.setattr(batch, "segment", segment)
    return segment


def _table(folder: Path) -> list[dict]:
    with open(folder / batch.TABLE, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/x.nii.gz", "b/y.nii"], ["x", "y"]),
        (["sub-1/T1.nii.gz", "sub-2/T1.nii.gz"], ["sub-1_T1", "sub-2_T1"]),
        (["s1/anat/T1.nii.gz", "s2/anat/T1.nii.gz"], ["s1_anat_T1", "s2_anat_T1"]),
        (["a/T1.nii.gz", "a/T1.nrrd"], ["T1_nii_gz", "T1_nrrd"]),
    ],
)
def test_scans_of_one_name_are_told_apart_by_their_folders(tmp_path, paths, names):
    assert batch.output_names([tmp_path / p for p in paths]) == names


def test_one_scan_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="given twice"):
        batch.output_names([tmp_path / "a.nii", tmp_path / "b" / ".." / "a.nii"])


def test_files_and_table_of_two_scans(tmp_path, street):
    scans = [_scan(tmp_path / "in" / f"{n}.nii.gz", i) for i, n in enumerate("ab")]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "in").iterdir()}
    outcomes = list(batch.segment_files(scans, tmp_path / "out", probabilities=True))
    assert [o.error for o in outcomes] == [None, None]
    assert _names(tmp_path / "out") == {"hippocampus.csv"} | {
        f"{n}_{end}"
        for n in "ab"
        for end in (
            "hippocampus.nii.gz",
            "hippocampus.json",
            "hippocampus.png",
            "left_probability.nii.gz",
            "right_probability.nii.gz",
        )
    }
    rows = _table(tmp_path / "out")
    assert [r["scan"] for r in rows] == ["a", "b"]
    assert float(rows[0]["left_mm3"]) == pytest.approx(5**3 * 27)
    assert rows[0]["flags"] == "A remark, with a comma."
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "in").iterdir()} == before


def test_a_failed_scan_is_a_row_and_the_rest_goes_on(tmp_path, street):
    scans = [_scan(tmp_path / f"{n}.nii.gz", i) for i, n in enumerate("abc")]
    (tmp_path / "b.nii.gz").write_bytes(b"not an image")
    street.fails[1] = NotFoundError("No head.", "Give points.")
    outcomes = list(batch.segment_files(scans, tmp_path / "out", picture=False))
    assert [o.error is None for o in outcomes] == [True, False, False]
    rows = _table(tmp_path / "out")
    assert rows[0]["status"] == "ok"
    assert rows[2]["status"] == "failed: No head. Give points."
    assert _names(tmp_path / "out") == {"hippocampus.csv", "a_hippocampus.nii.gz", "a_hippocampus.json"}


def test_a_single_failed_scan_writes_nothing(tmp_path, street):
    street.fails[0] = NotFoundError("No head.", "Give points.")
    (outcome,) = batch.segment_files([_scan(tmp_path / "a.nii.gz")], tmp_path / "out")
    assert isinstance(outcome.error, NotFoundError)
    assert not (tmp_path / "out").exists()


def test_an_existing_result_stays_unless_overwriting(tmp_path, street):
    scan, out = _scan(tmp_path / "a.nii.gz"), tmp_path / "out"
    list(batch.segment_files([scan], out, picture=False))
    stamp = (out / "a_hippocampus.nii.gz").stat().st_mtime_ns
    (outcome,) = batch.segment_files([scan], out, picture=False)
    assert isinstance(outcome.error, OutputError) and outcome.error.code == "exists"
    assert (out / "a_hippocampus.nii.gz").stat().st_mtime_ns == stamp
    assert _table(out)[0]["status"] == "ok"
    (outcome,) = batch.segment_files([scan], out, picture=False, overwrite=True)
    assert outcome.error is None and len(_table(out)) == 1


def test_a_later_run_adds_rows(tmp_path, street):
    for name in "ab":
        list(batch.segment_files([_scan(tmp_path / f"{name}.nii.gz")], tmp_path / "out", picture=False))
    assert [r["scan"] for r in _table(tmp_path / "out")] == ["a", "b"]


def test_cancelling_leaves_no_half_result(tmp_path, street):
    street.fails[1] = Cancelled()
    scans = [_scan(tmp_path / f"{n}.nii.gz", i) for i, n in enumerate("ab")]
    with pytest.raises(Cancelled):
        list(batch.segment_files(scans, tmp_path / "out", picture=False))
    assert _names(tmp_path / "out") == {"hippocampus.csv", "a_hippocampus.nii.gz", "a_hippocampus.json"}


def test_a_failure_while_writing_leaves_nothing_behind(tmp_path, street, monkeypatch):
    def full_disk(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("HippoSegLib.results.qc_figure.qc_figure", full_disk)
    (outcome,) = batch.segment_files([_scan(tmp_path / "a.nii.gz")], tmp_path / "out")
    assert isinstance(outcome.error, OutputError) and "No space left" in str(outcome.error)
    assert _names(tmp_path / "out") == set()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission_is_one_sentence(tmp_path, street):
    (tmp_path / "out").mkdir(mode=0o500)
    (outcome,) = batch.segment_files([_scan(tmp_path / "a.nii.gz")], tmp_path / "out")
    assert isinstance(outcome.error, OutputError)


def test_an_output_that_is_a_file_is_one_sentence(tmp_path, street):
    (tmp_path / "out").write_text("mine")
    (outcome,) = batch.segment_files([_scan(tmp_path / "a.nii.gz")], tmp_path / "out")
    assert isinstance(outcome.error, OutputError) and "cannot be written" in str(outcome.error)
    assert (tmp_path / "out").read_text() == "mine"


def test_another_table_of_that_name_is_not_touched(tmp_path, street):
    out = tmp_path / "out"
    out.mkdir()
    (out / batch.TABLE).write_text("id,age\n1,70\n")
    (outcome,) = batch.segment_files([_scan(tmp_path / "a.nii.gz")], out, picture=False)
    assert "another table" in str(outcome.error)
    assert (out / batch.TABLE).read_text() == "id,age\n1,70\n"
