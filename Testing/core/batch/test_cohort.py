"""A small cohort, killed and in shards: the table is that of one undisturbed process, to the byte.

The long form, with the real pipeline on real heads: `make cohort` (`Testing/benchmarks/cohort.py`).
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "Testing" / folder) for folder in ("benchmarks", "tools")]
pytest.importorskip("psutil")

import cohort  # noqa: E402
from make_cohort import make_cohort, make_demo  # noqa: E402
from standin import read  # noqa: E402

from HippoSegLib.batch import runner  # noqa: E402
from HippoSegLib.batch.finding.scans import find_scans  # noqa: E402
from HippoSegLib.batch.run import segment_files  # noqa: E402

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")
COMMAND = [sys.executable, str(Path(__file__).with_name("standin_cli.py")), "batch"]


def test_killed_and_in_shards_the_table_is_that_of_an_undisturbed_run(tmp_path):
    for number in range(14):
        # Each a little slow, and of one name in many folders: neither order nor kills may change a name.
        path = tmp_path / "scans" / f"s{number % 7}" / f"scan-{number:04d}.slow.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    log, command = tmp_path / "log.txt", [*COMMAND, str(tmp_path / "scans"), "--no-picture", "--no-page"]
    # Each has a folder of its own, and mostly waits: all three at a time.
    with ThreadPoolExecutor() as threads:
        runs = (
            threads.submit(cohort.undisturbed, command, tmp_path / "serial", log),
            threads.submit(cohort.killed, command, tmp_path / "killed", log, 2, pause=1.5),
            threads.submit(cohort.sharded, command, tmp_path / "shards", log, 2, pause=1.0),
        )
        serial, killed, shards = (run.result() for run in runs)
    assert sum(killed.killed.values()) >= 1
    assert not cohort.differences(killed, serial) and not cohort.differences(shards, serial)
    assert len(cohort.labels(serial.out)) == 14
    assert set(cohort.statuses(serial.out)) == {"ok", "review", "failed (unexpected)"}


def test_what_differs_is_seen(tmp_path, pipeline, monkeypatch):
    runs: list[cohort.Run] = []
    monkeypatch.setattr(runner, "read_scan", read)
    for name in ("one", "two"):
        scans = [tmp_path / f"scan-{n + len(runs):04d}.nii" for n in range(2)]
        for scan in scans:
            scan.touch()
        list(segment_files(scans, tmp_path / f"of {name}", picture=bool(runs)))
        runs.append(cohort.Run(tmp_path / f"of {name}"))
    assert [words.split()[0] for words in cohort.differences(*runs)] == ["table", "labels", "files"]
    assert not cohort.differences(runs[0], runs[0])


def test_the_demo_and_the_cohort_hold_what_they_say(tmp_path, sample_path):
    names = {path.name.split(".")[0] for path in make_demo(tmp_path / "demo")}
    assert names == {"as_it_is", "moved", "noisy", "coarse", "inverted", "broken"}
    before = sample_path.read_bytes()
    scans = make_cohort(tmp_path / "cohort", 8, [sample_path])
    assert sample_path.read_bytes() == before
    found = find_scans([tmp_path / "cohort"])
    assert [source.path for source in found.sources] == sorted(scans)
    assert sum(path.is_symlink() for path in scans) == 6
    assert scans[4].stat().st_size == len(before) // 2
    assert len({path.parent.parent for path in scans}) == 7  # one subject came twice
