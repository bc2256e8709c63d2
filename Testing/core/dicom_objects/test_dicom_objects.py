"""DICOM objects, read back with pydicom, with dcmqi and checked by dciodvfy: other people's programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicomresults import FRAME, KINDS, SERIES, STUDY, plain, result_of

from HippoSegLib.errors import DependencyError, InputError
from HippoSegLib.io.images import check_scan, read_scan
from HippoSegLib.labels import COLORS, PART, WHOLE
from HippoSegLib.reference.values import Judged, Judgement, Person, Remark
from HippoSegLib.results.volumes import voxel_volume

highdicom = pytest.importorskip("highdicom", reason="highdicom writes the objects")
from HippoSegLib.dicom_objects.source import source_series  # noqa: E402
from HippoSegLib.dicom_objects.writing import write_objects  # noqa: E402


def written(folder: Path, out: Path, parts: bool = False, provenance=None, **options):
    """Scan, result, segmentation and report of a series."""
    scan = read_scan(folder)
    result = result_of(scan.image, parts, **options)
    out.mkdir()
    paths = [out / "seg.dcm", out / "sr.dcm"]
    source = source_series(scan.slices, scan.image)
    write_objects(
        result.labels, result.measurements.as_row(), result.provenance | (provenance or {}), source, paths
    )
    return scan, result, *map(pydicom.dcmread, paths)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`written` for a kind of series, whole or in parts, and where the files lie; made once."""

    @cache
    def make(kind: str, parts: bool):
        folder = tmp_path_factory.mktemp(kind)
        return *written(KINDS[kind](folder / "s"), folder / "out", parts), folder / "out"

    return make


def program(name: str) -> str:
    """A program beside Python, or on the path; the test is skipped where there is none."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def by_pydicom(data: pydicom.Dataset, image: sitk.Image) -> np.ndarray:
    """Segment numbers (z, y, x) on an image's grid, each frame put where it says that it lies."""
    frames = np.unpackbits(np.frombuffer(data.PixelData, np.uint8), bitorder="little")
    frames = frames[: data.NumberOfFrames * data.Rows * data.Columns].reshape(-1, data.Rows, data.Columns)
    array = np.zeros(image.GetSize()[::-1], np.uint8)
    for plane, frame in zip(frames, data.PerFrameFunctionalGroupsSequence, strict=True):
        place = [float(v) for v in frame.PlanePositionSequence[0].ImagePositionPatient]
        index = image.TransformPhysicalPointToContinuousIndex(place)
        np.testing.assert_allclose(index, (0, 0, round(index[2])), atol=1e-3)
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        array[round(index[2])][plane > 0] = number
    return array


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
def test_the_same_voxels_at_the_same_places(kind, parts, made):
    scan, result, segmented, *_ = made(kind, parts)
    values = [17, 53] if not parts else [171, 172, 531, 532]
    labels = sitk.GetArrayFromImage(result.labels)
    expected = sum((labels == value) * number for number, value in enumerate(values, start=1))
    assert np.array_equal(by_pydicom(segmented, scan.image), expected)
    measures = segmented.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    spacing = [*map(float, measures.PixelSpacing[::-1]), float(measures.SpacingBetweenSlices)]
    np.testing.assert_allclose(spacing, scan.image.GetSpacing(), rtol=1e-6)
    # Empty frames are left out: a segment has as many as its box has planes.
    assert segmented.NumberOfFrames == len(values) // 2 * (4 + 3)


@pytest.mark.parametrize("kind", KINDS)
def test_dcmqi_reads_the_same_voxels_and_geometry(kind, made, tmp_path):
    scan, result, *_, out = made(kind, False)
    command = [program("segimage2itkimage"), "--inputDICOM", out / "seg.dcm", "-t", "nrrd"]
    (tmp_path / "q").mkdir()
    subprocess.run([*command, "--outputDirectory", tmp_path / "q"], check=True, capture_output=True)
    (first,), (second,) = json.loads((tmp_path / "q" / "meta.json").read_text())["segmentAttributes"]
    for number, (said, side) in enumerate(((first, "left"), (second, "right")), start=1):
        segment = sitk.ReadImage(str(tmp_path / "q" / f"{number}.nrrd"))
        # dcmqi's image holds the segment's own slices; brought to the scan's grid no voxel differs.
        np.testing.assert_allclose(segment.GetSpacing(), scan.image.GetSpacing(), rtol=1e-5)
        there = sitk.Resample(segment, result.labels, sitk.Transform(), sitk.sitkNearestNeighbor)
        mask = sitk.GetArrayFromImage(result.labels) == WHOLE[side]
        assert np.array_equal(sitk.GetArrayFromImage(there) > 0, mask) and mask.any()
        assert sitk.GetArrayViewFromImage(segment).astype(bool).sum() == mask.sum()
        assert said["SegmentLabel"] == f"{side.capitalize()} hippocampus"
        modifier = said["SegmentedPropertyTypeModifierCodeSequence"]
        assert modifier["CodeValue"] == {"left": "7771000", "right": "24028007"}[side]
        np.testing.assert_allclose(said["recommendedDisplayRGBValue"], np.multiply(COLORS[side], 255), atol=2)


@pytest.mark.no_cover
def test_a_real_oblique_series_keeps_every_voxel(data_dir, tmp_path):
    scan, result, segmented, _ = written(data_dir / "dicom_head" / "series", tmp_path / "out")
    labels = sitk.GetArrayFromImage(result.labels)
    assert np.array_equal(by_pydicom(segmented, scan.image), (labels == 17) + 2 * (labels == 53))


def test_dcmqi_reads_the_same_volumes(made, tmp_path):
    _, result, *_, out = made("plain", False)
    command = [program("tid1500reader"), "--inputDICOM", out / "sr.dcm"]
    subprocess.run([*command, "--outputMetadata", tmp_path / "sr.json"], check=True, capture_output=True)
    read = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    unit = voxel_volume(result.labels)
    for number, (group, side) in enumerate(zip(read, ("left", "right"), strict=True), start=1):
        (item,) = group["measurementItems"]
        count = int((sitk.GetArrayViewFromImage(result.labels) == WHOLE[side]).sum())
        assert float(item["value"]) == pytest.approx(count * unit, abs=0.001)
        assert item["units"]["CodeValue"] == "mm3" and item["quantity"]["CodeValue"] == "118565006"
        assert group["Laterality"]["CodeMeaning"] == side.capitalize()
        assert group["Finding"]["CodeValue"] == "5366008" and group["ReferencedSegment"] == number


@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
def test_percentile_and_z_stand_beside_the_volume_of_a_side(parts, tmp_path):
    """As a record holds a comparison; dcmqi and pydicom read the report."""
    left, right = (Judged(1.0, p, p / 2, p * 1.5, z, 1.0, 1.0, 1.0) for p, z in ((4.25, -1.7312), (60, 0.25)))
    note = Remark("scanner", "The controls were scanned elsewhere.")
    judgement = Judgement(
        64, Person(70, "female"), {"left": left, "right": right, "total": left}, notes=(note,)
    )
    compared = {"reference": json.loads(json.dumps(judgement.to_dict()))}
    *_, report = written(plain(tmp_path / "s"), tmp_path / "out", parts, compared)
    found = {}
    for group in groups_of(report):
        (tracked,) = (
            item.TextValue for item in group if item.ConceptNameCodeSequence[0].CodeValue == "112039"
        )
        (volume,) = (item for item in group if item.ValueType == "NUM")
        content = {item.ConceptNameCodeSequence[0].CodeValue: item for item in volume.ContentSequence}
        if "121415" in content:
            values = [
                float(content[code].MeasuredValueSequence[0].NumericValue) for code in ("121415", "121416")
            ]
            found[tracked] = (*values, content["121405"].TextValue)
    assert {side: values[:2] for side, values in found.items()} == {
        "Left hippocampus": (4.25, -1.731),
        "Right hippocampus": (60.0, 0.25),
    }
    said = found["Left hippocampus"][2]
    assert "64 controls" in said and "2.1 to 6.4" in said and note.sentence in said
    done = subprocess.run([program("dciodvfy"), "-new", tmp_path / "out" / "sr.dcm"], capture_output=True)
    assert b"Error" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["plain", "oblique", "multi_frame"])
@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
def test_dciodvfy_has_no_complaint(kind, parts, made):
    check = program("dciodvfy")
    *_, out = made(kind, parts)
    for name, title in (("seg.dcm", "Segmentation"), ("sr.dcm", "Comprehensive3DSR")):
        done = subprocess.run([check, "-new", out / name], capture_output=True, text=True)
        assert title in done.stdout + done.stderr
        assert "Error" not in done.stdout + done.stderr, done.stderr


def test_dcentvfy_finds_one_patient_one_study_and_one_frame_of_reference(tmp_path):
    """The second validator: source and objects together, as an archive receives them."""
    check = program("dcentvfy")
    folder = plain(tmp_path / "s")
    *_, report = written(folder, tmp_path / "out")
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) == len(list(folder.iterdir())) + 2

    def verified() -> subprocess.CompletedProcess:
        return subprocess.run([check, *files], capture_output=True, text=True)

    done = verified()
    assert done.returncode == 0 and "Error" not in done.stdout + done.stderr
    report.PatientID = "OTHER"
    report.save_as(tmp_path / "out" / "sr.dcm")
    done = verified()
    assert done.returncode != 0 and "Different PatientID" in done.stdout + done.stderr


def test_dcmtk_reads_the_report(made):
    read = program("dsrdump")
    _, result, _, _, out = made("plain", False)
    done = subprocess.run([read, out / "sr.dcm"], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.strip()
    volumes = result.measurements.as_row()
    for side, code in (("left", "7771000"), ("right", "24028007")):
        part = done.stdout.split(f'"{side.capitalize()} hippocampus"')[1].split("Measurement Group")[0]
        assert code in part and f'"Volume")="{volumes[f"{side}_mm3"]:.1f}"' in part


def test_patient_and_study_are_the_source_s_and_empty_sequences_are_dropped(tmp_path):
    folder = plain(
        tmp_path / "s",
        SpecificCharacterSet="ISO_IR 100",
        PatientName="Müller^Jörg",
        PatientAge="034Y",
        ProcedureCodeSequence=[],
        OtherPatientIDsSequence=[],
    )
    scan, _, *objects = written(folder, tmp_path / "out")
    uids = set()
    for data in objects:
        assert (data.PatientName, data.PatientID, data.PatientAge) == ("Müller^Jörg", "SECRET1", "034Y")
        assert (data.StudyInstanceUID, data.StudyID, data.AccessionNumber) == (STUDY, "S7", "A1")
        assert (data.PatientSex, data.StudyTime, data.ReferringPhysicianName) == (
            "F",
            "101500",
            "Hidden^Helen",
        )
        assert "ProcedureCodeSequence" not in data and "OtherPatientIDsSequence" not in data
        uids |= {data.SOPInstanceUID, data.SeriesInstanceUID}
        assert data.SeriesNumber // 100 == 7 and data.Manufacturer == "HippoSeg"
    segmented, report = objects
    assert len(uids) == 4 and segmented.FrameOfReferenceUID == FRAME
    assert segmented.ReferencedSeriesSequence[0].SeriesInstanceUID == SERIES
    own = {one.identity.sop_instance for one in scan.slices}
    named = {one.ReferencedSOPInstanceUID for one in segmented.SourceImageSequence}
    assert named == own
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_codes_algorithm_and_tracking(made):
    *_, segmented, report, _ = made("plain", True)
    for segment, value in zip(segmented.SegmentSequence, (171, 172, 531, 532), strict=True):
        side = "left" if value < 200 else "right"
        part = next(name for name, one in PART[side].items() if one == value)
        assert segment.SegmentLabel == f"{side.capitalize()} hippocampus, {part} part"
        (category,), (kind,) = (
            segment.SegmentedPropertyCategoryCodeSequence,
            segment.SegmentedPropertyTypeCodeSequence,
        )
        assert (category.CodeValue, kind.CodeValue) == ("91723000", "5366008")
        meanings = [one.CodeMeaning for one in kind.SegmentedPropertyTypeModifierCodeSequence]
        assert meanings == [side.capitalize(), part.capitalize()]
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert (segment.SegmentAlgorithmType, algorithm.AlgorithmName) == ("AUTOMATIC", "HippoSeg")
        assert "hipposeg" in algorithm.AlgorithmParameters
    tracked = {segment.TrackingUID for segment in segmented.SegmentSequence}
    groups = groups_of(report)
    # Four parts, and both sides as a whole.
    assert len(tracked) == 4 and len(groups) == 6
    assert tracked <= {item.UID for group in groups for item in group if "UID" in item}


def groups_of(report) -> list:
    """The content of each measurement group."""
    (measured,) = (
        one for one in report.ContentSequence if one.ConceptNameCodeSequence[0].CodeValue == "126010"
    )
    return [group.ContentSequence for group in measured.ContentSequence]


def test_one_side_alone_has_one_segment(tmp_path):
    *_, segmented, report = written(plain(tmp_path / "s"), tmp_path / "out", sides=("right",))
    assert [one.SegmentLabel for one in segmented.SegmentSequence] == ["Right hippocampus"]
    assert len(groups_of(report)) == 1


@pytest.mark.parametrize("born", ["unknown", "20200230", ["19700101", "19800101"]])
def test_malformed_elements_of_the_source_are_left_out(born, tmp_path):
    """Dates, a sex and an age as anonymisers leave them: an archive would refuse the object."""
    folder = plain(
        tmp_path / "s",
        PatientBirthDate=born,
        PatientSex="Female",
        StudyTime="noon",
        PatientAge="34",
        StudyID="",
        PatientName=["Doe", "Jane"],
    )
    *_, segmented, report = written(folder, tmp_path / "out")
    for data in (segmented, report):
        assert not data.PatientBirthDate and not data.PatientSex and not data.StudyTime
        assert "PatientAge" not in data and data.StudyDate == "19700102"
        assert data.PatientName == "Doe Jane"


def test_a_damaged_sequence_of_the_source_is_left_out(tmp_path):
    procedure = pydicom.Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator, procedure.CodeMeaning = "1", "99X", "Head"
    folder = plain(tmp_path / "s", ProcedureCodeSequence=[procedure])
    *_, segmented, _ = written(folder, tmp_path / "whole")
    assert segmented.ProcedureCodeSequence[0].CodeMeaning == "Head"
    for path in folder.iterdir():  # the type of the first element in it is no type
        content = path.read_bytes()
        assert content.count(b"\x08\0\0\x01SH") == 1
        path.write_bytes(content.replace(b"\x08\0\0\x01SH", b"\x08\0\0\x01AA"))
    *_, segmented, _ = written(folder, tmp_path / "damaged")
    assert "ProcedureCodeSequence" not in segmented


def test_a_character_set_nobody_knows_becomes_utf_8(tmp_path):
    folder = plain(tmp_path / "s", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO-8859-1"))
    *_, segmented, _ = written(folder, tmp_path / "out")
    assert segmented.SpecificCharacterSet == "ISO_IR 192"
    assert str(segmented.PatientName).startswith("M")


def refused(folder: Path) -> InputError:
    scan = read_scan(folder)
    with pytest.raises(InputError) as caught:
        source_series(scan.slices, scan.image)
    for secret in ("SECRET", "Doe", "1.2.3"):
        assert secret not in str(caught.value)
    return caught.value


def test_a_scan_that_is_no_series_is_refused_in_one_sentence(tmp_path, sample_path):
    scan = check_scan(sitk.ReadImage(str(sample_path)))
    with pytest.raises(InputError) as caught:
        source_series(scan.slices, scan.image)
    assert caught.value.code == "not_dicom"


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "StudyInstanceUID"])
def test_a_series_without_what_objects_refer_to_is_refused(keyword, tmp_path):
    assert refused(plain(tmp_path / "s", **{keyword: None})).code == "dicom_reference"


def test_files_of_an_unknown_kind_are_refused(tmp_path):
    assert refused(plain(tmp_path / "s", SOPClassUID="1.2.276.0.7230010.3.1.0.1")).code == "dicom_reference"


def test_without_highdicom_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    scan = read_scan(plain(tmp_path / "s"))
    monkeypatch.setitem(sys.modules, "highdicom.seg", None)
    with pytest.raises(DependencyError, match=r"hipposeg\[dicom\]"):
        source_series(scan.slices, scan.image)
