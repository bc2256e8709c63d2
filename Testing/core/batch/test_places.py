"""A layout with folders: files go to their places as a whole, whatever a journal says nowhere else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from HippoSegLib.batch.commit import commit, commit_name, finish_commits
from HippoSegLib.batch.layout import FLAT

SCAN = "sub-1"


def place(name: str) -> str:
    return "sub-1/figures" if name.endswith(".png") else "sub-1/anat"


def staged(root: Path) -> Path:
    folder = root / "staging"
    folder.mkdir()
    for name in ("sub-1_a.nii.gz", "sub-1_record.json", "sub-1_a.png"):
        (folder / name).write_text(f"new {name}")
    return folder


def files(root: Path) -> dict[str, str]:
    paths = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_text() for path in paths}


NEW = {
    f"{place(name)}/{name}": f"new {name}" for name in ("sub-1_a.nii.gz", "sub-1_record.json", "sub-1_a.png")
}


@pytest.mark.parametrize("moves", range(4))
def test_interrupted_after_any_move_it_goes_on(tmp_path, monkeypatch, moves):
    """The old files in other places are gone, the record comes last."""
    for name in ("sub-1_a.nii.gz", "sub-1_old.png"):
        path = tmp_path / place(name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old")
    replace, left, order = os.replace, [moves], []

    def killed(source, target):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        order.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    old = ["sub-1_a.nii.gz", "sub-1_old.png"]
    try:
        commit(tmp_path, staged(tmp_path), SCAN, old, place)
        assert moves == 3 and order[-1] == "sub-1_record.json"
    except KeyboardInterrupt:
        monkeypatch.setattr(os, "replace", replace)
        assert finish_commits(tmp_path, os.listdir(tmp_path)) == 1
    assert files(tmp_path) == NEW
    assert not (tmp_path / commit_name(SCAN)).exists()


@pytest.mark.parametrize("where", ["../outside", "/tmp", "a/../../b", "C:/x", "..\\x", "./x"])
def test_a_journal_that_leads_out_of_the_folder_is_not_followed(tmp_path, where):
    folder, outside = tmp_path / "out", tmp_path / "outside"
    target = folder / commit_name(SCAN)
    target.mkdir(parents=True)
    outside.mkdir()
    (outside / "sub-1_x").write_text("mine")
    (target / "sub-1_a").write_text("new")
    journal = {"program": "HippoSeg", "version": 1, "scan": SCAN, "files": ["sub-1_a"], "remove": ["sub-1_x"]}
    journal["places"] = dict.fromkeys(("sub-1_a", "sub-1_x"), where)
    (target / "journal.json").write_text(json.dumps(journal))
    assert finish_commits(folder, os.listdir(folder)) == 0
    assert (outside / "sub-1_x").read_text() == "mine" and (target / "sub-1_a").exists()


def test_the_flat_layout_has_no_folders(tmp_path):
    assert FLAT.record_path(tmp_path, "a") == tmp_path / "a_hippocampus.json"
    assert FLAT.folder("a", "a_hippocampus.png") == ""
