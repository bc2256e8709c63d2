"""How fine-tuning learns, what its loss asks for, and how its comparison comes about."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from sitefixture import SHAPE, body
from torch.nn import functional

from HippoSegLib.finetuning.comparison import compare_models, paired_chance
from HippoSegLib.finetuning.plan import best_epoch
from HippoSegLib.finetuning.run_options import RunOptions
from HippoSegLib.finetuning.settings import scaled
from HippoSegLib.finetuning.training_run import TrainingJob, learn
from HippoSegLib.labels import OUTLINE_CLASSES
from HippoSegLib.models.card_parts import SegmenterCard
from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training.augmentation import Augmentation, sample
from HippoSegLib.training.batches import CropSampler
from HippoSegLib.training.cases import WHOLE_ONLY, Case, make_case
from HippoSegLib.training.evaluation import Evaluator
from HippoSegLib.training.loop import Compute, Loop, parameter_groups
from HippoSegLib.training.losses import dice_and_cross_entropy
from HippoSegLib.training.protocols import FULL
from HippoSegLib.training.runstate import RunFolder
from HippoSegLib.training.settings import TrainingSettings, Transfer

# --- how it learns


def small_loop(transfer, train, held=(), epochs=4, rate=0.01):
    settings = TrainingSettings(
        learning_rate=rate,
        batch_size=2,
        num_epochs=epochs,
        preprocessing=Preprocessing.named("plain"),
        augmentation=scaled(Augmentation(), 0),
        region_shape=SHAPE,
        widths=(4, 8),
        dropout=0.0,
        transfer=transfer,
    )
    torch.manual_seed(0)
    evaluator = Evaluator(held, SHAPE, settings.preprocessing)
    network, compute = UNet3D(1, 3, (4, 8), 0.0), Compute(torch.device("cpu"))
    return Loop(network, CropSampler(train, settings), evaluator, settings, compute)


def cases(count, first=0):
    return [make_case(f"c{i}", f"c{i}", *body(first + i)) for i in range(count)]


def test_the_decoder_learns_first():
    loop = small_loop(Transfer(decoder_epochs=1, patience=0), cases(2), epochs=2)
    before = {k: v.clone() for k, v in loop.model.state_dict().items()}
    quiet = (RunFolder(None), lambda words, part: None, lambda: False)
    loop.run(*quiet, until=1)
    changed = {k for k, v in loop.model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and not any(k.startswith("down.") for k in changed)
    loop.run(*quiet)
    changed = {k for k, v in loop.model.state_dict().items() if not torch.equal(v, before[k])}
    assert any(k.startswith("down.0") for k in changed)


def test_early_levels_have_smaller_rates_and_every_weight_one_group():
    loop = small_loop(Transfer(encoder_rate=0.1), cases(1))
    groups = parameter_groups(loop.model, loop.settings)
    scale = {id(p): g["scale"] for g in groups for p in g["params"]}
    assert len(scale) == len(list(loop.model.parameters())) == sum(len(g["params"]) for g in groups)
    first, second, head = (
        next(m.parameters()) for m in (loop.model.down[0], loop.model.down[1], loop.model.head)
    )
    assert scale[id(first)] == pytest.approx(0.1) and scale[id(second)] == pytest.approx(0.1**0.5)
    assert scale[id(head)] == 1


def test_the_anchor_keeps_the_weights_near_their_start():
    far = []
    for anchor in (0.0, 50.0):
        loop = small_loop(Transfer(decoder_epochs=0, anchor=anchor, patience=0), cases(2))
        start = [p.detach().clone() for p in loop.model.parameters()]
        loop.run(RunFolder(None), lambda words, part: None, lambda: False)
        far.append(
            sum(float((p.detach() - s).norm()) for p, s in zip(loop.model.parameters(), start, strict=True))
        )
    assert far[1] < 0.8 * far[0]


def test_it_stops_when_validation_no_longer_improves():
    loop = small_loop(Transfer(decoder_epochs=0, patience=2), cases(2), cases(1, 50), epochs=30, rate=1e-9)
    loop.run(RunFolder(None), lambda words, part: None, lambda: False)
    assert loop.best["epoch"] + 2 == loop.epoch < 30 and len(loop.scores) == loop.epoch


def test_best_epoch_counts_cases_and_folds_that_ended_early():
    def rows(*values):
        return [{"whole": v} for v in values]

    # Two cases against one: means 0.4, 0.6, 0.57
    assert (
        best_epoch([[rows(0.3, 0.3), rows(0.6, 0.6), rows(0.5, 0.5)], [rows(0.6), rows(0.6), rows(0.7)]]) == 2
    )
    assert best_epoch([[rows(0.5)], [rows(0.1), rows(0.2), rows(0.3)]]) == 3


def test_a_diverging_loss_is_restarted_lower():
    """The loss is made infinite while the rate is high: the loop must lower it and say so."""
    loop = small_loop(Transfer(decoder_epochs=0, patience=0), cases(2), epochs=2)
    loop.loss = lambda *a: dice_and_cross_entropy(*a) * (float("nan") if loop.slower > 0.5 else 1.0)
    words = []
    loop.run(RunFolder(None), lambda text, part: words.append(text), lambda: False)
    assert loop.slower == pytest.approx(1 / 3) and "lowered" in loop.history[0]["note"]
    assert any("lowered" in text for text in words)


# --- losses and samples where only the whole is labelled


def test_marginal_loss_against_its_definition():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (1, 3, 2, 3, 2))
    target = rng.choice([0, WHOLE_ONLY], (1, 2, 3, 2))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    whole = p[:, 1] + p[:, 2]
    entropy = -np.log(np.where(target == 0, p[:, 0], whole)).mean()
    truth = target == WHOLE_ONLY
    dice = (2 * (whole * truth).sum() + 1) / (whole.sum() + truth.sum() + 1)
    found = dice_and_cross_entropy(torch.from_numpy(logits), torch.from_numpy(target)).item()
    assert found == pytest.approx(entropy + 1 - dice, abs=1e-5)
    # Anterior and posterior may change places for all the loss knows.
    swapped = dice_and_cross_entropy(torch.from_numpy(logits[:, [0, 2, 1]]), torch.from_numpy(target)).item()
    assert swapped == pytest.approx(found, abs=1e-6)


def test_a_batch_of_both_kinds_is_the_mean_of_its_samples():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, 4)
    target = torch.randint(0, 3, (2, 4, 4, 4))
    target[1] = torch.where(target[1] > 0, WHOLE_ONLY, 0)
    both = dice_and_cross_entropy(logits, target).item()
    single = [dice_and_cross_entropy(logits[i : i + 1], target[i : i + 1]).item() for i in range(2)]
    assert both == pytest.approx(np.mean(single), abs=1e-6)
    parts = functional.cross_entropy(logits[:1], target[:1]).item()
    assert single[0] > parts  # Dice is added


def test_samples_keep_the_unknown_part():
    image, label = body(3)
    unknown = Case("c", "c", image, np.where(label > 0, WHOLE_ONLY, 0).astype(np.uint8))
    a, found = sample(unknown, SHAPE, np.random.default_rng(1), Augmentation())
    b, parts = sample(Case("c", "c", image, label), SHAPE, np.random.default_rng(1), Augmentation())
    assert set(np.unique(found)) == {0, WHOLE_ONLY} and np.array_equal(a, b)
    assert (found > 0).sum() > 0 and np.mean((found > 0) == (parts > 0)) > 0.999


# --- the verdict


def test_paired_chance_is_scipys():
    values = np.random.default_rng(0).normal(0.02, 0.03, 9)
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert paired_chance(values) == pytest.approx(expected, abs=1e-12)
    many = np.random.default_rng(1).normal(0.01, 0.04, 40)
    expected = stats.ttest_1samp(many, 0).pvalue
    assert paired_chance(many) == pytest.approx(expected, rel=0.25, abs=0.005)
    assert paired_chance([]) == 1 and paired_chance([0.0] * 8) == 1


def rows(values, subjects=None):
    return [
        {
            "case": f"c{i}",
            "subject": subjects[i] if subjects else f"s{i}",
            "whole": v,
            "anterior": float("nan"),
            "posterior": v,
            "volume_mm3": 3000.0 + i,
            "reference_mm3": 3000.0,
        }
        for i, v in enumerate(values)
    ]


def test_better_needs_a_gain_that_chance_does_not_give():
    before = [0.80, 0.82, 0.78, 0.81, 0.79, 0.83, 0.80, 0.77]
    steady = compare_models(rows(before), rows([v + 0.03 for v in before]))
    assert (
        steady["better"] and steady["gain"] == 0.03 and steady["chance"] == pytest.approx(2 / 256, abs=1e-6)
    )
    assert "anterior" not in steady and steady["posterior"]["cases"] == 8
    mixed = compare_models(rows(before), rows([v + (0.05 if i % 2 else -0.04) for i, v in enumerate(before)]))
    assert not mixed["better"]
    tiny = compare_models(rows(before), rows([v + 0.001 for v in before]))
    assert tiny["chance"] < 0.05 and not tiny["better"]
    worse = compare_models(rows(before), rows([v - 0.03 for v in before]))
    assert worse["chance"] < 0.05 and not worse["better"]
    doubted = compare_models(rows(before), rows([v + 0.03 for v in before]), "No.")
    assert not doubted["better"] and "No." in doubted["words"]
    # Two cases of a subject are one subject: four agreeing subjects are not enough.
    pairs = ["a", "a", "b", "b", "c", "c", "d", "d"]
    few = compare_models(rows(before, pairs), rows([v + 0.03 for v in before], pairs))
    assert not few["better"] and "Fewer than 6 subjects" in few["words"]
    assert paired_chance([0.1] * 5) > 0.05 >= paired_chance([0.1] * 6)  # where the number comes from


def test_bland_altman_figures():
    result = compare_models(rows([0.5] * 5), rows([0.6] * 5))["volume"]["after"]
    spread = 1.96 * np.std([0, 1, 2, 3, 4], ddof=1)
    assert result == {"bias_mm3": 2.0, "lower_mm3": round(2 - spread, 1), "upper_mm3": round(2 + spread, 1)}


def test_a_base_of_two_protocols_learns_a_site_s_labels_as_complete():
    """Its classes stay four; a label of the whole leaves the parts, and what lies beyond them, open."""
    torch.manual_seed(0)
    network = UNet3D(1, 4, (4, 8), 0.0)
    part = SegmenterCard((4, 8), SHAPE, 1.0, Preprocessing.named("plain"), OUTLINE_CLASSES)
    weights = {"segmenter": network.state_dict()}
    base = SimpleNamespace(card=SimpleNamespace(segmenter=part), weights=weights)
    train = [replace(one, protocol=FULL, label=WHOLE_ONLY * (one.label > 0)) for one in cases(4)]
    settings = small_loop(None, train, epochs=30, rate=0.03).settings
    loop = learn(base, TrainingJob("all", "Training", train, train, settings), RunOptions(device="cpu"))
    assert loop.ema.out_channels == 4
    first, last = (
        np.mean([row["whole"] for row in rows])
        for rows in (loop.evaluator(network), loop.evaluator(loop.ema))
    )
    assert last > 0.8 > first
    moved = loop.sampler(0, 0)[1]
    assert set(np.unique(moved)) == {1, 2 + 4 + 8}
