"""Killed between operations on files, a derivative's files are of one run after the next one.

As `Testing/core/batch/test_switch_over.py`, in folders. Every ninth kill, or, with `HIPPOSEG_KILLS` (`make
kills`), each one.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "batch"))

from standin import write_scan
from test_switch_over import killed_at

from HippoSegLib.batch.record import ScanRecord, read_record
from HippoSegLib.batch.run import segment_files
from HippoSegLib.batch.source import Source, file_sha256
from HippoSegLib.bids.layout import BIDS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
SCAN, RECORD = "sub-1_ses-a", "sub-1/ses-a/anat/sub-1_ses-a_record.json"
STEP = 1 if "HIPPOSEG_KILLS" in os.environ else 9


def run(path: Path, out: Path, **options) -> None:
    uri = f"bids:raw:sub-1/ses-a/anat/{path.name}"
    source = Source(path, None, "sub-1", "ses-a", SCAN, uri)
    list(segment_files([source], out, picture=False, layout=BIDS, **options))


def whole(out: Path) -> ScanRecord:
    """The record, whose files are all there and of one run, and nothing else."""
    record = read_record(out / RECORD)
    paths = {BIDS.path(out, SCAN, file.name): file.sha256 for file in record.files.values()}
    assert all(file_sha256(path) == sha256 for path, sha256 in paths.items()), "files of two runs"
    there = {path for path in out.rglob("*") if path.is_file() and not path.name.startswith(".")}
    there -= {path for path in there if ".hipposeg-" in path.as_posix()}
    assert there == {*paths, out / RECORD}
    assert not [name for name in os.listdir(out) if name.startswith(".hippocampus")]
    return record


def every_kill(tmp_path: Path, work, rerun, before: Path | None = None) -> int:
    """How often `work` could be killed; each time `rerun` brought everything in order."""
    number = 0
    while True:
        out = tmp_path / f"out-{number}"
        if before is not None:
            shutil.copytree(before, out)
        if not killed_at(number, lambda out=out: work(out)):
            return number
        rerun(out)
        whole(out)
        shutil.rmtree(out)
        number += STEP


def test_a_first_run(tmp_path, pipeline):
    path = write_scan(tmp_path / f"{SCAN}_T1w.nii.gz")

    def work(out):
        run(path, out, probabilities=True)

    assert every_kill(tmp_path, work, work) > 30


def test_overwriting_with_fewer_files(tmp_path, pipeline):
    path = write_scan(tmp_path / f"{SCAN}_T1w.nii.gz", 1)
    run(path, tmp_path / "old", probabilities=True)
    assert "left_probability" in whole(tmp_path / "old").files
    write_scan(path, 2)
    kills = every_kill(
        tmp_path, lambda out: run(path, out, overwrite=True), lambda out: run(path, out), tmp_path / "old"
    )
    assert kills > 20
