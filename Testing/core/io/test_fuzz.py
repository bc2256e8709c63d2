"""A sample of the malformed inputs of `make fuzz`, read in a watched process; and that the watching works."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "fuzz"))

from good import good_inputs
from mutations import Case, Special, make_case, write_case
from watch import FAILURES, Limits, run_cases

from HippoSegLib.io.images import read_scan

FUZZ = Path(__file__).resolve().parents[2] / "fuzz"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes are watched as POSIX does it")


@pytest.mark.parametrize("base", ["small", "real"])
def test_good_inputs_are_read(tmp_path, base):
    for good in good_inputs(base):
        (tmp_path / good.kind).mkdir()
        case = Case(0, good.kind, (), dict(good.files), good.entry, good.region)
        scan = read_scan(write_case(case, tmp_path / good.kind), good.region)
        assert min(scan.image.GetSize()) >= 16, good.kind


def test_two_hundred_malformed_inputs(tmp_path):
    """No death, no foreign exception, no hang, no more than 2 GB; each kind is refused and read at times."""
    order = {"base": "small", "seed": 0, "pipeline": False}
    results = run_cases(range(200), order, 1, Limits(), lambda result: None)
    assert [(r.number, r.kind, r.outcome, r.text) for r in results if r.failed] == []
    assert len(results) == 200 and {r.kind for r in results} == {good.kind for good in good_inputs("small")}
    assert 20 < sum(r.outcome == "ok" for r in results) < 140


#: A library in which each number of a case meets another fate.
FAKE = """
import os, signal, sys, time
import numpy
class Region: pass
def read_scan(path, region):
    what = open(os.environ["FUZZ_FATE"]).read()
    if what == "died":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "exit":
        os._exit(0)
    if what == "hang":
        time.sleep(60)
    if what == "memory":
        numpy.ones(300_000_000 // 8)
        return
    if what == "foreign":
        raise RuntimeError("of something native")
    from HippoSegLib.errors import HippoSegError
    raise HippoSegError({"refused": "A sentence.", "lines": "Two\\nlines."}[what])
"""
ERRORS = """
class HippoSegError(Exception):
    code = "x"
    @property
    def cause(self): return str(self)
"""


@pytest.mark.parametrize("fate", [*FAILURES, "refused", "exit", "lines"])
def test_what_the_watchdog_notices(tmp_path, monkeypatch, fate):
    (tmp_path / "HippoSegLib" / "io").mkdir(parents=True)
    for name, content in (("__init__.py", ""), ("errors.py", ERRORS), ("io/images.py", FAKE)):
        (tmp_path / "HippoSegLib" / name).write_text(content)
    (tmp_path / "fate").write_text(fate)
    monkeypatch.setenv("FUZZ_FATE", str(tmp_path / "fate"))
    order = {"base": "small", "seed": 0, "pipeline": False}
    limits = Limits(read=1.0 if fate == "hang" else 20.0, memory_kb=250_000)
    results = run_cases([3, 4], order, 1, limits, lambda result: None, code=tmp_path)
    expected = {"exit": "died", "lines": "foreign"}.get(fate, fate)
    assert [result.outcome for result in results] == [expected] * 2  # and the next case ran
    assert all(result.failed == (fate != "refused") for result in results)


def _digest(numbers) -> str:
    total = hashlib.sha256()
    for number in numbers:
        case = make_case(number, "small", 1)
        for name, content in sorted(case.files.items()):
            total.update(repr((name, content if isinstance(content, Special) else content)).encode())
        total.update(repr((case.steps, case.entry, case.region)).encode())
    return total.hexdigest()


def test_a_case_is_made_again_in_another_process():
    numbers = range(0, 75)
    program = f"import sys; sys.path[:0] = {[str(FUZZ), str(Path(__file__).parent)]!r}\n"
    program += f"from test_fuzz import _digest; print(_digest({numbers!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == _digest(numbers)
