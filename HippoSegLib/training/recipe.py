"""The shipped checkpoints, from the data folder, by one command each.

    python -m HippoSegLib.training.recipe DATA -o Models/hipposeg --runs RUNS --jobs 2
    python -m HippoSegLib.training.recipe DATA -o Models/hipposeg_clahe_sce --runs RUNS --jobs 2 \\
        --preprocessing both --share hipposeg

The second has the method's preprocessing as a second channel, and the localiser of the first. Each step
is a command of its own, printed before it runs; what is finished in RUNS is not done again, and a step
that was killed goes on from its last saved state. Hours on one CPU core, less on two, as segmenter and
localiser do not wait for each other: the card says how long each step took.
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

#: Of the model, by its segmenter's channels.
TITLES = {
    "plain": "Whole head, both hippocampi, T1",
    "both": "Whole head, both hippocampi, T1; CLAHE and SCE-3DWT as a second channel",
    "method": "Whole head, both hippocampi, T1; CLAHE and SCE-3DWT alone",
}


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


def steps(
    data: Path,
    runs: Path,
    model: Path,
    threads: int = 1,
    preprocessing: str = "plain",
    share: str | None = None,
) -> list[Step]:
    """The steps in order.

    The segmenter learns on four fifths of the crops first, then on all but one subject's, with a smaller
    rate, then from the second teacher what lies beyond their border; at last once more, with twice the
    weight of complete labels, and halfway back to where that began. The quality score is fitted on what
    it made of the fifth it had not seen at first, and on what a network of another fold makes of its own:
    one alone is as sure of itself as it happens to be.

    Args:
        preprocessing: Channels of the segmenter, as ``hipposeg train`` names them.
        share: Name of a model folder beside `model` that holds the same localiser.
    """
    crops = (
        str(data / CROPS),
        *_options(background=data / UNLABELLED_HEADS, preprocessing=preprocessing, batch_size=4),
    )
    kind = "" if preprocessing == "plain" else f"-{preprocessing}"

    def segmenter(name: str, after: tuple[str, ...] = (), **settings) -> Step:
        folder = runs / (name + kind)
        out = ("-o", str(folder / "model"), *_options(run=folder, threads=threads))
        arguments = (*crops, *out, *_options(**settings))
        return Step(name, "command", arguments, folder / "model" / "card.json", after)

    def localizer(name: str, **settings) -> Step:
        arguments = (str(data), "-o", str(runs / name), *_options(threads=threads, **settings))
        # Weights are written along the way: only this mark says that the run came to its end.
        return Step(name, name, arguments, runs / name / "finished")

    fold0, fold1, every, outline, weighed = (
        runs / f"{name}{kind}" / "model" for name in ("fold0", "fold1", "all", "outline", "weighed")
    )
    parts = (str(weighed), str(runs / "localizer"), str(runs / "refiner"))
    told = _options(title=TITLES[preprocessing], **({"share": share} if share else {}))
    return [
        segmenter("fold0", folds=5, fold=0, seed=0, epochs=60, learning_rate=0.0015),
        localizer("localizer", seed=0, learning_rate=2e-3, steps=7000),
        localizer("refiner", seed=0, learning_rate=4e-3, steps=4000),
        segmenter("fold1", folds=5, fold=1, seed=0, epochs=45, learning_rate=0.0015),
        segmenter(
            "all",
            ("fold0",),
            folds=111,
            fold=0,
            seed=1,
            epochs=20,
            learning_rate=0.0006,
            validate_every=20,
            init_from=fold0 / "segmenter.pt",
        ),
        Step(
            "outline",
            "outline",
            (
                *(str(data), "-o", str(outline), "--run", str(outline.parent)),
                *_options(init_from=every / "segmenter.pt", preprocessing=preprocessing, threads=threads),
                *_options(seed=0, epochs=6, batch_size=4, learning_rate=0.0006),
            ),
            outline / "card.json",
            ("all",),
        ),
        Step(
            "weighed",
            "outline",
            (
                *(str(data), "-o", str(weighed), "--run", str(weighed.parent)),
                *_options(init_from=outline / "segmenter.pt", preprocessing=preprocessing, threads=threads),
                *_options(seed=2, epochs=2, batch_size=4, learning_rate=0.0005),
                *_options(repeats=2, turns=2, label_maps=4, keep=0.5),
            ),
            weighed / "card.json",
            ("outline",),
        ),
        Step(
            "assemble",
            "assemble",
            (*parts, "-o", str(model), "--earlier", str(fold0), str(every), str(outline), *told),
            model / "card.json",
            ("weighed", "localizer", "refiner"),
        ),
        Step(
            "quality",
            "quality",
            (str(data), str(model), "--run", str(fold0), str(fold1), "--write"),
            runs / f"quality{kind}" / "finished",
            ("fold0", "fold1", "assemble"),
        ),
    ]


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
    parser.add_argument("-o", "--output", type=Path, required=True, help="model folder to write")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="steps at a time (default 1)")
    parser.add_argument("--preprocessing", choices=("plain", "method", "both"), default="plain")
    parser.add_argument("--share", help="model folder beside OUTPUT that has the same localiser")
    parser.add_argument("--list", action="store_true", help="only print the commands")
    args = parser.parse_args()
    todo = steps(args.data, args.runs, args.output, args.threads, args.preprocessing, args.share)
    if args.list:
        for step in todo:
            print("python", shlex.join(step.command))
        return
    run(todo, args.jobs)


if __name__ == "__main__":
    main()
