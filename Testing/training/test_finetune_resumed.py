"""A fine-tuning that is cancelled or killed at any stage, and given again, ends the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from finetuned import equal, fine_tuning, tune
from sitefixture import write_site

from HippoSegLib.errors import Cancelled, TrainingError
from HippoSegLib.finetuning.settings import FineTuneSettings

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("models_of_this_test")

RESUMED = FineTuneSettings(num_epochs=2, decoder_epochs=1, folds=2, learning_rate=0.01)


@pytest.fixture(scope="module")
def small_site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("small"), 6)


@pytest.fixture(scope="module")
def uninterrupted(small_site, base_folder, tmp_path_factory):
    """A model made in one go, and how often cancelling was polled."""
    polls: list[int] = []
    folder = tmp_path_factory.mktemp("whole") / "m"
    tune(small_site, base_folder, folder, settings=RESUMED, cancel=lambda: bool(polls.append(0)))
    return folder, len(polls)


@pytest.mark.no_cover
@pytest.mark.parametrize("stage", [0.1, 0.4, 0.6, 0.95] if "HIPPOSEG_KILLS" in os.environ else [0.4, 0.95])
def test_cancelled_anywhere_and_given_again_it_ends_the_same(
    small_site, base_folder, tmp_path, uninterrupted, no_pictures, stage
):
    """While reading, in a decoder epoch, in the second fold, in the final model.

    The short form has the second and the last: kills at all stages follow.
    """
    whole, polls = uninterrupted
    left = [int(stage * polls)]

    def cancel():
        left[0] -= 1
        return left[0] < 0

    with pytest.raises(Cancelled):
        tune(small_site, base_folder, tmp_path / "parted", settings=RESUMED, cancel=cancel)
    assert not (tmp_path / "parted").exists()
    tune(small_site, base_folder, tmp_path / "parted", settings=RESUMED)
    assert equal(whole, tmp_path / "parted")
    a, b = (fine_tuning(folder) for folder in (whole, tmp_path / "parted"))
    assert a["comparison"] == b["comparison"] and a["curves"] == b["curves"]


#: Stage -> how the words of progress begin there, at which the process is killed.
STAGES = {
    "reading": "Reading case 5",
    "first fold": "Cross-validation 1 of 2, epoch 1 of 2:",
    "between two steps of an epoch": None,
    "second fold": "Cross-validation 2 of 2, epoch 1 ",
    "final model": "Final model, epoch 2 ",
    "writing": None,
}

#: For each line of its input a forked process fine-tunes, and ends itself as a power cut would: without a
#: chance to clean up. PyTorch is imported once for all of them, and used in none but the forked ones.
KILLED = """
import json, os, signal, sys
sys.path[:0] = [{tests!r}, {root!r}]
import HippoSegLib.finetuning.result as writing
from HippoSegLib.finetuning import RunOptions, Site, fine_tune
from HippoSegLib.finetuning.settings import FineTuneSettings
from sitefixture import load

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def run(site, base, output, words, polls):
    left = [polls]

    def progress(said, fraction):
        if words and said.startswith(words):
            die()

    def cancel():
        left[0] -= 1
        if left[0] == 0:
            die()
        return False

    if words == "writing":
        writing.scores_csv = die  # the weights are written by then, the folder has not its name yet
    fine_tune(Site(site, region=True, label_map="msd"), output, base=load(base),
              settings=FineTuneSettings(**{settings!r}),
              run=RunOptions(threads=1, device="cpu", progress=progress, cancel=cancel))

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        try:
            run(*json.loads(line))
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
CHANGED = {"num_epochs": 2, "decoder_epochs": 1, "folds": 2, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def killed():
    """Runs a fine-tuning that ends itself; returns its exit code."""
    assert FineTuneSettings(**CHANGED) == RESUMED
    program = KILLED.format(tests=str(Path(__file__).parent), root=str(ROOT), settings=CHANGED)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:

        def run(*arguments) -> int:
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_any_stage_and_given_again_it_ends_the_same(
    small_site, base_folder, tmp_path, uninterrupted, killed, no_pictures, stage
):
    whole, polls = uninterrupted
    output = tmp_path / "sites" / "parted"
    ended = killed(
        str(small_site),
        str(base_folder),
        str(output),
        STAGES[stage] or stage,
        polls // 2 if "steps" in stage else -1,
    )
    assert ended == -signal.SIGKILL and not output.exists()
    done = len(list((tmp_path / "sites" / "parted.run").glob("*/state.pt")))
    assert done == {"reading": 0, "writing": 3, "final model": 3, "second fold": 2}.get(stage, 1)
    tune(small_site, base_folder, output, settings=RESUMED)
    assert equal(whole, output)
    a, b = (fine_tuning(folder) for folder in (whole, output))
    assert a["comparison"] == b["comparison"]
    assert [path.name for path in (tmp_path / "sites").iterdir()] == ["parted"]


def test_a_run_of_other_settings_is_not_continued(small_site, base_folder, tmp_path):
    quick = FineTuneSettings(num_epochs=2, decoder_epochs=0, folds=2)
    left = [6 + 4 + 1]  # six cases read, the first fold done

    def cancel():
        left[0] -= 1
        return left[0] < 0

    with pytest.raises(Cancelled):
        tune(small_site, base_folder, tmp_path / "m", settings=quick, cancel=cancel)
    other = FineTuneSettings(num_epochs=2, decoder_epochs=0, folds=2, learning_rate=0.002)
    with pytest.raises(TrainingError, match="other settings"):
        tune(small_site, base_folder, tmp_path / "m", settings=other)
