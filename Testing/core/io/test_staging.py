"""Temporary folders: gone at every end, swept after a kill, and never those of a living process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from HippoSegLib.errors import OutputError
from HippoSegLib.io import owner
from HippoSegLib.io.atomic import replacing
from HippoSegLib.io.owned_folders import MARKER, read_marker
from HippoSegLib.io.staging import make_temporary, staging_folder, sweep

ROOT = Path(__file__).resolve().parents[3]

#: Makes a staging folder with a file in it, says so, and waits.
HOLDER = """
import sys, time
from HippoSegLib.io.staging import staging_folder
with staging_folder(sys.argv[1], "results") as folder:
    (folder / "labels.nii.gz").write_bytes(b"half")
    print(folder, flush=True)
    time.sleep(120)
"""


@pytest.fixture
def holder(tmp_path):
    """A process with a staging folder in `tmp_path`, and that folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], env=environment, stdout=subprocess.PIPE, text=True
    )
    yield process, Path(process.stdout.readline().strip()).parent
    process.kill()
    process.communicate()


def hidden(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.startswith(".hipposeg-"))


def test_files_are_moved_out_and_nothing_stays(tmp_path):
    with staging_folder(tmp_path / "new" / "out") as folder:
        assert list(folder.iterdir()) == []  # the marker lies elsewhere: all in here may be moved
        (folder / "a").write_text("a")
        os.replace(folder / "a", tmp_path / "new" / "out" / "a")
        (folder / "b").write_text("b")
    assert [path.name for path in (tmp_path / "new" / "out").iterdir()] == ["a"]


def test_an_error_from_within_passes_and_nothing_stays(tmp_path):
    with pytest.raises(ZeroDivisionError), staging_folder(tmp_path) as folder:
        (folder / "a").write_text("a")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="'file' cannot be written"), staging_folder(tmp_path / "file"):
        pass


def test_that_of_a_killed_process_is_swept_by_the_next_run_and_not_before(tmp_path, holder):
    process, folder = holder
    (tmp_path / "labels.nii.gz").write_bytes(b"the user's")
    assert sweep(tmp_path) == 0 and (folder / "files" / "labels.nii.gz").exists()
    process.kill()
    # Not yet waited for, the process is still in the system's table; it is gone all the same.
    end = time.monotonic() + 20
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
        time.sleep(0.02)
    with staging_folder(tmp_path) as own:
        assert hidden(tmp_path) == [own.parent]
    assert [path.name for path in tmp_path.iterdir()] == ["labels.nii.gz"]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP on this system")
def test_that_of_a_process_that_is_held_up_stays(tmp_path, holder):
    process, folder = holder
    process.send_signal(signal.SIGSTOP)
    try:
        assert sweep(tmp_path) == 0 and folder.exists()
    finally:
        process.send_signal(signal.SIGCONT)


def rewrite_owner(folder: Path, **changes) -> None:
    values = json.loads((folder / MARKER).read_text())
    values["owner"] |= changes
    (folder / MARKER).write_text(json.dumps(values))


def test_a_process_number_given_anew_does_not_keep_it(tmp_path):
    folder = make_temporary(tmp_path, "staging")
    assert sweep(tmp_path) == 0
    rewrite_owner(folder, start="12345678-1")  # this process's number, of another time
    assert sweep(tmp_path) == 1 and not folder.exists()


def grow_old(folder: Path, days: float) -> None:
    then = time.time() - days * 24 * 3600
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))


def test_another_computers_stays_until_it_is_old(tmp_path):
    folder = make_temporary(tmp_path, "staging")
    (folder / "files").mkdir()
    (folder / "files" / "a").write_text("")
    rewrite_owner(folder, host="elsewhere", pid=2**22 + 1)
    assert sweep(tmp_path) == 0
    grow_old(folder, days=8)
    os.utime(folder / "files" / "a")  # it is written to
    assert sweep(tmp_path) == 0
    grow_old(folder, days=8)
    assert sweep(tmp_path) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        "[]",
        "[" * 100_000,
        '{"program": "HippoSeg"}',
        '{"program": "HippoSeg", "version": 1, "kind": "staging", "made": true, "owner": [1]}',
        '{"program": "HippoSeg", "version": 1, "kind": "staging", "made": true, "owner": {"pid": 2}}',
        '{"program": "HippoSeg", "version": 99, "kind": "staging", "made": true}',
        '{"program": "Other", "version": 1, "kind": "staging", "made": true}',
        None,
    ],
)
def test_without_a_marker_of_ours_nothing_is_swept_whatever_the_name(tmp_path, content):
    folder = tmp_path / ".hipposeg-staging-abcd"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    if content is not None:
        (folder / MARKER).write_text(content)
    grow_old(folder, days=400)
    assert sweep(tmp_path) == 0
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_a_run_folder_is_not_taken_for_a_temporary_one(tmp_path):
    folder = make_temporary(tmp_path, "staging")
    rewrite_owner(folder, start="12345678-1")
    kept = folder.rename(tmp_path / ".hipposeg-something-abcd")  # the name does not fit the marker
    assert sweep(tmp_path) == 0 and kept.exists()


@pytest.mark.parametrize("begun", [True, False])
def test_one_killed_before_its_marker_was_written_goes_when_it_is_old(tmp_path, begun):
    folder = tmp_path / ".hipposeg-staging-abcd"
    folder.mkdir()
    if begun:
        (folder / MARKER).write_text("")
    assert sweep(tmp_path) == 0 and folder.exists()  # it may be made just now
    grow_old(folder, days=1)
    assert sweep(tmp_path) == 1 and not folder.exists()


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder = make_temporary(tmp_path / "elsewhere", "staging")
    rewrite_owner(folder, start="12345678-1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / folder.name).symlink_to(folder)
    assert sweep(tmp_path / "out") == 0 and folder.exists()
    # Nor is one that lies in a folder that is removed.
    (tmp_path / "elsewhere" / "precious").mkdir()
    (tmp_path / "elsewhere" / "precious" / "a").write_text("")
    (folder / "link").symlink_to(tmp_path / "elsewhere" / "precious")
    assert sweep(tmp_path / "elsewhere") == 1
    assert (tmp_path / "elsewhere" / "precious" / "a").exists()


def test_only_this_user_can_read_it(tmp_path):
    if os.name == "nt":
        pytest.skip("other rights on Windows")
    assert make_temporary(tmp_path, "worker").stat().st_mode & 0o077 == 0


# --- files


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(OutputError, match="exists already"), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("ours")
        (tmp_path / "a.txt").write_text("the user's")
    assert (tmp_path / "a.txt").read_text() == "the user's"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_missing_folder_is_not_made_for_a_file(tmp_path):
    missing = tmp_path / "missing"
    with pytest.raises(OutputError, match="cannot be written"), replacing(missing / "a.txt") as temporary:
        temporary.write_text("")
    assert not missing.exists()


def test_a_killed_write_leaves_no_file_and_is_swept_by_the_next(tmp_path):
    code = (
        "import os, sys\nfrom HippoSegLib.io.atomic import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n    temporary.write_text('half'); os._exit(9)"
    )
    target = tmp_path / "a.txt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, str(target)], env=environment)
    assert hidden(tmp_path) and not target.exists()
    with replacing(target) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


# --- whose it is


def test_this_process_is_alive_and_named_as_psutil_names_it():
    own = owner.process()
    assert own.is_here and own.is_alive and own.pid == os.getpid()
    assert owner.Owner.from_dict(json.loads(json.dumps(own.to_dict()))) == own
    if sys.platform == "linux":
        ticks = int(own.start.split("-")[1])
        began = psutil.boot_time() + ticks / os.sysconf("SC_CLK_TCK")
        assert began == pytest.approx(psutil.Process().create_time(), abs=2.0)


def test_a_process_that_has_ended_is_not_alive():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen = owner.process(process.pid)
    assert seen.is_alive and seen.start != owner.process().start
    process.communicate(b"\n")
    assert not seen.is_alive and owner.start_of(process.pid) is None


def test_in_doubt_a_process_is_alive(monkeypatch):
    """Where the system tells no start time, the number decides."""
    monkeypatch.setattr(owner, "_linux", lambda pid: "")
    monkeypatch.setattr(owner, "_macos", lambda pid: "")
    own = owner.process()
    assert own.start == "" and own.is_alive
    assert owner.Owner(own.host, own.pid, "7").is_alive
    assert not owner.Owner(own.host, 2**22 + 1, "7").is_alive


def test_on_windows_no_signal_is_sent(monkeypatch):
    """There, os.kill ends the process that it is asked about."""

    def never(*_):
        raise AssertionError("a signal")

    monkeypatch.setattr(owner.os, "kill", never)
    monkeypatch.setattr(owner.os, "name", "nt")
    try:
        found = owner.start_of(os.getpid())  # no kernel32 here: not known
    finally:
        monkeypatch.undo()
    assert found == ""


def test_the_marker_of_another_user_cannot_be_read_and_its_folder_stays(tmp_path):
    folder = make_temporary(tmp_path, "worker")
    rewrite_owner(folder, start="12345678-1")
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("this user may read everything")
    folder.chmod(0)
    try:
        assert read_marker(folder) is None and sweep(tmp_path) == 0
    finally:
        folder.chmod(0o700)
    assert folder.exists()
