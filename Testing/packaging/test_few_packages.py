"""The core with few packages: PyTorch and others missing, and in an environment like Slicer's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from HippoSegLib.io.images import read_scan, write_image
from HippoSegLib.pipeline import segment

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("few_packages.py")
#: What Slicer 5.10 and 5.12 bundle of what the core can use; versions as near as there are wheels.
SLICER = {
    "5.10": ("numpy==2.0.2", "scipy==1.14.1", "pillow==11.0.0"),
    "5.12": ("numpy==2.4.6", "scipy==1.17.1", "pillow==13.0.0"),
}
BOTH = ("SimpleITK==2.5.7", "pydicom==3.0.2")


@pytest.fixture(scope="module")
def labels(sample_path, tmp_path_factory) -> Path:
    """The sample's label map by PyTorch's engine."""
    path = tmp_path_factory.mktemp("torch") / "labels.nii.gz"
    return write_image(
        segment(read_scan(sample_path), engine="torch", second_reader=False, threads=1).labels, path
    )


def run(python: str, sample_path: Path, labels: Path, tmp_path: Path) -> str:
    """What the script prints; it fails where a claim of it does."""
    command = [python, str(SCRIPT), str(sample_path), str(tmp_path / "out"), str(labels)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HIPPOSEG_MODELS": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_where_importing_torch_raises_the_plain_model_segments(sample_path, labels, tmp_path):
    told = run(sys.executable, sample_path, labels, tmp_path)
    assert "numpy" in told and told.rstrip().endswith("well")


def python_312() -> str | None:
    """Python 3.12, as in Slicer, where this machine has one."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for python in (*map(str, sorted(versions.glob("3.12*/bin/python"))), shutil.which("python3.12")):
        # pyenv has a `python3.12` that only says where there is one.
        if python and subprocess.run([python, "--version"], capture_output=True).returncode == 0:
            return python
    return None


def install(python: str, packages: tuple[str, ...], *where: str) -> None:
    """Install for an interpreter, or skip the test where that cannot be done."""
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    options = ["install", "-q", "--no-compile", "--only-binary", ":all:", *where]
    done = subprocess.run([*pip, *options, *packages], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the packages cannot be installed: {done.stderr.strip().splitlines()[-1:]}")


@pytest.fixture(scope="module")
def python() -> str:
    found = python_312()
    if found is None:
        pytest.skip("this machine has no Python 3.12")
    return found


@pytest.fixture(scope="module")
def shared(python):
    """A folder with the packages that both versions have: some hundred MB, which pytest would keep."""
    with tempfile.TemporaryDirectory() as folder:
        install(python, BOTH, "--no-deps", "--target", folder)
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("version", SLICER)
def test_slicers_own_packages_are_enough(version, python, shared, sample_path, labels, tmp_path):
    with tempfile.TemporaryDirectory() as venv:
        subprocess.run([python, "-m", "venv", "--without-pip", venv], check=True)
        mine = str(Path(venv) / ("Scripts" if os.name == "nt" else "bin") / "python")
        install(mine, SLICER[version])
        (packages,) = Path(venv).glob("[Ll]ib/**/site-packages")
        (packages / "shared.pth").write_text(f"{shared}\n", encoding="utf-8")
        told = run(mine, sample_path, labels, tmp_path)
    assert f"numpy {SLICER[version][0].removeprefix('numpy==')} Python 3.12" in told
