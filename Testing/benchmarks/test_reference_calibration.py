"""The short form of the benchmark: the 5th percentile catches 5 ± 1 %, intervals cover 95 ± 2 %."""

from __future__ import annotations

import pytest
import reference_calibration as bench


@pytest.mark.parametrize("controls", [20, 64])
def test_simulated_normal_people_are_caught_as_often_as_stated(controls):
    found = bench.rates(controls, references=60, people=60, intervals=15, seed=1)
    assert abs(found.below_5th - 5) <= 1
    assert abs(found.inside - 95) <= 2
    assert abs(found.covered - 95) <= 2
    assert found.people == 3600 and found.terms == min(controls // 10, 4)


def test_the_printed_table_has_a_line_per_number_of_controls():
    lines = bench.table([bench.Rates(20, 2, 100, 5.0, 95.0, 94.0, 41.0)])
    assert lines[-1] == "| 20 | 2 | 100 | 5.00 | 95.00 | 94.0 | 41 |"
