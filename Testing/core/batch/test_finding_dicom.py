"""DICOM trees: one scan per series that looks like a T1, the others with the reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("pydicom")
IO = Path(__file__).resolve().parents[1] / "io"
if str(IO) not in sys.path:
    sys.path.insert(0, str(IO))

from dicomwriter import write_series  # noqa: E402

from HippoSegLib.batch.finding.scans import find_scans  # noqa: E402
from HippoSegLib.batch.naming import assign_names  # noqa: E402
from HippoSegLib.errors import InputError  # noqa: E402
from HippoSegLib.io.images import read_image  # noqa: E402


def series(
    folder: Path, number: int, step: float = 3.0, study: str = "1.2.3", prefix: str = "", **tags
) -> None:
    """A series of 16 sagittal slices in a folder, beside others if `prefix` differs."""

    def change(data, at):
        data.ImagePositionPatient = [-24.0 + step * at, -70.0, 80.0]
        data.SeriesInstanceUID = f"{study}.{number}"

    scratch = folder / f"scratch{number}"
    write_series(scratch, change=change, SeriesNumber=number, StudyInstanceUID=study, **tags)
    for path in scratch.iterdir():
        path.rename(folder / f"{prefix}{number}-{path.name}")
    scratch.rmdir()


def found_in(folder: Path) -> tuple[list[tuple[str, str | None]], dict[str, str]]:
    found = find_scans([folder])
    scans = [(source.path.relative_to(folder).as_posix(), source.series) for source in found.sources]
    return scans, {f"{Path(one.path).name} {one.series}": one.code for one in found.left_out}


def test_a_tree_of_patients_and_series(tmp_path):
    for patient, folder, number, tags in (
        ("p1", "mprage", 2, {"EchoTime": 2.9, "ImageType": ["ORIGINAL", "PRIMARY", "M"]}),
        ("p1", "t2", 3, {"EchoTime": 98.0}),
        ("p1", "scout", 1, {"step": 9.0}),
        ("p1", "tof", 4, {"EchoTime": 3.5, "AngioFlag": "Y"}),
        ("p2", "a", 5, {}),
        ("p2", "ct", 6, {"Modality": "CT"}),
    ):
        place = tmp_path / patient / folder
        place.mkdir(parents=True)
        series(place, number, **tags)
    scans, left_out = found_in(tmp_path)
    assert scans == [("p1/mprage", None), ("p2/a", None)]
    assert left_out == {
        "t2 3": "not_t1",
        "scout 1": "thick",
        "tof 4": "angiography",
        "ct 6": "not_mr",
    }
    names = assign_names(find_scans([tmp_path]).sources, lambda name, source: "free")
    assert names == ["p1_mprage", "p2_a"]


def test_several_series_in_one_folder_are_read_by_their_numbers(tmp_path):
    original, derived = ["ORIGINAL", "PRIMARY"], ["DERIVED", "SECONDARY", "MPR"]
    series(tmp_path, 2, EchoTime=3.0, ImageType=original)
    series(tmp_path, 3, EchoTime=100.0, ImageType=original)
    series(tmp_path, 4, EchoTime=3.0, ImageType=derived)
    series(tmp_path, 5, EchoTime=3.0, ImageType=original)
    scans, left_out = found_in(tmp_path)
    assert scans == [(".", "2"), (".", "5")]
    assert set(left_out.values()) == {"not_t1", "derived"}
    for _, number in scans:
        assert read_image(tmp_path, series=number).GetSize()[2] == 16


def test_a_derived_series_is_all_that_an_anonymised_study_may_have(tmp_path):
    series(tmp_path, 4, ImageType=["DERIVED", "SECONDARY"])
    assert found_in(tmp_path) == ([(".", None)], {})


def test_a_cd_with_few_images_per_folder_is_read_from_its_top(tmp_path):
    series(tmp_path, 1, EchoTime=3.0)
    for at, path in enumerate(sorted(tmp_path.iterdir())):
        place = tmp_path / "DICOM" / f"S{at // 4}"
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)
    (tmp_path / "DICOMDIR").write_bytes(b"list of contents")
    assert found_in(tmp_path) == ([(".", None)], {})
    (source,) = find_scans([tmp_path / "DICOMDIR"]).sources
    assert source.path == tmp_path and read_image(source.path).GetSize()[2] == 16


def test_a_folder_with_another_contrast_alone_says_so(tmp_path):
    series(tmp_path, 3, EchoTime=100.0)
    with pytest.raises(InputError, match="1 x another contrast than T1"):
        find_scans([tmp_path])


def test_scans_of_both_kinds_in_one_tree(tmp_path):
    (tmp_path / "d").mkdir()
    series(tmp_path / "d", 1)
    (tmp_path / "a.nii.gz").touch()
    assert found_in(tmp_path)[0] == [("a.nii.gz", None), ("d", None)]
