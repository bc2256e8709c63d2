"""A user's folder is never taken for one of HippoSeg's: every command that writes into a named folder."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from crops import write_folder
from sitefixture import load, write_site

from HippoSegLib.cli import main
from HippoSegLib.errors import Cancelled, OutputError
from HippoSegLib.finetuning import RunOptions, Site, fine_tune, runfolder
from HippoSegLib.finetuning.settings import FineTuneSettings
from HippoSegLib.training import command, export, plot, quality
from HippoSegLib.training.runstate import RunFolder
from HippoSegLib.training.stepwise import Schedule, train_in_steps

ROOT = Path(__file__).resolve().parents[2]
QUICK = FineTuneSettings(num_epochs=1, folds=2, decoder_epochs=0)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("site"), 6)


@pytest.fixture(autouse=True)
def models_of_this_test(tmp_path, monkeypatch, no_pictures):
    monkeypatch.setenv("HIPPOSEG_MODELS", str(tmp_path / "models"))


@pytest.fixture
def mine(tmp_path):
    """A user's folder; its files have the names of ours."""
    folder = tmp_path / "mine"
    (folder / "thesis" / "fold_0").mkdir(parents=True)
    names = ("state.pt", "settings.json", "log.csv", "card.json", "held_out.csv", "site_check.csv")
    for name in (
        *names,
        "site_check_1.png",
        "study.db",
        "trials.csv",
        "line.pt",
        "thesis/fold_0/chapter.tex",
    ):
        (folder / name).write_text(f"years of work: {name}")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tune(site, base_folder, output, **options):
    run = RunOptions(threads=1, device="cpu", **options)
    where = Site(site, region=True, label_map="msd")
    return fine_tune(where, output, base=load(base_folder), settings=QUICK, run=run)


# --- hipposeg finetune


def test_finetune_refuses_a_users_folder_before_any_work(site, base_folder, mine, tmp_path, capsys):
    before = content(mine)
    words = ["finetune", site, "-o", tmp_path / "m", "--run", mine, "--base", base_folder, "--region"]
    assert main([str(word) for word in words]) == OutputError.exit_code
    told = capsys.readouterr().err
    assert "'mine' holds files that HippoSeg did not make" in told and "Traceback" not in told
    assert "Reading case" not in told
    assert content(mine) == before and not (tmp_path / "m").exists()


def test_finetune_refuses_the_sites_own_folder(site, base_folder, tmp_path):
    before = content(site)
    with pytest.raises(OutputError, match="did not make"):
        tune(site, base_folder, tmp_path / "m", run_dir=site)
    assert content(site) == before


@pytest.mark.no_cover
def test_what_a_user_puts_into_a_run_folder_outlives_the_run(site, base_folder, tmp_path):
    run = tmp_path / "run"

    def note(name, history):
        (run / "notes.txt").write_text("mine")
        (run / name / "notes.txt").write_text("mine")

    tune(site, base_folder, tmp_path / "m", run_dir=run, epoch_done=note)
    left = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    trainings = {"fold_0/notes.txt", "fold_1/notes.txt", "final/notes.txt"}
    assert left == {"notes.txt", ".hipposeg-folder.json", *trainings}
    assert (tmp_path / "m" / "card.json").exists()


@pytest.mark.no_cover
def test_a_model_that_lies_in_the_run_folder_outlives_the_run(site, base_folder, tmp_path):
    outcome = tune(site, base_folder, tmp_path / "run" / "model", run_dir=tmp_path / "run")
    assert load(outcome.folder).name == "model"
    left = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert left == [".hipposeg-folder.json", "model"]


def test_a_run_in_an_empty_folder_of_the_users_leaves_it_empty(site, base_folder, tmp_path):
    (tmp_path / "run").mkdir()
    words = ["finetune", site, "-o", tmp_path / "m", "--run", tmp_path / "run", "--base", base_folder]
    options = ["--region", "--epochs", "1", "--folds", "2", "--threads", "1"]
    assert main([str(word) for word in (*words, *options)]) == 0
    # With curves and TensorBoard's logs, as the command keeps them.
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.no_cover
def test_temporary_files_of_a_killed_save_go_with_the_run(site, base_folder, tmp_path):
    run = tmp_path / "run"
    killed = (
        "import os, sys\nfrom HippoSegLib.io.atomic import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n    temporary.write_text('half'); os._exit(9)"
    )

    def note(name, history):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", killed, str(run / name / "x.pt")], env=environment)
        assert [p for p in (run / name).iterdir() if p.name.startswith(".hipposeg-staging-")]

    tune(site, base_folder, tmp_path / "m", run_dir=run, epoch_done=note)
    assert not run.exists()


def test_two_runs_in_one_folder_at_once_are_refused(site, base_folder, tmp_path):
    """The second one while the first is at work; a run that has ended holds nothing."""
    script = (
        "import sys, time; from pathlib import Path\n"
        "from HippoSegLib.finetuning.runfolder import run_folder\n"
        "with run_folder(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(120)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")], env=environment, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(OutputError, match="Another process is at work in the run folder 'run'"):
            tune(site, base_folder, tmp_path / "m", run_dir=tmp_path / "run")
    finally:
        other.kill()
        other.communicate()
    tune(site, base_folder, tmp_path / "m", run_dir=tmp_path / "run")
    assert (tmp_path / "m" / "card.json").exists() and not (tmp_path / "run").exists()


def test_a_cancelled_run_keeps_its_folder_and_another_command_does_not_take_it(site, base_folder, tmp_path):
    with pytest.raises(Cancelled):
        polls = iter([False] * 12)
        tune(site, base_folder, tmp_path / "m", cancel=lambda: next(polls, True))
    assert (tmp_path / "m.run" / "site_check.csv").exists()
    with pytest.raises(OutputError, match="is a run folder of HippoSeg, and no training run"):
        RunFolder(tmp_path / "m.run")


def test_a_check_replaces_only_an_earlier_check(site, base_folder, mine, tmp_path, capsys):
    def check(folder):
        words = ["finetune", site, "--check-only", "-o", folder, "--base", base_folder, "--region", "-q"]
        return main([str(word) for word in words])

    before = content(mine)
    assert check(mine) == OutputError.exit_code
    assert "'site_check.csv' that is not of a check" in capsys.readouterr().err and content(mine) == before
    out = tmp_path / "check"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert check(out) == 0
    for name in ("site_check_7.png", "site_check_final.png"):  # of an earlier check of more cases; the user's
        (out / name).write_text("")
    assert check(out) == 0
    left = {"mine.txt", "site_check.csv", "site_check_1.png", "site_check_final.png"}
    assert {path.name for path in out.iterdir()} == left


def test_a_picture_of_the_users_with_a_checks_name_is_refused(tmp_path):
    (tmp_path / "site_check_2.png").write_text("mine")
    with pytest.raises(OutputError, match=r"'site_check_2\.png' that is not of a check"):
        runfolder.write_check(tmp_path, [])
    assert content(tmp_path) == {"site_check_2.png": b"mine"}


def test_a_folder_that_is_named_as_a_models_part_is_the_users(site, base_folder, tmp_path):
    """A half-written model once lay under this name, and what had it was removed unseen."""
    (tmp_path / ".m.part").mkdir()
    (tmp_path / ".m.part" / "thesis.tex").write_text("years of work")
    tune(site, base_folder, tmp_path / "m")
    assert (tmp_path / ".m.part" / "thesis.tex").read_text() == "years of work"


# --- hipposeg tune


def test_tune_refuses_a_users_folder_before_any_work(site, base_folder, mine, capsys):
    pytest.importorskip("optuna")
    before = content(mine)
    words = ["tune", site, "-o", mine, "--trials", "1", "--base", base_folder, "--region", "--threads", "1"]
    assert main([str(word) for word in words]) == OutputError.exit_code
    out, told = capsys.readouterr()
    assert "it is no search folder" in told and "sub-00" not in out
    assert content(mine) == before


# --- hipposeg train, and what it consists of


def arguments(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    write_folder(folder, range(1, 5), shape=(40, 52, 36))
    return folder


OPTIONS = ("--folds", 2, "--epochs", 1, "--batch-size", 4, "--preprocessing", "plain", "--device", "cpu")


def test_train_refuses_a_users_folder_for_its_run(crops, mine, tmp_path, capsys):
    before = content(mine)
    with pytest.raises(OutputError, match="it is no training run"):
        command.run(arguments(crops, "-o", tmp_path / "m", "--run", mine, *OPTIONS))
    assert content(mine) == before and "cases to train on" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["card.json", "held_out.csv", "segmenter.pt"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_train_replaces_no_file_of_the_users(crops, tmp_path, name, overwrite):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / name).write_text('{"name": "mine"}')
    words = (*OPTIONS, "--overwrite") if overwrite else OPTIONS
    with pytest.raises(OutputError, match=f"'{name}' that is not of a model"):
        command.run(arguments(crops, "-o", tmp_path / "m", *words))
    assert content(tmp_path / "m") == {name: b'{"name": "mine"}'}


@pytest.fixture(scope="module")
def trained(crops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "m"
    assert command.run(arguments(crops, "-o", folder, *OPTIONS)) == 0
    return folder


def test_an_earlier_versions_run_without_a_marker_goes_on(trained, tmp_path):
    run = trained / "run"
    (run / ".hipposeg-folder.json").unlink()
    assert RunFolder(run).load({}, resume=True)["epoch"] == 1
    assert (run / ".hipposeg-folder.json").exists()


def test_an_export_that_is_killed_anywhere_is_repaired_by_the_next(trained, tmp_path, monkeypatch):
    """Killed after each of its renamings; never do weights stand beside a card that names them falsely."""
    run, whole = str(trained / "run"), tmp_path / "whole" / "m"
    assert export.main([run, "-o", str(whole)]) == 0
    expected = content(whole)
    for number in range(1, 3):
        out = tmp_path / str(number) / "m"
        moved = []

        def replace(source, target, number=number, moved=moved):
            moved.append(target)
            if len(moved) > number:
                raise KeyboardInterrupt
            os.rename(source, target)

        monkeypatch.setattr(export.os, "replace", replace)
        try:
            export.main([run, "-o", str(out)])
        except KeyboardInterrupt:
            assert not (out / "segmenter.pt").exists()
        monkeypatch.undo()
        assert export.main([run, "-o", str(out), "--overwrite"]) == 0
        assert content(out) == expected


def test_scores_of_a_model_that_is_replaced_do_not_stay_beside_the_new_one(trained, tmp_path):
    run, out = str(trained / "run"), str(tmp_path / "out")
    assert export.main([run, "-o", out]) == 0
    (tmp_path / "out" / "held_out.csv").write_text("case,whole\nother,0.9\n")
    assert export.main([run, "-o", out, "--overwrite"]) == 0
    assert not (tmp_path / "out" / "held_out.csv").exists()


def test_trainings_in_steps_refuse_a_users_folder(mine):
    before = content(mine)
    schedule = Schedule(steps=2, batch_size=1, learning_rate=0.1)
    with pytest.raises(OutputError, match="it is no line training run"):
        train_in_steps(
            torch.nn.Linear(1, 1), schedule, mine, "line", lambda *_: None, lambda *_: {}, lambda row: {}
        )
    assert content(mine) == before


def test_two_networks_trained_in_steps_do_not_share_a_folder(tmp_path):
    schedule = Schedule(steps=1, batch_size=1, learning_rate=0.1)

    def train(name):
        loss = lambda network, step: network(torch.ones(1, 1)).sum()  # noqa: E731
        network = torch.nn.Linear(1, 1)
        train_in_steps(network, schedule, tmp_path / "run", name, loss, lambda *_: {}, lambda row: {})

    train("localizer")
    with pytest.raises(OutputError, match="is a localizer training run of HippoSeg"):
        train("refiner")
    train("localizer")


def test_a_plot_and_a_report_replace_no_file_of_the_users(trained, tmp_path):
    picture = tmp_path / "mine.png"
    picture.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        plot.main([str(trained / "run"), "-o", str(picture)])
    assert picture.read_text() == "mine"
    for _ in range(2):  # in the run's folder it is drawn anew
        assert plot.main([str(trained / "run")]) == 0
    assert (trained / "run" / "log.png").read_bytes()[:4] == b"\x89PNG"
    report = tmp_path / "report.md"
    report.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        quality.main([str(tmp_path), str(tmp_path), "--report", str(report)])
    assert report.read_text() == "mine"


def test_a_run_folder_with_a_users_card_is_not_offered_for_export(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(["mine"]))
    with pytest.raises(OutputError, match="not of a model"):
        export.refuse_existing(tmp_path, overwrite=True)
