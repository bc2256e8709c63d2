"""A cluster with a scheduler: two real Dask workers, one of them killed in the middle of the work."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

HERE, ROOT = Path(__file__).parent, Path(__file__).resolve().parents[3]
sys.path.append(str(HERE.parent / "batch"))

import standin  # noqa: E402

from HippoSegLib.batch import cluster_chunk, dask_engine, resume, runner  # noqa: E402
from HippoSegLib.batch import run as batch  # noqa: E402
from HippoSegLib.batch.cluster_chunk import Chunk, segment_chunk  # noqa: E402
from HippoSegLib.batch.dask_engine import chunk_length  # noqa: E402
from HippoSegLib.batch.outcome import Outcome  # noqa: E402
from HippoSegLib.batch.request import BatchOptions  # noqa: E402
from HippoSegLib.batch.scan_process import Setup  # noqa: E402
from HippoSegLib.batch.source import Source  # noqa: E402
from HippoSegLib.errors import Cancelled, DependencyError, HippoSegError, OutputError  # noqa: E402
from HippoSegLib.options import SegmentOptions  # noqa: E402

distributed = pytest.importorskip(
    "distributed", reason="dask.distributed is not installed (hipposeg[cluster])"
)
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers with a thread each, in processes of their own; a scheduler in this one."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            preload=["standin_preload"],  # found by its name in this folder
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as cluster,
        distributed.Client(cluster.scheduler_address, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def standin_model(monkeypatch):
    monkeypatch.setattr(resume, "model_identity", standin.identity)
    monkeypatch.setattr(dask_engine, "_PAUSE", 0.1)


def scans(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [folder / name for name in names]


def on(client, paths, out, **options):
    options = {"picture": False, "dask": client.scheduler.address, **options}
    return batch.segment_files(paths, out, **options)


def reads(folder: Path) -> Counter:
    """How often each scan was read."""
    return Counter((folder / "read.log").read_text().split())


def test_a_killed_worker_costs_nothing_and_a_poison_scan_is_set_aside(cluster, tmp_path, monkeypatch):
    """The table equals that of one process, but for the scan that took two workers with it; one is real."""
    monkeypatch.setattr(dask_engine, "_LONGEST_CHUNK", 4)
    names = [f"scan-{n:04d}.slow.nii.gz" for n in range(1, 9)]
    paths = scans(tmp_path / "in", *names, "scan-0099.poison.nii.gz", "real.nii.gz")
    shutil.copy(ROOT / "Resources/SampleData/hipposeg_sample_T1.nii.gz", paths[-1])
    pids = list(cluster.run(os.getpid).values())
    done = []
    for outcome in on(cluster, paths, tmp_path / "out", second_reader=False):
        if not done:
            os.kill(pids[0], signal.SIGKILL)
        done.append(outcome)
    assert sorted(o.scan for o in done) == sorted(path.name.removesuffix(".nii.gz") for path in paths)
    assert not any(outcome.skipped for outcome in done)  # what a lost worker had done counts as done
    rows = {row["scan"]: row for row in standin.table(tmp_path / "out")}
    poison = rows.pop("scan-0099.poison")
    assert (poison["status"], poison["error"]) == ("failed", "set_aside")
    real = rows.pop("real")
    assert real["status"] == "ok" and 2500 < float(real["left_mm3"]) < 4500
    times = reads(tmp_path / "in")
    assert times["scan-0099.poison.nii.gz"] == 2
    # One chunk was begun anew, and of that only what was not done: most scans were read once.
    assert sum(times[name] for name in names) <= len(names) + 4
    monkeypatch.setattr(runner, "read_scan", standin.read)
    monkeypatch.setattr(runner, "segment", standin.segment)
    list(batch.segment_files(paths[:-2], tmp_path / "serial", picture=False))
    expected = {row["scan"]: row for row in standin.table(tmp_path / "serial")}
    for table in (rows, expected):
        for row in table.values():
            row["seconds"] = ""
    assert rows == expected
    assert not [name for name in os.listdir(tmp_path / "out") if name.startswith(".hipposeg-")]
    assert not cluster.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))  # all released


def test_cancelling_takes_back_what_was_not_begun(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_engine, "_LONGEST_CHUNK", 1)
    monkeypatch.setattr(cluster_chunk, "_LOOK", 0.1)
    paths = scans(tmp_path / "in", *(f"scan-{n:04d}.slow.nii.gz" for n in range(1, 13)))
    done: list = []
    with pytest.raises(Cancelled):
        for outcome in on(cluster, paths, tmp_path / "out", cancel=lambda: len(done) > 0):
            done.append(outcome)
    assert 1 <= len(done) < 12
    cluster.sync(cluster.scheduler.identity)
    rows = standin.table(tmp_path / "out")
    assert {outcome.scan for outcome in done} <= {row["scan"] for row in rows} and len(rows) < 12


def test_without_a_scheduler_or_dask_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_engine, "_CONNECT", 0.3)
    paths = scans(tmp_path / "in", "scan-0001.nii.gz")
    with pytest.raises(HippoSegError) as caught:
        list(batch.segment_files(paths, tmp_path / "out", picture=False, dask="tcp://127.0.0.1:1"))
    assert caught.value.code == "no_scheduler"
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DependencyError) as caught:
        list(batch.segment_files(paths, tmp_path / "out", picture=False, dask="tcp://127.0.0.1:1"))
    assert caught.value.code == "no_dask" and "hipposeg[cluster]" in caught.value.remedy


def test_a_machine_that_does_not_see_the_folder_or_has_another_version_says_so(tmp_path):
    setup = Setup(tmp_path / "nowhere", SegmentOptions(), BatchOptions())
    with pytest.raises(OutputError) as caught:
        segment_chunk(Chunk(setup, (), tmp_path / "nowhere" / "run"))
    assert caught.value.code == "not_shared" and not (tmp_path / "nowhere").exists()
    with pytest.raises(HippoSegError) as other:
        segment_chunk(Chunk(setup, (), tmp_path, version="0.0.1"))
    assert other.value.code == "other_version"
    # A run that has come to its end: its chunks do nothing more.
    assert (
        segment_chunk(Chunk(Setup(tmp_path, SegmentOptions(), BatchOptions()), (), tmp_path / "gone")) == []
    )


def test_a_chunk_begun_anew_counts_what_was_lost_and_skips_what_was_done(tmp_path, monkeypatch):
    """In this process: two deaths set a scan aside, one does not; a note is there while one is worked on."""
    out, run = tmp_path / "out", tmp_path / "run"
    out.mkdir()
    run.mkdir()
    noted: list[set[str]] = []

    def here(tasks, count, setup, runner_, listener):
        for source, name in tasks:
            noted.append({path.name for path in run.iterdir()})
            yield runner_.run(source, name, None)

    monkeypatch.setattr(cluster_chunk, "segment_in_workers", here)
    monkeypatch.setattr(runner, "read_scan", standin.read)
    monkeypatch.setattr(runner, "segment", standin.segment)
    paths = scans(tmp_path / "in", *(f"scan-{n:04d}.nii.gz" for n in (1, 2, 3, 4)))
    tasks = tuple((Source(path), path.name.removesuffix(".nii.gz")) for path in paths)
    chunk = Chunk(Setup(out, SegmentOptions(), BatchOptions(picture=False)), tasks[:1], run)
    assert [values["skipped"] for values in segment_chunk(chunk)] == [False]
    for number, deaths in ((1, 1), (2, 2)):
        cluster_chunk._path(run, tasks[number][0]).write_bytes(b"." * deaths)
    found = [Outcome.from_dict(values) for values in segment_chunk(replace(chunk, tasks=tasks))]
    assert {one.scan: one.error.code if one.error else one.what for one in found} == {
        "scan-0001": "review",  # done before the worker was lost: not said to be skipped
        "scan-0002": "ok",
        "scan-0003": "set_aside",
        "scan-0004": "review",
    }
    own = [cluster_chunk._path(run, tasks[number][0]).name for number in (0, 1, 2, 3)]
    assert [own[n] in names for n, names in zip((0, 1, 3), noted, strict=True)] == [True] * 3
    assert {path.name for path in run.iterdir()} == {own[2]}  # as long as the run goes on it stays set aside


@pytest.mark.parametrize(
    ("count", "threads", "length"), [(1, 100, 1), (100, 2, 13), (100_000, 200, 20), (300, 100, 1), (5, 0, 2)]
)
def test_chunks_are_long_for_many_scans_and_leave_no_thread_without(count, threads, length):
    assert chunk_length(count, threads) == length


def test_the_option_of_the_command(monkeypatch, tmp_path):
    from HippoSegLib import cli
    from HippoSegLib.commands import batch as command

    given = []
    monkeypatch.setattr(command, "run_batch", lambda *words: given.append(words) or 0)
    (path,) = scans(tmp_path / "in", "scan-0001.nii.gz")
    assert cli.main(["batch", str(path), "-o", str(tmp_path / "out"), "--dask", "tcp://x:1"]) == 0
    assert given[0][3].dask == "tcp://x:1"
