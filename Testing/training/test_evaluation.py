"""Scores against hand-made truths."""

import csv

import numpy as np
import pytest
import torch
from crops import crop

from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training.cases import make_case
from HippoSegLib.training.evaluation import (
    Evaluator,
    dice,
    dice_of_parts,
    means,
    predict,
    summary,
    write_rows,
)


def test_dice_by_hand():
    a = np.array([1, 1, 1, 0, 0], bool)
    assert dice(a, np.array([0, 1, 1, 1, 0], bool)) == pytest.approx(2 * 2 / 6)
    assert dice(a, a) == 1 and dice(a, ~a) == 0 and dice(a & False, a & False) == 1


def test_parts_and_whole_by_hand():
    truth = np.array([0, 1, 1, 1, 2, 2])
    found = np.array([1, 1, 1, 2, 2, 0])
    scores = dice_of_parts(found, truth)
    assert scores == pytest.approx({"whole": 8 / 10, "anterior": 4 / 6, "posterior": 2 / 4})


class Oracle(torch.nn.Module):
    """Answers with the class that the brightness of the first channel names."""

    def forward(self, x):
        first = x[:, 0]
        return 50 * torch.stack((first < 0.2, (first > 0.2) & (first < 0.7), first > 0.7), dim=1).float()


@pytest.mark.parametrize("shape, whole", [((32, 32, 32), 1.0), ((20, 32, 16), 1.0), ((24, 8, 24), None)])
def test_evaluator_compares_in_the_crops_own_shape(shape, whole):
    _, label = crop(3)
    case = make_case("case", "ann", label * 100.0, label)
    plain = Preprocessing.named("plain").changed({"min_max": {"lower": 0, "upper": 100}})
    (row,) = Evaluator([case], shape, plain)(Oracle())
    if whole is None:  # what the region cuts off counts as missed
        kept = (label[:, 8:16] > 0).sum()
        whole = 2 * kept / (kept + (label > 0).sum())
        assert whole < 0.95
    assert row["case"] == "case" and row["subject"] == "ann" and row["whole"] == pytest.approx(whole)


def test_probabilities_sum_to_1_and_the_mode_is_kept():
    model = Oracle().train()
    result = predict(model, np.random.default_rng(0).uniform(size=(1, 6, 5, 4)).astype(np.float32))
    assert result.shape == (3, 6, 5, 4) and result.dtype == np.float32 and model.training
    np.testing.assert_allclose(result.sum(axis=0), 1, atol=1e-6)


def test_summary_by_hand(tmp_path):
    rows = [{"case": c, "whole": w, "anterior": 0.5, "posterior": 1.0} for c, w in (("a", 0.8), ("b", 0.9))]
    assert means(rows) == pytest.approx({"whole": 0.85, "anterior": 0.5, "posterior": 1.0})
    assert summary(rows)["whole"] == {"mean": 0.85, "std": 0.0707, "median": 0.85, "min": 0.8}
    write_rows(rows, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert [float(row["whole"]) for row in csv.DictReader(file)] == [0.8, 0.9]
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]
