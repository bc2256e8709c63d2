"""The extension: CMake lists, package, index entry; unpacked elsewhere it loads and segments the sample."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile

import pytest
from check_extension_metadata import complaints
from cmake_lists import LISTS, text
from panelbed import ROOT

HERE = ROOT / "Testing" / "slicer_module"


@pytest.mark.parametrize("name", LISTS)
def test_every_file_is_listed(name):
    assert (ROOT / name).read_text(encoding="utf-8") == text(name), (
        "run: python Testing/slicer_module/cmake_lists.py"
    )


def test_the_index_entry_keeps_the_rules():
    assert complaints(ROOT, ROOT / "HippoSeg.json") == []


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The package, made by cmake and cpack with the stand-in Slicer, unpacked elsewhere."""
    for tool in ("cmake", "cpack"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs the program {tool}")
    build = tmp_path_factory.mktemp("build")
    for command in (
        ["cmake", "-S", str(ROOT), "-B", str(build), f"-DSlicer_DIR={HERE / 'cmake'}"],
        ["cpack", "--config", str(build / "CPackConfig.cmake"), "-B", str(build)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, cwd=build)
        assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = build.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("jinde s mezerou č")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (modules,) = folder.rglob("qt-scripted-modules")
    return modules


def test_the_package_holds_every_file(unpacked):
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    listed = set()
    for name in LISTS:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        listed |= {line.strip() for line in lines if line.startswith("  ") and line.strip() != ")"}
    assert found == listed
    megabytes = sum(path.stat().st_size for path in unpacked.rglob("*") if path.is_file()) / 2**20
    assert megabytes < 20


def test_the_unpacked_package_loads_and_segments_the_sample(testbed, unpacked):
    """In a process of its own that knows nothing of the sources."""
    done = subprocess.run(
        [sys.executable, str(HERE / "run_module.py"), str(unpacked / "HippoSeg.py")],
        capture_output=True,
        text=True,
        cwd=unpacked,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "segmented the sample" in done.stdout
    assert str(ROOT / "HippoSegLib") not in done.stdout
