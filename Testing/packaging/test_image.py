"""The recipes of the container images: small, no PyTorch, the BIDS App as entry point; and that they build.

The steps themselves take half a minute and the network: `make image` does them in a folder, and segments the
sample with what they made.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess

import pytest
from image_files import ROOT, build_in, copied, instructions, sections, size_of

tomllib = pytest.importorskip("tomllib")
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def steps() -> list[str]:
    return [text for name, text in instructions() if name == "RUN"]


def test_the_entry_point_is_the_bids_app():
    (entry,) = [ast.literal_eval(text) for name, text in instructions() if name == "ENTRYPOINT"]
    assert entry == ["hipposeg-bids"] and SCRIPTS["hipposeg-bids"] == "HippoSegLib.commands.bids:main"
    assert lines(sections()["runscript"]) == ['exec hipposeg-bids "$@"']
    assert "hipposeg" in SCRIPTS  # for `docker run --entrypoint hipposeg`


def test_both_images_are_built_alike():
    found = sections()
    bases = {text.split()[0] for name, text in instructions() if name == "FROM"}
    assert bases == {"python:3.12-slim"} and "From: python:3.12-slim" in found[""]
    assert [line for line in lines(found["post"]) if line.startswith("python ")] == steps()
    files = dict(line.split() for line in lines(found["files"]))
    assert sorted(files) == sorted(copied())
    assert all(target == f"/src/{source}" for source, target in files.items())


def test_what_is_copied_is_there_and_is_sent_to_docker():
    ignored = lines((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    assert "*" in ignored
    for name in copied():
        assert (ROOT / name).exists() and f"!{name}" in ignored
    # What setuptools wants to build the package is among it.
    assert {"pyproject.toml", "README.md", "LICENSE.txt", "HippoSegLib", "Resources"} <= set(copied())


def test_no_pytorch_and_pinned_like_the_tests():
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return {line.split(";")[0].strip() for line in lines(text) if "==" in line}

    wanted = (ROOT / "requirements" / "container.txt").read_text(encoding="utf-8")
    assert "-r run.txt" in lines(wanted)
    assert pins("container.txt") <= pins("test.txt")
    names = {re.split("[=<>]", pin)[0].lower() for pin in pins("container.txt") | pins("run.txt")}
    assert not names & {"torch", "matplotlib", "tensorboard", "optuna", "pytest"}
    assert "--no-deps" in steps()[2] and "container.txt" in steps()[1]


@pytest.mark.skipif("HIPPOSEG_IMAGE" not in os.environ, reason="half a minute and the network: make image")
def test_the_steps_make_a_program_that_segments_the_sample(tmp_path):
    place = build_in(tmp_path)
    assert size_of(place) < 700e6
    root = tmp_path / "ds"
    scan = root / "sub-1" / "anat" / "sub-1_T1w.nii.gz"
    scan.parent.mkdir(parents=True)
    scan.write_bytes((ROOT / "Resources/SampleData/hipposeg_sample_T1.nii.gz").read_bytes())
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    program = [str(place / "bin" / "hipposeg-bids"), str(root), str(tmp_path / "out")]
    clean = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    for words in (["participant", "--n-cpus", "1"], ["group"]):
        subprocess.run([*program, *words], check=True, env=clean, cwd=tmp_path)
    table = (tmp_path / "out" / "group_hippocampus.tsv").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 2 and "\tok\t" in table
