"""What each kind of input means: which scans, of whom, and what is left out for which reason."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from HippoSegLib.batch.finding.scans import find_scans
from HippoSegLib.batch.naming import assign_names
from HippoSegLib.batch.record import Failure, RecordedSource, ScanRecord
from HippoSegLib.errors import InputError

IO = Path(__file__).resolve().parents[1] / "io"
if str(IO) not in sys.path:
    sys.path.insert(0, str(IO))


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def paths(found, below: Path) -> list[str]:
    return [source.path.relative_to(below).as_posix() for source in found.sources]


def codes(found) -> dict[str, str]:
    return {Path(one.path).name: one.code for one in found.left_out}


def bids(root: Path) -> Path:
    touch(root / "dataset_description.json", json.dumps({"Name": "x", "BIDSVersion": "1.9.0"}))
    for name in (
        "sub-02/anat/sub-02_T1w.nii.gz",
        "sub-01/ses-a/anat/sub-01_ses-a_run-1_T1w.nii.gz",
        "sub-01/ses-a/anat/sub-01_ses-a_run-2_T1w.nii",
        "sub-01/ses-a/anat/sub-01_ses-a_T2w.nii.gz",
        "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz",
        "sub-01/ses-b/func/sub-01_ses-b_bold.nii.gz",
        "sub-03/anat/sub-03_T2w.nii.gz",
        "derivatives/other/sub-02/anat/sub-02_desc-x_T1w.nii.gz",
    ):
        touch(root / name)
    return root


def test_files_keep_their_order_and_count_once(tmp_path):
    a, b = touch(tmp_path / "a.nii.gz"), touch(tmp_path / "b.mha")
    found = find_scans([b, a, b, str(tmp_path / "*.nii.gz"), a, touch(tmp_path / "c.nii"), b])
    assert paths(found, tmp_path) == ["b.mha", "a.nii.gz", "c.nii"]


def test_a_pattern_that_fits_nothing_is_said_and_a_missing_file_is_a_scan_that_fails(tmp_path):
    with pytest.raises(InputError) as caught:
        find_scans([str(tmp_path / "*.nii")])
    assert caught.value.code == "no_match"
    assert paths(find_scans([tmp_path / "none.nii"]), tmp_path) == ["none.nii"]


def test_a_pattern_reaches_into_folders_and_a_file_may_have_its_letters(tmp_path):
    touch(tmp_path / "x" / "y" / "T1.nrrd")
    touch(tmp_path / "odd[1].nii")
    found = find_scans([str(tmp_path / "**" / "T1*"), tmp_path / "odd[1].nii"])
    assert paths(found, tmp_path) == ["x/y/T1.nrrd", "odd[1].nii"]


def test_a_list_is_read_relative_to_itself(tmp_path):
    touch(tmp_path / "in" / "a, b.nii.gz")
    lines = "# remark\n\nin/a, b.nii.gz\n/abs/sub-7_ses-x_T1w.nii\n"
    found = find_scans([touch(tmp_path / "list.txt", lines)])
    assert [source.path.as_posix() for source in found.sources] == [
        (tmp_path / "in" / "a, b.nii.gz").as_posix(),
        "/abs/sub-7_ses-x_T1w.nii",
    ]
    assert (found.sources[1].subject, found.sources[1].session) == ("sub-7", "ses-x")


@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8-sig"), (";", "cp1252"), ("\t", "utf-16")])
def test_a_table_says_path_subject_and_session_whatever_spreadsheet_wrote_it(tmp_path, separator, encoding):
    rows = [("ID", "Path", "Visit", "age"), ("Müller", "x/ä.nii", "2", "70"), ("b", "y.nii", "", "71")]
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    path = tmp_path / ("t.tsv" if separator == "\t" else "t.csv")
    path.write_bytes(text.encode(encoding))
    found = find_scans([path])
    assert [(s.path, s.subject, s.session) for s in found.sources] == [
        (tmp_path / "x" / "ä.nii", "Müller", "2"),
        (tmp_path / "y.nii", "b", None),
    ]


@pytest.mark.parametrize("text", ["age,sex\n70,f\n", "", "path\n\n", 'path,x\n"a\n'])
def test_a_table_of_something_else_is_one_sentence(tmp_path, text):
    with pytest.raises(InputError) as caught:
        find_scans([touch(tmp_path / "t.csv", text)])
    assert caught.value.code == "no_table"


def test_the_t1_images_of_a_bids_data_set_with_subject_and_session(tmp_path):
    found = find_scans([bids(tmp_path)])
    assert paths(found, tmp_path) == [
        "sub-01/ses-a/anat/sub-01_ses-a_run-1_T1w.nii.gz",
        "sub-01/ses-a/anat/sub-01_ses-a_run-2_T1w.nii",
        "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz",
        "sub-02/anat/sub-02_T1w.nii.gz",
    ]
    who = [(source.subject, source.session) for source in found.sources]
    assert who == [("sub-01", "ses-a")] * 2 + [("sub-01", "ses-b"), ("sub-02", None)]
    assert codes(found) == {"sub-03": "no_t1w"}


def test_a_folder_tree_without_what_is_no_t1_and_with_data_sets_in_it(tmp_path):
    top = tmp_path / "study"
    for name in (
        "b/T1.nii.gz",
        "a/T1.nii.gz",
        "a/x.mhd",
        "a/x.raw",
        "a/notes.txt",
        ".hidden/c.nii",
        "a/.d.nii",
    ):
        touch(top / name)
    touch(top / "sub-9_ses-1_FLAIR.nii.gz")
    touch(top / "sub-9_ses-1_T1w.nii.gz")
    bids(top / "inner")
    touch(top / "results" / "dataset_description.json", '{"DatasetType": "derivative"}')
    touch(top / "results" / "sub-1_T1w.nii.gz")
    for name in ("orig", "T1", "brainmask", "aseg"):
        touch(top / "fs" / "s1" / "mri" / f"{name}.mgz")
    touch(top / "out" / "z.nii.gz")
    found = find_scans([top], output=top / "out")
    outer = [path for path in paths(found, top) if not path.startswith("inner/")]
    assert outer == [
        "sub-9_ses-1_T1w.nii.gz",
        "a/T1.nii.gz",
        "a/x.mhd",
        "b/T1.nii.gz",
        "fs/s1/mri/orig.mgz",
    ]
    assert len(found.sources) == len(outer) + 4
    left_out = codes(found)
    assert left_out["sub-9_ses-1_FLAIR.nii.gz"] == "not_t1" and left_out["results"] == "derivative"
    assert [name for name, code in left_out.items() if code == "freesurfer"] == [
        "T1.mgz",
        "aseg.mgz",
        "brainmask.mgz",
    ]
    names = assign_names(found.sources, lambda name, source: "free")
    assert names[:4] == ["sub-9_ses-1_T1w", "a_T1", "a_x", "b_T1"]


def test_a_scan_in_a_tree_is_called_the_same_whatever_else_is_there(tmp_path):
    touch(tmp_path / "s1" / "T1.nii.gz")
    alone = assign_names(find_scans([tmp_path]).sources, lambda name, source: "free")
    touch(tmp_path / "s2" / "T1.nii.gz")
    both = assign_names(find_scans([tmp_path]).sources, lambda name, source: "free")
    assert alone == ["s1_T1"] and both == ["s1_T1", "s2_T1"]


def test_a_name_says_nothing_twice(tmp_path):
    touch(tmp_path / "sub-1" / "ses-2" / "anat" / "sub-1_acq-x_T1w.nii")
    touch(tmp_path / "sub-1" / "sub-1_T1w.nii")
    touch(tmp_path / "sub-1" / "T1.nii")
    names = assign_names(find_scans([tmp_path]).sources, lambda name, source: "free")
    assert sorted(names) == ["ses-2_sub-1_acq-x_T1w", "sub-1_T1", "sub-1_T1w"]


def test_results_may_lie_beside_the_scans(tmp_path):
    touch(tmp_path / "a.nii.gz")
    assert paths(find_scans([tmp_path], output=tmp_path), tmp_path) == ["a.nii.gz"]


def test_results_of_hipposeg_are_no_scans(tmp_path):
    touch(tmp_path / "a.nii.gz")
    source, failure = RecordedSource("a.nii.gz", "0"), Failure("x", "input", "y")
    record = ScanRecord("a", "failed", source, failure=failure)
    touch(tmp_path / "a_hippocampus.json", record.to_json())
    for name in ("a_hippocampus.nii.gz", "a_left_probability.nii.gz"):
        touch(tmp_path / name)
    found = find_scans([tmp_path])
    assert paths(found, tmp_path) == ["a.nii.gz"] and set(codes(found).values()) == {"is_result"}


def test_only_what_fits_the_pattern(tmp_path):
    for name in ("s1/T1.nii.gz", "s1/T2.nii.gz", "s2/T1.nii.gz"):
        touch(tmp_path / name)
    assert paths(find_scans([tmp_path], match="T1*"), tmp_path) == ["s1/T1.nii.gz", "s2/T1.nii.gz"]
    assert paths(find_scans([tmp_path], match="s2/*"), tmp_path) == ["s2/T1.nii.gz"]


def test_a_folder_without_scans_is_one_sentence(tmp_path):
    touch(tmp_path / "sub-1_bold.nii.gz")
    with pytest.raises(InputError, match="1 x another image") as caught:
        find_scans([tmp_path])
    assert caught.value.code == "no_scans"


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_a_folder_that_cannot_be_read_is_listed(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "T1.nii")
    touch(tmp_path / "closed" / "T1.nii")
    listdir = os.listdir

    def refuse(place):
        if Path(place).name == "closed":
            raise PermissionError(13, "Permission denied")
        return listdir(place)

    monkeypatch.setattr(os, "listdir", refuse)
    found = find_scans([tmp_path])
    assert paths(found, tmp_path) == ["a/T1.nii"] and codes(found) == {"closed": "unreadable"}


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_links_to_folders_are_followed_once(tmp_path):
    touch(tmp_path / "store" / "a.nii.gz")
    top = tmp_path / "top"
    (top / "deep").mkdir(parents=True)
    os.symlink(tmp_path / "store", top / "link")
    os.symlink(top, top / "deep" / "round")
    assert paths(find_scans([top]), top) == ["link/a.nii.gz"]
