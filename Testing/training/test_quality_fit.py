"""The quality score's fitting: the regression, what is held out, the command, real trials."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from crops import write_folder
from scipy.optimize import minimize

from HippoSegLib.errors import ModelError, TrainingError
from HippoSegLib.models.quality_card import QualityCard
from HippoSegLib.models.store import bundled_folder, load_model
from HippoSegLib.models.training_card import TrainingCard
from HippoSegLib.results.quality import QualityModel
from HippoSegLib.training import quality as command
from HippoSegLib.training.cases import load_cases
from HippoSegLib.training.degradations import CONTRASTS, VALUE_KINDS, recontrast
from HippoSegLib.training.lesions import LESIONS
from HippoSegLib.training.qualityfit import cross_validate, fit, judge, logistic
from HippoSegLib.training.qualitytrials import KINDS, Trial, damaged, trial

SHAPE = (6, 7, 5)


def made_up(per_kind: int = 12, seed: int = 0) -> list[Trial]:
    """Trials whose first feature tells the Dice but for some noise; another is noise alone."""
    rng = np.random.default_rng(seed)
    pattern = rng.permutation(np.linspace(-0.5, 0.5, int(np.prod(SHAPE)))).reshape(SHAPE)
    found = []
    for kind in KINDS:
        for n in range(per_kind):
            dice = float(rng.uniform(0.85, 0.93) if kind == "clean" or n % 2 else rng.uniform(0.1, 0.92))
            sign = -1 if kind == "inverted" else 1
            found.append(
                Trial(
                    case=f"c{n}",
                    subject=f"s{n}",
                    kind=kind,
                    strength=0.9,
                    in_context=True,
                    dice=dice,
                    features={"volume": 5 * dice + rng.normal(0, 0.1), "length": rng.normal()},
                    ranks=sign * pattern + rng.normal(0, 0.05, SHAPE),
                    flags=("cut",) if kind == "cut" else (),
                )
            )
    return found


def test_the_regression_is_the_penalised_optimum():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 3))
    y = 1 / (1 + np.exp(-(x @ [1.0, -2.0, 0.0] + 0.5 + rng.normal(0, 0.3, 80))))

    def cost(w):
        z = x @ w[:3] + w[3]
        return np.sum(np.logaddexp(0, z) - y * z) + 0.5 * 4.0 * np.sum(w[:3] ** 2)

    best = minimize(cost, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    weights, intercept = logistic(x, y, 4.0)
    assert np.append(weights, intercept) == pytest.approx(best, abs=1e-4)


def test_what_is_fitted_ranks_results_and_survives_the_card():
    made = made_up()
    model = fit(made)
    other = made_up(seed=5)
    scores = [model.score(t.features) for t in other]
    assert np.corrcoef(scores, [t.dice for t in other])[0, 1] > 0.9
    again = QualityModel.from_card(QualityCard.read(json.loads(json.dumps(model.to_card().to_dict()))))
    assert [again.score(t.features) for t in other] == pytest.approx(scores, abs=1e-9)
    inverted = next(t for t in made if t.kind == "inverted")
    clean = next(t for t in made if t.kind == "clean")
    assert "contrast" in judge(inverted, model)[1] and "contrast" not in judge(clean, model)[1]
    assert judge(replace(clean, features=None), model)[0] == 0
    unknown = replace(clean, features=clean.features | {"volume": float("nan")})
    assert "quality" in judge(unknown, model)[1] and "quality" not in judge(clean, model)[1]


def test_readers_that_disagree_are_a_flag():
    model, clean = fit(made_up()), next(t for t in made_up() if t.kind == "clean")
    assert "disagreement" not in judge(clean, model)[1]
    for agreement, flagged in ((0.95, False), (0.85, True), (float("nan"), True)):
        one = Trial.from_json(replace(clean, agreement=agreement).to_json())
        assert ("disagreement" in judge(one, model)[1]) is flagged


def test_the_agreement_of_two_readers_is_a_feature_of_the_score():
    """Where the features of one reader tell nothing, what two readers agree on does."""
    rng = np.random.default_rng(2)
    made = [
        replace(
            t,
            features=t.features | {"volume": rng.normal()},
            agreement=float(np.clip(0.99 - 0.25 * (0.93 - t.dice) + rng.normal(0, 0.003), 0, 1)),
        )
        for t in made_up()
    ]
    model = fit(made)
    others = [t for t in made if t.dice < 0.92]
    alone, both = (
        [model.score(t.features, a) for t, a in pairs]
        for pairs in (
            [(t, None) for t in others],
            [(t, t.agreement) for t in others],
        )
    )
    dice = [t.dice for t in others]
    assert np.corrcoef(both, dice)[0, 1] > 0.9 > 0.5 > abs(np.corrcoef(alone, dice)[0, 1])
    again = QualityModel.from_card(QualityCard.read(json.loads(json.dumps(model.to_card().to_dict()))))
    assert again.agreement == model.agreement and again.least(0.9) == model.agreement.threshold
    assert again.least() == model.threshold != again.least(0.9)
    figures, text = cross_validate(made)
    rows = figures["held_out_kinds_and_subjects"]
    assert rows["all"]["rank_correlation"] > 0.8 > rows["one_reader"]["rank_correlation"] + 0.3
    assert f"rank correlation {rows['one_reader']['rank_correlation']}" in text
    # Without a second reader the fit is what it was.
    before = fit([replace(t, agreement=None) for t in made])
    assert before.agreement is None and np.array_equal(before.weights, model.weights)
    assert before.threshold == model.threshold


def test_a_held_out_kind_and_subject_are_not_learned_from():
    """A kind in which the feature says the opposite is scored the wrong way round: nothing of it was seen."""
    made = [
        replace(t, features=t.features | {"volume": 4.5 - t.features["volume"]}) if t.kind == "blur" else t
        for t in made_up()
    ]
    figures, text = cross_validate(made)
    rows = figures["held_out_kinds_and_subjects"]
    assert rows["noise"]["rank_correlation"] > 0.8
    assert rows["blur"]["rank_correlation"] < -0.5
    assert rows["cut"]["good_flagged"].endswith("(100.0 %)") and "| cut |" in text


def test_too_few_trials_are_refused():
    with pytest.raises(TrainingError):
        fit(made_up(per_kind=1))


def test_the_command_writes_the_score_into_the_card(tmp_path, capsys):
    folder, data, kept = tmp_path / "model", tmp_path / "data", tmp_path / "trials.jsonl"
    shutil.copytree(bundled_folder() / "hipposeg", folder)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card.pop("quality", None)
    card["segmenter"]["training"]["validation_cases"] = ["hippocampus_001"]
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    write_folder(data / "msd_hippocampus", [1, 2])
    kept.write_text("".join(t.to_json() + "\n" for t in made_up()), encoding="utf-8")
    command.main([str(data), str(folder), "--trials", str(kept), "--no-heads", "--write"])
    printed = capsys.readouterr().out
    written = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert "held-out kind" in printed and str(written["quality"]["threshold"]) in printed
    made = [Trial.from_json(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    model = QualityModel.from_card(load_model(folder).card.quality)
    assert model.max_misfit_mm == float("inf")  # the card had no limits, and no heads were asked
    limited = replace(model, max_misfit_mm=8.5, max_distance_mm=6.0)
    kept_limits = command.with_limits_of(model, replace(load_model(folder).card, quality=limited.to_card()))
    assert (kept_limits.max_misfit_mm, kept_limits.max_distance_mm) == (8.5, 6.0)
    assert model.score(made[0].features) == pytest.approx(fit(made).score(made[0].features))

    with pytest.raises(TrainingError, match="another fold"):
        command.main([str(data), str(folder), "--trials", str(kept), "--judge"])
    others = [replace(t, subject="other " + t.subject) for t in made]
    kept.write_text("".join(t.to_json() + "\n" for t in others), encoding="utf-8")
    before = (folder / "card.json").read_bytes()
    report = tmp_path / "judged.md"
    command.main([str(data), str(folder), "--trials", str(kept), "--judge", "--report", str(report)])
    assert (folder / "card.json").read_bytes() == before
    flagged = sum(bool(judge(t, model)[1]) for t in made if t.dice < 0.7)
    poor = sum(t.dice < 0.7 for t in made)
    assert f"{flagged} of {poor}" in next(
        line for line in report.read_text(encoding="utf-8").splitlines() if line.startswith("| all |")
    )

    card["segmenter"]["training"]["validation_cases"] = []
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(TrainingError, match="model of a fold"):
        command.main([str(data), str(folder), "--trials", str(kept), "--no-heads"])
    with pytest.raises(ModelError, match="export"):
        command.main([str(data), str(folder), "--run", str(tmp_path)])


def test_each_folds_network_meets_its_own_cases(tmp_path, monkeypatch):
    """Trials of two networks are put together; a case held out of both is refused."""
    write_folder(tmp_path / "msd_hippocampus", [1, 2, 3, 4])
    made = made_up()
    asked = []

    def few(cases, contexts, model, per_kind, seed, second):
        asked.append(([case.name for case in cases], model, seed, second))
        return made[:per_kind]

    monkeypatch.setattr(command, "trials", few)
    monkeypatch.setattr(command, "load_contexts", lambda *rest: [])

    def holding(*numbers):
        cases = [f"hippocampus_{n:03d}" for n in numbers]
        training = TrainingCard(validation_cases=tuple(cases))
        return SimpleNamespace(card=SimpleNamespace(segmenter=SimpleNamespace(training=training)))

    one, other = holding(1, 2), holding(3)
    found = command.collect(tmp_path, [one, other], 5, seed=2)
    assert len(found) == 10
    assert [(names, model) for names, model, *_ in asked] == [
        (["hippocampus_001", "hippocampus_002"], one),
        (["hippocampus_003"], other),
    ]
    assert asked[0][2] == 2 and asked[1][2] != 2
    with pytest.raises(TrainingError, match="same cases"):
        command.collect(tmp_path, [one, holding(2, 3)], 5)
    assert {second for *_, second in asked} == {None}
    twin, stranger = holding(1, 2), holding(2, 4)
    command.collect(tmp_path, [one], 5, seconds=[twin])
    assert asked[-1][3] is twin
    with pytest.raises(TrainingError, match="other cases"):
        command.collect(tmp_path, [one], 5, seconds=[stranger])


@pytest.mark.parametrize("kind", VALUE_KINDS)
def test_damage_grows_with_its_strength(kind):
    grid = np.indices((30, 32, 28))
    image = (0.5 + 0.4 * np.sin(grid[0] / 3) * np.cos(grid[1] / 4) * np.sin(grid[2] / 3 + 1)).astype(
        np.float32
    )

    def change(strength):
        worse = [VALUE_KINDS[kind](image, strength, np.random.default_rng(s)) for s in range(4)]
        assert all(w.shape == image.shape and np.isfinite(w).all() for w in worse)
        return np.mean([np.abs(w - image).mean() for w in worse])

    assert 0 < change(0.05) < change(0.9)


def outlined(seed: int = 0):
    """A textured block of T1-like tissue with an ellipsoid outlined in it, 0 beyond its faces."""
    rng = np.random.default_rng(seed)
    grid = np.indices((70, 80, 76)) - np.array([35, 40, 30])[:, None, None, None]
    truth = sum((g / r) ** 2 for g, r in zip(grid, (5, 17, 7), strict=True)) < 1
    image = 0.5 + 0.25 * np.sin(grid[0] / 4) * np.cos(grid[1] / 5) + rng.normal(0, 0.02, truth.shape)
    image[truth] = 0.45
    return image.clip(0.02, 1).astype(np.float32), truth


@pytest.mark.parametrize("kind", [*LESIONS, "motion"])
@pytest.mark.parametrize("strength", [0.1, 0.9])
def test_lesions_change_what_lies_beside_and_say_what_is_left(kind, strength):
    image, truth = outlined()
    changed, left = damaged(image, truth, kind, strength, np.random.default_rng(1))
    again, left_again = damaged(image, truth, kind, strength, np.random.default_rng(1))
    assert np.array_equal(changed, again) and np.array_equal(left, left_again)
    assert changed.shape == left.shape == image.shape and left.dtype == bool
    assert changed.dtype == np.float32 and np.isfinite(changed).all() and changed.min() >= 0
    different = np.abs(changed - image) > 0.05
    assert different.mean() > 0.002 and different[~truth].any()
    if kind == "resection":
        assert 0 < left.sum() < truth.sum() and not (left & ~truth).any()
        assert changed[truth & ~left].mean() < 0.8 * image[truth].mean()
    elif kind == "tumour":
        # Tissue is pushed, not lost.
        assert 0.75 < left.sum() / truth.sum() < 1.3
        assert abs(np.median(changed[left]) - 0.45) < 0.25
    else:
        assert np.array_equal(left, truth)
    if kind == "contrast_agent":
        assert (changed >= image - 1e-6).all() and changed.max() > image.max()
    if kind == "no_cerebellum":
        gone = changed == 0
        # Below and to the mid-plane's side; nothing above.
        assert 0.05 < gone.mean() < 0.6 and not gone[45:].any() and not (gone & truth).any()


def test_a_turn_moves_the_image_by_what_it_says():
    """Motion at strength 0 hardly changes a still head, and the middle of k-space keeps its brightness."""
    image, _ = outlined()
    changed = damaged(image, image > 2, "motion", 0.0, np.random.default_rng(3))[0]
    assert changed.mean() == pytest.approx(image.mean(), rel=0.02)
    assert np.corrcoef(changed.ravel(), image.ravel())[0, 1] > 0.8


def test_contrasts_order_the_tissues_as_named():
    tissues = np.array([0.1, 0.45, 0.75])  # fluid, grey, white in T1
    rng = np.random.default_rng(0)
    t2, flair, inverted = (recontrast(n, tuple(tissues))(tissues, 1.0, rng) for n in CONTRASTS)
    assert t2[0] > t2[1] > t2[2] and inverted[0] > inverted[1] > inverted[2]
    assert flair[1] > flair[2] > flair[0]


def test_real_trials(data_dir):
    model = load_model()
    (case,) = (c for c in load_cases(data_dir / "msd_hippocampus") if c.name == "hippocampus_014")
    clean = trial(case, (), model, "clean", 0.5, np.random.default_rng(0))
    cut = trial(case, (), model, "cut", 0.5, np.random.default_rng(0))
    assert clean.dice > 0.8 and not clean.flags
    assert "cut" in cut.flags and cut.dice < clean.dice
    again = Trial.from_json(cut.to_json())
    assert again.features == cut.features and again.flags == cut.flags
    # The same outline, twelve millimetres away: as good to its own maps, wrong all the same.
    pushed = trial(case, (), model, "pushed", 0.9, np.random.default_rng(0), model.second())
    assert pushed.dice < 0.5 < clean.dice and pushed.agreement is None
    assert pushed.features["expected_overlap"] > 0.8
    both = trial(case, (), model, "clean", 0.5, np.random.default_rng(0), model.second())
    assert both.agreement > 0.9 and both.features == clean.features
