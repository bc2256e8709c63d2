"""The wheel: built, unpacked elsewhere, it finds its model and segments the sample it carries."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy, so that no build folder appears in the tree.
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, tracked.stdout.split("\0")):
        if name.startswith(("HippoSegLib/", "Resources/")) or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
    ]
    subprocess.run([*command, str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_every_tracked_library_file_is_in_the_wheel(unpacked):
    tracked = subprocess.run(
        ["git", "ls-files", "HippoSegLib"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    missing = [f for f in tracked.split() if f.endswith(".py") and not (unpacked / f).is_file()]
    assert not missing


def test_the_unpacked_wheel_segments_its_sample(unpacked, tmp_path):
    sample = unpacked / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"
    command = [sys.executable, "-m", "HippoSegLib", "segment", str(sample), "-o", "out", "--no-picture", "-q"]
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    done = subprocess.run(
        [*command, "--threads", "1"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "hipposeg_sample_T1_hippocampus.nii.gz").is_file()
