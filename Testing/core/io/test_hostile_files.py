"""Files that are none, that never end, or whose headers lie: one sentence, little memory, no death."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import struct
import subprocess
import sys
import zlib

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from handmade import meta_fields, nrrd_fields, patched, write_meta, write_nrrd

from HippoSegLib.errors import InputError
from HippoSegLib.io.images import read_scan, write_image

SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".hdr", ".img", "", ".dcm"]
MAX_KB = 2 * 1024 * 1024


def refused(path, words: str = ".", region: bool = False) -> InputError:
    with pytest.raises(InputError, match=words) as caught:
        read_scan(path, region)
    text = str(caught.value)
    assert caught.value.cause.endswith(".") and "\n" not in text and len(text) < 500 and text.isprintable()
    return caught.value


def content(head: sitk.Image) -> bytes:
    return sitk.GetArrayFromImage(head).tobytes()


def nifti_bytes(head: sitk.Image, tmp_path) -> bytes:
    sitk.WriteImage(head, str(tmp_path / "good.nii"))
    return (tmp_path / "good.nii").read_bytes()


# Files that are none


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are a POSIX thing")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pipes_devices_sockets_folders_and_loops(tmp_path, monkeypatch, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    refused(tmp_path / f"pipe{suffix}", "is a pipe|one file of a pair")
    os.symlink("/dev/zero", tmp_path / f"zero{suffix}")
    refused(tmp_path / f"zero{suffix}", "is a device|one file of a pair")
    os.symlink(f"loop{suffix}", tmp_path / f"loop{suffix}")
    refused(tmp_path / f"loop{suffix}", "cannot be read|does not exist|one file of a pair")
    with socket.socket(socket.AF_UNIX) as one:
        monkeypatch.chdir(tmp_path)  # the name of a socket may have at most 100 characters
        one.bind(f"socket{suffix}")
        refused(tmp_path / f"socket{suffix}", "is a socket|one file of a pair")
    os.mkdir(tmp_path / f"folder{suffix}")
    refused(tmp_path / f"folder{suffix}", "folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are a POSIX thing")
@pytest.mark.parametrize("what", ["pipe.raw", "zero.raw", "loop.raw", "folder.raw", "self"])
def test_data_files_that_are_none(head, tmp_path, what):
    os.mkfifo(tmp_path / "pipe.raw")
    os.symlink("/dev/zero", tmp_path / "zero.raw")
    os.symlink("loop.raw", tmp_path / "loop.raw")
    os.mkdir(tmp_path / "folder.raw")
    array = sitk.GetArrayFromImage(head)
    target = what if what != "self" else "a.mhd"
    write_meta(tmp_path / "a.mhd", meta_fields(array, head), b"", target)
    refused(tmp_path / "a.mhd")
    target = what if what != "self" else "a.nhdr"
    refused(write_nrrd(tmp_path / "a.nhdr", nrrd_fields(array, head) | {"data file": target}, b""))


@pytest.mark.parametrize("target", [
    "a" * 5000, "x%s%n.raw 1 66 1", "x%03d.raw 1 3 1", "LIST", "LIST 2", "../scan.raw", "/etc/hostname",
    "sub/scan.raw", "..", ".", "", "c:\\scan.raw", "scan\0.raw", "\xff\xfe.raw", "~/scan.raw", "http://x/scan.raw",
    "%s%s%s%s%s%n",
])  # fmt: skip
def test_names_of_data_files(head, tmp_path, target):
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub", tmp_path.parent):
        (folder / "scan.raw").write_bytes(content(head))
    array = sitk.GetArrayFromImage(head)
    refused(write_meta(tmp_path / "a.mhd", meta_fields(array, head), b"", target))
    refused(write_nrrd(tmp_path / "a.nhdr", nrrd_fields(array, head) | {"data file": target}, b""))
    (tmp_path.parent / "scan.raw").unlink()


def test_names_of_files_that_are_no_text(head, tmp_path):
    """Bytes that are no UTF-8 in a name: read, written beside, and shown in one line."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/f\xff\xfe")
    os.mkdir(folder)
    path = os.path.join(folder, os.fsdecode(b"scan\xe9.nii.gz"))
    sitk.WriteImage(head, str(tmp_path / "good.nii.gz"))
    shutil.copy(tmp_path / "good.nii.gz", path)
    image = read_scan(path).image
    assert np.array_equal(sitk.GetArrayViewFromImage(image), sitk.GetArrayViewFromImage(head))
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        out = write_image(image, os.path.join(folder, os.fsdecode(b"out\xe9") + suffix))
        assert np.array_equal(
            sitk.GetArrayViewFromImage(read_scan(out).image), sitk.GetArrayViewFromImage(head)
        )
    assert sorted(os.listdir(os.fsencode(folder)))[0] == b"out\xe9.mha" and len(os.listdir(folder)) == 4
    for name in (b"no\xe9.nii", b"no\n\x1b[31m.nii", b"a" * 5000 + b".nii", b"a\0b.nii"):
        refused(os.path.join(folder, os.fsdecode(name)))
    array = sitk.GetArrayFromImage(head)
    (tmp_path / os.fsdecode(b"v\xe9.raw")).write_bytes(array.tobytes())
    path = write_meta(tmp_path / "a.mhd", meta_fields(array, head), b"", "v\xe9.raw")
    assert read_scan(path).image.GetSize() == head.GetSize()


# Headers that lie

WRONG = [
    "-1",
    "0",
    "2",
    "11",
    "999999999",
    "-99999999999",
    "1e9",
    "nan",
    "%s%n",
    "x" * 5000,
    "",
    "3 3",
    "0x3",
    "\xb2",
]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(
    "field",
    [
        "NDims",
        "DimSize",
        "ElementType",
        "ElementNumberOfChannels",
        "HeaderSize",
        "CompressedData",
        "BinaryData",
    ],
)
def test_fields_of_metaimage(head, tmp_path, field, value):
    fields = meta_fields(sitk.GetArrayFromImage(head), head) | {field: value}
    path = write_meta(tmp_path / "a.mha", fields, content(head))
    if (field, value) in (
        ("HeaderSize", "0"),
        ("HeaderSize", "-1"),
        ("CompressedData", "0"),
        ("CompressedData", ""),
    ):
        assert read_scan(path).image.GetSize() == head.GetSize()
    else:
        refused(path)


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(
    "field",
    ["type", "dimension", "sizes", "encoding", "endian", "byte skip", "line skip", "space origin", "kinds"],
)
def test_fields_of_nrrd(head, tmp_path, field, value):
    fields = nrrd_fields(sitk.GetArrayFromImage(head), head) | {field: value}
    path = write_nrrd(tmp_path / "a.nrrd", fields, content(head))
    if (field, value) in (("byte skip", "0"), ("line skip", "0"), ("byte skip", "-1")) or (
        value == "" and field in ("space origin", "kinds")
    ):
        assert read_scan(path).image.GetSize() == head.GetSize()
    else:
        refused(path)


@pytest.mark.parametrize(
    "field", ["DimSize", "NDims", "ElementSpacing", "TransformMatrix", "Offset", "ElementType"]
)
def test_fields_stated_twice(head, tmp_path, field):
    fields = meta_fields(sitk.GetArrayFromImage(head), head)
    twice = {"Comment": f"x\n{field} = {fields[field]}"} | fields
    assert refused(write_meta(tmp_path / "a.mha", twice, content(head)), "twice").code == "header"


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [
        ("TransformMatrix", "Orientation", "-1 0 0 0 1 0 0 0 1"),
        ("Offset", "Position", "1 2 3"),
        ("BinaryDataByteOrderMSB", "ElementByteOrderMSB", "True"),
    ],
)
def test_one_field_under_two_names(head, tmp_path, first, second, value):
    """The same value is no contradiction, another one is."""
    fields = meta_fields(sitk.GetArrayFromImage(head), head)
    refused(write_meta(tmp_path / "a.mha", fields | {second: value}, content(head)), "twice")
    same = write_meta(tmp_path / "a.mha", fields | {second: fields[first]}, content(head))
    assert read_scan(same).image.GetDirection() == head.GetDirection()


@pytest.mark.parametrize("field", ["type", "sizes", "space", "space directions", "encoding"])
def test_nrrd_fields_stated_twice_and_unknown(head, tmp_path, field):
    fields = nrrd_fields(sitk.GetArrayFromImage(head), head)
    twice = {"content": f"x\n{field}: {fields[field]}"} | fields
    refused(write_nrrd(tmp_path / "a.nrrd", twice, content(head)), "twice")
    unknown = {f"{field}s": fields[field]} | fields
    if f"{field}s" not in ("sizess",):
        refused(write_nrrd(tmp_path / "a.nrrd", unknown, content(head)))


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 10, b"rubbish" * 1000, b"\x1f\x8b" + b"\xff" * 500, b"\x1f\x8b\x08\0"]
)
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "hex", "ascii", "zrl"])
def test_garbage_for_voxels(head, tmp_path, encoding, data):
    fields = nrrd_fields(sitk.GetArrayFromImage(head), head) | {"encoding": encoding}
    refused(write_nrrd(tmp_path / "a.nrrd", fields, data), "truncated|damaged|encoding")
    fields = meta_fields(sitk.GetArrayFromImage(head), head) | {"CompressedData": str(encoding != "raw")}
    refused(write_meta(tmp_path / "a.mha", fields, data), "truncated|damaged")


def test_headers_that_do_not_end(head, tmp_path):
    for name in ("a.mha", "a.nrrd"):
        start = b"NRRD0005\n" if name == "a.nrrd" else b"ObjectType = Image\n"
        for line in (
            b"# " + b"x" * 70 + b"\n",
            b"x" * 9,
            b"key:=value\n" if name == "a.nrrd" else b"Key = value\n",
        ):
            (tmp_path / name).write_bytes(start + line * (1_200_000 // len(line)))
            refused(tmp_path / name, "does not end|MetaImage")


def test_more_voxels_than_stated(head, tmp_path):
    """A header of half the slices over the voxels of all: half a head would be measured."""
    array = sitk.GetArrayFromImage(head)
    half = array[: len(array) // 2]
    data = array.tobytes()
    paths = [
        write_meta(tmp_path / "a.mha", meta_fields(half, head), data),
        write_nrrd(tmp_path / "a.nrrd", nrrd_fields(half, head), data),
        write_nrrd(tmp_path / "b.nrrd", nrrd_fields(half, head) | {"encoding": "gzip"}, gzip.compress(data)),
        write_meta(
            tmp_path / "b.mha", meta_fields(half, head) | {"CompressedData": "True"}, zlib.compress(data)
        ),
        tmp_path / "a.nii",
    ]
    paths[-1].write_bytes(patched(nifti_bytes(head, tmp_path), 46, "<h", len(half)))
    for path in paths:
        assert refused(path, "more data than its header states").code == "too_long"


@pytest.mark.parametrize(
    "size", ["40000 40000 40000", "1 1 999999999999999999", "1100 1100 1100", "800 800 800"]
)
def test_sizes_beyond_the_bound(head, tmp_path, size):
    """Refused by the header alone; 800 x 800 x 800 voxels of 16 bits are one GB."""
    meta = meta_fields(sitk.GetArrayFromImage(head), head) | {"DimSize": size}
    refused(write_meta(tmp_path / "a.mha", meta, content(head)), "more than are read here|2D")
    fields = nrrd_fields(sitk.GetArrayFromImage(head), head) | {"sizes": size}
    refused(write_nrrd(tmp_path / "a.nrrd", fields, content(head)), "more than are read here|2D")
    numbers = [min(int(n), 2**62) for n in size.split()]
    nib.save(nib.Nifti2Image(sitk.GetArrayFromImage(head).T, np.diag([2.8, 2.6, 3, 1])), tmp_path / "a.nii")
    (tmp_path / "a.nii").write_bytes(patched((tmp_path / "a.nii").read_bytes(), 24, "<3q", *numbers))
    refused(tmp_path / "a.nii", "more than are read here|truncated")


def largest_memory(path) -> int:
    """Read in a process of its own; the most memory it took, in kB."""
    # Not what `resource` states: that includes the memory of the process that started this one.
    program = (
        "import sys; from HippoSegLib.io.images import read_scan; from HippoSegLib.errors import InputError\n"
        "try: read_scan(sys.argv[1])\n"
        "except InputError:\n"
        "    print(*[w.split()[1] for w in open('/proc/self/status') if w.startswith('VmHWM')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read as Linux states it")
def test_bombs(head, tmp_path):
    """Some kB that unpack to 4 GB; a small and the largest size stated for them."""
    zeros = gzip.compress(bytes(1 << 26), 1) * 64
    header = nifti_bytes(head, tmp_path)[:352]
    (tmp_path / "small.nii.gz").write_bytes(gzip.compress(header) + zeros)
    assert largest_memory(tmp_path / "small.nii.gz") < 400 * 1024
    fields = nrrd_fields(sitk.GetArrayFromImage(head), head) | {"sizes": "1000 1000 499", "encoding": "gzip"}
    assert largest_memory(write_nrrd(tmp_path / "large.nrrd", fields, zeros)) < MAX_KB


def test_many_tiny_parts_end_soon(head, tmp_path):
    """A gzip file of a million empty parts is refused after some thousand."""
    good = nifti_bytes(head, tmp_path)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(good[:1000]) + gzip.compress(b"") * 300_000)
    refused(tmp_path / "a.nii.gz", "tiny parts")


@pytest.mark.parametrize("value", [3e38, -1.0, float("nan"), float("inf"), 1e12, 2.0**31])
def test_voxels_far_behind_the_header(head, tmp_path, value):
    (tmp_path / "a.nii").write_bytes(patched(nifti_bytes(head, tmp_path), 108, "<f", value))
    if not np.isfinite(value) or value < 0:  # taken as not stated, as ever
        assert read_scan(tmp_path / "a.nii").image.GetSize() == head.GetSize()
    else:
        refused(tmp_path / "a.nii", "impossible place|truncated")


@pytest.mark.parametrize("place", range(0, 284, 2))
def test_every_number_of_a_freesurfer_header(head, tmp_path, place):
    affine = np.diag([2.8, 2.6, 3, 1])
    nib.save(nib.MGHImage(sitk.GetArrayFromImage(head).T, affine), tmp_path / "a.mgh")
    good = (tmp_path / "a.mgh").read_bytes()
    for value in (-1, 0x7FFF):
        (tmp_path / "a.mgh").write_bytes(good[:place] + struct.pack(">h", value) + good[place + 2 :])
        try:
            assert read_scan(tmp_path / "a.mgh").image.GetSize() == head.GetSize()
        except InputError as error:
            assert error.cause.endswith(".") and "\n" not in str(error)
