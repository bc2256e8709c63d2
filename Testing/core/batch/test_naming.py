"""Names of results: unique, the same in every order, never those of another scan, fit for any file system."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest
from standin import table, write_scan

from HippoSegLib.batch import run as batch
from HippoSegLib.batch import runner
from HippoSegLib.batch.naming import candidates, name_key, output_names, portable_name
from HippoSegLib.batch.record import read_record
from HippoSegLib.batch.source import Source, file_sha256
from HippoSegLib.errors import InputError

THREE = ("s.nii", "s.nii.gz", "s_nii.mha")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["head.nii.gz"], ["head"]),
        (["a/x.nii.gz", "b/y.nii"], ["x", "y"]),
        (["sub-1/T1.nii.gz", "sub-2/T1.nii.gz"], ["sub-1_T1", "sub-2_T1"]),
        (["s1/anat/T1.nii.gz", "s2/anat/T1.nii.gz"], ["s1_anat_T1", "s2_anat_T1"]),
        (["a/sub-1_T1.nii", "sub-1/T1.nii", "sub-2/T1.nii"], ["a_sub-1_T1", None, "sub-2_T1"]),
    ],
)
def test_scans_of_one_name_are_told_apart_by_their_folders(tmp_path, paths, names):
    found = output_names([tmp_path / p for p in paths])
    assert len(set(found)) == len(found)
    assert [f for f, n in zip(found, names, strict=True) if n] == [n for n in names if n]


def test_names_do_not_depend_on_the_order(tmp_path):
    files = (*THREE, "T1.nii.gz", "t1.nrrd")
    paths = [tmp_path / folder / name for folder in ("a", "b", "b/a") for name in files]
    expected = dict(zip(paths, output_names(paths), strict=True))
    assert len({name_key(name) for name in expected.values()}) == len(paths)
    for seed in range(20):
        mixed = random.Random(seed).sample(paths, len(paths))
        assert dict(zip(mixed, output_names(mixed), strict=True)) == expected


def test_one_scan_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="given twice"):
        output_names([tmp_path / "a.nii", tmp_path / "b" / ".." / "a.nii"])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("split", [(3,), (1, 2), (2, 1), (1, 1, 1)])
def test_three_kinds_of_file_have_three_results_in_every_order_of_files_and_calls(
    tmp_path, pipeline, order, split
):
    scans = [write_scan(tmp_path / "in" / name, seed) for seed, name in enumerate(THREE)]
    given, out = [scans[i] for i in order], tmp_path / "out"
    for count in split:
        call, given = given[:count], given[count:]
        outcomes = list(batch.segment_files(call, out, picture=False))
        assert [outcome.error for outcome in outcomes] == [None] * count
    rows = table(out)
    assert len({row["scan"] for row in rows}) == 3
    assert {row["source"] for row in rows} == {scan.as_posix() for scan in scans}
    for row in rows:
        record = read_record(out / f"{row['scan']}_hippocampus.json")
        assert record.source.sha256 == file_sha256(Path(row["source"]))


def test_a_name_that_another_scan_has_is_never_taken_and_ones_own_is_kept(tmp_path, pipeline):
    out = tmp_path / "out"
    scans = [write_scan(tmp_path / f"sub-{n}" / "T1.nii.gz", n) for n in range(3)]
    names = [outcome.scan for scan in scans for outcome in batch.segment_files([scan], out, picture=False)]
    assert names == ["T1", "sub-1_T1", "sub-2_T1"]
    for order in itertools.permutations(range(3)):
        again = list(batch.segment_files([scans[i] for i in order], out, picture=False, overwrite=True))
        assert [outcome.scan for outcome in again] == [names[i] for i in order]
    assert len(table(out)) == 3


def test_a_name_given_away_while_a_scan_was_segmented_is_not_taken(tmp_path, pipeline, monkeypatch):
    """Another process was faster with a scan of the same name."""
    mine, other = (write_scan(tmp_path / folder / "T1.nii.gz", n) for n, folder in enumerate("ab"))
    out, segment = tmp_path / "out", runner.segment

    def slow(scan, options, progress=None, cancel=None):
        if not out.joinpath("T1_hippocampus.json").exists():
            monkeypatch.setattr(runner, "segment", segment)
            list(batch.segment_files([other], out, picture=False))
        return segment(scan, options, progress, cancel)

    monkeypatch.setattr(runner, "segment", slow)
    (outcome,) = batch.segment_files([mine], out, picture=False)
    assert outcome.error is None and outcome.scan == "a_T1"
    assert {row["scan"]: row["source"] for row in table(out)} == {
        "T1": other.as_posix(),
        "a_T1": mine.as_posix(),
    }


def test_a_folder_mounted_elsewhere_is_the_same_scan(tmp_path, pipeline, monkeypatch):
    """Another computer sees the study under another path: same name as given, same content."""
    for place in ("mount1", "mount2"):
        write_scan(tmp_path / place / "sub-1" / "T1.nii.gz")
    other = write_scan(tmp_path / "mount3" / "sub-1" / "T1.nii.gz", 7)
    for place, is_done in (("mount1", False), ("mount2", True)):
        monkeypatch.chdir(tmp_path / place)
        (outcome,) = batch.segment_files(["sub-1/T1.nii.gz"], tmp_path / "out", picture=False)
        assert outcome.scan == "T1" and outcome.error is None and outcome.skipped is is_done
    monkeypatch.chdir(other.parents[1])
    (outcome,) = batch.segment_files(["sub-1/T1.nii.gz"], tmp_path / "out", picture=False)
    assert outcome.scan == "sub-1_T1" and outcome.error is None


def test_two_series_of_one_folder_have_two_results(tmp_path, pipeline, monkeypatch):
    from standin import read

    (tmp_path / "scan-7").mkdir()
    monkeypatch.setattr(runner, "read_scan", read)
    names = []
    for series in ("1", "2", "1"):
        options = {"series": series, "picture": False, "overwrite": True}
        names += [o.scan for o in batch.segment_files([tmp_path / "scan-7"], tmp_path / "out", **options)]
    assert names == ["scan-7", "scan-7_series_2", "scan-7"]


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("head", "head"),
        ("Größe 1,5 T", "Größe 1,5 T"),
        ("-v", "_v"),
        (".hidden", "_hidden"),
        ("=1+1", "_1+1"),
        ("a:b?\n\tc", "a_b___c"),
        ("con.T1", "_con.T1"),
        ("NUL", "_NUL"),
        ("ends.", "ends"),
        ("", "_"),
        ("\udcff", "%FF"),
        (unicodedata.normalize("NFD", "ü"), "ü"),
    ],
)
def test_names_fit_every_file_system(name, portable):
    assert portable_name(name) == portable


def test_long_names_are_cut_and_stay_distinct(tmp_path):
    paths = [tmp_path / f"{'ä' * 120}{end}.nii" for end in "ab"]
    names = output_names(paths)
    assert len(set(names)) == 2 and all(len(name.encode()) <= 100 for name in names)


def test_every_candidate_is_of_the_scans_own_path_alone(tmp_path):
    found = candidates(Source(tmp_path / "sub-1" / "anat" / "T1.nii.gz"))
    assert found[:3] == ("T1", "anat_T1", "sub-1_anat_T1") and found[-1].startswith("T1_nii_gz-")
    assert len(set(found)) == len(found)


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_names_that_are_no_text_and_odd_ones_go_through(tmp_path, pipeline):
    source = write_scan(tmp_path / "plain.nii.gz")
    folder = os.fsencode(tmp_path / "in")
    os.mkdir(folder)
    names = [b"caf\xe9.nii.gz", b"caf\xe8.nii.gz", b"-o.nii.gz", b"a\nb.nii.gz", b"%s%n.nii.gz", b"=1.nii.gz"]
    names.append(b"CON.T1.nii.gz")
    paths = []
    for name in names:
        shutil.copy(source, os.path.join(folder, name))
        paths.append(os.fsdecode(os.path.join(folder, name)))
    outcomes = list(batch.segment_files(paths, tmp_path / "out"))
    assert [outcome.error for outcome in outcomes] == [None] * len(names)
    assert [outcome.scan for outcome in outcomes] == [
        "caf%E9",
        "caf%E8",
        "_o",
        "a_b",
        "%s%n",
        "_1",
        "_CON.T1",
    ]
    rows = table(tmp_path / "out")
    assert len(rows) == len(names) and any(row["source"].endswith(r"caf\xe9.nii.gz") for row in rows)
