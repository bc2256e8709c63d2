"""A difference between the sides: a failed outline is told apart from a finding; the definition is said."""

from __future__ import annotations

import pytest

from HippoSegLib.flags import Flag, doubted_sides
from HippoSegLib.results.asymmetry import DEFINITION, asymmetry_sentence, unreferenced_sentence
from HippoSegLib.results.plausibility import volume_flags
from HippoSegLib.results.volumes import Measurements


@pytest.mark.parametrize(
    ("left", "right", "doubted", "expected"),
    [
        (3000, 3200, (), []),  # 6.5 %: as healthy people differ
        (3000, 3400, (), [("asymmetric", "info")]),  # 12.5 %
        (3000, 3400, ("left",), []),  # what is noticed of the outline stands elsewhere
        (3000, 3400, None, []),
        (2000, 3000, (), [("asymmetric", "warning")]),  # 40 %, both outlines sound
        (2000, 3000, ("left",), [("implausible", "warning")]),
        (2000, 3000, None, [("implausible", "warning")]),  # nothing has judged the outlines
        (3000, 2000, ("right",), [("implausible", "warning")]),
    ],
)
def test_a_failure_is_told_apart_from_a_finding(left, right, doubted, expected):
    flags = volume_flags(Measurements({"left": float(left), "right": float(right)}), doubted)
    assert [(flag.code, flag.severity) for flag in flags] == expected
    assert all(DEFINITION in flag.message for flag in flags)
    for flag in flags:
        assert ("failed" in flag.message) == (flag.code == "implausible")
        assert ("9 %" in flag.message) == (flag.severity == "info")


def test_one_failed_outline_is_named_and_does_not_put_the_other_in_doubt():
    volumes = Measurements({"left": 1500.0, "right": 3000.0})
    (flag,) = volume_flags(volumes, ("left",))
    assert (
        flag.name == "implausible:left" and "the left outline has probably failed, check it" in flag.message
    )
    assert doubted_sides([flag.name]) == {"left"}
    for nothing_known in (None, ("left", "right")):
        (flag,) = volume_flags(volumes, nothing_known)
        assert flag.name == "implausible" and doubted_sides([flag.name]) == {"left", "right"}


def test_the_sentence_says_which_side_by_how_much_and_by_what_definition():
    # (3300 - 3000) / 3150 = 9.5 %
    definition = "(right - left) / mean of both"
    assert asymmetry_sentence(300 / 3150) == f"left 9.5 % smaller than right ({definition}: +9.5 %)"
    assert asymmetry_sentence(-0.12) == f"right 12.0 % smaller than left ({definition}: -12.0 %)"
    assert asymmetry_sentence(0.0002).startswith("both sides equally large")
    assert "9 %" in unreferenced_sentence(0.02) and "outline" not in unreferenced_sentence(0.02)
    assert "the left outline may be wrong" in unreferenced_sentence(0.4, {"left"})


def test_which_flags_put_an_outline_in_doubt():
    flags = Flag("quality", "…", "left"), Flag("asymmetric", "…"), Flag("volume", "…", "right")
    assert doubted_sides(flag.name for flag in flags) == {"left"}
    assert doubted_sides(["contrast"]) == {"left", "right"}
    assert doubted_sides(["series_ignored", ""]) == frozenset()
