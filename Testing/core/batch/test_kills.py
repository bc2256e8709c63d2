"""Two processes on one output folder, killed at random instants, then run again: nothing is lost or mixed.

`HIPPOSEG_KILLS=60 python -m pytest Testing/core/batch/test_kills.py` is the long form.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
import standin
from standin import BatchProcess, table, table_but_seconds, visible

from HippoSegLib.batch.record import read_record
from HippoSegLib.batch.source import file_sha256

KILLS = int(os.environ.get("HIPPOSEG_KILLS", "6"))
#: Two processes with scans of their own and some that both are given.
COUNT, SHARED = 24, 6
SHARES = ((0, COUNT // 2 + SHARED // 2), (COUNT // 2 - SHARED // 2, COUNT // 2 + SHARED // 2))

pytestmark = [pytest.mark.no_cover, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


def start(out: Path, shares=SHARES, **options) -> list[BatchProcess]:
    """One process per share."""
    return [BatchProcess(out, first, count, **options) for first, count in shares]


def finish(processes: list[BatchProcess]) -> None:
    assert [process.wait() for process in processes] == [0] * len(processes)


def consistent(out: Path) -> None:
    """Every record's files are there, as they were written with it, and no file is without a record."""
    named = {"hippocampus.csv", "hippocampus.json"}
    for path in out.glob("*_hippocampus.json"):
        record = read_record(path)
        named.add(path.name)
        for file in record.files.values():
            assert file_sha256(out / file.name) == file.sha256
            named.add(file.name)
    assert visible(out) == named
    assert not list(out.glob(".hippocampus-*")) and not (out / ".hippocampus.lock").exists()


#: For each kill, whether the process was still at work.
_hits: list[bool] = []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a run makes that nobody kills: without and with maps, and the seconds that it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    begin = time.monotonic()
    finish(start(folder / "plain"))
    seconds = time.monotonic() - begin
    finish(start(folder / "maps", probabilities=True))
    consistent(folder / "plain")
    yield table_but_seconds(folder / "plain"), seconds, visible(folder / "plain"), visible(folder / "maps")
    assert sum(_hits) >= len(_hits) / 3, "most kills came too late"


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_batch_given_again_equals_one_that_was_not_killed(undisturbed, tmp_path, number):
    rows, seconds, plain, with_maps = undisturbed
    out, chance = tmp_path / "out", random.Random(number)
    assert {row["status"] for row in rows} == {"ok", "review", "failed"}
    overwriting = number % 2 == 1
    if overwriting:
        finish(start(out, probabilities=True))
    processes = start(out, overwrite=overwriting)
    # The two are killed one after the other: the second one goes on for a while beside a dead one's files.
    for process in chance.sample(processes, 2):
        time.sleep(chance.uniform(0, 0.6 * seconds))
        process.send(signal.SIGKILL)
        _hits.append(process.wait() == -signal.SIGKILL)
    finish(start(out))
    consistent(out)
    assert table_but_seconds(out) == rows
    files = visible(out)
    if not overwriting:
        assert files == plain
    else:  # a scan that was not reached keeps all its maps, one that was has none
        assert plain <= files <= with_maps
        kept = [{name.split("_")[0] for name in files if f"_{side}_" in name} for side in ("left", "right")]
        assert kept[0] == kept[1]


def test_an_interrupted_batch_leaves_a_table_of_what_was_done(undisturbed, tmp_path):
    """Ctrl-C, at any instant: no labels without their row, at once."""
    rows, seconds, _, _ = undisturbed
    processes = start(tmp_path / "out")
    time.sleep(seconds / 4)
    for process in processes:
        process.send(signal.SIGINT)
    assert {process.wait() for process in processes} <= {0, 130}
    out = tmp_path / "out"
    consistent(out)
    assert {row["scan"] for row in table(out)} == {
        path.name.removesuffix("_hippocampus.json") for path in out.glob("*_hippocampus.json")
    }
    finish(start(out))
    assert table_but_seconds(out) == rows


def test_two_calls_on_the_same_scans_share_the_work(tmp_path, monkeypatch):
    """Neither knows of the other: where one finds a scan done, it goes on elsewhere in the list."""
    count, log = 60, tmp_path / "log"
    (tmp_path / "scans").mkdir()
    for number in range(count):
        (tmp_path / "scans" / f"scan-{number:04d}.nii.gz").touch()
    segment = standin.segment

    def logged(scan, *more):
        with open(log, "ab") as file:
            file.write(b".")
        return segment(scan, *more)

    monkeypatch.setattr(standin, "segment", logged)
    finish(start(tmp_path / "out", shares=[(0, count)] * 2, retry_failed=False))
    assert len(table(tmp_path / "out")) == count
    assert count <= log.stat().st_size < 1.7 * count
    consistent(tmp_path / "out")


def test_ten_processes_lose_no_row(tmp_path):
    finish(start(tmp_path / "out", shares=[(10 * n, 10) for n in range(10)]))
    assert [row["scan"] for row in table(tmp_path / "out")] == [f"scan-{n:04d}" for n in range(100)]
    consistent(tmp_path / "out")
