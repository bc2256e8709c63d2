"""A small BIDS data set, and a quick pipeline in place of the real one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "batch"))

from standin import identity, result_of, write_scan

from HippoSegLib.batch import resume, runner

SCANS = (
    "sub-01/ses-a/anat/sub-01_ses-a_run-1_T1w.nii.gz",
    "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz",
    "sub-02/anat/sub-02_acq-mprage_T1w.nii.gz",
    "sub-03/anat/sub-03_T1w.nii.gz",  # damaged
)


def make_dataset(root: Path) -> Path:
    """A raw data set with four T1w images, the last one damaged, and files that are no T1w."""
    for number, name in enumerate(SCANS):
        write_scan(root / name, number)
    (root / SCANS[3]).write_bytes((root / SCANS[3]).read_bytes()[:3000])
    write_scan(root / "sub-01/ses-a/anat/sub-01_ses-a_T2w.nii.gz", 9)
    said = {"Name": "Test", "BIDSVersion": "1.10.0", "DatasetType": "raw", "Authors": ["A", "B"]}
    (root / "dataset_description.json").write_text(json.dumps(said))
    (root / "README").write_text("Made by a test.\n" * 20)
    return root


@pytest.fixture
def dataset(tmp_path) -> Path:
    return make_dataset(tmp_path / "ds")


@pytest.fixture
def pipeline(monkeypatch):
    """Stands in for `segment`; `calls` counts."""
    calls = []

    def segment(scan, options, progress=None, cancel=None):
        calls.append(scan.image)
        return result_of(scan.image, options)

    segment.calls = calls
    monkeypatch.setattr(runner, "segment", segment)
    monkeypatch.setattr(resume, "model_identity", identity)
    return segment
