"""Several processes side by side: same results as one, and what becomes of scans that end their process."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import standin
from standin import ROOT, table, table_but_seconds, visible

from HippoSegLib.batch import resume, runner, worker_handle, workers
from HippoSegLib.batch import run as batch
from HippoSegLib.batch.progress import Listener
from HippoSegLib.batch.record import read_record
from HippoSegLib.batch.scan_process import Setup, _scan, scan_to_line, serve
from HippoSegLib.batch.source import Source
from HippoSegLib.errors import Cancelled, HippoSegError, ModelError
from HippoSegLib.io.ending import KILLED, NO_MEMORY, Ending
from HippoSegLib.models.store import load_model
from HippoSegLib.options import SegmentOptions

HERE = Path(__file__).parent
COMMAND = [sys.executable, str(HERE / "standin_worker.py")]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")


@pytest.fixture(autouse=True)
def standin_workers(monkeypatch):
    monkeypatch.setattr(worker_handle, "COMMAND", COMMAND)
    monkeypatch.setattr(resume, "model_identity", standin.identity)
    monkeypatch.chdir(HERE)


def scans(folder: Path, *names: str) -> list[Path]:
    """Files that say by their names which volumes they have, and whether reading them ends the process."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [folder / name for name in names]


def in_workers(paths, out, count: int = 2, **options) -> dict[str, batch.Outcome]:
    outcomes = batch.segment_files(paths, out, picture=False, workers=count, **options)
    return {outcome.scan: outcome for outcome in outcomes}


def test_two_workers_make_what_one_process_makes(tmp_path, monkeypatch):
    paths = scans(tmp_path / "in", *(f"scan-{n:04d}.nii.gz" for n in range(12)))
    told = in_workers(paths, tmp_path / "two")
    monkeypatch.setattr(runner, "read_scan", standin.read)
    monkeypatch.setattr(runner, "segment", standin.segment)
    one = {outcome.scan: outcome for outcome in batch.segment_files(paths, tmp_path / "one", picture=False)}
    assert table_but_seconds(tmp_path / "two") == table_but_seconds(tmp_path / "one")
    assert visible(tmp_path / "two") == visible(tmp_path / "one")
    assert {row["status"] for row in table(tmp_path / "two")} == {"ok", "review", "failed"}
    for scan, outcome in told.items():
        assert outcome.what == one[scan].what and outcome.record.measurements == one[scan].record.measurements
        assert (outcome.error and outcome.error.code) == (one[scan].error and one[scan].error.code)
        assert read_record(tmp_path / "two" / f"{scan}_hippocampus.json") == outcome.record


def test_a_scan_that_ends_its_worker_is_a_failed_row_and_no_other_is_blamed(tmp_path):
    killers = {"segv": "crashed", "hang": "timeout"}
    names = [f"scan-{n:04d}.nii.gz" for n in (1, 2, 3, 4, 5, 6)]
    names[2:2] = [f"scan-{100 + n}.{word}.nii" for n, word in enumerate(killers)]
    names.append("scan-0008.once.nii")
    told = in_workers(scans(tmp_path / "in", *names), tmp_path / "out", timeout=1.5)
    rows = {row["scan"]: row for row in table(tmp_path / "out")}
    assert len(told) == len(rows) == len(names)
    errors = {scan: row["error"] for scan, row in rows.items() if row["error"] not in ("", "unexpected")}
    assert errors == {f"scan-{100 + n}.{word}": code for n, (word, code) in enumerate(killers.items())}
    assert rows["scan-0008.once"]["status"] != "failed"
    crash = told["scan-100.segv"]
    assert "SIGSEGV" in rows["scan-100.segv"]["remarks"] and crash.details is not None
    text = crash.details.read_text()
    assert "SIGSEGV" in text and "standin_worker.py" in text and str(ROOT) not in text
    assert not list((tmp_path / "out").glob(".hipposeg-*"))


def test_what_concerns_all_scans_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_MODEL", "missing")
    with pytest.raises(ModelError):
        in_workers(scans(tmp_path / "in", "scan-0001.nii", "scan-0002.nii"), tmp_path / "out")
    assert not list((tmp_path / "out").glob("scan*"))


def test_workers_that_do_not_start_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_handle, "COMMAND", [sys.executable, "-c", "raise SystemExit(7)"])
    with pytest.raises(HippoSegError, match="code 7") as caught:
        in_workers(scans(tmp_path / "in", "scan-0001.nii", "scan-0002.nii"), tmp_path / "out")
    assert caught.value.code == "workers"


def test_cancelling_ends_all_workers_in_the_middle_of_their_scans(tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_WAITS", "1")
    paths = scans(tmp_path / "in", *(f"scan-{n:04d}.nii.gz" for n in range(4)))
    of_other_tests = set(children_of(os.getpid()))
    started = time.monotonic()
    with pytest.raises(Cancelled):
        in_workers(paths, tmp_path / "out", cancel=lambda: time.monotonic() - started > 2)
    assert not set(children_of(os.getpid())) - of_other_tests
    assert not list((tmp_path / "out").glob(".hipposeg-*")) and not visible(tmp_path / "out") - {
        "hippocampus.csv"
    }


def children_of(pid: int) -> list[int]:
    psutil = pytest.importorskip("psutil")
    return [child.pid for child in psutil.Process(pid).children() if child.status() != "zombie"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, number):
    """Ctrl-C reaches the whole group, as a terminal sends it; a kill the parent alone."""
    paths = scans(tmp_path / "in", *(f"scan-{n:04d}.slow.nii" for n in range(12)))
    code = (
        # Whoever runs the tests in the background may have Ctrl-C ignored, and that is inherited.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import standin, sys\n"
        "from HippoSegLib.batch import resume, worker_handle\n"
        "from HippoSegLib import cli\n"
        f"worker_handle.COMMAND = {COMMAND!r}\n"
        "resume.model_identity = standin.identity\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "segment", *map(str, paths), "-o", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
    parent = subprocess.Popen(
        [*command, "--workers", "2", "--no-picture"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while len(list((tmp_path / "out").glob("scan*.json"))) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    children = children_of(parent.pid)
    assert len(children) == 2
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)
    else:
        parent.kill()
    text = parent.communicate(timeout=30)[0].decode()
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    if number == signal.SIGINT:
        assert parent.returncode == 130 and "Cancelled" in text and "Traceback" not in text
        assert not list((tmp_path / "out").glob(".hipposeg-*"))
        done = {path.name.split("_")[0] for path in (tmp_path / "out").glob("scan*.json")}
        assert {row["scan"] for row in table(tmp_path / "out")} == done


def test_a_scan_travels_to_a_worker_whatever_its_name():
    source = Source(Path("a \udcff\n") / "ü.nii", "3a", "=1", None, "known", "stem")
    assert _scan(json.loads(scan_to_line(source, "näme"))) == (source, "näme")
    assert scan_to_line(source, "x").count(b"\n") == 1


def test_what_a_worker_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "read_scan", standin.read)
    monkeypatch.setattr(runner, "segment", standin.segment)
    answers = []
    lines = [Setup(tmp_path / "out", SegmentOptions(), batch.BatchOptions(picture=False)).to_line()]
    lines += [scan_to_line(Source(tmp_path / f"scan-{n:04d}.nii"), f"n{n}") for n in range(3)]
    serve(io.BytesIO(b"".join(lines)), answers.append)
    assert answers[0] == {"ready": os.getpid()}
    outcomes = [batch.Outcome.from_dict(one["outcome"]) for one in answers if "outcome" in one]
    assert [outcome.scan for outcome in outcomes] == ["n0", "n1", "n2"]
    assert [read_record(tmp_path / "out" / f"n{n}_hippocampus.json") for n in range(3)] == [
        outcome.record for outcome in outcomes
    ]
    monkeypatch.setattr(runner, "segment", missing)
    serve(io.BytesIO(lines[0] + scan_to_line(Source(tmp_path / "scan-0009.nii"), "x")), answers.append)
    assert answers[-1]["fatal"]["code"] == "model"
    many = len(answers)
    serve(io.BytesIO(lines[0] + b'{"cancel": true}\n' + lines[1]), answers.append)
    assert len(answers) == many + 1  # ready, and no more


def missing(*_):
    raise ModelError("There is no such model.", "Give another.")


def test_what_a_scan_is_told_that_ended_its_worker():
    memory = workers.what_ended(Ending(NO_MEMORY, 137, "SIGKILL"), None)
    assert (memory.code, memory.exit_code) == ("out_of_memory", 7)
    assert "SIGKILL" in str(workers.what_ended(Ending(KILLED, 137, "SIGKILL"), None))
    assert "3600 seconds" in str(workers.what_ended(Ending(KILLED, 137, "SIGKILL"), 3600.0))


def test_cpus_are_shared_out_and_a_loaded_model_is_loaded_by_each(monkeypatch):
    monkeypatch.setattr("HippoSegLib.batch.sharing.usable_cpus", lambda: 8)
    model = load_model()
    options = workers.for_workers(SegmentOptions(model=model), 4)
    assert options.threads == 2 and options.model == model.folder
    assert workers.for_workers(SegmentOptions(threads=3), 4).threads == 3
    assert workers.for_workers(SegmentOptions(), 16).threads == 1


def test_a_kill_for_want_of_memory_is_told_by_what_the_system_counts(tmp_path, monkeypatch):
    """The count before the last look, not the newest one, which may already hold this very kill."""
    counts = iter([3, 3, 4])
    monkeypatch.setattr(workers, "kills_for_memory", lambda: next(counts))
    setup = Setup(tmp_path, SegmentOptions(), batch.BatchOptions())
    pool = workers._Pool(1, setup, None, Listener())
    assert pool._next() == (None, None) and pool._memory_ran_out()
