"""The lock of a folder: one holder at a time; one that is gone blocks nobody, a living one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from HippoSegLib.errors import OutputError
from HippoSegLib.io import folder_lock as module
from HippoSegLib.io.folder_lock import LOCK, folder_lock
from HippoSegLib.io.owner import Owner, process

ROOT = Path(__file__).resolve().parents[3]


def left(folder: Path, owner: Owner) -> None:
    (folder / LOCK).write_text(json.dumps({"owner": owner.to_dict(), "id": "x"}))


def dead_process() -> Owner:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = process(child.pid)
    child.communicate(b"\n")
    return owner


def test_one_holder_at_a_time(tmp_path):
    inside, most = [], []

    def work() -> None:
        for _ in range(20):
            with folder_lock(tmp_path):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 100 and max(most) == 1
    assert os.listdir(tmp_path) == []


def test_a_living_holder_is_waited_for_and_no_longer_than_said(tmp_path):
    left(tmp_path, process())
    begin = time.monotonic()
    with pytest.raises(OutputError) as caught, folder_lock(tmp_path, timeout=0.3):
        pass
    assert caught.value.code == "locked" and 0.3 <= time.monotonic() - begin < 5
    assert (tmp_path / LOCK).exists()


def test_the_lock_of_a_dead_process_is_taken_over_at_once(tmp_path):
    left(tmp_path, dead_process())
    begin = time.monotonic()
    with folder_lock(tmp_path, timeout=5) as lock:
        assert lock.was_left_behind
    assert time.monotonic() - begin < 2 and os.listdir(tmp_path) == []
    with folder_lock(tmp_path) as lock:
        assert not lock.was_left_behind


@pytest.mark.parametrize("content", ["", "{", "[]", '{"owner": {"host": 1}}', "[" * 100_000])
def test_a_lock_that_names_nobody_is_taken_over_after_a_while(tmp_path, monkeypatch, content):
    monkeypatch.setattr(module, "_EMPTY_SILENCE", 0.3)
    (tmp_path / LOCK).write_text(content)
    begin = time.monotonic()
    with folder_lock(tmp_path, timeout=5):
        assert time.monotonic() - begin >= 0.3


def test_another_computers_lock_is_taken_over_without_a_sign_of_life_and_not_with_one(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_OTHERS_SILENCE", 0.5)
    left(tmp_path, Owner("another computer", 1, "1"))
    stop = threading.Event()

    def live() -> None:
        number = 1
        while not stop.wait(0.1):
            number += 1
            os.utime(tmp_path / LOCK, (number, number))

    thread = threading.Thread(target=live)
    thread.start()
    with pytest.raises(OutputError), folder_lock(tmp_path, timeout=1.5):
        pass
    stop.set()
    thread.join()
    begin = time.monotonic()
    with folder_lock(tmp_path, timeout=5):
        assert time.monotonic() - begin >= 0.4


def test_a_long_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SIGN_OF_LIFE", 0.0)
    with folder_lock(tmp_path) as lock:
        os.utime(tmp_path / LOCK, (1, 1))
        lock.keep()
        assert (tmp_path / LOCK).stat().st_mtime > 1000


def test_what_another_took_over_is_not_given_back_by_the_first(tmp_path):
    with folder_lock(tmp_path):
        os.unlink(tmp_path / LOCK)
        left(tmp_path, process())
    assert (tmp_path / LOCK).exists()


def test_many_who_find_a_dead_holders_lock_work_one_after_the_other(tmp_path):
    """Each adds one to a number in a file; processes are killed while they hold the lock, too."""
    program = (
        "import sys, os, pathlib\n"
        "from HippoSegLib.io import folder_lock as module\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "for n in range(30):\n"
        "    with module.folder_lock(folder):\n"
        "        value = int((folder / 'number').read_text())\n"
        "        (folder / 'number').write_text(str(value + 1))\n"
        "lock = module._acquire(folder, 60)\n"
        "os._exit(0)\n"  # as a kill: the lock stays behind
    )
    (tmp_path / "number").write_text("0")
    children = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT) for _ in range(4)]
    assert [child.wait(timeout=120) for child in children] == [0] * 4
    assert (tmp_path / "number").read_text() == "120"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"), folder_lock(tmp_path / "missing"):
        pass
