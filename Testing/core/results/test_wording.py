"""The same number is written alike in panel, table, figure and report."""

from __future__ import annotations

import pytest

from HippoSegLib.results.volumes import COLUMNS
from HippoSegLib.results.wording import (
    asymmetry_words,
    millilitres,
    number,
    quality_words,
    unit_of,
    volume_words,
)


@pytest.mark.parametrize(
    ("name", "value", "written", "symbol"),
    [
        ("left_mm3", 3576.49, "3576", "mm³"),
        ("right_anterior_mm3", 1200.5001, "1201", "mm³"),
        ("asymmetry_index", -0.01984, "-2.0", "%"),
        ("asymmetry_index", -0.0004, "0.0", "%"),
        ("intracranial_mm3", 1_514_400.0, "1514", "mL"),
        ("left_per_mille_of_intracranial", 2.36149, "2.361", "‰"),
        ("right_quality", 0.906, "0.91", ""),
    ],
)
def test_unit_and_digits(name, value, written, symbol):
    assert (number(value, unit_of(name)), unit_of(name).symbol) == (written, symbol)


def test_words_have_the_digits_of_the_table():
    assert volume_words(3576.49) == "3576 mm³" and millilitres(1_514_400) == "1514 mL"
    assert quality_words(0.906) == "0.91"
    assert asymmetry_words(-0.01984) == "left 2.0 % larger"
    assert asymmetry_words(0.0004) == "both sides equally large"


def test_every_measurement_has_a_unit():
    units = {name: unit_of(name).code for name in COLUMNS}
    assert all(units.values()) and unit_of("left_length_mm").code == ""
    volumes = [name for name in units if name.endswith("_mm3") and name != "intracranial_mm3"]
    assert len(volumes) == 7 and {units[name] for name in volumes} == {"mm^3"}
