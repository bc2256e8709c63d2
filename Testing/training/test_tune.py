"""The search for settings: SQLite study, going on, shared by processes, best settings usable."""

from __future__ import annotations

import csv
import json

import pytest
from sitefixture import load, write_site

from HippoSegLib.cli import main
from HippoSegLib.errors import Cancelled, InputError
from HippoSegLib.finetuning import search_results
from HippoSegLib.finetuning.check import check
from HippoSegLib.finetuning.plan import Plan, Trained
from HippoSegLib.finetuning.prepare import prepare
from HippoSegLib.finetuning.run_options import RunOptions
from HippoSegLib.finetuning.search import mean_of_subjects, search
from HippoSegLib.finetuning.search_results import importances
from HippoSegLib.finetuning.search_space import SEARCHED, suggest
from HippoSegLib.finetuning.settings import FineTuneSettings
from HippoSegLib.finetuning.site import Site

optuna = pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("site"), 6)


@pytest.fixture(scope="module")
def cases(site, base_folder):
    base = load(base_folder)
    return check(prepare(Site(site, label_map="msd", region=True), base), base).cases


def trained_as_if(monkeypatch, value, calls=None):
    """Trials that end at once with the Dice ``value(settings)``; drawing their course would take longer."""
    monkeypatch.setattr(search_results, "history_png", lambda values: b"")

    def cross_validated(self, cases, final=True):
        if calls is not None:
            calls.append(self.settings)
        rows = [{"subject": case.subject, "whole": value(self.settings)} for case in cases]
        return Trained({}, rows, rows, 1, "acted")

    monkeypatch.setattr(Plan, "cross_validated", cross_validated)


def test_the_command_searches_and_its_settings_are_usable(site, base_folder, tmp_path, capsys):
    words = [str(site), "--region", "--base", str(base_folder), "--threads", "1"]
    out = tmp_path / "search"
    search_words = ["tune", *words, "-o", str(out), "--epochs", "1", "--folds", "2", "--trials"]
    assert main([*search_words, "1"]) == 0
    rows = list(csv.DictReader((out / "trials.csv").open()))
    # The first trial is the defaults'; its figure is that of the cross-validation alone.
    assert float(rows[0]["learning_rate"]) == FineTuneSettings().learning_rate
    assert 0 < float(rows[0]["dice"]) < 1 and (out / "history.png").read_bytes()[:4] == b"\x89PNG"
    assert "Best of 1 trials" in capsys.readouterr().out
    settings = ["--settings", str(out / "settings.json"), "--epochs", "1"]
    assert main(["finetune", *words, "-o", str(tmp_path / "m"), *settings]) == 0
    card = json.loads((tmp_path / "m" / "card.json").read_text())["segmenter"]["fine_tuning"]
    assert card["settings"]["folds"] == 2
    assert float(rows[0]["dice"]) == pytest.approx(
        card["comparison"]["whole"]["after"], abs=1e-4
    )  # one case per subject: both are the same mean


def test_it_finds_what_is_better_and_goes_on(cases, base_folder, tmp_path, monkeypatch):
    calls = []
    # The best rate is 0.003, and nothing else matters.
    trained_as_if(monkeypatch, lambda s: 0.9 - abs(s.learning_rate - 0.003) * 50, calls)
    base = load(base_folder)
    first = search(cases, base, tmp_path, 6, sampler_seed=1)
    assert first["trials"] == 6 == len(calls) and calls[0] == FineTuneSettings()
    again = search(cases, base, tmp_path, 12, sampler_seed=2)
    assert again["trials"] == 12 == len(calls) and again["value"] >= first["value"]
    assert again["value"] > 0.8 + 0.01  # that of the first trial
    assert search(cases, base, tmp_path, 12)["trials"] == 12 == len(calls)  # nothing left to do
    best = json.loads((tmp_path / "settings.json").read_text())
    assert best == again["settings"] and abs(best["learning_rate"] - 0.003) < 0.002
    FineTuneSettings.preset("default", **best)
    study = optuna.load_study(study_name="finetune", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert study.best_value == again["value"] and set(study.best_params) == set(SEARCHED)
    importance = importances(optuna, study)
    assert set(importance) <= set(SEARCHED) and sum(importance.values()) == pytest.approx(1)
    assert (tmp_path / "importance.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(InputError, match="other cases"):
        search(cases[:-1], base, tmp_path, 13)


@pytest.mark.no_cover
def test_another_processs_trials_count(cases, base_folder, tmp_path, monkeypatch):
    base, calls = load(base_folder), []
    trained_as_if(monkeypatch, lambda s: 0.5, calls)
    search(cases, base, tmp_path, 1)
    # What another process does to the shared file in between.
    other = optuna.load_study(study_name="finetune", storage=f"sqlite:///{tmp_path / 'study.db'}")
    other.optimize(lambda trial: suggest(trial, FineTuneSettings()).dropout, n_trials=3)
    assert search(cases, base, tmp_path, 5)["trials"] == 5 and len(calls) == 2


def test_cancelling_keeps_the_complete_trials(cases, base_folder, tmp_path, monkeypatch):
    base, calls = load(base_folder), []
    trained_as_if(monkeypatch, lambda s: 0.5, calls)
    with pytest.raises(Cancelled):
        search(cases, base, tmp_path, 10, run=RunOptions(cancel=lambda: len(calls) >= 3))
    assert search(cases, base, tmp_path, 4)["trials"] == 4 == len(calls)


def test_subjects_weigh_the_same():
    rows = [{"subject": "a", "whole": 0.5}, {"subject": "b", "whole": 0.8}, {"subject": "b", "whole": 1.0}]
    assert mean_of_subjects(rows) == pytest.approx(0.7)
