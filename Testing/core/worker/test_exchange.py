"""Files between panel and worker: no name leads out of their folder, and nothing outside is ever removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.errors import HippoSegError, InputError
from HippoSegLib.io.staging import make_temporary
from HippoSegLib.worker.exchange import exchange_path, from_image, take_array, to_image, write_array
from HippoSegLib.worker.finetunetask import finetune_task
from HippoSegLib.worker.supervisor import FOLDER_KIND
from HippoSegLib.worker.tasks import TASKS, picture_task, preview_task, segment_task

ROOT = Path(__file__).resolve().parents[3]
GEOMETRY = {"spacing": [1, 1, 1], "origin": [0, 0, 0], "direction": [1, 0, 0, 0, 1, 0, 0, 0, 1]}

#: Names that lead elsewhere, on one system or another, or name no file.
CLIMBING = [
    "../outside",
    "..",
    ".",
    "",
    "a/../../outside",
    "sub/file",
    "/tmp/outside",
    "\\outside",
    "..\\outside",
    "C:outside",
    "C:\\outside",
    "\\\\server\\share\\outside",
    "file:stream",
    "outside\0",
    "\0",
    "~/outside",
    "nul",
    "CON",
    "com1",
    "a\nb",
    "name ",
    ".hipposeg-folder.json",
    "é",
    "x" * 300,
    5,
    None,
    ["a"],
    {"a": 1},
    True,
]


@pytest.fixture
def places(tmp_path):
    """The exchange folder, and beside it a user's file that must stay."""
    folder = tmp_path / "exchange"
    folder.mkdir()
    for name in ("outside", "outside.npy", "outside-labels.npy", "outside.png"):
        np.save((tmp_path / name).open("wb"), np.ones((4, 4, 4), np.int16))
    return folder, {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


def untouched(folder, before) -> bool:
    there = {path.name: path.read_bytes() for path in folder.parent.iterdir() if path.is_file()}
    return there == before


@pytest.mark.parametrize("name", CLIMBING, ids=repr)
def test_a_name_that_leads_out_is_refused_wherever_it_stands(places, name):
    folder, before = places
    write_array(np.ones((4, 4, 4), np.int16), str(folder), "in.npy")
    good = {"array": "in.npy", **GEOMETRY}

    def never(*_, **__):
        raise AssertionError("it was worked on")

    def ask(task, request, **more):
        with pytest.raises(HippoSegError) as caught:
            task(request, str(folder), lambda *_: None, lambda: False, **more)
        assert caught.value.code in ("exchange_name", "input")

    for use in (exchange_path, take_array):
        with pytest.raises(HippoSegError):
            use(str(folder), name)
    bad = {"array": name, **GEOMETRY}
    ask(segment_task, {"image": bad, "run": "r"}, segment=never)
    ask(preview_task, {"image": bad})
    ask(picture_task, {"image": bad, "labels": good})
    ask(picture_task, {"image": good, "labels": bad})
    case = {"name": "a", "subject": "a", "image": bad, "label": good}
    ask(finetune_task, {"cases": [case], "check_only": True})
    assert untouched(folder, before) and [path.name for path in folder.iterdir()] == ["in.npy"]


@pytest.mark.parametrize("run", ["../outside", "/tmp/outside", "C:outside", "a\0", "..\\outside", ["a"], {}])
def test_a_run_that_leads_out_is_refused_before_the_work(places, run):
    folder, before = places
    write_array(np.ones((4, 4, 4), np.int16), str(folder), "in.npy")
    worked = []
    for task in (segment_task, preview_task, picture_task):
        more = {"segment": lambda *_, **__: worked.append(1)} if task is segment_task else {}
        request = {"image": {"array": "in.npy", **GEOMETRY}, "labels": {}, "run": run}
        with pytest.raises(HippoSegError):
            task(request, str(folder), lambda *_: None, lambda: False, **more)
    assert not worked and untouched(folder, before)


def test_what_is_written_is_read(tmp_path):
    image = sitk.GetImageFromArray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    image.SetSpacing((1, 2, 3))
    description = json.loads(json.dumps(from_image(image, str(tmp_path), "segment-probability-left.npy")))
    again = to_image(description, str(tmp_path))
    assert np.array_equal(sitk.GetArrayFromImage(again), sitk.GetArrayFromImage(image))
    assert again.GetSpacing() == (1, 2, 3)
    assert take_array(str(tmp_path), description["array"]).shape == (2, 3, 4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"spacing": [1, 1]},
        {"spacing": "wide"},
        {"spacing": [0, 1, 1]},
        {"origin": None},
        {"direction": [1] * 9},
        {"direction": [1, 0]},
    ],
)
def test_a_geometry_that_is_none_is_the_users_to_solve(tmp_path, wrong):
    write_array(np.ones((2, 2, 2), np.int16), str(tmp_path), "in.npy")
    with pytest.raises(InputError):
        to_image({"array": "in.npy", **GEOMETRY, **wrong}, str(tmp_path))


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"PK\x03\x04", b"nonsense" * 100])
def test_a_file_that_is_no_array_is_the_users_to_solve(tmp_path, data):
    (tmp_path / "in.npy").write_bytes(data)
    with pytest.raises(InputError):
        to_image({"array": "in.npy", **GEOMETRY}, str(tmp_path))


def test_an_array_of_objects_is_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    np.save(tmp_path / "in.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError):
        to_image({"array": "in.npy", **GEOMETRY}, str(tmp_path))
    assert not (tmp_path / "executed").exists()


# --- the folder


def run_worker(folder, data=b"") -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "HippoSegLib.worker", "--folder", str(folder)]
    return subprocess.run(command, input=data, env=environment, capture_output=True, timeout=120)


def test_a_users_folder_given_to_the_worker_outlives_it(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("years of work")
    told = [json.loads(line) for line in run_worker(tmp_path / "mine").stdout.splitlines()]
    assert [one["event"] for one in told] == ["ready"]
    assert (tmp_path / "mine" / "thesis").read_text() == "years of work"


def test_its_own_folder_goes_and_nothing_that_links_lead_to(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("years of work")
    folder = make_temporary(tmp_path, FOLDER_KIND)
    write_array(np.ones((2, 2, 2)), str(folder), "in.npy")
    if os.name != "nt":
        (folder / "link").symlink_to(tmp_path / "mine")
    junk = b'[]\n{"id": [1]}\n{"cancel": {}}\n' + b"[" * 100_000 + b"\n"
    ask = json.dumps({"id": 1, "task": "picture", "run": "../x", "image": {}, "labels": {}}).encode()
    ended = run_worker(folder, junk + ask + b"\n")
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0 and answers[0]["event"] == "ready"
    # Standard input is closed by then: it is answered, perhaps as cancelled.
    assert [one["id"] for one in answers[1:]] == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "thesis").read_text() == "years of work"


def test_every_task_is_tried_here():
    """A new task must be added to the tests above, if it reads or writes exchanged files."""
    tasks = {"segment", "preview", "devices", "picture", "report", "finetune"}
    assert set(TASKS) == tasks | {"cohort", "review", "load"}
