"""Several living processes share one search: each trial is run once, and the total is what was asked for."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sitefixture import write_site

from HippoSegLib.errors import Cancelled
from HippoSegLib.finetuning.process_lock import ProcessLock
from HippoSegLib.finetuning.search import LOCK

optuna = pytest.importorskip("optuna")
ROOT = Path(__file__).resolve().parents[2]
TRIALS = 4


def run_trials(text: str) -> set[int]:
    """Numbers of the trials that a process told the progress of."""
    return {int(number) for number in re.findall(r"Trial (\d+):", text)}


@pytest.mark.slow
def test_two_living_processes_share_a_search(base_folder, tmp_path):
    site, out = write_site(tmp_path / "site", 6), tmp_path / "search"
    command = [sys.executable, "-m", "HippoSegLib", "tune", str(site), "--region", "--base", str(base_folder)]
    command += ["-o", str(out), "--trials", str(TRIALS), "--epochs", "1", "--folds", "2", "--threads", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    out.mkdir()
    streams = [[(tmp_path / f"{kind}{i}").open("w+") for kind in ("out", "err")] for i in range(2)]
    # Both wait at the door until both are there: they begin on the empty folder at one moment.
    door = ProcessLock(out / LOCK)
    door.acquire()
    processes = [subprocess.Popen(command, env=environment, stdout=o, stderr=e) for o, e in streams]
    try:
        limit = time.monotonic() + 300
        while any("sub-05" not in (tmp_path / f"out{i}").read_text() for i in range(2)):
            assert all(p.poll() is None for p in processes), (tmp_path / "err0").read_text()
            assert time.monotonic() < limit
            time.sleep(0.1)
        time.sleep(1)
        assert not (out / "study.db").exists()
        door.release()
        codes = [p.wait(timeout=300) for p in processes]
    finally:
        for process in processes:
            process.kill()
        for stream in sum(streams, []):
            stream.close()
    told = [(tmp_path / f"err{i}").read_text() for i in range(2)]
    assert codes == [0, 0], told
    mine, others = map(run_trials, told)
    assert mine and others and not mine & others
    study = optuna.load_study(study_name="finetune", storage=f"sqlite:///{out / 'study.db'}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * TRIALS
    assert mine | others == {trial.number + 1 for trial in study.trials}
    assert len({tuple(trial.params.values()) for trial in study.trials}) == TRIALS
    with (out / "trials.csv").open() as file:
        assert [int(row["trial"]) for row in csv.DictReader(file)] == list(range(1, TRIALS + 1))
    for i in range(2):
        assert f"Best of {TRIALS} trials: Dice {study.best_value:.4f}" in (tmp_path / f"out{i}").read_text()


def test_a_lock_is_one_processs_and_ends_with_it(tmp_path):
    """Held by a process that lives, refused to others; a killed one holds nothing."""
    script = "import sys, time; from HippoSegLib.finetuning.process_lock import ProcessLock; "
    script += "lock = ProcessLock(sys.argv[1]); lock.acquire()"
    script += "; print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "lock")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    asked = []
    lock = ProcessLock(tmp_path / "lock")
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Cancelled):
            lock.acquire(cancel=lambda: asked.append(1) or len(asked) > 3)
    finally:
        other.kill()
        other.communicate()
    lock.acquire()
    lock.release()
    lock.release()  # what is not held is given back for nothing
    lock.acquire()
    lock.release()
