"""Killed between any two operations on files, a scan's files are of one run after the next one.

A child process leaves, without any cleaning up, at its n-th operation that changes the file system, for
every n. Operations are counted by Python's audit events, so that whatever the code calls is counted.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from standin import as_another_program, table, table_but_seconds, visible, write_scan

from HippoSegLib.batch import run as batch
from HippoSegLib.batch.record import read_record
from HippoSegLib.batch.source import file_sha256
from HippoSegLib.errors import NotFoundError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.utime"}
_DONE, _KILLED = 0, 9


def killed_at(number: int, work) -> bool:
    """Run `work` in a child process that ends at its n-th change; whether it came that far."""
    child = os.fork()
    if child == 0:
        try:
            left = [number]

            def count(event: str, args: tuple) -> None:
                writing = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
                if event in _CHANGES or writing:
                    left[0] -= 1
                    if left[0] < 0:
                        os._exit(_KILLED)

            sys.addaudithook(count)
            as_another_program()
            work()
            os._exit(_DONE)
        except BaseException:  # noqa: B036  a child must never return into the tests
            os._exit(3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (_DONE, _KILLED)
    return status == _KILLED


def run(scan: Path, out: Path, **options) -> None:
    list(batch.segment_files([scan], out, picture=False, **options))


def state(out: Path) -> dict[str, str]:
    """Name -> hash of what a user sees, apart from times in record and table."""
    found = {}
    for name in sorted(visible(out)):
        path = out / name
        if name == batch.TABLE:
            found[name] = repr(table_but_seconds(out))
        else:
            found[name] = record_state(path) if name.endswith("_hippocampus.json") else file_sha256(path)
    return found


def record_state(path: Path) -> str:
    record = read_record(path)
    for file in record.files.values():
        assert file_sha256(path.parent / file.name) == file.sha256, "files of two runs"
    return repr((record.scan, record.status, record.measurements, record.failure, dict(record.files)))


def every_kill(tmp_path, before, work, rerun, allowed):
    """Kill `work` at each of its changes, on a copy of `before`; `rerun` leads to an allowed state."""
    number = 0
    while True:
        out = tmp_path / f"out-{number}"
        if before is not None:
            shutil.copytree(before, out)
        if not killed_at(number, lambda out=out: work(out)):
            break
        rerun(out)
        assert state(out) in allowed, f"killed at change {number}"
        assert not [n for n in os.listdir(out) if n.startswith(".hippocampus-") or n.endswith(".lock")]
        shutil.rmtree(out)
        number += 1
    assert number > 20, "the kills are not counted"
    print(number, "kills")
    return out


@pytest.mark.no_cover
def test_a_first_run_killed_anywhere_is_repaired_by_the_same_call(tmp_path, pipeline):
    scan = write_scan(tmp_path / "scan.nii.gz")
    run(scan, tmp_path / "whole", probabilities=True)
    every_kill(
        tmp_path,
        None,
        lambda out: run(scan, out, probabilities=True),
        lambda out: run(scan, out, probabilities=True),
        [state(tmp_path / "whole")],
    )


@pytest.mark.no_cover
def test_overwriting_killed_anywhere_leaves_the_old_or_the_new_result_whole(tmp_path, pipeline):
    """The old one has maps, the new one has none and other volumes; a call without --overwrite comes next."""
    scan, other = write_scan(tmp_path / "in" / "scan.nii.gz", 1), write_scan(tmp_path / "scan.nii.gz", 2)
    old, new = tmp_path / "old", tmp_path / "new"
    run(scan, old, probabilities=True)
    shutil.copy(other, scan)
    shutil.copytree(old, new)
    run(scan, new, overwrite=True)
    assert state(old) != state(new) and not any("probability" in name for name in state(new))
    out = every_kill(
        tmp_path,
        old,
        lambda out: run(scan, out, overwrite=True),
        lambda out: run(scan, out),
        [state(old), state(new)],
    )
    assert state(out) == state(new)


@pytest.mark.no_cover
def test_a_failure_killed_anywhere_leaves_a_whole_record_or_none(tmp_path, pipeline):
    pipeline.fails = dict.fromkeys(range(1000), ValueError("nobody thought of it"))
    scan = write_scan(tmp_path / "scan.nii.gz")
    run(scan, tmp_path / "whole")
    every_kill(
        tmp_path, None, lambda out: run(scan, out), lambda out: run(scan, out), [state(tmp_path / "whole")]
    )


def test_a_failed_rerun_leaves_the_old_result_whole_and_says_so(tmp_path, pipeline):
    scan, out = write_scan(tmp_path / "scan.nii.gz"), tmp_path / "out"
    run(scan, out, probabilities=True)
    before = state(out)
    for number, error in enumerate((NotFoundError("No head.", "Give points."), KeyError("x"), MemoryError())):
        pipeline.fails[number + 1] = error
        (outcome,) = batch.segment_files([scan], out, picture=False, overwrite=True)
        assert outcome.status == "failed" and outcome.earlier_stays
        assert state(out) == before
    assert [row["status"] for row in table(out)] == ["ok"]


def test_overwriting_removes_what_the_new_run_was_not_asked_for(tmp_path, pipeline):
    scan, out = write_scan(tmp_path / "scan.nii.gz"), tmp_path / "out"
    list(batch.segment_files([scan], out, probabilities=True))
    (out / "scan_notes.txt").write_text("the user's")
    assert (out / "scan_hippocampus.png").exists() and (out / "scan_left_probability.nii.gz").exists()
    run(scan, out, overwrite=True)
    assert visible(out) == {
        "scan_hippocampus.nii.gz",
        "scan_hippocampus.json",
        "scan_notes.txt",
        "hippocampus.csv",
        "hippocampus.json",
    }


@pytest.mark.parametrize("name", ["a_hippocampus.nii.gz", "a_hippocampus.png", "a_left_probability.nii.gz"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_users_file_under_a_results_name_is_never_replaced(tmp_path, pipeline, name, overwrite):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(b"mine")
    options = {"probabilities": True, "overwrite": overwrite}
    (outcome,) = batch.segment_files([write_scan(tmp_path / "a.nii.gz")], out, **options)
    assert outcome.error.code == "not_ours" and (out / name).read_bytes() == b"mine"
    assert visible(out) == {name}


def test_labels_that_were_edited_are_never_replaced(tmp_path, pipeline):
    scan, out = write_scan(tmp_path / "scan.nii.gz"), tmp_path / "out"
    run(scan, out)
    edited = (out / "scan_hippocampus.nii.gz").read_bytes() + b"drawn by hand"
    (out / "scan_hippocampus.nii.gz").write_bytes(edited)
    (outcome,) = batch.segment_files([scan], out, picture=False, overwrite=True)
    assert outcome.error.code == "edited" and "edited" in str(outcome.error)
    assert (out / "scan_hippocampus.nii.gz").read_bytes() == edited


def test_a_result_of_an_earlier_version_is_replaced_where_that_is_asked_for(tmp_path, pipeline):
    """It had its provenance beside it, and no record."""
    scan, out = write_scan(tmp_path / "scan.nii.gz"), tmp_path / "out"
    out.mkdir()
    for ending in ("hippocampus.nii.gz", "hippocampus.png", "left_probability.nii.gz"):
        (out / f"scan_{ending}").write_bytes(b"old")
    (out / "scan_hippocampus.json").write_text('{"model": {}, "versions": {}, "input_geometry": {}}')
    (outcome,) = batch.segment_files([scan], out, picture=False)
    assert outcome.error.code == "exists"
    assert [row["status"] for row in table(out)] == ["review"]  # its volumes are not known
    run(scan, out, overwrite=True)
    assert {n for n in visible(out) if n.startswith("scan")} == {
        "scan_hippocampus.nii.gz",
        "scan_hippocampus.json",
    }
    assert [row["status"] for row in table(out)] == ["ok"]
