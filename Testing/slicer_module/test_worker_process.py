"""The worker process, without Slicer or Qt: start, answer, cancel, crash, die with its parent."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

import fake_worker
import numpy as np
import psutil
import pytest
from HippoSegSlicer.workerprocess import WorkerProcess
from panelbed import within_a_second

ROOT = pathlib.Path(__file__).resolve().parents[2]

IMAGE = {
    "array": "in.npy",
    "spacing": [1.0, 1.5, 2.0],
    "origin": [5.0, 6.0, 7.0],
    "direction": [1, 0, 0, 0, 1, 0, 0, 0, 1],
}


@pytest.fixture
def worker():
    process = WorkerProcess(fake_worker.command(), libraryFolder=str(ROOT))
    yield process
    process.close()


def volume() -> np.ndarray:
    array = np.zeros((8, 10, 12), np.int16)
    array[3:5, 4:7, 2:10] = 100
    return array


def send(worker, model=None) -> int:
    return worker.send("segment", {"in.npy": volume()}, image=IMAGE, run="r", options={"model": model})


def wait(worker, seconds=240.0):
    """Poll until the task ends; returns all events."""
    events, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        events += worker.poll(wait=0.02)
        if events and events[-1]["event"] in ("result", "error"):
            return events
    raise AssertionError(f"no end within {seconds} s: {events}")


def wait_for_progress(worker, seconds=240.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(event["event"] == "progress" for event in worker.poll(wait=0.02)):
            return
    raise AssertionError("no progress")


def test_result_labels_progress_and_warm_second_run(worker):
    number = send(worker)
    events = wait(worker)
    assert [e["stage"] for e in events if e["event"] == "progress"] == list(fake_worker.STAGES)
    assert {e["id"] for e in events} == {number}
    result = events[-1]["result"]
    labels = np.load(os.path.join(worker.folder, result["labels"]["array"]))
    i, j, k = result["labels"]["index"]
    whole = np.zeros((8, 10, 12), np.uint16)
    whole[k : k + labels.shape[0], j : j + labels.shape[1], i : i + labels.shape[2]] = labels
    assert np.array_equal(whole > 0, volume() > 0)
    assert set(np.unique(whole)) == {0, 17, 53}
    assert result["row"]["left_mm3"] == pytest.approx((whole == 17).sum() * 3.0)
    first = worker.processId
    send(worker)
    assert wait(worker)[-1]["result"]["provenance"]["pid"] == first == worker.processId


def test_own_output_of_libraries_does_not_disturb_the_protocol(worker):
    send(worker, "noisy")
    assert wait(worker)[-1]["event"] == "result"
    end = time.monotonic() + 60
    while len(worker.log) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    assert {"a library prints", "a program prints"} <= set(worker.log)


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ("input-error", "InputError", "The scan is constant."),
        ("not-found", "NotFoundError", "No hippocampus was found."),
        ("memory", "DeviceError", "not enough memory"),
        ("bug", "HippoSegError", "ZeroDivisionError"),
    ],
)
def test_errors_travel_and_the_worker_lives_on(worker, model, kind, words):
    send(worker, model)
    error = wait(worker)[-1]
    assert (error["event"], error["kind"]) == ("error", kind)
    assert words in error["cause"] and error["remedy"]
    assert ("Traceback" in error["details"]) == (model == "bug")
    send(worker)
    assert wait(worker)[-1]["event"] == "result"


def test_cancel_that_is_heard_keeps_the_process(worker):
    processes = set()

    def cancel() -> float:
        send(worker, "slow")
        wait_for_progress(worker)
        processes.add(worker.processId)
        start = time.monotonic()
        worker.cancel()
        assert wait(worker)[-1]["kind"] == "Cancelled"
        processes.add(worker.processId)
        return time.monotonic() - start

    assert within_a_second(cancel)
    assert len(processes) == 1 or None in processes  # None: too busy to be heard in time, and ended


def test_cancel_that_is_not_heard_ends_the_whole_tree_within_a_second(worker):
    def cancel() -> float:
        send(worker, "deaf-with-child")
        wait_for_progress(worker)
        parent = psutil.Process(worker.processId)
        end = time.monotonic() + 60
        while not parent.children() and time.monotonic() < end:
            time.sleep(0.02)
        (child,) = parent.children()
        folder, start = worker.folder, time.monotonic()
        worker.cancel()
        assert wait(worker)[-1]["kind"] == "Cancelled"
        seconds = time.monotonic() - start
        assert not worker.isRunning and not worker.isBusy
        gone, alive = psutil.wait_procs([parent, child], timeout=60)
        assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
        assert not os.path.exists(folder)
        return seconds

    assert within_a_second(cancel)
    send(worker)  # the next click starts anew
    assert wait(worker)[-1]["event"] == "result"


def test_cancel_before_the_worker_has_started(worker):
    send(worker, "slow")
    worker.cancel()
    assert wait(worker)[-1]["kind"] == "Cancelled"


def test_killed_from_outside_is_one_sentence_with_a_remedy(worker):
    send(worker, "slow")
    wait_for_progress(worker)
    psutil.Process(worker.processId).kill()
    error = wait(worker)[-1]
    assert error["kind"] == "WorkerLost" and "memory" in error["cause"] and error["remedy"]
    send(worker)
    assert wait(worker)[-1]["event"] == "result"


def test_crash_is_reported_with_its_code(worker):
    send(worker, "crash")
    error = wait(worker)[-1]
    assert error["kind"] == "WorkerLost" and "code 3" in error["cause"]


def test_idle_worker_leaves_and_the_next_task_starts_another():
    worker = WorkerProcess(fake_worker.command(), libraryFolder=str(ROOT), idleSeconds=0.3)
    send(worker)
    first = wait(worker)[-1]["result"]["provenance"]["pid"]
    folder, end = worker.folder, time.monotonic() + 60
    while worker.isRunning and time.monotonic() < end:
        time.sleep(0.05)
    assert not worker.isRunning and not os.path.exists(folder)
    send(worker)
    assert wait(worker)[-1]["result"]["provenance"]["pid"] != first
    worker.close()


def test_a_task_sent_to_a_worker_that_is_just_leaving_is_not_lost():
    worker = WorkerProcess(fake_worker.command(), libraryFolder=str(ROOT), idleSeconds=0.0)
    send(worker)  # the worker's queue is empty when it looks: it leaves at once
    worker._idleSeconds = 60.0
    assert wait(worker)[-1]["event"] == "result"
    worker.close()


def test_a_second_task_while_one_runs_is_refused(worker):
    from HippoSegLib.errors import HippoSegError

    send(worker, "slow")
    with pytest.raises(HippoSegError, match="already running"):
        send(worker)


def test_the_worker_dies_with_a_parent_that_is_killed():
    """The parent is killed without a chance to clean up; its busy worker and the files must go."""
    code = (
        "import sys, time; sys.path[:0] = sys.argv[1:]\n"
        "from HippoSegSlicer.workerprocess import WorkerProcess\n"
        "import test_worker_process as t\n"
        "w = WorkerProcess(t.fake_worker.command(), libraryFolder=sys.argv[1])\n"
        "t.send(w, 'deaf'); t.wait_for_progress(w)\n"
        "print(w.processId, w.folder, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            code,
            str(ROOT),
            str(ROOT / "HippoSeg"),
            str(ROOT / "Testing" / "slicer_module"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    number, folder = parent.stdout.readline().split()
    worker = psutil.Process(int(number))
    assert os.path.isdir(folder)
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs([worker], timeout=60)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
    assert not os.path.exists(folder)


def test_a_command_that_does_not_exist_is_reported():
    from HippoSegLib.errors import HippoSegError

    worker = WorkerProcess(["no-such-program-here"])
    with pytest.raises(HippoSegError, match="could not be started"):
        send(worker)
    assert not worker.isRunning


def test_on_windows_no_console_window_and_the_whole_tree(monkeypatch):
    """The arguments that Windows would get; what they do is Windows' to show."""
    from HippoSegSlicer import workerprocess

    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x08000000, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x00000200, raising=False)
    called = []
    monkeypatch.setattr(workerprocess.subprocess, "run", lambda *a, **k: called.append((a[0], k)))
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setattr(workerprocess.os, "name", "nt")
    try:
        assert workerprocess._hiddenProcessGroup() == {"creationflags": 0x08000200}
        monkeypatch.setattr(workerprocess.shutil, "rmtree", lambda *a, **k: None)
        workerprocess._end(process, "")
    finally:
        monkeypatch.undo()
        process.kill()
        process.wait()
    ((command, options),) = called
    assert command == ["taskkill", "/PID", str(process.pid), "/T", "/F"]
    assert options["creationflags"] == 0x08000000


def test_nothing_here_forks_or_opens_a_shell():
    for path in [*(ROOT / "HippoSeg").rglob("*.py"), ROOT / "HippoSegLib" / "worker" / "process.py"]:
        text = path.read_text(encoding="utf-8")
        for word in ("shell=True", "os.fork", "os.system", "multiprocessing", "os.rename"):
            assert word not in text, path.name
