"""DICOM objects among a scan's files: in its record, all or none; identity is in them alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from standin import table, visible, write_scan

from HippoSegLib.batch.record import read_record
from HippoSegLib.batch.run import segment_files
from HippoSegLib.batch.source import file_sha256
from HippoSegLib.cli import main
from HippoSegLib.dicom_objects import writing
from HippoSegLib.errors import OutputError
from HippoSegLib.reference.values import Judged, Judgement, Person

pytest.importorskip("highdicom", reason="highdicom writes the objects")
sys.path.append(str(Path(__file__).resolve().parents[1] / "io"))

from dicomwriter import SECRETS, write_series

SEG, SR = "s_hippocampus_seg.dcm", "s_hippocampus_sr.dcm"
SERIES = {
    "StudyInstanceUID": "1.2.826.1",
    "SeriesInstanceUID": "1.2.826.2",
    "FrameOfReferenceUID": "1.2.826.3",
}


@pytest.fixture
def series(tmp_path) -> Path:
    return write_series(tmp_path / "s", **SERIES)


def test_they_are_off_by_default(pipeline, series, tmp_path):
    (outcome,) = segment_files([series], tmp_path / "out", picture=False)
    assert not list((tmp_path / "out").glob("*.dcm"))
    assert not {"dicom_seg", "dicom_sr"} & set(outcome.record.request)


def test_they_are_in_the_record_and_hold_the_labels(pipeline, series, tmp_path):
    (outcome,) = segment_files([series], tmp_path / "out", picture=False, dicom_seg=True)
    assert {SEG} == {path.name for path in outcome.files if path.suffix == ".dcm"}
    (outcome,) = segment_files([series], tmp_path / "out", picture=False, dicom_sr=True, overwrite=True)
    assert outcome.error is None and {SEG, SR} <= visible(tmp_path / "out")
    record = read_record(tmp_path / "out" / "s_hippocampus.json")
    for what, name in (("dicom_seg", SEG), ("dicom_sr", SR)):
        assert record.files[what].name == name
        assert record.files[what].sha256 == file_sha256(tmp_path / "out" / name)
    assert record.request["dicom_sr"] is True
    # Both are there: the next call, for the segmentation alone, has nothing to do.
    (again,) = segment_files([series], tmp_path / "out", picture=False, dicom_seg=True)
    assert again.skipped and len(pipeline.calls) == 2
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "s_hippocampus.nii.gz")))
    written = pydicom.dcmread(tmp_path / "out" / SEG)
    bits = np.unpackbits(np.frombuffer(written.PixelData, np.uint8)).sum()
    assert bits == np.count_nonzero(labels) > 0


def test_a_result_without_them_takes_the_place_of_one_with_them(pipeline, series, tmp_path):
    list(segment_files([series], tmp_path / "out", picture=False, dicom_sr=True))
    list(segment_files([series], tmp_path / "out", picture=False, overwrite=True))
    assert not list((tmp_path / "out").glob("*.dcm"))


def test_identity_is_in_them_alone(pipeline, series, tmp_path, capsys):
    list(segment_files([series], tmp_path / "out", picture=False, dicom_sr=True))
    secrets = [word for word in SECRETS if word != "1970"] + ["1.2.826"]
    for path in (tmp_path / "out").iterdir():
        words = path.read_bytes().decode("latin-1")
        if path.suffix == ".dcm":
            assert "SECRET1" in words
        elif path.suffix in (".json", ".csv"):
            assert not [word for word in secrets if word in words], path.name


def test_other_scans_fail_in_one_sentence_and_before_any_work(pipeline, series, tmp_path, capsys):
    scan = write_scan(tmp_path / "head.nii.gz")
    code = main(
        ["segment", str(scan), str(series), "-o", str(tmp_path / "out"), "--dicom-sr", "--no-picture"]
    )
    assert code == 10 and len(pipeline.calls) == 1
    assert "leave --dicom-seg and --dicom-sr out" in capsys.readouterr().err
    rows = {row["scan"]: row for row in table(tmp_path / "out")}
    assert (rows["head"]["status"], rows["s"]["status"]) == ("failed", "ok")
    assert read_record(tmp_path / "out" / "head_hippocampus.json").failure.code == "not_dicom"


def test_all_files_or_none(pipeline, series, tmp_path, monkeypatch):
    def full(*_):
        raise OutputError("The disk is full.")

    list(segment_files([series], tmp_path / "out", picture=False, dicom_sr=True))
    before = {path.name: file_sha256(path) for path in (tmp_path / "out").iterdir() if path.is_file()}
    monkeypatch.setattr(writing, "write_objects", full)
    (outcome,) = segment_files([series], tmp_path / "out", picture=False, dicom_sr=True, overwrite=True)
    assert outcome.error is not None and outcome.earlier_stays
    assert before == {path.name: file_sha256(path) for path in (tmp_path / "out").iterdir() if path.is_file()}


def test_a_comparison_with_a_reference_stands_in_the_report(pipeline, series, tmp_path):
    class Comparison:
        def of_result(self, names, measurements, provenance, flags):
            left = Judged(measurements["left_mm3"], 4.0, 1.0, 9.0, -1.75, 1.0, 0.5, 1.5)
            return Judgement(64, Person(70, "female"), {"left": left})

    options = {"picture": False, "dicom_sr": True, "comparison": Comparison()}
    (outcome,) = segment_files([series], tmp_path / "out", **options)
    assert outcome.error is None and "reference" in outcome.record.provenance
    words = (tmp_path / "out" / SR).read_bytes()
    assert words.count(b"Percentile Ranking of measurement") == 1 and b"64 controls" in words
