"""Folders of ours: what is refused, and that nothing but our own is removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from HippoSegLib.errors import OutputError
from HippoSegLib.io.owned_folders import MARKER, claim, read_marker, refuse_foreign, remove

ROOT = Path(__file__).resolve().parents[3]
KIND = "run folder"


def tree(folder: Path) -> dict[str, str]:
    """Everything below a folder: relative path -> content, "/" for folders; without the marker."""
    return {
        path.relative_to(folder).as_posix(): "/" if path.is_dir() else path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.name != MARKER
    }


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_a_new_folder_is_made_with_a_marker_and_may_be_claimed_again(tmp_path):
    folder = tmp_path / "a" / "run"
    refuse_foreign(folder, KIND)
    assert not folder.exists()
    claim(folder, KIND)
    values = json.loads((folder / MARKER).read_text())
    assert (values["program"], values["kind"], values["version"]) == ("HippoSeg", KIND, 1)
    fill(folder, "state.pt")
    before = (folder / MARKER).read_bytes()
    claim(folder, KIND)
    assert (folder / MARKER).read_bytes() == before


@pytest.mark.parametrize("names", [["notes.txt"], ["state.pt"], [".hidden"], ["sub/deep/scan.nii.gz"]])
def test_a_users_folder_is_refused_in_one_sentence_and_stays_as_it_is(tmp_path, names):
    folder = tmp_path / "mine"
    fill(folder, *names)
    before = tree(tmp_path)
    with pytest.raises(OutputError) as caught:
        claim(folder, KIND)
    assert "'mine'" in caught.value.cause and "empty folder" in caught.value.remedy
    assert str(tmp_path) not in str(caught.value)
    assert not remove(folder, KIND) and not remove(folder, KIND, ["state.pt"])
    assert tree(tmp_path) == before and not (folder / MARKER).exists()


def test_an_empty_folder_is_taken_whatever_a_file_manager_left_there(tmp_path):
    fill(tmp_path / "run", ".DS_Store", "Thumbs.db", "desktop.ini")
    claim(tmp_path / "run", KIND)
    assert read_marker(tmp_path / "run").kind == KIND


def test_one_of_another_kind_is_refused(tmp_path):
    claim(tmp_path / "run", "search folder")
    with pytest.raises(OutputError, match="is a search folder of HippoSeg, and no run folder"):
        claim(tmp_path / "run", KIND)
    assert not remove(tmp_path / "run", KIND) and (tmp_path / "run").exists()


def test_what_an_earlier_version_made_is_known_by_its_files(tmp_path):
    fill(tmp_path / "run", "state.pt", "settings.json")
    claim(tmp_path / "run", KIND, lambda folder: (folder / "state.pt").exists())
    assert read_marker(tmp_path / "run").kind == KIND


def test_a_file_in_its_place_is_refused(tmp_path):
    fill(tmp_path, "run")
    with pytest.raises(OutputError, match="cannot be used as run folder"):
        claim(tmp_path / "run", KIND)
    assert tree(tmp_path) == {"run": "run"}


def test_the_known_goes_and_the_users_stays(tmp_path):
    folder = tmp_path / "run"
    claim(folder, KIND)
    fill(folder, "state.pt", "fold_0/log.csv", "fold_1/log.csv", "fold_1/mine.txt", "thesis/log.csv")
    fill(folder, "notes.txt", "fold_0/deep/log.csv", "check_1.png", "check_final.png.bak")
    known = ["state.pt", "fold_*/log.csv", "check_*.png"]
    assert not remove(folder, KIND, known)
    assert tree(folder) == {
        "notes.txt": "notes.txt",
        "check_final.png.bak": "check_final.png.bak",
        "fold_0": "/",
        "fold_0/deep": "/",
        "fold_0/deep/log.csv": "fold_0/deep/log.csv",
        "fold_1": "/",
        "fold_1/mine.txt": "fold_1/mine.txt",
        "thesis": "/",
        "thesis/log.csv": "thesis/log.csv",
    }
    claim(folder, KIND)  # the marker stays with it, and the next run may go on there


def test_without_anything_of_the_users_it_is_gone(tmp_path):
    claim(tmp_path / "run", KIND)
    fill(tmp_path / "run", "state.pt", "fold_0/log.csv")
    assert remove(tmp_path / "run", KIND, ["state.pt", "fold_*/log.csv"])
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_that_the_user_made_is_left_empty(tmp_path):
    (tmp_path / "run").mkdir()
    claim(tmp_path / "run", KIND)
    fill(tmp_path / "run", "state.pt")
    remove(tmp_path / "run", KIND, ["state.pt"])
    assert list((tmp_path / "run").iterdir()) == []


def test_a_link_in_it_is_removed_but_not_what_it_points_to(tmp_path):
    fill(tmp_path / "precious", "log.csv")
    claim(tmp_path / "run", KIND)
    (tmp_path / "run" / "fold_0").symlink_to(tmp_path / "precious")
    (tmp_path / "run" / "state.pt").symlink_to(tmp_path / "precious" / "log.csv")
    remove(tmp_path / "run", KIND, ["state.pt", "fold_*/log.csv"])
    assert tree(tmp_path / "precious") == {"log.csv": "log.csv"}
    assert not (tmp_path / "run" / "state.pt").is_symlink()


def test_processes_that_claim_one_folder_together_all_get_it(tmp_path):
    """As those of one training do; each writes a file of its own at once."""
    code = (
        "import os, sys\nfrom HippoSegLib.io.owned_folders import claim\n"
        "input()\n"
        "for n in range(40):\n"
        "    claim(f'{sys.argv[1]}/{n}', 'run folder')\n"
        "    open(f'{sys.argv[1]}/{n}/{os.getpid()}', 'w').close()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, env=environment, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    assert all(len(tree(tmp_path / str(n))) == 4 for n in range(40))
