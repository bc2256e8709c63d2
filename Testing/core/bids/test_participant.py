"""The participant level: a derivative that the BIDS validator accepts, and raw data that stay as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.batch.record import RecordedSource, read_record
from HippoSegLib.batch.source import file_sha256
from HippoSegLib.bids.layout import BIDS
from HippoSegLib.commands.bids import main
from HippoSegLib.labels import PART, SIDES, WHOLE
from HippoSegLib.pipeline import SegmentationResult
from HippoSegLib.results.volumes import measure

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"
STEMS = ("sub-01/ses-a/anat/sub-01_ses-a_run-1", "sub-01/ses-b/anat/sub-01_ses-b")
STEMS += ("sub-02/anat/sub-02_acq-mprage",)


def tree(root: Path) -> set[str]:
    """The files below a folder, hidden ones left out."""
    paths = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return {path for path in paths if not path.startswith(".")}


def state(root: Path) -> dict[str, tuple[int, str]]:
    return {name: ((root / name).stat().st_mtime_ns, file_sha256(root / name)) for name in tree(root)}


def errors(folder: Path) -> list[str]:
    """The codes of what the BIDS validator calls errors."""
    pytest.importorskip(
        "bids_validator_deno", reason="bids-validator-deno is not installed (requirements/test.txt)"
    )
    program = Path(sys.executable).with_name("bids-validator-deno")
    if not program.exists():
        pytest.skip("bids-validator-deno is not beside this Python")
    done = subprocess.run([program, "--json", str(folder)], capture_output=True, text=True, timeout=120)
    issues = json.loads(done.stdout)["issues"]["issues"]
    found = [f"{one['code']} {one.get('location', '')}" for one in issues if one["severity"] == "error"]
    assert bool(found) == (done.returncode != 0)
    return found


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_derivative_is_as_the_conventions_say_and_the_raw_data_stay(dataset, pipeline, capsys):
    before, out = state(dataset), dataset / "derivatives" / "hipposeg"
    assert run(dataset, out, "participant", "--probabilities", "--n-cpus", 1) == 65  # one scan is damaged
    assert "sub-03" in "".join(capsys.readouterr())
    raw = {name: entry for name, entry in state(dataset).items() if not name.startswith("derivatives/")}
    assert raw == before
    maps = [f"_label-{name}_probseg.{end}" for name in ("HIPL", "HIPR") for end in ("nii.gz", "json")]
    ends = ["_dseg.nii.gz", "_dseg.json", "_dseg.tsv", "_volumes.tsv", "_volumes.json", *maps]
    files = {f"{stem}_seg-hipposeg{end}" for stem in STEMS for end in ends}
    files |= {f"{stem}_record.json" for stem in (*STEMS, "sub-03/anat/sub-03")}
    names = [stem.split("/")[-1] for stem in STEMS]
    files |= {f"{name.split('_')[0]}/figures/{name}_seg-hipposeg_dseg.png" for name in names}
    assert tree(out) == files | {"dataset_description.json", "README"}
    sidecar = json.loads((out / f"{STEMS[0]}_seg-hipposeg_dseg.json").read_text())
    assert sidecar["Sources"] == [f"bids:raw:{STEMS[0]}_T1w.nii.gz"]
    assert (sidecar["SpatialReference"], sidecar["Manual"]) == ("orig", False)
    said = json.loads((out / "dataset_description.json").read_text())
    assert said["DatasetType"] == "derivative" and said["DatasetLinks"] == {"raw": "../../"}
    assert said["GeneratedBy"][0]["Name"] in out.name
    # The record is found from its names, and says whose scan it is, not where on this machine it lies.
    record = read_record(BIDS.record_path(out, "sub-01_ses-a_run-1"))
    assert (record.source.subject, record.source.session) == ("sub-01", "ses-a")
    assert str(dataset) not in BIDS.record_path(out, "sub-01_ses-a_run-1").read_text()
    for file in record.files.values():
        assert file_sha256(BIDS.path(out, record.scan, file.name)) == file.sha256


def test_the_validator_finds_no_error_in_what_goes_in_and_what_comes_out(dataset, pipeline):
    shutil.rmtree(dataset / "sub-03")
    out = dataset / "derivatives" / "hipposeg"
    options = ("--uncertainty", "--n-cpus", 1, "--participant-label", "02")
    assert run(dataset, out, "participant", *options) == 0
    assert run(dataset, out, "group") == 0
    assert errors(dataset) == [] and errors(out) == []
    (out / ".bidsignore").unlink()
    assert any("volumes" in error for error in errors(out))  # else it looked at nothing


def test_a_real_scan_with_parts_and_a_failed_one_are_valid_too(tmp_path):
    root = tmp_path / "ds"
    scan = root / "sub-1" / "anat" / "sub-1_T1w.nii.gz"
    scan.parent.mkdir(parents=True)
    shutil.copy(SAMPLE, scan)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    out = tmp_path / "hipposeg"
    assert run(root, out, "participant", "--parts", "--single-reader", "--n-cpus", 1, "--no-picture") == 0
    assert errors(out) == []
    stem = out / "sub-1" / "anat" / "sub-1_seg-hipposeg"
    whole = sitk.GetArrayFromImage(sitk.ReadImage(f"{stem}_dseg.nii.gz"))
    parts = sitk.GetArrayFromImage(sitk.ReadImage(f"{stem}parts_dseg.nii.gz"))
    assert set(np.unique(whole)) == {0, 17, 53} and set(np.unique(parts)) == {0, 171, 172, 531, 532}
    assert ((parts // 10 == 17) == (whole == 17)).all() and ((parts // 10 == 53) == (whole == 53)).all()
    header, row = (line.split("\t") for line in Path(f"{stem}_volumes.tsv").read_text().splitlines())
    volumes = dict(zip(header, row, strict=True))
    spacing = np.prod(sitk.ReadImage(f"{stem}_dseg.nii.gz").GetSpacing())
    assert float(volumes["left_mm3"]) == pytest.approx((whole == 17).sum() * spacing, abs=0.5)
    assert volumes["session_id"] == "n/a" and volumes["left_agreement"] == "n/a"
    dictionary = json.loads(Path(f"{stem}_volumes.json").read_text())
    assert list(dictionary) == header and dictionary["left_mm3"]["Units"] == "mm^3"


def test_the_table_of_labels_names_the_values_of_the_image(tmp_path):
    array = np.zeros((10, 10, 10), np.uint16)
    for number, value in enumerate(value for side in SIDES for value in PART[side].values()):
        array[number] = value
    labels = sitk.GetImageFromArray(array)
    provenance = {"model": {"name": "m", "sha256": "0" * 64}}
    result = SegmentationResult(labels, None, measure(labels), (), provenance)
    BIDS.write(tmp_path, "sub-1", labels, result, RecordedSource("bids:raw:x", "0"), picture=False)
    for name, values in (("hipposeg", WHOLE.values()), ("hipposegparts", [171, 172, 531, 532])):
        lines = (tmp_path / f"sub-1_seg-{name}_dseg.tsv").read_text().splitlines()
        rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
        assert [int(row["index"]) for row in rows] == list(values)
        image = sitk.ReadImage(str(tmp_path / f"sub-1_seg-{name}_dseg.nii.gz"))
        assert set(np.unique(sitk.GetArrayFromImage(image))) - {0} == set(values)
        assert all(row["name"].lower().startswith(("left", "right")) for row in rows)
    assert [row["abbreviation"] for row in rows] == ["HIPLA", "HIPLP", "HIPRA", "HIPRP"]


def test_the_same_call_again_does_nothing_wherever_the_data_lie(dataset, pipeline, tmp_path):
    shutil.rmtree(dataset / "sub-03")
    out = tmp_path / "out"
    assert run(dataset, out, "participant", "--n-cpus", 1, "--no-picture") == 0
    before = state(out)
    assert run(dataset, out, "participant", "--n-cpus", 1, "--no-picture") == 0
    assert len(pipeline.calls) == 3 and state(out) == before
    # The data set and its derivative on another machine, or mounted elsewhere.
    moved = tmp_path / "elsewhere" / "ds"
    shutil.copytree(dataset, moved)
    assert run(moved, out, "participant", "--n-cpus", 1, "--no-picture") == 0
    assert len(pipeline.calls) == 3


def test_only_what_is_missing_is_done(dataset, pipeline, tmp_path):
    out = tmp_path / "hipposeg"
    assert run(dataset, out, "participant", "--participant-label", "02", "--n-cpus", 1, "--no-picture") == 0
    assert (
        run(dataset, out, "participant", "--participant-label", "sub-01", "02", "--n-cpus", 1, "--no-picture")
        == 0
    )
    assert len(pipeline.calls) == 3
    assert tree(out) >= {f"{stem}_record.json" for stem in STEMS}


@pytest.mark.parametrize("place", ["", "sub-01", "sourcedata/out", "code"])
def test_nothing_is_written_among_the_raw_data(dataset, pipeline, place):
    before = state(dataset)
    assert run(dataset, dataset / place, "participant") == 73
    assert state(dataset) == before and not pipeline.calls


def test_a_data_set_of_another_program_is_no_output(dataset, pipeline, tmp_path):
    out = tmp_path / "fmriprep"
    out.mkdir()
    text = '{"Name": "x", "BIDSVersion": "1.9.0", "GeneratedBy": [{"Name": "fMRIPrep"}]}'
    (out / "dataset_description.json").write_text(text)
    assert run(dataset, out, "participant") == 73
    assert (out / "dataset_description.json").read_text() == text and not pipeline.calls


def test_what_a_user_wrote_into_the_derivative_stays(dataset, pipeline, tmp_path):
    out = tmp_path / "hipposeg"
    out.mkdir()
    (out / "README").write_text("Mine.")
    (out / ".bidsignore").write_text("extra/\n")
    run(dataset, out, "participant", "--participant-label", "02", "--n-cpus", 1, "--no-picture")
    assert (out / "README").read_text() == "Mine."
    lines = (out / ".bidsignore").read_text().splitlines()
    assert lines[0] == "extra/" and "*_volumes.tsv" in lines


def test_what_is_asked_for_reaches_the_batch(dataset, monkeypatch, tmp_path):
    """CPUs, memory, a part of the scans, a cluster."""
    given = []
    monkeypatch.setattr("HippoSegLib.commands.bids.run_batch", lambda *words: given.append(words) or 0)
    words = ("--n-cpus", 8, "--omp-nthreads", 2, "--shard", "2/3", "--dask", "tcp://x:1", "--no-picture")
    assert run(dataset, tmp_path / "out", "participant", *words, "--protocol", "msd", "--parts") == 0
    (found, output, options, batch) = given[0]
    assert output == tmp_path / "out"
    assert (options.threads, options.protocol, options.parts) == (2, "msd", True)
    assert (batch.workers, batch.dask, batch.picture) == (4, "tcp://x:1", False)
    assert batch.layout is BIDS
    for part in (1, 3):
        words = ("--shard", f"{part}/3")
        assert run(dataset, tmp_path / "out", "participant", *words) == 0
    parts = [[source.stem for source in one[0].sources] for one in given]
    assert sorted(stem for part in parts for stem in part) == sorted(
        [*(stem.split("/")[-1] for stem in STEMS), "sub-03"]
    )


def test_the_data_sets_own_table_tells_age_and_sex_for_a_comparison(dataset, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "Testing" / "core" / "reference"))
    from simulated import IDENTITY, people

    from HippoSegLib.reference.fitting import fit_reference

    reference, _ = fit_reference(people(64), IDENTITY)
    (tmp_path / "r.json").write_text(reference.to_json(), encoding="utf-8")
    (dataset / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t70\tF\nsub-02\t60.5\tM\n")
    given = []
    monkeypatch.setattr("HippoSegLib.commands.bids.run_batch", lambda *words: given.append(words) or 0)
    words = ("participant", "--reference", tmp_path / "r.json")
    assert run(dataset, tmp_path / "out", *words) == 0
    participants = given[0][3].comparison.participants
    assert participants.of("sub-02", "", "").person.age == 60.5
    assert participants.of("sub-01", "ses-a", "").person.sex == "female"
    (tmp_path / "p.tsv").write_text("participant_id\tage\tsex\nsub-02\t33\tM\n")
    assert run(dataset, tmp_path / "out", *words, "--participants", tmp_path / "p.tsv") == 0
    assert given[1][3].comparison.participants.of("sub-02", "", "").person.age == 33
    assert run(dataset, tmp_path / "out", "participant", "--participants", tmp_path / "p.tsv") == 65
