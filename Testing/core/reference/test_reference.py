"""A reference against statsmodels, its file, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from simulated import IDENTITY, people

from HippoSegLib.errors import InputError
from HippoSegLib.reference import MEASURES, Person, judge, judgement_of, read_reference
from HippoSegLib.reference.build import Built, built_lines
from HippoSegLib.reference.fitting import fit_reference
from HippoSegLib.reference.judging import curve
from HippoSegLib.reference.statistics import percentile_interval

CONTROLS = people(64)
REFERENCE, _ = fit_reference(CONTROLS, IDENTITY, "group=HC", {"failed": 2})
#: Inside the ranges of 64 and of 25 controls.
PATIENT = people(64, seed=9)[3]


def by_statsmodels(controls, reference, column):
    """The linear model by statsmodels, on uncentred terms, and a function of a person to its row."""
    linear_model = pytest.importorskip("statsmodels.regression.linear_model")

    def row(control):
        age, icv = control.person.age, control.measurements["intracranial_mm3"]
        all_terms = {
            "age": age,
            "log_intracranial": np.log(icv),
            "male": float(control.person.sex == "male"),
            "age_squared": age**2,
        }
        return [1.0, *(all_terms[term] for term in reference.terms)]

    rows = np.array([row(control) for control in controls])
    values = np.array([control.measurements[column] for control in controls])
    return linear_model.OLS(values, rows).fit(), row


@pytest.mark.parametrize("count", [25, 35, 64])
def test_expectation_interval_and_percentile_are_those_of_statsmodels(count):
    from scipy import stats

    controls = CONTROLS[:count]
    reference, _ = fit_reference(controls, IDENTITY)
    assert len(reference.terms) == min(count // 10, 4)
    judgement = judge(reference, PATIENT.measurements, PATIENT.person, IDENTITY)
    assert not judgement.withheld
    for name, column in MEASURES.items():
        model, row = by_statsmodels(controls, reference, column)
        theirs = model.get_prediction(np.array([row(PATIENT)])).summary_frame(alpha=0.05).iloc[0]
        ours = judgement.measures[name]
        assert ours.expected == pytest.approx(theirs["mean"], rel=1e-7)
        assert ours.expected_low == pytest.approx(theirs["obs_ci_lower"], rel=1e-7)
        assert ours.expected_high == pytest.approx(theirs["obs_ci_upper"], rel=1e-7)
        sd = (theirs["obs_ci_upper"] - theirs["mean"]) / stats.t.ppf(0.975, model.df_resid)
        z = (PATIENT.measurements[column] - theirs["mean"]) / sd
        assert ours.z == pytest.approx(z, rel=1e-6)
        assert ours.percentile == pytest.approx(100 * stats.t.cdf(z, model.df_resid), rel=1e-6)


def test_each_control_left_out_is_predicted_as_statsmodels_does():
    model, _row = by_statsmodels(CONTROLS, REFERENCE, "left_mm3")
    from scipy import stats

    t = model.get_influence().resid_studentized_external
    percents = 100 * stats.t.cdf(t, model.df_resid - 1)
    calibration = REFERENCE.fits["left"].calibration
    assert calibration.below_5th == pytest.approx(100 * np.mean(percents < 5), abs=0.01)
    assert calibration.above_95th == pytest.approx(100 * np.mean(percents > 95), abs=0.01)
    inside = np.abs(percents - 50) <= 47.5
    assert calibration.inside == pytest.approx(100 * inside.mean(), abs=0.01)
    assert calibration.normality == pytest.approx(
        stats.shapiro(model.get_influence().resid_studentized_internal).pvalue, rel=1e-6
    )


@pytest.mark.parametrize("degrees", [17, 59, 400])
@pytest.mark.parametrize("deviation", [-3.5, -1.0, 0.0, 2.2])
def test_the_percentile_s_interval_is_that_of_the_noncentral_t(degrees, deviation):
    from scipy import stats

    leverage = 0.07
    low, high = percentile_interval(deviation, leverage, degrees)
    for limit, wanted in ((low, 0.975), (high, 0.025)):
        score = stats.norm.ppf(limit / 100) / np.sqrt(leverage)
        assert stats.nct.cdf(deviation / np.sqrt(leverage), degrees, score) == pytest.approx(wanted, abs=2e-4)


def test_the_file_says_the_same_and_holds_no_names(tmp_path):
    path = tmp_path / "reference.json"
    path.write_text(REFERENCE.to_json(), encoding="utf-8")
    assert read_reference(path) == REFERENCE and read_reference(path).digest == REFERENCE.digest
    assert "sub-" not in path.read_text(encoding="utf-8")
    again = judge(read_reference(path), PATIENT.measurements, PATIENT.person, IDENTITY)
    assert again == judge(REFERENCE, PATIENT.measurements, PATIENT.person, IDENTITY)


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"schema": "other"}, "no_reference", ""),
        ({"schema_version": 2}, "reference_later", ""),
        ({"count": 12}, "reference_damaged", "count"),
        ({"terms": ["age", "age", "male", "age_squared"]}, "reference_damaged", "terms"),
        ({"inverse_moment": [[-1] * 5] * 5}, "reference_damaged", "inverse_moment"),
        ({"age": [90, 20]}, "reference_damaged", "age"),
        ({"fits": {}}, "reference_damaged", "fits.left"),
        ({"asymmetry_sizes": [0.1]}, "reference_damaged", "asymmetry_sizes"),
        ({"identity": {"model": "m"}}, "reference_damaged", "identity.version"),
    ],
)
def test_a_file_that_is_none_is_refused_by_its_field(tmp_path, change, code, place):
    path = tmp_path / "reference.json"
    path.write_text(json.dumps(json.loads(REFERENCE.to_json()) | change), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_reference(path)
    assert caught.value.code == code and place in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", b"[" * 5000, b"{}"])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(InputError):
        read_reference(tmp_path / "r.json")


@pytest.mark.parametrize(
    ("person", "identity", "icv", "code"),
    [
        ({}, {"model": "mine"}, None, "other_model"),
        ({}, {"version": "0.2.0"}, None, "other_version"),
        ({}, {"version": ""}, None, "other_version"),
        ({}, {"protocol": "msd"}, None, "other_protocol"),
        ({}, {"readers": "hipposeg:ffd74a52f10a second:0"}, None, "other_readers"),
        ({"age": None}, {}, None, "age_unknown"),
        ({"age": 19.0}, {}, None, "age_outside"),
        ({"age": 95.0}, {}, None, "age_outside"),
        ({"sex": None}, {}, None, "sex_unknown"),
        ({}, {}, 0.9e6, "head_outside"),
        ({}, {}, 2.1e6, "head_outside"),
        ({}, {}, float("nan"), "no_intracranial"),
    ],
)
def test_what_cannot_be_compared_is_withheld_with_a_sentence(person, identity, icv, code):
    measured = dict(PATIENT.measurements) | ({} if icv is None else {"intracranial_mm3": icv})
    judgement = judge(REFERENCE, measured, replace(PATIENT.person, **person), replace(IDENTITY, **identity))
    assert not judgement.measures and set(judgement.withheld) == set(MEASURES)
    assert {remark.code for remark in judgement.withheld.values()} == {code}
    assert judgement.less_asymmetric_controls is None and len(judgement.withheld["left"].sentence) > 15


def test_one_side_alone_is_compared_and_the_rest_withheld():
    measured = {"left_mm3": 3000.0, "right_mm3": None, "intracranial_mm3": 1.45e6}
    judgement = judge(REFERENCE, measured, Person(50, "female"), IDENTITY)
    assert set(judgement.measures) == {"left"}
    assert {remark.code for remark in judgement.withheld.values()} == {"no_value"}


def test_a_rare_sex_is_not_compared():
    women = [control for control in people(120) if control.person.sex == "female"][:40]
    men = [control for control in people(120) if control.person.sex == "male"][:4]
    reference, _ = fit_reference(women + men, IDENTITY)
    assert "male" not in reference.terms
    for sex, code in (("male", "sex_outside"), (None, "sex_outside"), ("female", None)):
        judgement = judge(reference, women[0].measurements, Person(50, sex), IDENTITY)
        assert {remark.code for remark in judgement.withheld.values()} == ({code} if code else set())


def test_the_record_s_form_reads_back():
    judgement = judge(REFERENCE, PATIENT.measurements, PATIENT.person, IDENTITY)
    entry = json.loads(json.dumps(judgement.to_dict()))
    assert judgement_of(entry) == judgement
    refused = judge(REFERENCE, PATIENT.measurements, Person(), IDENTITY)
    assert judgement_of(json.loads(json.dumps(refused.to_dict()))) == refused
    entry["measures"]["left"]["percentile"] = 140
    assert judgement_of(entry) is None and judgement_of(None) is None


def test_the_curve_has_the_person_s_percentile():
    judgement = judge(REFERENCE, PATIENT.measurements, PATIENT.person, IDENTITY)
    left, icv = judgement.measures["left"], PATIENT.measurements["intracranial_mm3"]
    line = curve(REFERENCE, "left", PATIENT.person, icv, (left.percentile,))[left.percentile]
    ages, values = np.array(line).T
    assert (ages[0], ages[-1]) == (REFERENCE.age.low, REFERENCE.age.high)
    assert np.interp(PATIENT.person.age, ages, values) == pytest.approx(left.value, abs=3)


def test_fewer_than_twenty_controls_are_refused_and_few_are_said():
    with pytest.raises(InputError) as caught:
        fit_reference(CONTROLS[:19], IDENTITY)
    assert caught.value.code == "few_controls" and "19" in str(caught.value)
    for count, told in ((20, True), (199, True), (200, False)):
        reference, _ = fit_reference(people(count, seed=2), IDENTITY)
        notes = judge(reference, people(count, seed=2)[0].measurements, Person(50, "male"), IDENTITY).notes
        assert ("few_controls" in {note.code for note in notes}) == told


def changed(control, **measured):
    return replace(control, measurements={**control.measurements, **measured})


def test_a_control_that_is_far_off_is_named_to_its_maker_and_not_in_the_file():
    odd = changed(CONTROLS[7], left_mm3=CONTROLS[7].measurements["left_mm3"] - 2500)
    reference, far = fit_reference([*CONTROLS[:7], odd, *CONTROLS[8:]], IDENTITY)
    assert {(one.name, one.measure) for one in far} == {("sub-007", "left")} and far[0].t < -5
    assert "not_normal" in {remark.code for remark in reference.remarks}
    assert reference.fits["left"].calibration.normality < 0.01 < reference.fits["right"].calibration.normality
    assert "sub-007" not in reference.to_json()
    said = "\n".join(built_lines(Built(reference, far)))
    assert "control sub-007 is far" in said and "not normally distributed (left)" in said
    assert fit_reference(CONTROLS, IDENTITY)[1] == ()


def test_residuals_that_are_not_as_assumed_are_told():
    """Evenly spread: hardly one lies outside an interval that should leave out one in twenty."""
    rng = np.random.default_rng(3)
    even = [changed(one, left_mm3=float(rng.uniform(2500, 3500))) for one in people(300, seed=4)]
    reference, _ = fit_reference(even, IDENTITY)
    assert {"not_normal", "not_calibrated"} <= {remark.code for remark in reference.remarks}
    assert reference.fits["left"].calibration.inside > 99
    assert all("(left)" in remark.sentence for remark in reference.remarks)
    notes = judge(reference, PATIENT.measurements, PATIENT.person, IDENTITY).notes
    assert {"not_normal", "not_calibrated"} <= {note.code for note in notes}


@pytest.mark.parametrize("what", ["volumes", "age and head size"])
def test_controls_that_do_not_differ_are_refused(what):
    same = {name: CONTROLS[0].measurements[name] for name in MEASURES.values()}
    if what == "volumes":
        controls = [changed(one, **same) for one in CONTROLS]
    else:
        controls = [
            replace(changed(one, intracranial_mm3=1.4e6), person=Person(50.0, "male"))
            for one in CONTROLS[:25]
        ]
    with pytest.raises(InputError) as caught:
        fit_reference(controls, IDENTITY)
    assert caught.value.code == "no_spread"
