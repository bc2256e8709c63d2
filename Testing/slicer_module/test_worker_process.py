"""The worker process, without Slicer or Qt: start, answer, cancel, crash, die with its parent."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

import fake_launcher
import fake_worker
import numpy as np
import psutil
import pytest
from HippoSegSlicer.workerprocess import WorkerProcess
from panelbed import within_a_second
from workertalk import gone, send, volume, wait, wait_for_progress

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(params=["python", "launcher"], scope="module")
def _worker(request):
    command = fake_worker.command() if request.param == "python" else fake_launcher.command()
    process = WorkerProcess(command, libraryFolder=str(ROOT))
    yield process
    process.close()


@pytest.fixture
def worker(_worker):
    """A worker with the test double, started directly and as inside Slicer; warm or not, but idle."""
    yield _worker
    if _worker.isBusy:
        _worker.close()


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
    worker.close()
    send(worker, "slow")
    worker.cancel()
    assert wait(worker)[-1]["kind"] == "Cancelled"


def last_error(worker, model) -> dict:
    """The error that a task ends with; the next one works."""
    send(worker, model)
    error = wait(worker)[-1]
    assert error["event"] == "error" and error["remedy"]
    send(worker)
    assert wait(worker)[-1]["event"] == "result"
    return error


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_crash_in_native_code_is_told_as_one_with_its_last_words(worker):
    error = last_error(worker, "segfault")
    assert (error["kind"], error["code"]) == ("WorkerLost", "worker_crashed")
    assert "crashed" in error["cause"] and "SIGSEGV" in error["cause"] and "memory" not in error["cause"]
    # Where it was: the traceback that Python writes as its last.
    assert "Segmentation fault" in error["details"] and "fake_worker.py" in error["details"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SIGABRT", "worker_crashed"),
        ("SIGBUS", "worker_crashed"),
        ("SIGFPE", "worker_crashed"),
        ("SIGTERM", "worker_killed"),
        ("SIGKILL", "worker_killed"),
    ],
)
def test_each_signal_is_told_by_its_name(worker, name, code):
    error = last_error(worker, f"signal:{name}")
    assert error["code"] == code and f"({name})" in error["cause"] and "memory" not in error["cause"]


def test_killed_from_outside_is_one_sentence_with_a_remedy(worker):
    send(worker, "slow")
    wait_for_progress(worker)
    psutil.Process(worker.processId).kill()
    error = wait(worker)[-1]
    assert (error["kind"], error["code"]) == ("WorkerLost", "worker_killed")
    assert "ended from outside" in error["cause"] and error["remedy"]
    send(worker)
    assert wait(worker)[-1]["event"] == "result"


def test_an_end_with_a_code_is_told_with_its_code(worker):
    error = last_error(worker, "crash")
    assert error["code"] == "worker_ended" and "exit code 3" in error["cause"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_supervisor_that_is_killed_takes_the_worker_along_and_nothing_is_guessed(worker):
    send(worker, "native")
    wait_for_progress(worker)
    own = psutil.Process(worker.processId)
    own.parent().kill()
    error = wait(worker, 30)[-1]
    assert error["code"] == "worker_lost" and "did not say why" in error["cause"]
    assert gone(own)
    send(worker)
    assert wait(worker)[-1]["event"] == "result"


def test_a_worker_that_does_not_start_says_what_it_said_last(tmp_path):
    program = tmp_path / "worker.py"
    program.write_text("import no_such_module_here\n")
    for command in ([sys.executable], [*fake_launcher.command()[:2], sys.executable]):
        worker = WorkerProcess([*command, str(program)], libraryFolder=str(ROOT))
        send(worker)
        error = wait(worker)[-1]
        assert error["code"] == "worker_not_started" and "exit code 1" in error["cause"]
        assert "No module named 'no_such_module_here'" in error["details"]
        assert "memory" not in error["cause"] + error["remedy"]


def test_memory_is_named_only_where_the_system_says_so():
    from HippoSegSlicer.workerend import loss

    said = {"event": "end", "how": "no_memory", "code": 137, "signal": "SIGKILL"}
    assert loss(1, said, True).code == "out_of_memory"
    for word in ({**said, "how": "killed"}, {**said, "how": "exited"}, None, {"event": "end"}):
        for has_started in (True, False):
            assert loss(137, word, has_started).code != "out_of_memory"


def test_what_is_no_message_of_ours_is_passed_over(tmp_path):
    """A library that writes to the protocol's stream in spite of all."""
    program = tmp_path / "worker.py"
    program.write_text(
        "import json, sys\n"
        "out = sys.stdout\n"
        "for line in ('[]', '3', 'null', '\"ready\"', '[' * 100000, '{\"event\": 1}', '{\"event\": [1]}',\n"
        '             \'{"id": 1, "event": "progress"}\', \'{"id": 1, "event": "error"}\', \'{"id": 1}\'):\n'
        "    print(line, flush=True)\n"
        "request = json.loads(sys.stdin.readline())\n"
        "print(json.dumps({'id': request['id'], 'event': 'result', 'result': {}}), flush=True)\n"
    )
    worker = WorkerProcess([sys.executable, str(program)])
    send(worker)
    assert [event["event"] for event in wait(worker)] == ["result"]
    worker.close()


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


def test_a_full_or_missing_temporary_folder_is_one_sentence(tmp_path, monkeypatch):
    import tempfile

    from HippoSegLib.errors import OutputError

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    worker = WorkerProcess(fake_worker.command(), libraryFolder=str(ROOT))
    with pytest.raises(OutputError, match="could not be handed to the worker"):
        send(worker)
    assert not worker.isRunning and not worker.isBusy


def test_a_command_that_does_not_exist_is_reported():
    from HippoSegLib.errors import HippoSegError

    worker = WorkerProcess(["no-such-program-here"])
    with pytest.raises(HippoSegError, match="could not be started"):
        send(worker)
    assert not worker.isRunning


def test_on_windows_no_console_window_and_the_whole_tree(monkeypatch):
    """The arguments that Windows would get; what they do is Windows' to show."""
    from HippoSegSlicer import workerstart

    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x08000000, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x00000200, raising=False)
    called = []
    monkeypatch.setattr(workerstart.subprocess, "run", lambda *a, **k: called.append((a[0], k)))
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setattr(workerstart.os, "name", "nt")
    try:
        assert workerstart.hiddenProcessGroup() == {"creationflags": 0x08000200}
        monkeypatch.setattr(workerstart, "remove", lambda *a: True)
        workerstart.endTree(process, "")
    finally:
        monkeypatch.undo()
        process.kill()
        process.wait()
    ((command, options),) = called
    assert command == ["taskkill", "/PID", str(process.pid), "/T", "/F"]
    assert options["creationflags"] == 0x08000000


def test_nothing_here_forks_or_opens_a_shell():
    for path in [*(ROOT / "HippoSeg").rglob("*.py"), *(ROOT / "HippoSegLib" / "worker").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        for word in ("shell=True", "os.fork", "os.system", "multiprocessing", "os.rename"):
            assert word not in text, path.name
