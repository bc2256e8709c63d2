"""One bad scan never ends the others: exceptions, memory, file names and outputs of all kinds."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from standin import table, visible, write_scan

from HippoSegLib.batch import run as batch
from HippoSegLib.batch import runner
from HippoSegLib.batch.failure import as_error, report
from HippoSegLib.batch.record import read_record
from HippoSegLib.errors import HippoSegError, InputError

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent


def endless(number: int = 0) -> int:
    return endless(number + 1) + 1


EXCEPTIONS = [
    KeyError("SMITH^JOHN"),
    ValueError("patient SMITH^JOHN"),
    RecursionError(),
    OSError(5, "Input/output error", "/data/SMITH^JOHN/T1.nii"),
    ZeroDivisionError(),
    AssertionError(),
    RuntimeError("ITK says something of SMITH^JOHN"),
    UnicodeDecodeError("utf-8", b"SMITH^JOHN\xff", 0, 1, "invalid"),
    StopIteration(),
    MemoryError(),
    RuntimeError("Failed to allocate memory for image."),
]


def test_any_exception_is_a_row_with_a_code_and_the_next_scan_runs(tmp_path, pipeline):
    pipeline.fails = dict(enumerate(EXCEPTIONS))
    scans = [write_scan(tmp_path / f"{n:02d}.nii.gz", n) for n in range(len(EXCEPTIONS) + 1)]
    outcomes = list(batch.segment_files(scans, tmp_path / "out", picture=False))
    rows = table(tmp_path / "out")
    assert [row["status"] for row in rows] == ["failed"] * len(EXCEPTIONS) + ["ok"]
    memory = ["out_of_memory"] * 2
    assert [row["error"] for row in rows] == ["unexpected"] * (len(EXCEPTIONS) - 2) + memory + [""]
    for outcome, row, error in zip(outcomes, rows, EXCEPTIONS, strict=False):
        record = read_record(tmp_path / "out" / f"{outcome.scan}_hippocampus.json")
        assert record.failure.message == row["remarks"] and "Traceback" not in row["remarks"]
        if row["error"] == "unexpected":
            assert outcome.details.name == record.failure.details == f"{outcome.scan}_hippocampus.log"
            assert record.failure.details in row["remarks"]
            text = outcome.details.read_text(encoding="utf-8")
            assert type(error).__name__ in text and "conftest.py" in text
            # Neither the texts of exceptions, which may quote a header, nor folders, which may name a user.
            assert "SMITH" not in text and str(tmp_path) not in text and str(Path.home()) + "/" not in text
        else:
            assert outcome.details is None and row["remarks"].startswith("Memory ran out.")
    assert "SMITH" not in (tmp_path / "out" / "hippocampus.csv").read_text(encoding="utf-8-sig")


def test_an_endless_recursion_has_a_short_report():
    try:
        endless()
    except RecursionError as error:
        text = report(error)
    assert text.count("in endless") < 50 and "RecursionError" in text


def test_the_causes_of_an_exception_are_in_the_report():
    try:
        try:
            {}["x"]
        except KeyError as error:
            raise ValueError from error
    except ValueError as error:
        text = report(error)
    assert text.index("KeyError") < text.index("ValueError")
    assert as_error(InputError("A slab.")).cause == "A slab."


def test_the_memory_of_a_scan_that_failed_is_free_before_the_next_one(tmp_path, pipeline, monkeypatch):
    """An exception keeps the frames that it went through, and their arrays, as long as it is kept."""
    held = []

    class Volume(np.ndarray):
        pass

    def segment(scan, options, progress=None, cancel=None):
        gc.disable()
        assert all(reference() is None for reference in held)
        volume = np.zeros(1000).view(Volume)
        held.append(weakref.ref(volume))
        raise [KeyError("x"), InputError("No."), MemoryError()][len(held) - 1]

    monkeypatch.setattr(runner, "segment", segment)
    scans = [write_scan(tmp_path / f"{n}.nii.gz", n) for n in range(3)]
    try:
        outcomes = list(batch.segment_files(scans, tmp_path / "out", picture=False))
        assert all(reference() is None for reference in held)
    finally:
        gc.enable()
    assert [o.record.failure.code for o in outcomes] == ["unexpected", "input", "out_of_memory"]
    assert all(isinstance(outcome.error, HippoSegError) for outcome in outcomes)


def run_program(folder: Path, program: str, *words, **options) -> subprocess.CompletedProcess:
    """Run a program that has the stand-in pipeline and the command line."""
    before = f"""
        import sys
        sys.path[:0] = [{str(ROOT)!r}, {str(HERE)!r}]
        import standin
        from HippoSegLib import cli
        standin.runner.segment = lambda scan, options, progress=None, cancel=None: standin.result_of(
            scan.image, options, (standin.Flag("volume", "Unusually small (900 mm³): look."),))
    """
    path = folder / "program.py"
    path.write_text(textwrap.dedent(before) + textwrap.dedent(program), encoding="utf-8")
    return subprocess.run([sys.executable, path, *words], timeout=120, capture_output=True, **options)


SEGMENT = "raise SystemExit(cli.main(['segment', *sys.argv[1:]]))"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1250", "cp437", "gbk", "ascii", "latin-1", "cp932"])
def test_an_output_that_lacks_letters_gets_others(tmp_path, encoding):
    good, bad = write_scan(tmp_path / "Größe–1.nii.gz"), tmp_path / "Größe–2.nii.gz"
    bad.write_bytes(b"no scan")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    words = [str(good), str(bad), "-o", str(tmp_path / "out"), "--no-picture"]
    done = run_program(tmp_path, SEGMENT, *words, env=environment)
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == 10 and "Traceback" not in out + err
    assert "review: left " in out and ("mm³" in out or "mm3" in out) and "[volume" in out
    assert len(table(tmp_path / "out")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize(
    "redirection", [">/dev/full", "2>/dev/full", ">/dev/full 2>&1", ">&-", "2>&-", ">&- 2>&- <&-", "| true"]
)
def test_an_output_that_is_full_or_closed_ends_nothing(tmp_path, redirection):
    scans = [write_scan(tmp_path / f"{n}.nii.gz", n) for n in range(3)]
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path[:0] = [{str(ROOT)!r}, {str(HERE)!r}]\n"
        "import standin\nfrom HippoSegLib import cli\n"
        "standin.runner.segment = standin.segment\n"
        "code = cli.main(['segment', *sys.argv[1:]])\n"
        "open('code', 'w').write(str(code))\n"
        "raise SystemExit(code)\n"
    )
    words = " ".join(f"'{scan}'" for scan in scans)
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' '{program}' {words} -o out --no-picture {redirection}"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    assert b"Traceback" not in done.stdout + done.stderr and b"Exception ignored" not in done.stderr
    rows = table(tmp_path / "out")
    assert len(rows) == 3
    expected = 10 if "failed" in {row["status"] for row in rows} else 0
    assert int((tmp_path / "code").read_text()) == expected
    assert done.returncode == (0 if "|" in redirection else expected)


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_messages_of_names_that_are_no_text_go_through(tmp_path):
    folder = os.fsencode(tmp_path / "in")
    os.mkdir(folder)
    paths = [os.path.join(folder, name) for name in (b"good\xff.nii.gz", b"bad\xfe.nii.gz")]
    write_scan(tmp_path / "x.nii.gz").rename(os.fsdecode(paths[0]))
    Path(os.fsdecode(paths[1])).write_bytes(b"no scan")
    for environment in ({}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        words = [*paths, "-o", str(tmp_path / "out"), "--overwrite"]
        done = run_program(tmp_path, SEGMENT, *words, env={**os.environ, **environment})
        assert done.returncode == 10 and b"Traceback" not in done.stderr, done.stderr.decode()
        rows = table(tmp_path / "out")
        assert [(row["scan"], row["status"]) for row in rows] == [("bad%FE", "failed"), ("good%FF", "review")]
    assert {"good%FF_hippocampus.png", "bad%FE_hippocampus.json"} <= visible(tmp_path / "out")


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory")
def test_memory_that_runs_out_late_is_one_sentence_and_the_next_scan_runs(tmp_path):
    """512³ voxels are read, and memory ends somewhere behind that; the limit is of a child process."""
    array = np.zeros((512, 512, 512), np.uint8)
    array[100:400, 100:400, 100:400] = np.arange(300) % 200
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([0.5, 0.5, 0.5])
    sitk.WriteImage(image, str(tmp_path / "large.nii.gz"), True, 1)
    small = write_scan(tmp_path / "small.nii.gz")
    limit = """
        import resource

        def segment(scan, options, progress=None, cancel=None):
            if scan.image.GetSize()[0] > 100:
                used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
                soft, hard = resource.getrlimit(resource.RLIMIT_AS)
                resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20, hard))
                standin.sitk.Cast(scan.image, standin.sitk.sitkFloat64)  # ITK complains
            return standin.result_of(scan.image, options)
        standin.runner.segment = segment
    """
    words = [str(tmp_path / "large.nii.gz"), str(small), "-o", str(tmp_path / "out"), "--no-picture", "-q"]
    done = run_program(tmp_path, textwrap.dedent(limit) + SEGMENT, *words, text=True)
    assert done.returncode == 10 and "Traceback" not in done.stderr, done.stderr
    assert "Memory ran out" in done.stderr and len(done.stderr.splitlines()) == 1
    rows = table(tmp_path / "out")
    assert [(row["status"], row["error"]) for row in rows] == [("failed", "out_of_memory"), ("ok", "")]
