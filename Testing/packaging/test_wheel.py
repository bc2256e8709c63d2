"""The package, as wheel and as editable install: it finds its models and segments the sample it carries."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what is tracked, so that no build folder appears in the tree."""
    folder = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, tracked.stdout.split("\0")):
        if name.startswith(("HippoSegLib/", "Resources/")) or "/" not in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", *words[:1], "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, *words[1:]], check=True)


@pytest.fixture(scope="module")
def unpacked(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "-w", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_every_tracked_library_file_is_in_the_wheel(unpacked):
    tracked = subprocess.run(
        ["git", "ls-files", "HippoSegLib"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    files = [f for f in tracked.split() if not f.endswith(".cmake")]
    missing = [f for f in files if not (unpacked / f).is_file()]
    assert not missing


def test_only_the_package_is_at_the_top_of_site_packages(unpacked):
    assert {path.name.partition("-")[0] for path in unpacked.iterdir()} == {"HippoSegLib", "hipposeg"}
    models = unpacked / "HippoSegLib" / "resources" / "Models"
    shipped = {p.relative_to(ROOT / "Resources" / "Models") for p in (ROOT / "Resources").rglob("Models/*/*")}
    assert {path.relative_to(models) for path in models.rglob("*") if path.is_file()} == shipped


def test_the_unpacked_wheel_segments_its_sample(unpacked, tmp_path):
    (sample,) = unpacked.rglob("hipposeg_sample_T1.nii.gz")
    command = [sys.executable, "-m", "HippoSegLib", "segment", str(sample), "-o", "out", "--no-picture", "-q"]
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    done = subprocess.run(
        [*command, "--threads", "1"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "hipposeg_sample_T1_hippocampus.nii.gz").is_file()


def installed() -> list[str]:
    """What a new process finds of HippoSeg that is installed beside the tests."""
    code = "from importlib.metadata import distributions as d\n"
    code += "print(*(x._path for x in d() if x.metadata['Name'] == 'hipposeg'))"
    return subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True).stdout.split()


def test_an_editable_install_finds_the_models_of_the_source_tree(source, tmp_path):
    before = installed()
    # Without --ignore-installed pip removes the HippoSeg of this environment, wherever the new one goes.
    pip("install", "--ignore-installed", "--prefix", str(tmp_path / "prefix"), "-e", str(source))
    assert installed() == before
    (site,) = (tmp_path / "prefix").rglob("site-packages")
    code = (
        "import site, sys\n"
        f"site.addsitedir({str(site)!r})\n"
        f"sys.path.append({str(Path(np.__file__).parents[1])!r})\n"
        "from HippoSegLib.models.store import bundled_folder, bundled_models\n"
        "print(bundled_folder(), *bundled_models())\n"
    )
    # -S: this environment's site-packages give numpy, but not the HippoSeg that may be installed there.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(source / "Resources" / "Models"), "hipposeg", "hipposeg_clahe_sce"]
