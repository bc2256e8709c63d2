"""The recipe of the shipped checkpoint: commands that the steps accept, and done work is not redone."""

import importlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from HippoSegLib.errors import ModelError
from HippoSegLib.models.card import CARD, ROLES, ModelCard, card_text
from HippoSegLib.models.card_parts import FileCard
from HippoSegLib.models.fields import plain
from HippoSegLib.models.store import bundled_models, load_model, model_folder
from HippoSegLib.models.weights import file_sha256
from HippoSegLib.training import recipe
from HippoSegLib.training.assemble import assemble

STEPS = recipe.steps(Path("data"), Path("runs"), Path("models"))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_each_command_is_understood(step, monkeypatch, tmp_path):
    """The step's own parser takes the arguments; that it then finds no data ends the test early."""
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"HippoSegLib.training.{step.module}")
    monkeypatch.setattr(sys, "argv", [step.module, *step.arguments])
    with pytest.raises(Exception) as caught:  # a wrong option would be SystemExit, no Exception
        module.main()
    assert "data" in str(caught.value).lower() or isinstance(caught.value, FileNotFoundError | ModelError)


def test_each_step_waits_for_those_whose_files_it_reads():
    written, by_name = {}, {step.name: step for step in STEPS}
    assert len(by_name) == len(STEPS)

    def earlier(step):
        return {step.name}.union(*(earlier(by_name[name]) for name in step.after))

    for step in STEPS:
        out = step.arguments[step.arguments.index("-o") + 1] if "-o" in step.arguments else None
        for path in (a for a in step.arguments if a.startswith(("runs/", "models/")) and a != out):
            folder = path.removesuffix("/segmenter.pt")
            if f"{path}/model" != out:  # the run folder of a training holds its model
                assert written[folder] in earlier(step), (step.name, path)
        if out:
            assert out not in written
            written[out] = step.name


def test_the_readers_are_one_pair_and_share_the_localiser():
    made = [step for step in STEPS if step.module == "assemble"]
    (first, second), names = made, ("hipposeg", "hipposeg_clahe_sce")
    assert tuple(step.arguments[step.arguments.index("-o") + 1] for step in made) == tuple(
        f"models/{name}" for name in names
    )
    assert first.arguments[first.arguments.index("--second-reader") + 1] == names[1]
    assert second.arguments[second.arguments.index("--share") + 1] == names[0]
    assert first.name in second.after and "--share" not in first.arguments


def test_the_score_is_fitted_with_networks_that_went_through_all_steps_without_a_fold():
    """As those that ship did, with the same settings."""
    by_name = {step.name: step for step in STEPS}
    for kind in ("plain", "both"):
        for step, whole in (("outline0", "outline"), ("weighed0", "weighed")):
            of_fold, of_all = (list(by_name[f"{name}-{kind}"].arguments) for name in (step, whole))
            at = of_fold.index("--folds")
            assert of_fold[at : at + 4] == ["--folds", "5", "--fold", "0"]
            rest = [word.replace(step, whole).replace("outline0", "outline") for word in of_fold]
            rest = rest[:at] + rest[at + 4 :]
            assert rest == [word.replace("/all-", "/fold0-") for word in of_all]
    plain = by_name["quality-plain"].arguments
    assert plain[plain.index("--run") + 1] == "runs/weighed0-plain/model"
    assert plain[plain.index("--second") + 1] == "runs/weighed0-both/model"


class Fake:
    """Stands in for `subprocess.Popen`: `work` is called with the command, and gives the exit code."""

    def __init__(self, work):
        self.work = work

    def __call__(self, command):
        self.args = command
        return self

    def wait(self):
        self.returncode = self.work(self.args)
        return self.returncode

    def terminate(self):
        pass


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_no_step_begins_before_those_it_waits_for(tmp_path, monkeypatch, jobs):
    """A step takes longer the earlier it comes, so that later ones would overtake it."""
    begun, ended, at_once, most = [], [], [], []
    steps = recipe.steps(Path("data"), tmp_path, tmp_path / "m")
    order = [step.name for step in steps]

    def take_time(command):
        own = next(step for step in steps if step.command == command[1:])
        begun.append((own.name, set(ended)))
        at_once.append(own.name)
        most.append(len(at_once))
        time.sleep(0.02 * (len(order) - order.index(own.name)))
        at_once.remove(own.name)
        ended.append(own.name)
        return 0

    monkeypatch.setattr(subprocess, "Popen", lambda command: Fake(take_time)(command))
    recipe.run(steps, jobs)
    assert sorted(ended) == sorted(order)
    before = dict(begun)
    assert "fold0-both" in before["all-both"]
    assert "all-both" in before["outline-both"]
    assert "outline-plain" in before["weighed-plain"]
    assert {"weighed-both", "localizer", "refiner", "assemble-plain"} <= before["assemble-both"]
    assert {"weighed0-plain", "weighed0-both", "assemble-plain"} <= before["quality-plain"]
    assert max(most) == min(jobs, 4)


def test_after_a_failed_step_none_is_begun_and_none_goes_on(tmp_path):
    """Real processes: one fails while another would run for minutes, and a third waits."""

    @dataclass(frozen=True)
    class Script(recipe.Step):
        @property
        def command(self):
            return ["-c", *self.arguments]

    def script(name, code):
        return Script(name, "", (code,), tmp_path / name / "done")

    fail = script("fails", "import time; time.sleep(0.3); raise SystemExit(3)")
    long = script("long", "import time; time.sleep(300)")
    third = script("third", f"open({str(tmp_path / 'third')!r}, 'w')")
    started = time.monotonic()
    with pytest.raises(subprocess.CalledProcessError) as caught:
        recipe.run([long, fail, third], jobs=2)
    assert caught.value.returncode == 3 and time.monotonic() - started < 60
    assert not (tmp_path / "third").exists() and not long.done.exists() and not fail.done.exists()


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(subprocess, "Popen", Fake(lambda command: commands.append(command) or 0))
    steps = recipe.steps(Path("data"), tmp_path, tmp_path / "models")
    for step in steps[:-1]:
        step.done.parent.mkdir(parents=True, exist_ok=True)
        step.done.touch()
    for _ in range(2):
        recipe.run(steps)
    assert len(commands) == 1 and "HippoSegLib.training.quality" in commands[0]


@pytest.mark.parametrize("name", bundled_models())
def test_a_bundled_card_tells_the_recipes_settings(name):
    card = json.loads((model_folder(name) / "card.json").read_text(encoding="utf-8"))
    kind = "both" if "clahe" in name else "plain"
    training = card["segmenter"]["training"]
    last = "weighed" if "--keep" in training["command"] else "outline"
    wanted = next(step for step in STEPS if step.name == f"{last}-{kind}").arguments
    for option, key in (("--epochs", "num_epochs"), ("--seed", "seed"), ("--batch-size", "batch_size")):
        assert str(training[key]) == wanted[wanted.index(option) + 1]
    assert "--init-from" in training["command"]
    asked = f"--preprocessing {wanted[wanted.index('--preprocessing') + 1]}"
    assert asked in training["command"] and asked in training["earlier"][0]["command"]


@pytest.fixture
def parts(tmp_path):
    """Folders of the three trainings, with the weights of the bundled model."""
    model = load_model("hipposeg")
    folders = {role: tmp_path / "runs" / role for role in ROLES}
    for role, folder in folders.items():
        folder.mkdir(parents=True)
        torch.save(model.module(role).state_dict(), folder / f"{role}.pt")
    (folders["localizer"] / "localizer.json").write_text(json.dumps(plain(model.card.localizer)))
    (folders["refiner"] / "refiner.json").write_text(json.dumps(plain(model.card.refiner)))
    training = replace(model.card.segmenter.training, earlier=())
    part = replace(model.card.segmenter, training=training)
    weights = {"segmenter.pt": FileCard(file_sha256(folders["segmenter"] / "segmenter.pt"))}
    (folders["segmenter"] / CARD).write_text(card_text(ModelCard(part, files=weights)))
    return list(folders.values())


def test_the_parts_make_a_model_that_tells_where_each_came_from(parts, tmp_path):
    assemble(*parts, tmp_path / "mine", "Mine", earlier=[parts[0]], second_reader="other")
    made, base = load_model(tmp_path / "mine"), load_model("hipposeg")
    assert (made.name, made.card.title, made.card.parameters) == ("mine", "Mine", base.card.parameters)
    assert made.card.second_reader == "other"
    for role in ROLES:
        assert base.weights[role].keys() == made.weights[role].keys()
        for name, value in base.weights[role].items():
            np.testing.assert_array_equal(made.weights[role][name], value)
    assert (made.card.localizer, made.card.refiner) == (base.card.localizer, base.card.refiner)
    training = made.card.segmenter.training
    assert training.train_cases == base.card.segmenter.training.train_cases
    (earlier,) = training.earlier
    assert earlier.command == training.command and earlier.metrics == base.card.segmenter.metrics


@pytest.mark.parametrize("name", ["localizer", "refiner"])
def test_a_part_that_is_missing_or_damaged_is_named(parts, tmp_path, name):
    path = parts[ROLES.index(name)] / f"{name}.json"
    path.write_text('{"widths": [8, -1]}')
    with pytest.raises(ModelError, match=rf"'{name}\.json' .* cannot be used: {name}\.widths\[1\]"):
        assemble(*parts, tmp_path / "mine", "Mine")
    path.unlink()
    with pytest.raises(ModelError, match=rf"'{name}\.json' of the training is missing"):
        assemble(*parts, tmp_path / "mine", "Mine")
    assert not (tmp_path / "mine").exists()
