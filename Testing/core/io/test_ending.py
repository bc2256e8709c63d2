"""How a process ended, from real ones, and what this system says of memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from HippoSegLib.io import ending as module
from HippoSegLib.io import owner
from HippoSegLib.io.childprocess import from_text, to_text
from HippoSegLib.io.ending import CRASHED, EXITED, KILLED, NO_MEMORY, Ending, ending, kills_for_memory

posix = pytest.mark.skipif(os.name == "nt", reason="signals")


def status_of(code: str) -> int:
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode


@posix
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import ctypes; ctypes.string_at(0)", Ending(CRASHED, 139, "SIGSEGV")),
        ("import os; os.abort()", Ending(CRASHED, 134, "SIGABRT")),
        ("import os; os.kill(os.getpid(), 9)", Ending(KILLED, 137, "SIGKILL")),
        ("import os; os.kill(os.getpid(), 15)", Ending(KILLED, 143, "SIGTERM")),
        ("raise SystemExit(3)", Ending(EXITED, 3)),
        ("import no_such_module", Ending(EXITED, 1)),
        ("", Ending(EXITED, 0)),
    ],
)
def test_real_processes(code, expected):
    assert ending(status_of(code)) == expected


@posix
def test_memory_is_told_only_of_a_kill_at_that_moment():
    assert ending(-signal.SIGKILL, memory_ran_out=True) == Ending(NO_MEMORY, 137, "SIGKILL")
    assert ending(-signal.SIGSEGV, memory_ran_out=True).how == CRASHED
    assert ending(-signal.SIGTERM, memory_ran_out=True).how == KILLED
    assert ending(1, memory_ran_out=True).how == EXITED


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (0xC0000005, CRASHED),
        (0xC0000374, CRASHED),
        (0xC0000017, NO_MEMORY),
        (0xC000013A, KILLED),
        (1, EXITED),  # a task manager's, and Python's own: not to be told apart, so not guessed
    ],
)
def test_windows_codes(status, how):
    assert ending(status).how == how


def test_a_signal_without_a_name():
    assert ending(-63).how == KILLED or ending(-63).signal


@pytest.mark.skipif(not os.path.exists("/proc/vmstat"), reason="Linux")
def test_the_systems_count_is_read(monkeypatch, tmp_path):
    assert isinstance(kills_for_memory(), int)
    (tmp_path / "vmstat").write_text("pgfault 5\noom_kill 7\noom_kill_allocations 9\n")
    monkeypatch.setattr(module, "open", lambda *_, **__: (tmp_path / "vmstat").open(), raising=False)
    assert kills_for_memory() == 7


def test_a_process_travels_as_an_argument():
    own = owner.process()
    assert from_text(to_text(own)) == own
    for wrong in ("", "x", ":5"):
        with pytest.raises(ValueError):
            from_text(wrong)
