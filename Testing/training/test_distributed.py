"""Two processes with a batch each are one process with the doubled batch."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from HippoSegLib.training.distributed import Team, start
from HippoSegLib.training.plot import read_log
from HippoSegLib.training.runstate import read_run

ROOT = Path(__file__).resolve().parents[2]
#: No dropout, no augmentation; seven cases, so that the second process has none in the last batch.
SCRIPT = """
import sys
import torch
torch.set_num_threads(1)
from crops import SHAPE, training_arguments, crops
from HippoSegLib.finetuning.settings import scaled
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training import train_3d_unet
from HippoSegLib.training.augmentation import Augmentation
from HippoSegLib.training.distributed import start
device = start("cpu")
train_3d_unet(*crops(7), 0.01, int(sys.argv[1]), 4, **training_arguments(
    validation=crops(2, first=100), region_shape=SHAPE, widths=(4, 8),
    preprocessing=Preprocessing.named("plain"), augmentation=scaled(Augmentation(), 0),
    dropout=0.0, micro_batch=1, device=device, mixed_precision=False, run_dir=sys.argv[2]))
"""


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def train_alone(script: Path, batch: int, run: Path) -> None:
    """In this process, as who knows nothing of several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WORLD_SIZE", raising=False)
        patch.setattr(sys, "argv", [str(script), str(batch), str(run)])
        runpy.run_path(str(script))


def train_as_two(script: Path, batch: int, run: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-addr", "127.0.0.1", "--master-port", free_port()]
    path = os.pathsep.join([str(ROOT), str(ROOT / "Testing" / "training")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command += [str(script), str(batch), str(run)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_two_processes_are_one_with_the_doubled_batch(tmp_path):
    script, one, two = tmp_path / "script.py", tmp_path / "one", tmp_path / "two"
    script.write_text(SCRIPT)
    train_alone(script, 6, one)
    train_as_two(script, 3, two)
    logs = [read_log(run / "log.csv") for run in (one, two)]
    losses = [np.array([row["train_loss"] for row in log]) for log in logs]
    assert len(losses[0]) == 4 and losses[0][-1] < losses[0][0]
    assert np.abs(losses[0] - losses[1]).max() < 1e-3
    rates = [[row["learning_rate"] for row in log] for log in logs]
    assert rates[0] == rates[1]
    dice = [[row["val_whole"] for row in log] for log in logs]
    assert np.abs(np.subtract(*dice)).max() < 0.02
    # The weights too, not only their loss: gradients were averaged, not each process's own.
    states = [read_run(run)[1]["model"] for run in (one, two)]
    assert max(float((states[0][k] - states[1][k]).abs().max()) for k in states[0]) < 1e-3


def test_shares_of_a_batch_leave_nothing_out():
    team = Team()
    assert (team.rank, team.size) == (0, 1) and list(team.share(4, 3)) == [4, 5, 6]
    parts = []
    for team.rank in range(3):
        team.size = 3
        parts += list(team.share(8, 5))
    assert sorted(parts) == [8, 9, 10, 11, 12]


def test_alone_nothing_is_joined(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert start("cpu") == "cpu" and Team().total(2.5, torch.device("cpu")) == 2.5
    assert Team().of_first({"a": 1}) == {"a": 1}
