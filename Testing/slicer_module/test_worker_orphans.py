"""What is left of a panel that was killed: its worker ends, its files go."""

from __future__ import annotations

import itertools
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass

import fake_worker
import psutil
import pytest
from HippoSegSlicer.workerprocess import WorkerProcess
from workertalk import gone, send, wait

ROOT = pathlib.Path(__file__).resolve().parents[2]

#: A panel that asks its worker for something long, tells of it, and waits; other processes may keep the
#: worker's pipe open.
PANEL = """
import subprocess, sys, time
sys.path[:0] = sys.argv[1:4]
import fake_launcher, fake_worker
import workertalk as t
from HippoSegSlicer.workerprocess import WorkerProcess
command, behaviour, keep = sys.argv[4:]
double = fake_worker if command == "fake_worker" else fake_launcher
w = WorkerProcess(double.command(), libraryFolder=sys.argv[1])
t.send(w, behaviour); t.wait_for_progress(w)
other = 0
if keep == "pipe open elsewhere":
    import os
    pipe = w._process.stdin.fileno()
    os.set_inheritable(pipe, True)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[pipe]).pid
    time.sleep(0.2)
print(w.processId, other, w.folder, flush=True); time.sleep(60)
"""


#: How panels start their worker, what it is busy with, and whether others keep its pipe open.
PANELS = list(
    itertools.product(("fake_worker", "fake_launcher"), ("deaf", "native"), ("", "pipe open elsewhere"))
)


@dataclass(frozen=True)
class Orphan:
    """What a killed panel leaves: its worker, the supervisor and launcher above it, a process that keeps the
    pipe open (its number, or 0), and the folder of files."""

    worker: psutil.Process
    above: tuple[psutil.Process, ...]
    other: int
    folder: str


@pytest.fixture(scope="module")
def orphans():
    """What killed panels leave, by how they were; killed together, as each worker takes seconds to see it."""
    folders = [str(ROOT), str(ROOT / "HippoSeg"), str(ROOT / "Testing" / "slicer_module")]
    parents = {
        panel: subprocess.Popen(
            [sys.executable, "-c", PANEL, *folders, *panel], stdout=subprocess.PIPE, text=True
        )
        for panel in PANELS
    }
    found = {}
    try:
        for panel, parent in parents.items():
            number, other, folder = parent.stdout.readline().split()
            worker = psutil.Process(int(number))
            above = worker.parents()
            above = above[: [process.pid for process in above].index(parent.pid)]
            found[panel] = Orphan(worker, tuple(above), int(other), folder)
        assert all(os.path.isdir(orphan.folder) for orphan in found.values())
        for parent in parents.values():
            parent.kill()
            parent.wait()
        yield found
    finally:
        for parent in parents.values():
            parent.kill()
        for orphan in found.values():
            if orphan.other:
                psutil.Process(orphan.other).kill()


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("panel", PANELS, ids=["-".join(panel) for panel in PANELS])
def test_the_worker_dies_with_a_parent_that_is_killed(orphans, panel):
    """The parent is killed without a chance to clean up; its busy worker and the files must go."""
    orphan = orphans[panel]
    assert len(orphan.above) == 1 + (panel[0] == "fake_launcher")
    assert all(gone(process) for process in (orphan.worker, *orphan.above))
    assert not os.path.exists(orphan.folder)
    if panel[2]:
        assert psutil.Process(orphan.other).is_running()  # it did keep the pipe open


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_folders_of_panels_that_were_killed_are_swept_at_the_next_start(tmp_path, monkeypatch):
    """Everything was killed at once, as by a power cut; only a living panel's folder stays."""
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folders = [str(ROOT), str(ROOT / "HippoSeg"), str(ROOT / "Testing" / "slicer_module")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    parents = []
    for _ in range(2):
        command = [sys.executable, "-c", PANEL, *folders, "fake_worker", "deaf", ""]
        parents.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    told = [parent.stdout.readline().split() for parent in parents]
    try:
        killed, living = told
        tree = [parents[0].pid, psutil.Process(int(killed[0])).parent().pid, int(killed[0])]
        for number in tree:  # stopped first, so that none can clean up after another
            psutil.Process(number).suspend()
        for number in reversed(tree):
            psutil.Process(number).kill()
        parents[0].wait()
        assert os.path.exists(os.path.join(killed[2], "in.npy"))  # a patient's scan
        (tmp_path / ".hipposeg-worker-mine").mkdir()
        (tmp_path / ".hipposeg-worker-mine" / "thesis").write_text("years of work")
        worker = WorkerProcess(fake_worker.command(), libraryFolder=str(ROOT))
        send(worker)
        assert wait(worker)[-1]["event"] == "result"
        assert not os.path.exists(killed[2])
        assert os.path.exists(os.path.join(living[2], "in.npy"))
        own = worker.folder
        worker.close()
        assert not os.path.exists(own)
        assert (tmp_path / ".hipposeg-worker-mine" / "thesis").exists()
    finally:
        for parent in parents:
            parent.kill()
            parent.communicate()
