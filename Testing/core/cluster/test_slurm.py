"""The examples for SLURM's job arrays, with a stand-in for SLURM's environment and for the pipeline."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CLUSTER = ROOT / "Cluster"
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None or os.name == "nt", reason="needs bash")
#: `hipposeg` or `hipposeg-bids` with the stand-in of the tests of batches.
PROGRAM = """
import sys
sys.path[:0] = [{root!r}, {batch!r}]
import standin
from HippoSegLib.batch import resume, runner
runner.segment, resume.model_identity = standin.segment, standin.identity
from HippoSegLib.{module} import main
sys.exit(main())
"""


@pytest.fixture
def program(tmp_path):
    def make(module: str) -> str:
        path = tmp_path / f"{module.replace(chr(46), chr(95))}.py"
        batch = str(ROOT / "Testing" / "core" / "batch")
        path.write_text(PROGRAM.format(root=str(ROOT), batch=batch, module=module))
        return f"{shlex.quote(sys.executable)} {shlex.quote(str(path))}"

    return make


def task(
    script: str, number: int, last: int, *words: object, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess:
    """One task of an array from 1 to `last`, as SLURM starts it."""
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_MAX": str(last)}
    environment |= {"SLURM_CPUS_PER_TASK": "1", "OMP_NUM_THREADS": "1"} | more
    command = [BASH, str(CLUSTER / script), *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=cwd)


def make_scans(folder: Path, count: int) -> None:
    sys.path.append(str(ROOT / "Testing" / "core" / "batch"))
    from standin import write_scan

    for number in range(count):
        write_scan(folder / f"scan-{number:02d}.nii.gz", number)


def done(out: Path) -> set[str]:
    return {path.name.split("_")[0] for path in out.glob("*_hippocampus.json")}


def test_each_task_takes_its_part_and_a_repeated_one_what_is_missing(tmp_path, program):
    make_scans(tmp_path / "in", 9)
    # A scan's part depends on its path as it is given: relative, it is the same wherever the test runs.
    words = ("in", "out", "--no-picture")
    parts = []
    for number in (1, 2):
        before = done(tmp_path / "out") if (tmp_path / "out").exists() else set()
        ended = task("slurm_batch.sh", number, 2, *words, cwd=tmp_path, HIPPOSEG=program("cli"))
        assert ended.returncode in (0, 10), ended.stderr  # some of the stand-in's scans fail
        parts.append(done(tmp_path / "out") - before)
    assert sum(map(len, parts)) == len(set.union(*parts)) == 9 and sum(map(bool, parts)) > 1
    with open(tmp_path / "out" / "hippocampus.csv", newline="", encoding="utf-8-sig") as file:
        assert len(list(csv.DictReader(file))) == 9
    # A task that was lost, by itself: an array of one, and the number of parts.
    for scan in parts[0]:
        for path in (tmp_path / "out").glob(f"{scan}_*"):
            path.unlink()
    ended = task("slurm_batch.sh", 1, 1, *words, cwd=tmp_path, HIPPOSEG=program("cli"), PARTS="2")
    assert ended.returncode in (0, 10) and len(done(tmp_path / "out")) == 9


def test_the_same_for_a_bids_data_set(tmp_path, program):
    root, out = tmp_path / "ds", tmp_path / "hipposeg"
    make_scans(tmp_path / "in", 4)
    for number, path in enumerate(sorted((tmp_path / "in").iterdir())):
        anat = root / f"sub-{number}" / "anat"
        anat.mkdir(parents=True)
        path.rename(anat / f"sub-{number}_T1w.nii.gz")
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    app = program("commands.bids")
    for number in (1, 2):
        ended = task("slurm_bids.sh", number, 2, root, out, "--no-picture", HIPPOSEG_BIDS=app)
        assert ended.returncode in (0, 65), ended.stderr
    assert len(list(out.rglob("*_record.json"))) == 4
    assert subprocess.run([*shlex.split(app), str(root), str(out), "group"]).returncode == 0
    assert (out / "group_hippocampus.tsv").exists()


@pytest.mark.parametrize("script", ["slurm_batch.sh", "slurm_bids.sh"])
def test_without_an_array_or_a_folder_it_says_so(script, tmp_path):
    assert task(script, 1, 1, tmp_path).returncode == 64
    outside = {name: text for name, text in os.environ.items() if not name.startswith(("SLURM", "PARTS"))}
    command = [BASH, str(CLUSTER / script), "in", "out"]
    ended = subprocess.run(command, env=outside, capture_output=True, text=True)
    assert ended.returncode != 0 and "--array" in ended.stderr
    assert os.access(CLUSTER / script, os.X_OK)
