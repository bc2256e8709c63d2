"""Trainings counted in steps: their schedule, what they write, and going on after an end of any kind."""

import csv
import json
import math

import pytest
import torch

from HippoSegLib.training import localizer, refiner
from HippoSegLib.training.stepwise import Schedule, chosen, parser, train_in_steps

SCHEDULE = Schedule(steps=70, batch_size=1, learning_rate=0.2, warm_up=2, look_every=30)


class PowerCut(Exception):
    pass


def train(folder, dies_at=None):
    """Fit a line to points drawn by the step's number."""
    torch.manual_seed(0)

    def loss_of(network, step):
        if step == dies_at:
            raise PowerCut
        x = torch.randn(8, 1, generator=torch.Generator().manual_seed(step))
        return ((network(x) - 3 * x - 1) ** 2).mean()

    def figures(network, final):
        return {"slope": float(network.weight.detach()), "final": float(final)}

    train_in_steps(
        torch.nn.Linear(1, 1), SCHEDULE, folder, "line", loss_of, figures, lambda row: {"at": row["step"]}
    )


def log(folder):
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_it_learns_and_writes_what_it_made(tmp_path):
    train(tmp_path)
    rows = log(tmp_path)
    assert [(row["step"], row["final"]) for row in rows] == [("30", "0.0"), ("60", "0.0"), ("70", "1.0")]
    assert float(rows[-1]["loss"]) < 0.7 * float(rows[0]["loss"])
    weights = torch.load(tmp_path / "line.pt", weights_only=True)
    assert weights["weight"].dtype == torch.float16
    assert float(weights["weight"]) == pytest.approx(float(rows[-1]["slope"]), abs=1e-2)
    assert json.loads((tmp_path / "line.json").read_text()) == {"at": 70}


@pytest.mark.parametrize("step", [10, 45, 65])
def test_a_killed_run_given_again_ends_the_same(tmp_path, step):
    train(tmp_path / "whole")
    with pytest.raises(PowerCut):
        train(tmp_path / "parted", dies_at=step)
    train(tmp_path / "parted")
    a, b = (torch.load(tmp_path / n / "line.pt", weights_only=True) for n in ("whole", "parted"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert [r["slope"] for r in log(tmp_path / "whole")] == [r["slope"] for r in log(tmp_path / "parted")]


def test_the_rate_rises_and_falls_along_a_cosine():
    schedule = Schedule(steps=100, batch_size=1, learning_rate=1.0, warm_up=10)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, abs=1e-4) and max(rates) == rates[9]
    assert rates[50] == pytest.approx(0.5, abs=1e-4)
    assert rates[99] == pytest.approx(0.5 * (1 + math.cos(0.99 * math.pi)), abs=1e-4)


def test_the_command_line_changes_what_it_names():
    args = parser("Fit a line.", SCHEDULE).parse_args(["data", "-o", "out", "--batch-size", "5"])
    assert chosen(SCHEDULE, args) == Schedule(70, 5, 0.2, warm_up=2, look_every=30)


@pytest.mark.parametrize(("module", "source"), [(localizer, "HeadSource"), (refiner, "LookSource")])
def test_both_networks_of_the_localiser_train_by_it(data_dir, tmp_path, module, source, monkeypatch):
    # A network of two steps finds nothing: figures must come from it all the same.
    evaluate = module.evaluate
    monkeypatch.setattr(module, "evaluate", lambda network, source, count: evaluate(network, source, 3))
    whole = getattr(module, source)
    few = lambda data, maps=module.TRAIN_LABEL_MAPS, _real=(): whole(data, maps[:1], ())  # noqa: E731
    monkeypatch.setattr(module, source, few)
    module.train(data_dir, tmp_path, Schedule(steps=2, batch_size=1, learning_rate=1e-3))
    name = module.__name__.rpartition(".")[2]
    card = json.loads((tmp_path / f"{name}.json").read_text())
    assert card["widths"] == list(module.WIDTHS)
    assert torch.load(tmp_path / f"{name}.pt", weights_only=True)["head.weight"].isfinite().all()
    if module is localizer:
        more = Schedule(steps=1, batch_size=1, learning_rate=1e-3)
        module.train(data_dir, tmp_path / "more", more, init=tmp_path / "localizer.pt")
        stages = json.loads((tmp_path / "more" / "localizer.json").read_text())["stages"]
        assert [stage["steps"] for stage in stages] == [2, 1]
