"""What lies beside a series: damaged slices are never dropped, all else is left alone, and nothing hangs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicomwriter import COUNT, SECRETS, volume, write_series
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from HippoSegLib.errors import InputError
from HippoSegLib.io import dicom_files
from HippoSegLib.io.dicom import read_series
from HippoSegLib.io.images import read_scan

resource = pytest.importorskip("resource")  # not on Windows, as pipes and sockets in folders are not

ROOT = Path(__file__).resolve().parents[3]
ENDS = ["IM0001", f"IM{COUNT:04d}"]


def refused(words: str, folder) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_series(folder)
    assert caught.value.remedy and caught.value.code != "input"
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def voxels(folder) -> np.ndarray:
    return sitk.GetArrayFromImage(read_series(folder)[0])


DAMAGES = {
    "empty": lambda raw: b"",
    "zeros": lambda raw: bytes(len(raw)),
    "noise": lambda raw: np.random.default_rng(0).bytes(len(raw)),
    "header noise": lambda raw: raw[:132] + np.random.default_rng(0).bytes(len(raw) - 132),
    "half the header": lambda raw: raw[: (len(raw) - 1056) // 2],
    "the mark alone": lambda raw: raw[:132],
    "a web page": lambda raw: b"<html>404 not found</html>" * 30,
    "a value cut off": lambda raw: raw[: raw.index(b"T1 of") + 3],
    "a length too large": lambda raw: raw.replace(
        b"\x08\x00\x3e\x10LO\x0e\x00", b"\x08\x00\x3e\x10LO\xfe\xff"
    ),
    "no pixel data, another class": lambda raw: raw[: raw.index(b"\xe0\x7f\x10\x00")].replace(
        b"5.1.4.1.1.4\0", b"5.1.4.1.1.X\0"
    ),
    "no pixel data": lambda raw: raw[: raw.index(b"\xe0\x7f\x10\x00")],
    "pixel data without their value": lambda raw: raw[: raw.index(b"\xe0\x7f\x10\x00") + 8],
}


@pytest.mark.parametrize("victim", [*ENDS, "IM0007"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_slice_is_not_dropped(tmp_path, damage, victim):
    folder = write_series(tmp_path / "s")
    path = folder / victim
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    refused(f"damaged.*(InstanceNumber|file) {int(victim[2:])} ", folder)


@pytest.mark.parametrize("victim", ENDS)
@pytest.mark.parametrize("kind", ["dangling link", "loop", "pipe", "socket", "device"])
def test_a_slice_that_is_no_file_is_not_dropped_and_not_opened(tmp_path, kind, victim, monkeypatch):
    folder = write_series(tmp_path / "s")
    path = folder / victim
    path.unlink()
    if kind == "dangling link":
        path.symlink_to("/nowhere/Doe")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(folder)  # the path of a socket is limited to about 100 bytes
        socket.socket(socket.AF_UNIX).bind(victim)
    else:
        path.symlink_to("/dev/zero")
    refused(f"file {int(victim[2:])} of its folder .sorted by name. cannot be read", folder)


@pytest.mark.parametrize("victim", ENDS)
def test_a_slice_that_may_not_be_opened_is_not_dropped(tmp_path, victim, monkeypatch):
    folder = write_series(tmp_path / "s")

    def denied(path, *args):
        if os.fspath(path).endswith(victim):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return open(path, *args)

    monkeypatch.setattr(dicom_files, "open", denied, raising=False)
    refused(f"file {int(victim[2:])} of its folder", folder)


def test_several_damaged_files_are_counted(tmp_path):
    folder = write_series(tmp_path / "s")
    for victim in ("IM0003", "IM0010"):
        (folder / victim).write_bytes(b"")
    refused("2 files, the first of them file 3 of its folder", folder)


@pytest.mark.parametrize("victim", ENDS)
@pytest.mark.parametrize(
    "damage", [(b"1.2.840.10008.5.1.4.1.1.4", b"M"), (b"UI\x08\x001.2.3.4", b"UI\x08\x001.9.9")]
)
def test_a_damaged_slice_that_claims_to_be_of_another_kind_is_not_dropped(tmp_path, damage, victim):
    folder = write_series(tmp_path / "s")
    raw = (folder / victim).read_bytes()
    raw = raw.replace(damage[0], damage[1] + damage[0][len(damage[1]) :])
    (folder / victim).write_bytes(raw[: raw.index(b"\xe0\x7f\x10\x00")])
    refused(f"file {int(victim[2:])} of its folder", folder)


def test_a_damaged_file_of_another_series_is_no_slice_of_this_one(tmp_path):
    folder = write_series(tmp_path / "s")
    other = write_series(tmp_path / "o", volume(1)[:1], SeriesInstanceUID="1.2.3.50", SeriesNumber=2)
    raw = (other / "IM0001").read_bytes()
    (folder / "other.dcm").write_bytes(raw[: raw.index(b"\xe0\x7f\x10\x00")])
    assert np.array_equal(voxels(folder), volume()[::-1])
    (folder / "other.dcm").write_bytes(raw[: raw.index(b"T1 of")])
    refused("file 17 of its folder", folder)  # whose it is it does not tell


def test_all_else_is_left_alone(tmp_path):
    folder = write_series(tmp_path / "s")
    (folder / "notes.txt").write_text("x" * 500)
    (folder / "empty").write_bytes(b"")
    (folder / "group8").write_bytes(b"\x08\0\x05\0" + bytes(1000))
    (folder / "noise").write_bytes(b"\x08\0\x00\0" + np.random.default_rng(0).bytes(5000))
    (folder / "._IM0001").write_bytes(bytes(4096))
    (folder / ".DS_Store").write_bytes(b"\x08\0\x00\0" + bytes(200))
    (folder / "Thumbs.db").write_bytes(bytes(7000))
    (folder / "link").symlink_to("/dev/zero")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    assert np.array_equal(voxels(folder), volume()[::-1])


def test_a_folder_in_a_loop_of_links_and_deep_nesting_end(tmp_path):
    folder = tmp_path / "s"
    deep = folder
    for index in range(40):
        deep = deep / f"d{index}"
    deep.mkdir(parents=True)
    (folder / "again").symlink_to(folder)
    (folder / "root").symlink_to("/")
    refused("no DICOM image", folder)
    write_series(deep)
    refused("no DICOM image", folder)
    assert np.array_equal(voxels(deep), volume()[::-1])


def test_very_many_files_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_files, "MAX_FILES", 50)
    folder = write_series(tmp_path / "s")
    for index in range(60):
        (tmp_path / f"{index}").mkdir()
        (tmp_path / f"{index}" / "x").touch()
    assert refused("more than 50 files", tmp_path).code == "folder_too_large"
    for index in range(60):
        (folder / f"{index}.txt").touch()
    refused("more than 50 files", folder)


def test_thousands_of_other_files_take_no_time(tmp_path):
    folder = write_series(tmp_path / "s")
    for index in range(5000):
        (folder / f"{index}.txt").write_bytes(bytes(200))
    start = time.perf_counter()
    voxels(folder)
    assert time.perf_counter() - start < 5


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    folder = write_series(tmp_path / "s")
    scandir = os.scandir

    def denied(path):
        if os.fspath(path).endswith("/s"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(InputError, match="cannot be opened"):
        read_scan(folder)
    refused("no DICOM image", tmp_path)  # below, it is passed over


def nested(depth: int) -> Dataset:
    data = Dataset()
    for _ in range(depth):
        outer = Dataset()
        outer.add_new(0x00081115, "SQ", [data])
        outer[0x00081115].is_undefined_length = True
        outer[0x00081115].value[0].is_undefined_length_sequence_item = True
        data = outer
    return data


def item(tag: bytes, vr: bytes, length: int) -> bytes:
    return tag + vr + b"\0\0" + length.to_bytes(4, "little")


SERIES = b"\x20\0\x0e\0UI\x08\x001.2.3.4\0"
HOSTILE = {
    "a huge private value": lambda raw, at: raw[:at] + item(b"\x09\0\x10\x10", b"OB", 0xFFFFFFF0) + raw[at:],
    "a huge sequence": lambda raw, at: raw[:at] + item(b"\x08\0\x11\x11", b"SQ", 0x7FFFFFFF) + raw[at:],
    "a sequence that never ends": lambda raw, at: (
        raw[:at]
        + item(b"\x08\0\x11\x11", b"SQ", 0xFFFFFFFF)
        + (b"\xfe\xff\0\xe0" + b"\xff\xff\xff\xff") * 50_000
    ),
    "a million tiny elements": lambda raw, at: (
        raw[:at]
        + item(b"\x08\0\x11\x11", b"SQ", 0xFFFFFFFF)
        + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
        + b"\x08\0\x16\0UI\0\0" * 3_000_000
    ),
    "an undefined length": lambda raw, at: (
        raw[:at] + item(b"\x09\0\x10\x10", b"OB", 0xFFFFFFFF) + bytes(1 << 20)
    ),
    "huge pixel data": lambda raw, at: raw.replace(
        b"\xe0\x7f\x10\0OW\0\0" + (1056).to_bytes(4, "little"), b"\xe0\x7f\x10\0OW\0\0\xfe\xff\xff\xff"
    )[:-100],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lengths_end_soon_and_in_little_memory(tmp_path, name):
    """In a process that may hold 1 GB: a slice that declares much is a damaged slice."""
    folder = write_series(tmp_path / "s")
    raw = (folder / "IM0001").read_bytes()
    at = raw.index(b"\x20\0\x0d\0UI")  # before the study's UID
    (folder / "IM0001").write_bytes(HOSTILE[name](raw, at))
    _expect_refusal_within_1_gb(folder)


def test_deep_nesting_ends(tmp_path):
    folder = write_series(tmp_path / "s")
    data = pydicom.dcmread(folder / "IM0001")
    data.add_new(0x00081115, "SQ", [nested(60)])
    data.save_as(folder / "IM0001")
    assert np.array_equal(voxels(folder), volume()[::-1])
    raw = (folder / "IM0001").read_bytes()
    at = raw.index(b"\x08\0\x15\x11SQ")
    opened = (item(b"\x08\0\x11\x11", b"SQ", 0xFFFFFFFF) + b"\xfe\xff\0\xe0\xff\xff\xff\xff") * 5000
    (folder / "IM0001").write_bytes(raw[:at] + opened + raw[at:])
    refused("file 1 of its folder", folder)


def test_a_deflated_bomb_ends_in_little_memory(tmp_path):
    folder = write_series(tmp_path / "s", syntax=DeflatedExplicitVRLittleEndian)
    data = pydicom.dcmread(folder / "IM0001")
    data.add_new(0x00091010, "OB", bytes(300 << 20))
    data.save_as(folder / "IM0001", enforce_file_format=True)
    del data
    assert (folder / "IM0001").stat().st_size < 5 << 20
    _expect_refusal_within_1_gb(folder)


def _expect_refusal_within_1_gb(folder: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (15, 15))

    code = (
        "import sys; from HippoSegLib.io.dicom import read_series\n"
        "from HippoSegLib.errors import InputError\n"
        "try: read_series(sys.argv[1])\n"
        "except InputError as error: print('refused:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, preexec_fn=limit, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("refused: The DICOM series is damaged") and " 1 " in done.stdout, (
        done.stdout
    )
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
