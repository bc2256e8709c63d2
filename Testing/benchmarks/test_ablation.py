"""The ablation: its statistics against known figures, its degradations against arithmetic."""

import csv
import json
import math
import sys

import ablation
import ablation_table
import numpy as np
import pytest

from HippoSegLib.training.cases import Case

ARMS = ["none", "better", "same"]


def results() -> list[dict]:
    """Two folds of eight subjects with two sides; "better" gains 0.01 to 0.03 everywhere, "same" nothing."""
    made = []
    for fold in range(2):
        for arm in ARMS:
            rows = []
            for subject in range(8):
                for side in range(2):
                    for condition in ablation_table.CONDITIONS:
                        value = 0.8 + 0.01 * subject + 0.001 * side
                        gain = 0.01 * (1 + subject % 3) * (arm == "better")
                        row = {"set": "crops", "condition": condition, "subject": f"{fold}{subject}"}
                        row |= {"case": f"{fold}{subject}{side}", "dice": value + gain}
                        rows.append(row | {"hd95": math.nan if (subject, side) == (0, 0) else 2 - value})
                        if condition == "clean":
                            rows += [row | {"set": s, "hd95": 2.0} for s in ("other scanner", "labelled")]
            made.append(
                {"arm": arm, "fold": fold, "rows": rows, "steps": 5, "restarts": 0, "bfloat16": False}
            )
            made[-1] |= {"bfloat16": False, "train_cases": 9, "train_seconds": 60.0, "preprocessing_ms": 1.0}
            made[-1]["settings"] = ablation.plain(ablation.Settings())
    return made


def test_holm_steps_down():
    # By hand: 5 × 0.005, 4 × 0.01, 3 × 0.03, then 2 × 0.04 raised to what came before it.
    assert ablation_table.holm([0.01, 0.04, 0.03, 0.005, 0.6]) == pytest.approx(
        [0.04, 0.09, 0.09, 0.025, 0.6]
    )


def test_paired_is_the_exact_signed_rank_test():
    before = {f"s{i}": 0.8 for i in range(6)}
    after = {f"s{i}": 0.8 + 0.01 * (i + 1) for i in range(6)} | {"unpaired": 0.1}
    one = ablation_table.paired(before, after)
    # All six differences have one sign: 2 of the 2 ** 6 signings are as extreme.
    assert one["chance"] == pytest.approx(2 / 64)
    assert one["difference"] == pytest.approx(0.035) and one["subjects"] == 6
    assert 0.01 <= one["low"] < 0.035 < one["high"] <= 0.06


def test_subjects_are_paired_sides_averaged_and_missing_values_left_out():
    made = results()
    values = ablation_table.per_subject(made, "none", "crops", "clean", "dice")
    assert len(values) == 16 and values["13"] == pytest.approx(0.8305)
    assert ablation_table.per_subject(made, "none", "crops", "clean", "hd95")["00"] == pytest.approx(1.199)
    compared = ablation_table.comparisons(made, ARMS)
    assert len(compared) == 2 * 2 * 5
    better = compared["dice", "noise", "better"]
    assert better["difference"] == pytest.approx(0.01 * (1 + 2 + 3 + 1 + 2 + 3 + 1 + 2) / 8)
    # Twenty comparisons, of which the five of Dice are equally small and the smallest.
    assert better["holm"] == pytest.approx(20 * better["chance"])
    assert better["folds"] == pytest.approx([better["difference"]] * 2)
    same = compared["dice", "noise", "same"]
    assert same["difference"] == 0 and same["chance"] == 1


def test_only_folds_that_every_arm_has_are_reported_and_words_are_kept(tmp_path):
    made = results()
    words = ablation.report_words("ablation", made, ARMS)
    ablation_table.write(made[:-1], ARMS, words, tmp_path)
    path = tmp_path / "ablation.md"
    assert "1 of 5 folds" in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8") + "\n## In words\nNothing helps.\n", encoding="utf-8")
    ablation_table.write(made, ARMS, words, tmp_path)
    written = path.read_text(encoding="utf-8")
    assert "2 of 5 folds" in written and written.endswith("\n## In words\nNothing helps.\n")
    with (tmp_path / "ablation.csv").open(encoding="utf-8") as file:
        rows = {(r["set"], r["condition"], r["case"]): r for r in csv.DictReader(file)}
    assert len(rows) == 2 * 16 * 7
    assert float(rows["crops", "noise", "131"]["better: dice"]) == pytest.approx(0.841)


def test_thick_slices_are_averages_interpolated_between_their_middles():
    line = np.array([0.0, 0, 6, 3, 3, 3, 9, 5])
    # Averages 2, 3 and 7 (of the last two) at 1, 4 and 6.5.
    expected = [2, 2, 2 + 1 / 3, 2 + 2 / 3, 3, 4.6, 6.2, 7]
    for axis in range(3):
        shape = [-1 if k == axis else 1 for k in range(3)]
        image = np.broadcast_to(line.reshape(shape), [8 if k == axis else 4 for k in range(3)])
        np.testing.assert_allclose(
            ablation.thick_slices(image, axis),
            np.broadcast_to(np.array(expected).reshape(shape), image.shape),
        )


def test_conditions_are_the_same_every_time_and_keep_the_truth():
    rng = np.random.default_rng(0)
    label = np.zeros((12, 14, 10), np.uint8)
    label[4:8, 4:8, 4:8] = 1
    case = Case("hippocampus_001", "subject_001", rng.uniform(0, 500, label.shape).astype(np.float32), label)
    first, second = ablation.conditions(case), ablation.conditions(case)
    assert [one["condition"] for one in first] == list(ablation_table.CONDITIONS)
    for a, b in zip(first, second, strict=True):
        assert (a["image"] == b["image"]).all() and (a["truth"] == (label == 1)).all()
    clean, *worse = (one["image"] / np.percentile(one["image"], 99.5) for one in first)
    assert (clean * np.percentile(case.image, 99.5) == pytest.approx(case.image)) and len(worse) == 4
    assert all(np.abs(image - clean).mean() > 0.02 for image in worse)


def test_arms_differ_in_what_they_are_named_after():
    image = np.random.default_rng(0).normal(500, 60, (24, 28, 20)).astype(np.float32)
    made = {
        name: ablation.channels(image, ablation.Preprocessing(steps)) for name, steps in ablation.ARMS.items()
    }
    assert [len(one) for one in made.values()] == [1, 1, 1, 1, 2, 1, 1]
    assert (made["plain, CLAHE + SCE"] == np.concatenate([made["none"], made["CLAHE + SCE"]])).all()
    roughness = {name: np.abs(np.diff(one[0])).mean() for name, one in made.items()}
    assert roughness["SCE"] < roughness["none"] < roughness["SCE enhancing"]


def test_arms_start_from_the_same_weights():
    def started(arm, seed):
        preprocessing = ablation.Preprocessing(ablation.ARMS[arm])
        return ablation.start(ablation.Settings(seed=seed, preprocessing=preprocessing)).state_dict()

    one, other, later = started("none", 1), started("SCE", 1), started("SCE", 2)
    two = started("plain, CLAHE + SCE", 1)
    assert all((one[k] == other[k]).all() for k in one)
    assert [k for k in one if one[k].shape != two[k].shape or (one[k] != two[k]).any()] == ["down.0.0.weight"]
    assert two["down.0.0.weight"].std() > 0.1
    assert (one["down.0.0.weight"] != later["down.0.0.weight"]).any()


def test_samples_are_drawn_once_and_are_those_of_the_training():
    calls = []

    def draw(case, shape, rng):
        calls.append(case.name)
        return rng.random()

    case = Case("a", "a", np.zeros((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.uint8))
    once = ablation.DrawnOnce(draw)
    drawn = [once(case, (1, 1, 1), np.random.default_rng((0, 1, p))) for p in (5, 6, 5)]
    expected = [np.random.default_rng((0, 1, p)).random() for p in (5, 6, 5)]
    assert drawn == expected and len(calls) == 2


def test_a_longer_run_of_two_arms_is_written_by_its_own_name(tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    run.mkdir()
    for k, one in enumerate(results()):
        one["arm"] = {"none": "none", "better": "CLAHE + SCE", "same": "CLAHE"}[one["arm"]]
        one["train_seconds"] = 6000.0 if one["arm"] == "CLAHE" else 60.0
        (run / f"{k}.json").write_text(json.dumps(one))
    arguments = ["--run", str(run), "--arms", "none", "CLAHE + SCE", "--only-print", "--write"]
    monkeypatch.setattr(sys, "argv", ["ablation.py", *arguments, "--name", "ablation_long"])
    monkeypatch.setattr(ablation, "__file__", str(tmp_path / "ablation.py"))
    ablation.main()
    written = (tmp_path / "ablation_long.md").read_text(encoding="utf-8")
    assert written in capsys.readouterr().out
    assert written.startswith("# The ablation of the preprocessing: long\n")
    assert '--run RUN --epochs 50 --arms "none" "CLAHE + SCE" --name ablation_long --write\n' in written
    # Two arms of two folds, a minute each: the third arm's time is no part of it.
    assert "Training: 4 minutes" in " ".join(written.split()) and "(1 arm ×" in " ".join(written.split())
    assert "enhancing" not in written and "| CLAHE |" not in written
    with (tmp_path / "ablation_long.csv").open(encoding="utf-8") as file:
        assert next(csv.reader(file))[4:6] == ["none: dice", "CLAHE + SCE: dice"]


def test_a_result_counts_where_its_settings_are_the_same(tmp_path):
    path = ablation.path_of(tmp_path, "plain, CLAHE + SCE", 2)
    assert path.name == "fold2_4.json"
    settings = ablation.settings_of("plain, CLAHE + SCE", 2, 8)
    assert ablation.finished(path, ablation.plain(settings)) is None
    result = {"arm": "a", "fold": 2, "settings": ablation.plain(settings), "rows": [], "train_seconds": 1.0}
    ablation.save(result | {"rows": results()[0]["rows"]}, path)
    assert ablation.finished(path, ablation.plain(settings))["fold"] == 2
    assert ablation.finished(path, ablation.plain(ablation.settings_of("none", 2, 8))) is None
    assert [p.name for p in tmp_path.iterdir()] == ["fold2_4.json"]
