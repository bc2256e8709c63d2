"""Change between visits: slope and interval against statsmodels, coverage, and what is withheld."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from simulated import IDENTITY, people, write_table

from HippoSegLib.cli import main
from HippoSegLib.errors import InputError
from HippoSegLib.models.card import ModelCard
from HippoSegLib.models.fields import FieldError
from HippoSegLib.models.repeatability_card import RepeatabilityCard
from HippoSegLib.models.store import load_model
from HippoSegLib.reference.change import change_over_time
from HippoSegLib.reference.change_words import change_lines
from HippoSegLib.reference.visits import Visit, date_of, visits_by_subject
from HippoSegLib.reference.volumes import ScanVolumes, measured

REPEATABILITY = RepeatabilityCard(1.0, 54, 0.8, 27, 9, "full", 1)
SCANNER = {"manufacturer": "A"}


def visit(years, left, right, **changes) -> Visit:
    values = {"status": "ok", "review": "", "flags": (), "identity": IDENTITY}
    values |= {name: changes.pop(name) for name in list(changes) if name in values}
    scan = ScanVolumes(f"s{years}", "01", str(years), measurements=measured(left, right, 1.4e6), **values)
    return Visit(scan, years, **({"kind": "date", "scanner": SCANNER} | changes))


def visits(times, left, right, **changes):
    return [visit(*one, **changes) for one in zip(times, left, right, strict=True)]


def test_slope_and_interval_are_those_of_statsmodels_with_a_known_error():
    linear_model = pytest.importorskip("statsmodels.regression.linear_model")
    from scipy import stats

    times = np.array([0.0, 0.9, 2.1, 3.0])
    left, right = np.array([3000.0, 2950, 2890, 2860]), np.array([3100.0, 3120, 3090, 3095])
    found = change_over_time(visits(times, left, right), REPEATABILITY)
    assert found.withheld is None and found.scans == 4 and found.years == pytest.approx(3)
    cases = {"left": (left, 1.0, 54), "right": (right, 1.0, 54), "total": (left + right, 0.8, 27)}
    for name, (values, sd, degrees) in cases.items():
        design = np.column_stack([np.ones(4), times])
        scale = (sd / 100 * values.mean()) ** 2
        fit = linear_model.OLS(values, design).fit(cov_type="fixed scale", cov_kwds={"scale": scale})
        reach = stats.t.ppf(0.975, degrees) * fit.bse[1]
        one = found.changes[name]
        assert one.mm3_per_year == pytest.approx(fit.params[1])
        assert (one.low, one.high) == pytest.approx((fit.params[1] - reach, fit.params[1] + reach))
        assert one.percent[0] == pytest.approx(100 * fit.params[1] / values.mean())


def test_the_interval_holds_the_true_change_in_19_of_20():
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(2000):
        truth = 3000 * (1 - 0.02 * np.array([0.0, 1.5]))
        left = truth * np.exp(rng.normal(0, 0.01, 2))
        found = change_over_time(visits([0.0, 1.5], left, truth), replace(REPEATABILITY, side_degrees=10**6))
        inside += found.changes["left"].low <= -60 <= found.changes["left"].high
    assert abs(100 * inside / 2000 - 95) <= 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"years": None}, "time_unknown"),
        ({"kind": "age"}, "time_unknown"),
        ({"is_coarse": True}, "coarse_age"),
        ({"years": 0.0}, "same_time"),
        ({"scanner": {"manufacturer": "B"}}, "other_scanner"),
        ({"scanner": {}}, "scanner_unknown"),
        ({"identity": replace(IDENTITY, version="0.2.0")}, "other_identity"),
        ({"identity": replace(IDENTITY, protocol="msd")}, "other_identity"),
        ({"status": "failed"}, "one_scan"),
        ({"review": "fail"}, "one_scan"),
        ({"flags": ("quality:left",)}, "one_scan"),
    ],
)
def test_what_cannot_be_compared_is_withheld(change, code):
    first, second = visits([0.0, 1.0], [3000.0, 2900.0], [3000.0, 3000.0])
    of_scan = {name: change[name] for name in ("identity", "status", "review", "flags") if name in change}
    of_visit = {name: one for name, one in change.items() if name not in of_scan}
    second = replace(second, scan=replace(second.scan, **of_scan), **of_visit)
    found = change_over_time([first, second], REPEATABILITY)
    assert found.withheld is not None and found.withheld.code == code and not found.changes
    assert ("scans_left_out" in {note.code for note in found.notes}) == (code == "one_scan")
    assert change_lines(found)[0].startswith("No change per year: ")


def test_an_outline_in_doubt_does_not_count_unless_a_reviewer_passed_it():
    three = visits([0.0, 1.0, 2.0], [3000.0, 1500.0, 2900.0], [3000.0, 3000.0, 3000.0])
    three[1] = replace(three[1], scan=replace(three[1].scan, flags=("disagreement:left",)))
    found = change_over_time(three, REPEATABILITY)
    assert found.scans == 2 and found.changes["left"].mm3_per_year == pytest.approx(-50)
    three[1] = replace(three[1], scan=replace(three[1].scan, review="pass"))
    assert change_over_time(three, REPEATABILITY).scans == 3


def test_the_user_may_say_that_the_scanner_is_the_same_and_what_is_known_of_another_protocol_does_not_count():
    two = visits([0.0, 1.0], [3000.0, 2900.0], [3000.0, 3000.0], scanner=None)
    assert change_over_time(two, REPEATABILITY, same_scanner=True).changes
    for card in (None, replace(REPEATABILITY, protocol="msd"), replace(REPEATABILITY, readers=2)):
        found = change_over_time(two, card, same_scanner=True)
        assert found.withheld is not None and found.withheld.code == "no_repeatability"


def test_dates_as_tables_write_them():
    assert date_of("2024-05-17T09:30:00") == date_of("20240517") == date_of("2024-05-17")
    assert date_of("1845-01-02") is not None  # BIDS shifts dates to before 1925
    assert [date_of(text) for text in ("2024-13-01", "May 2024", "", "240517")] == [None] * 4


def test_times_from_ages_and_years(tmp_path):
    scans = tuple(
        ScanVolumes(f"s{n}", "01", session, "ok", "", (), measured(3000, 3000, 1.4e6), IDENTITY)
        for n, session in enumerate(("b", "a", "c"))
    )
    path = tmp_path / "v.tsv"
    path.write_text("participant_id\tsession_id\tage\n01\ta\t60.25\nsub-01\tses-b\t61.5\n01\tc\tn/a\n")
    (found,) = visits_by_subject(scans, path).values()
    assert [(one.scan.session, one.years, one.is_coarse) for one in found] == [
        ("a", 60.25, False),
        ("b", 61.5, False),
        ("c", None, False),
    ]
    path.write_text("scan,years,age,site\ns0,0,60,X\ns1,,60,X\ns2,2.5,,X\n")
    (found,) = visits_by_subject(scans, path).values()
    assert [(one.years, one.kind, one.is_coarse) for one in found] == [
        (0.0, "years", False),
        (2.5, "years", False),
        (60.0, "age", True),
    ]
    assert all(one.scanner == {"site": "X"} for one in found)
    path.write_text("participant_id,sex\n01,F\n")
    with pytest.raises(InputError, match="no column"):
        visits_by_subject(scans, path)


def test_the_command_prints_and_writes_a_table(tmp_path, capsys):
    control = people(1)[0]
    first = replace(control, name="sub-7_ses-a")
    later = {**control.measurements, "left_mm3": control.measurements["left_mm3"] * 0.97}
    second = replace(control, name="sub-7_ses-b", measurements=later)
    other = replace(control, name="sub-8_ses-a")
    subjects = {one.name: one.name.split("_")[0] for one in (first, second, other)}
    sessions = {one.name: one.name.split("_")[1] for one in (first, second, other)}
    write_table(tmp_path / "hippocampus.csv", [first, second, other], subject=subjects, session=sessions)
    (tmp_path / "v.tsv").write_text(
        "participant_id\tsession_id\tacq_time\nsub-7\tses-a\t2020-01-01\nsub-7\tses-b\t2021-01-01\n"
        "sub-8\tses-a\t2020-01-01\n",
        encoding="utf-8",
    )
    arguments = ["change", str(tmp_path / "hippocampus.csv"), "--visits", str(tmp_path / "v.tsv")]
    assert main([*arguments, "-o", str(tmp_path / "c.csv"), "--sd-percent", "1.0", "--same-scanner"]) == 0
    said = capsys.readouterr().out
    assert "-3.0 %" in said and "2 scans over 1.0 years" in said and "not two scans" in said
    assert "2020" not in said
    text = (tmp_path / "c.csv").read_text(encoding="utf-8-sig")
    rows = {row["subject"]: row for row in csv.DictReader(io.StringIO(text))}
    assert float(rows["7"]["left_percent_per_year"]) == pytest.approx(-3.05, abs=0.05)
    # 1.96 × 1 % × √2 over a year.
    width = float(rows["7"]["left_percent_per_year_high"]) - float(rows["7"]["left_percent_per_year"])
    assert width == pytest.approx(1.96 * np.sqrt(2), abs=0.02)
    assert rows["8"]["code"] == "one_scan" and rows["8"]["left_mm3_per_year"] == ""
    assert main([*arguments, "-o", str(tmp_path / "c.csv")]) == 6
    assert main(arguments) == 0
    assert "scanner" in capsys.readouterr().out


def test_the_card_holds_it_and_damaged_fields_are_refused_by_name():
    values = load_model(None).card.to_dict()
    values["repeatability"] = {
        "side_sd_percent": 0.7,
        "side_degrees": 54,
        "total_sd_percent": 0.5,
        "total_degrees": 27,
        "heads": 9,
        "protocol": "full",
        "readers": 2,
    }
    card = ModelCard.read(values)
    assert card.repeatability is not None and card.repeatability.side_sd_percent == 0.7
    assert ModelCard.read(card.to_dict()) == card
    values["repeatability"]["side_sd_percent"] = 0
    with pytest.raises(FieldError, match="repeatability.side_sd_percent"):
        ModelCard.read(values)
