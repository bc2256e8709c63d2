"""The shipped checkpoints, from the data folder, by one command.

    python -m HippoSegLib.training.recipe DATA -o MODELS --runs RUNS --jobs 2

MODELS then holds the two readers: `hipposeg`, and `hipposeg_clahe_sce`, which has the method's preprocessing
as a second channel and the localiser of the first. Each step is a command of its own, printed before it
runs; what is finished in RUNS is not done again, and a step that was killed goes on from its last saved
state. Hours on one CPU core, less on two, as most steps wait for few others.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from .data_splits import CROPS, UNLABELLED_HEADS


@dataclass(frozen=True)
class Reader:
    """A model of the recipe.

    Attributes:
        model: Name of its folder.
        preprocessing: Channels of its segmenter, as ``hipposeg train`` names them.
        title: For people.
        options: What `training.assemble` is told besides, about the other reader.
        second: Preprocessing of the reader beside it, whose agreement its quality score learns from.
    """

    model: str
    preprocessing: str
    title: str
    options: tuple[str, ...]
    second: str | None = None


PLAIN, BOTH = "hipposeg", "hipposeg_clahe_sce"
READERS = (
    Reader(PLAIN, "plain", "Whole head, both hippocampi, T1", ("--second-reader", BOTH), "both"),
    Reader(
        BOTH,
        "both",
        "Whole head, both hippocampi, T1; CLAHE and SCE-3DWT as a second channel",
        ("--share", PLAIN),
    ),
)


@dataclass(frozen=True)
class Step:
    """One command: `arguments` of a module of this package; it is finished when `done` exists, which is
    made then where the command itself does not write it. It waits for the steps named in `after`."""

    name: str
    module: str
    arguments: tuple[str, ...]
    done: Path
    after: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        return ["-m", f"HippoSegLib.training.{self.module}", *self.arguments]


def steps(data: Path, runs: Path, models: Path, threads: int = 1) -> list[Step]:
    """The steps in order: the networks of the localiser, then each reader's, then the quality scores.

    A score is fitted on what readers made of cases that they had not seen: for it they are trained once
    more without a fold, through all steps.
    """
    made = [_localizer(data, runs, "localizer", threads, seed=0, learning_rate=2e-3, steps=7000)]
    made.append(_localizer(data, runs, "refiner", threads, seed=0, learning_rate=4e-3, steps=4000))
    for reader in READERS:
        trained = _Trainings(data, runs, reader.preprocessing, threads)
        made += [*trained.of_fold(), *trained.of_all(), _assembled(reader, trained, models)]
    return made + [_scored(reader, data, runs, models) for reader in READERS]


def _localizer(data: Path, runs: Path, name: str, threads: int, **settings) -> Step:
    arguments = (str(data), "-o", str(runs / name), *_options(threads=threads, **settings))
    # Weights are written along the way: only this mark says that the run came to its end.
    return Step(name, name, arguments, runs / name / "finished")


@dataclass(frozen=True)
class _Trainings:
    """The trainings of one reader's segmenter.

    It learns on four fifths of the crops first, then on all but one subject's, with a smaller rate, then
    from the second teacher what lies beyond their border; at last once more, with twice the weight of
    complete labels, and halfway back to where that began.
    """

    data: Path
    runs: Path
    kind: str
    threads: int

    def folder(self, name: str) -> Path:
        """The model folder that a training writes."""
        return self.runs / f"{name}-{self.kind}" / "model"

    def of_fold(self) -> list[Step]:
        """Those that saw nothing of fold 0."""
        fold = {"folds": 5, "fold": 0}
        return [
            self._crops("fold0", None, **fold, seed=0, epochs=60, learning_rate=0.0015),
            self._outline("outline0", "fold0", **fold),
            self._weighed("weighed0", "outline0", **fold),
        ]

    def of_all(self) -> list[Step]:
        """Those of what ships."""
        rest = {"folds": 111, "fold": 0, "seed": 1, "epochs": 20, "validate_every": 20}
        return [
            self._crops("all", "fold0", **rest, learning_rate=0.0006),
            self._outline("outline", "all"),
            self._weighed("weighed", "outline"),
        ]

    def _crops(self, name: str, after: str | None, **settings) -> Step:
        given = (str(self.data / CROPS), *_options(background=self.data / UNLABELLED_HEADS))
        return self._step(name, "command", given, after, batch_size=4, **settings)

    def _outline(self, name: str, after: str, **settings) -> Step:
        settings |= {"seed": 0, "epochs": 6, "batch_size": 4, "learning_rate": 0.0006}
        return self._step(name, "outline", (str(self.data),), after, **settings)

    def _weighed(self, name: str, after: str, **settings) -> Step:
        settings |= {"seed": 2, "epochs": 2, "batch_size": 4, "learning_rate": 0.0005}
        settings |= {"repeats": 2, "turns": 2, "label_maps": 4, "keep": 0.5}
        return self._step(name, "outline", (str(self.data),), after, **settings)

    def _step(self, name: str, module: str, given: tuple[str, ...], after: str | None, **settings) -> Step:
        model = self.folder(name)
        if after is not None:
            settings["init_from"] = self.folder(after) / "segmenter.pt"
        settings |= {"preprocessing": self.kind, "run": model.parent, "threads": self.threads}
        arguments = (*given, "-o", str(model), *_options(**settings))
        waits = () if after is None else (self.folder(after).parent.name,)
        return Step(model.parent.name, module, arguments, model / "card.json", waits)


def _assembled(reader: Reader, trained: _Trainings, models: Path) -> Step:
    weighed = trained.folder("weighed")
    parts = (weighed, trained.runs / "localizer", trained.runs / "refiner")
    earlier = (trained.folder(name) for name in ("fold0", "all", "outline"))
    model = models / reader.model
    return Step(
        f"assemble-{reader.preprocessing}",
        "assemble",
        (
            *(*map(str, parts), "-o", str(model), "--earlier", *map(str, earlier)),
            *(*_options(title=reader.title), *reader.options),
        ),
        model / "card.json",
        # What is shared lies in the first reader's folder.
        (
            weighed.parent.name,
            "localizer",
            "refiner",
            *(() if reader.model == PLAIN else ("assemble-plain",)),
        ),
    )


def _scored(reader: Reader, data: Path, runs: Path, models: Path) -> Step:
    kinds = [reader.preprocessing, *([reader.second] if reader.second else [])]
    folds = [f"weighed0-{kind}" for kind in kinds]
    words = [
        word
        for option, fold in zip(("--run", "--second"), folds, strict=False)
        for word in (option, str(runs / fold / "model"))
    ]
    name = f"quality-{reader.preprocessing}"
    return Step(
        name,
        "quality",
        (str(data), str(models / reader.model), *words, *_options(per_kind=48), "--write"),
        runs / name / "finished",
        (*folds, f"assemble-{reader.preprocessing}"),
    )


def _options(**settings) -> tuple[str, ...]:
    """Command-line options of keyword arguments: ``fold_size=3`` is ``--fold-size 3``."""
    return tuple(
        word for name, value in settings.items() for word in ("--" + name.replace("_", "-"), str(value))
    )


def run(waiting: list[Step], jobs: int = 1) -> None:
    """Do what is not done yet, at most `jobs` steps at a time.

    Raises:
        subprocess.CalledProcessError: A step failed; it has said why. No other was begun after it, and one
            that ran beside it was ended: given again, it goes on.
    """
    waiting = list(waiting)
    finished: set[str] = set()
    running: dict[Future[None], Step] = {}
    begun: list[subprocess.Popen] = []
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting or running:
                ready = [step for step in waiting if finished.issuperset(step.after)]
                for step in ready[: jobs - len(running)]:
                    waiting.remove(step)
                    running[pool.submit(_do, step, begun)] = step
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    finished.add(running.pop(future).name)
        except BaseException:
            for process in begun:
                process.terminate()  # does nothing to one that has ended
            raise


def _do(step: Step, begun: list[subprocess.Popen]) -> None:
    if step.done.exists():
        _say(f"{step.name}: done")
        return
    _say(f"{step.name}: python {shlex.join(step.command)}")
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *step.command])
    begun.append(process)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, process.args)
    if not step.done.exists():
        step.done.parent.mkdir(parents=True, exist_ok=True)
        step.done.touch()
    _say(f"{step.name}: {time.monotonic() - started:.0f} s")


def _say(words: str) -> None:
    """Print a line in one piece, as another step may print at the same time."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the models")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="steps at a time (default 1)")
    parser.add_argument("--list", action="store_true", help="only print the commands")
    args = parser.parse_args()
    todo = steps(args.data, args.runs, args.output, args.threads)
    if args.list:
        for step in todo:
            print("python", shlex.join(step.command))
        return
    run(todo, args.jobs)


if __name__ == "__main__":
    main()
