"""What users of BIDS Apps type: spellings, levels, filters and exit codes."""

from __future__ import annotations

import json

import pytest

from HippoSegLib.bids.dataset import find_t1w
from HippoSegLib.bids.errors import DatasetError, FilterError
from HippoSegLib.bids.filters import Filters, labels, read_filter_file
from HippoSegLib.bids.names import folder_of, parse
from HippoSegLib.commands.bids import exit_code, main
from HippoSegLib.commands.bids_options import build_parser, resources, settle
from HippoSegLib.errors import DependencyError, DeviceError, InputError, ModelError, OutputError


def parsed(*words: str):
    parser = build_parser()
    return settle(parser, parser.parse_args(list(words)))


@pytest.mark.parametrize(
    "words",
    [
        ("ds", "out", "participant", "--participant-label", "01", "sub-02"),
        ("ds", "out", "participant", "--participant_label", "01", "02"),
        ("--participant-label=01", "--participant-label=02", "ds", "out", "participant"),
        ("--input-dataset", "ds", "--output-location", "out", "--analysis-level", "subject")
        + ("--subject-label", "01", "02"),
        ("ds", "out", "participant", "--participant-label", "01,02"),
    ],
)
def test_spellings(words):
    args = parsed(*words)
    assert (str(args.bids_dir), str(args.output_dir), args.level) == ("ds", "out", "participant")
    assert labels(args.subjects, "sub-") == ("01", "02")


def test_the_group_level_needs_the_output_alone():
    assert parsed("--output-location", "out", "--analysis-level", "dataset").level == "group"
    assert parsed("ds", "out", "group").level == "group"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("ds", "out", "everything"), 17),
        (("ds", "out"), 64),
        ((), 64),
        (("ds", "out", "participant", "--no-such-option"), 64),
        (("ds", "out", "participant", "--n-cpus", "0"), 64),
        (("ds", "out", "participant", "--input-dataset", "other"), 64),
        (("--help",), 0),
        (("--version",), 0),
    ],
)
def test_exit_codes_of_the_command_line(words, code, capsys):
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert caught.value.code == code
    assert code == 0 or "hipposeg-bids:" in capsys.readouterr().err


def test_exit_codes_of_the_data(dataset, tmp_path, capsys, pipeline):
    out = str(tmp_path / "out")
    assert main([str(tmp_path / "nowhere"), out, "participant"]) == 66
    assert main([str(dataset), out, "participant", "--participant-label", "99"]) == 18
    assert main([str(dataset), out, "group"]) == 66
    (tmp_path / "out").mkdir()
    assert main([str(dataset), out, "group"]) == 16
    filters = tmp_path / "filter.json"
    filters.write_text("{")
    assert main([str(dataset), out, "participant", "--bids-filter-file", str(filters)]) == 65
    (dataset / "dataset_description.json").write_text('{"Name": "x"}')
    assert main([str(dataset), out, "participant"]) == 16
    assert "BIDSVersion" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    words = [str(dataset), str(tmp_path / "file" / "out"), "participant", "--skip-bids-validation"]
    assert main(words) == 73
    assert not pipeline.calls


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OutputError("x", "", "no_space"), 74),
        (OutputError("x", "", "locked"), 75),
        (OutputError("x"), 73),
        (DeviceError("x", "", "out_of_memory"), 75),
        (ModelError("x"), 70),
        (DependencyError("x"), 69),
        (InputError("x"), 65),
        (DatasetError("x"), 16),
    ],
)
def test_exit_codes_of_errors(error, code):
    assert exit_code(error) == code


def test_cpus_and_memory_are_shared_out():
    def use(*words):
        return resources(parsed("d", "o", "group", *words), 16)

    assert use() == (16, 1)
    assert use("--n-cpus", "8", "--omp-nthreads", "4") == (2, 4)
    assert use("--nprocs", "2", "--omp-nthreads", "8") == (1, 2)
    assert use("--mem", "2000") == (4, 1) and use("--mem-mb", "100") == (1, 1)


NAMES = ("sub-01_ses-a_acq-hi_run-01_T1w.nii.gz", "sub-01_ses-b_run-2_T1w.nii.gz", "sub-02_T1w.nii.gz")


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ({}, [0, 1, 2]),
        ({"session": "a"}, [0]),
        ({"session": "ses-a"}, [0]),
        ({"session": ["a", "b"], "run": 1}, [0]),
        ({"run": [1, 2]}, [0, 1]),
        ({"run": "01"}, [0]),
        ({"run": "1"}, []),
        ({"acquisition": None}, [1, 2]),
        ({"session": "<Query.NONE: 1>"}, [2]),
        ({"session": "Query.ANY"}, [0, 1]),
        ({"session": "*"}, [0, 1]),
        ({"session": ["b", None]}, [1, 2]),
        ({"datatype": "anat", "suffix": "T1w", "extension": [".nii.gz"]}, [0, 1, 2]),
        ({"suffix": "T2w"}, []),
        ({"subject": "02"}, [2]),
    ],
)
def test_a_filter_file_selects_as_fmripreps_does(tmp_path, group, expected):
    """By fMRIPrep's documentation: values, lists, null for "must be missing", Query words."""
    path = tmp_path / "filter.json"
    path.write_text(json.dumps({"t1w": group, "bold": {"task": "rest", "nonsense": 1}}))
    filters = Filters(entities=read_filter_file(path))
    assert [n for n, name in enumerate(NAMES) if filters.select(parse(name))] == expected


@pytest.mark.parametrize(
    "text", ['{"t1w": {"aquisition": "x"}}', '{"t1w": 1}', "[]", '{"t1w": {"task": ', ""]
)
def test_a_filter_file_that_cannot_be_used_is_named(tmp_path, text):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(FilterError, match=r"f\.json"):
        read_filter_file(tmp_path / "f.json")


def test_labels_in_a_file(tmp_path):
    (tmp_path / "p.tsv").write_text("participant_id\tage\nsub-01\t70\nsub-02\t60\n")
    (tmp_path / "p.txt").write_text("# mine\n03\n\nsub-04\n")
    words = [str(tmp_path / "p.tsv"), str(tmp_path / "p.txt"), "05"]
    assert labels(words, "sub-") == ("01", "02", "03", "04", "05")


def test_sessions_and_what_is_no_t1w(dataset):
    def found(**filters):
        return [source.path.name for source in find_t1w(dataset, Filters(**filters))]

    assert len(found()) == 4 and found(sessions=("b",)) == ["sub-01_ses-b_T1w.nii.gz"]
    wrong = dataset / "sub-02" / "anat" / "sub-99_T1w.nii.gz"  # of another subject than its folder
    wrong.write_bytes(b"")
    assert len(found()) == 4
    (dataset / "sub-02" / "anat" / "sub-02_acq-mprage_T1w.nii").write_bytes(b"")
    with pytest.raises(DatasetError):
        found()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("sub-01_ses-a_run-1", "sub-01/ses-a"),
        ("sub-01_run-1", "sub-01"),
        ("sub-01", "sub-01"),
        ("../x", ""),
        ("sub-../x", ""),
        ("head", ""),
    ],
)
def test_folders_of_names(name, folder):
    assert folder_of(name) == folder
    for no_name in ("T1w.nii.gz", "sub-01T1w.nii.gz", "sub-01_sub-02_T1w.nii.gz", "ses-a_sub-01_T1w.nii.gz"):
        assert parse(no_name) is None
