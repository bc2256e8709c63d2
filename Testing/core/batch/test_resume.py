"""The same call again: what is done is skipped, what is not is done, what is of something else is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from standin import table_but_seconds, write_scan

from HippoSegLib.batch import resume
from HippoSegLib.batch import run as batch
from HippoSegLib.batch.cohort import BatchProgress, segment_cohort
from HippoSegLib.batch.naming import assign_names
from HippoSegLib.batch.source import Source
from HippoSegLib.batch.tablefile import TABLE
from HippoSegLib.errors import NotFoundError
from HippoSegLib.models.store import load_model
from HippoSegLib.options import SegmentOptions


def ends(paths, out, **options) -> list[str]:
    options = {"picture": False, **options}
    outcomes = list(batch.segment_files(paths, out, **options))
    return [outcome.error.code if outcome.what == "refused" else outcome.what for outcome in outcomes]


@pytest.fixture
def scan(tmp_path):
    return write_scan(tmp_path / "in" / "a.nii.gz")


def test_what_is_done_is_skipped_and_left_alone(tmp_path, scan, pipeline):
    out = tmp_path / "out"
    assert ends([scan], out) == ["ok"]
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert ends([scan], out) == ["skipped"] and len(pipeline.calls) == 1
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert ends([scan], out, overwrite=True) == ["ok"]


def test_where_it_is_computed_is_no_part_of_what_is_asked_for(tmp_path, scan, pipeline):
    assert ends([scan], tmp_path / "out", threads=1) == ["ok"]
    assert ends([scan], tmp_path / "out", threads=2, device="cpu", engine="numpy") == ["skipped"]


@pytest.mark.parametrize("change", [{"parts": True}, {"protocol": "msd"}, {"second_reader": False}])
def test_other_settings_are_refused_and_stay(tmp_path, scan, pipeline, change):
    out = tmp_path / "out"
    ends([scan], out)
    before = (out / TABLE).read_bytes()
    assert ends([scan], out, **change) == ["other_settings"]
    assert (out / TABLE).read_bytes() == before and len(pipeline.calls) == 1
    assert ends([scan], out, overwrite=True, **change) == ["ok"]
    assert ends([scan], out, **change) == ["skipped"]


def test_more_files_than_asked_for_are_no_other_settings_fewer_are(tmp_path, scan, pipeline):
    out = tmp_path / "out"
    assert ends([scan], out, probabilities=True) == ["ok"]
    assert ends([scan], out) == ["skipped"]
    assert ends([scan], out, picture=True) == ["other_settings"]


def test_another_model_is_refused_by_its_weights_not_by_its_name(tmp_path, scan, pipeline, monkeypatch):
    ends([scan], tmp_path / "out")
    assert ends([scan], tmp_path / "out", model="of another name") == ["skipped"]
    monkeypatch.setattr(resume, "model_identity", lambda options: ("1" * 64, None))
    assert ends([scan], tmp_path / "out") == ["other_model"]


def test_a_model_is_known_without_its_weights_being_read():
    model = load_model()
    assert resume.model_identity.__module__ == "HippoSegLib.batch.resume"
    assert resume.model_identity(SegmentOptions()) == (model.sha256, model.second().sha256)
    assert resume.model_identity(SegmentOptions(second_reader=False)) == (model.sha256, None)


def test_the_same_bytes_of_another_time_are_the_same_scan_other_bytes_are_not(tmp_path, scan, pipeline):
    out, time = tmp_path / "out", scan.stat().st_mtime_ns
    ends([scan], out)
    os.utime(scan, ns=(time + 10**9, time + 10**9))
    assert ends([scan], out) == ["skipped"]
    write_scan(scan, 5)
    os.utime(scan, ns=(time + 2 * 10**9, time + 2 * 10**9))
    assert ends([scan], out) == ["other_input"]
    assert ends([scan], out, overwrite=True) == ["ok"]


def test_what_failed_is_tried_again_unless_told_not_to(tmp_path, scan, pipeline):
    out = tmp_path / "out"
    pipeline.fails = {0: NotFoundError("No head."), 1: NotFoundError("No head.")}
    assert ends([scan], out) == ["failed"]
    assert ends([scan], out, retry_failed=False) == ["skipped"]
    assert ends([scan], out) == ["failed"] and len(pipeline.calls) == 2
    assert ends([scan], out, parts=True, retry_failed=False) == ["ok"]  # what failed were other settings


def test_labels_that_were_removed_are_made_again(tmp_path, scan, pipeline):
    ends([scan], tmp_path / "out")
    (tmp_path / "out" / "a_hippocampus.nii.gz").unlink()
    assert ends([scan], tmp_path / "out") == ["ok"]


def test_labels_corrected_by_hand_are_done(tmp_path, scan, pipeline):
    ends([scan], tmp_path / "out")
    labels = tmp_path / "out" / "a_hippocampus.nii.gz"
    shutil.copy(scan, labels)
    assert ends([scan], tmp_path / "out") == ["skipped"]
    assert ends([scan], tmp_path / "out", overwrite=True) == ["edited"]
    assert labels.read_bytes() == scan.read_bytes()


def test_names_are_the_same_in_a_run_that_was_ended_between_any_two_scans(tmp_path, pipeline):
    """Files of one name: whoever is first must not take what the others were called together."""
    scans = [write_scan(tmp_path / "in" / f"s{n}" / "T1.nii.gz", n) for n in range(3)]
    scans.append(write_scan(tmp_path / "in" / "s1_T1.nii.gz", 3))
    list(batch.segment_files(scans, tmp_path / "whole", picture=False))
    whole = (tmp_path / "whole" / TABLE).read_bytes()
    for count in range(1, len(scans) + 1):
        out = tmp_path / f"ended{count}"
        run = batch.segment_files(scans, out, picture=False)
        for _ in range(count):
            next(run)
        run.close()
        list(batch.segment_files(scans, out, picture=False))
        assert table_but_seconds(out) == table_but_seconds(tmp_path / "whole"), count
    assert len(whole.splitlines()) == 5


def test_shards_take_each_scan_once_and_agree_on_names(tmp_path, pipeline):
    scans = [write_scan(tmp_path / "in" / f"s{n}" / "T1.nii.gz", n) for n in range(9)]
    list(segment_cohort([tmp_path / "in"], tmp_path / "whole", picture=False))
    taken = []
    for part in (3, 1, 2):
        shard = list(segment_cohort([tmp_path / "in"], tmp_path / "out", picture=False, shard=(part, 3)))
        assert {outcome.what for outcome in shard} <= {"ok"}
        taken += [outcome.record.source.path for outcome in shard]
    assert sorted(taken) == sorted(scan.as_posix() for scan in scans)
    assert table_but_seconds(tmp_path / "out") == table_but_seconds(tmp_path / "whole")


def test_progress_counts_and_tells_the_time_that_is_left(tmp_path, pipeline):
    for n in range(4):
        write_scan(tmp_path / "in" / f"{n}.nii.gz", n)
    list(segment_cohort([tmp_path / "in" / "0.nii.gz"], tmp_path / "out", picture=False))
    pipeline.fails[2] = NotFoundError("No head.")
    seen: list[BatchProgress] = []
    outcomes = list(segment_cohort([tmp_path / "in"], tmp_path / "out", progress=seen.append, picture=False))
    assert [outcome.what for outcome in outcomes] == ["skipped", "ok", "failed", "ok"]
    last = seen[-1]
    assert (last.total, last.done, last.ok, last.failed, last.skipped) == (4, 4, 2, 1, 1)
    assert last.words() == "4 of 4, 1 failed"
    middle = next(one for one in seen if one.done == 2 and one.per_minute)
    assert middle.seconds_left == pytest.approx(2 * 60 / middle.per_minute, rel=0.2, abs=0.1)
    assert BatchProgress.from_dict(middle.to_dict()) == middle
    assert BatchProgress(500, 17, ok=15, failed=2, per_minute=12.0, seconds_left=2460.0).words() == (
        "17 of 500, 12 per minute, 41 min left, 2 failed"
    )


def test_a_name_does_not_depend_on_results_of_this_call():
    sources = [Source(path) for path in (Path("/x/a.nii"), Path("/y/a.nii"))]
    fresh = assign_names(sources, lambda name, source: "free")

    def half_done(name, source):
        return "free" if name != fresh[0] else "own" if source == sources[0] else "other"

    assert assign_names(sources, half_done) == fresh == ["x_a", "y_a"]
