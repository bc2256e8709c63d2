"""Points and boxes with negative numbers, and options that do nothing or contradict each other."""

from __future__ import annotations

import pytest

from HippoSegLib import cli
from HippoSegLib.commands.arguments import joined
from HippoSegLib.commands.options import preprocessing_changes, segment_options
from HippoSegLib.errors import InputError


def parse(*words: str):
    """As `cli.main` parses."""
    return cli.build_parser("segment").parse_args(joined(["segment", "scan.nii.gz", "-o", "out", *words]))


POINT = (26.0, 13.0, -16.0)  # LPS of -26, -13, -16


@pytest.mark.parametrize(
    "words",
    [
        ("--left-point", "-26,-13,-16"),
        ("--left-point=-26,-13,-16",),
        ("--left-point", "-26, -13, -16"),
        ("--left-point", "-26 -13 -16"),
        ("--left-point", "-2.6e1;-13.0;-16"),
        ("--left-point", "\u221226,\u221213,\u221216"),
        ("--left-p", "-26,-13,-16"),  # argparse takes abbreviations
    ],
)
def test_a_point_with_negative_coordinates(words):
    assert segment_options(parse(*words)).points == {"left": POINT}


def test_a_negative_fraction_and_both_sides():
    options = segment_options(parse("--left-point", "-.5,-13,-16", "--right-point", "24,-13,-16", "--parts"))
    assert options.points == {"left": (0.5, 13.0, -16.0), "right": (-24.0, 13.0, -16.0)}
    assert options.parts


@pytest.mark.parametrize(
    "words", [("--right-box", "-10,-40,-30,-40,0,0"), ("--right-box=-10,-40,-30,-40,0,0",)]
)
def test_a_box_with_negative_coordinates(words):
    assert segment_options(parse(*words)).boxes == {"right": ((10, 40, -30), (40, 0, 0))}


def test_other_words_are_left_alone():
    words = ["segment", "-q", "--overwrite", "-1.nii.gz", "--threads", "2", "--", "-3,4,5", "a", "-1,2,3"]
    assert joined(words) == words
    assert joined(["-1,2,3"]) == ["-1,2,3"]
    assert joined(["--left-point=1,2,3", "-1,2,3"]) == ["--left-point=1,2,3", "-1,2,3"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--left-point", "-26,-13"), "takes 3 numbers"),
        (("--left-point=-26,-13,nan",), "takes 3 numbers"),
        (("--left-box", "-26,-13,-16"), "takes 6 numbers"),
        (("--left-point", "-26,-13,-16", "--left-box", "-26,-13,-16,-20,0,0"), "same hippocampus"),
        (("--region", "--side", "left", "--left-point", "-26,-13,-16"), "for whole heads"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(words, sentence):
    with pytest.raises(InputError, match=sentence):
        segment_options(parse(*words))


def test_a_step_is_left_out_or_changed_not_both():
    with pytest.raises(InputError, match="left out"):
        preprocessing_changes(parse("--no-clahe", "--clahe-clip-limit", "0.1"))


def test_leaving_out_a_step_that_the_model_does_not_have_is_said(sample_path, tmp_path, capsys):
    words = [str(sample_path), "-o", str(tmp_path), "--threads", "1", "--no-clahe", "--no-sce"]
    assert cli.main(["segment", *words, "-q", "--no-picture", "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "note: The model has no step CLAHE: leaving it out changes nothing." in text
    assert "note: The model has no step SCE-3DWT" in text and "WARNING" not in text
    assert cli.main(["preprocess", *words, "--series", "2"]) == 0
    text = capsys.readouterr().out
    assert "no step CLAHE" in text and "DICOM series does nothing" in text


def test_a_point_with_a_space_reaches_the_scan(sample_path, tmp_path, capsys):
    words = [str(sample_path), "-o", str(tmp_path), "--threads", "1", "-q", "--no-picture"]
    assert cli.main(["segment", *words, "--left-point", "-900,-13,-16"]) == InputError.exit_code
    assert "lies outside the image" in capsys.readouterr().err
