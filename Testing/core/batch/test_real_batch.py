"""The command line with the real pipeline: killed and given again, and memory that runs out at any stage."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import SimpleITK as sitk
from standin import table, table_but_seconds

from HippoSegLib.batch.record import read_record
from HippoSegLib.batch.source import file_sha256

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals and limits")]


def start(folder: Path, scans: list[str], *words: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "HippoSegLib", "segment", *scans, "-o", "out", "-q", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*command, "--threads", "1", "--device", "cpu"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_two_processes_killed_and_given_again_equal_a_run_that_was_not_killed(tmp_path, sample_path):
    names = [f"{letter}.nii.gz" for letter in "abcd"]
    tables = []
    for folder in (tmp_path / "whole", tmp_path / "killed"):
        folder.mkdir()
        for name in names:
            shutil.copy(sample_path, folder / name)
        if folder.name == "killed":
            processes = [start(folder, some, "--single-reader") for some in (names[:3], names[1:])]
            end = time.monotonic() + 60
            while not list((folder / "out").glob("*.nii.gz")) and time.monotonic() < end:
                time.sleep(0.05)
            for process in processes:
                time.sleep(random.uniform(0, 1))
                process.send_signal(signal.SIGKILL)
                process.communicate()
        code = start(folder, names, "--single-reader").wait(timeout=200)
        tables.append(table_but_seconds(folder / "out"))
    assert code == 0  # what was finished before the kill is skipped
    assert tables[0] == tables[1] and len(tables[0]) == len(names)
    for name in names:
        record = read_record(tmp_path / "killed" / "out" / name.replace(".nii.gz", "_hippocampus.json"))
        assert record.source.sha256 == file_sha256(sample_path)
        for file in record.files.values():
            assert file_sha256(tmp_path / "killed" / "out" / file.name) == file.sha256


@pytest.fixture(scope="module")
def large_head(sample_path, tmp_path_factory) -> Path:
    """The sample on 512³ voxels."""
    scan = sitk.ReadImage(str(sample_path))
    spacing = max(n * s for n, s in zip(scan.GetSize(), scan.GetSpacing(), strict=True)) / 512
    large = sitk.Resample(
        scan,
        [512] * 3,
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
        scan.GetOrigin(),
        [spacing] * 3,
        scan.GetDirection(),
        0,
        sitk.sitkInt16,
    )
    path = tmp_path_factory.mktemp("large") / "large.nii.gz"
    sitk.WriteImage(large, str(path), True, 1)
    return path


@pytest.mark.parametrize("limit", [0.8, 1.3])
def test_a_head_of_512_voxels_cubed_under_a_limit_is_one_sentence(tmp_path, sample_path, large_head, limit):
    """The smaller limit ends its reading, the larger one its segmentation; the next scan runs."""
    import resource

    shutil.copy(large_head, tmp_path / "large.nii.gz")
    shutil.copy(sample_path, tmp_path / "small.nii.gz")
    size = int(limit * 2**30)
    process = start(
        tmp_path,
        ["large.nii.gz", "small.nii.gz"],
        "--no-picture",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
    )
    _, text = process.communicate(timeout=200)
    assert process.returncode == 10 and len(text.splitlines()) == 1 and "emory" in text, text
    rows = table(tmp_path / "out")
    assert [(row["scan"], row["error"]) for row in rows] == [("large", "out_of_memory"), ("small", "")]
