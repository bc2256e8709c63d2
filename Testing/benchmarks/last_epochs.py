"""How the training should end: variants of some further epochs, from a fold's finished model.

    HIPPOSEG_DATA=... python Testing/benchmarks/last_epochs.py --run RUN --models cv1 … [--folds 1] [--write]

Each model is what ``hipposeg train --preprocessing both`` wrote for one of five folds; those of folds that
are not trained on teach, where a variant asks them. All variants of a fold start from its weights, with one
budget, order of cases and learning rate, and are scored as the ablation's networks are, but for the labelled
heads, which are left alone. RUN keeps one JSON per variant and fold; a killed command, given again, goes on.
``--write`` puts table and rows beside this file; ``--only-print`` trains nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import ablation  # first: it sets the threads before numpy and torch load
import ablation_table
import numpy as np
import torch
from bridge_variants import DEGRADATIONS, Ensemble, WithOthers, pseudo_cases
from scipy import ndimage
from torch import nn

from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training.augmentation import Augmentation
from HippoSegLib.training.cases import Case
from HippoSegLib.training.hosts import Host
from HippoSegLib.training.loop import Loop
from HippoSegLib.training.settings import Settings

EPOCHS, RATE, BATCH, SEED = 8, 6e-4, 4, 1
#: Offset in mm from which on a variant moves labels.
OFF = 0.5


def milder(part: float) -> Augmentation:
    """The usual augmentation with degradations less often: their probabilities times ``part``."""
    names = [f"{name}_probability" for name in DEGRADATIONS]
    return replace(Augmentation(), **{name: getattr(Augmentation(), name) * part for name in names})


@dataclass(frozen=True)
class Variant:
    """What further epochs are like.

    Attributes:
        meaning: For the report.
        augmentation: Of the samples; None trains no further.
        loop: Settings, surroundings and teacher -> what makes the training loop.
        cases: What is made of the cases trained on.
    """

    meaning: str
    augmentation: Augmentation | None
    loop: Callable[[Settings, list[Host], nn.Module], Callable[..., Loop]] = lambda *rest: Loop
    cases: Callable[[list[Case]], list[Case]] = list


def _pseudo_labelled(settings: Settings, hosts: list[Host], teacher: nn.Module) -> Callable[..., Loop]:
    return partial(WithOthers, extra=pseudo_cases(teacher, settings, hosts))


def with_labels_moved(cases: list[Case]) -> list[Case]:
    """The cases with their labels laid upon the images, where ``label_offsets.csv`` tells them far off."""
    with (Path(__file__).parent / "label_offsets.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["case"]: [float(row[f"{axis}_mm"]) for axis in "zyx"] for row in csv.DictReader(file)}
    return [replace(case, label=moved_label(case.label, rows.get(case.name, [0, 0, 0]))) for case in cases]


def moved_label(label: np.ndarray, offset: Sequence[float]) -> np.ndarray:
    """A label (z, y, x) brought back by its ``offset`` in voxels, if that is long enough."""
    if np.linalg.norm(offset) < OFF:
        return label
    back = np.negative(offset)
    shares = np.stack([ndimage.shift((label == k).astype(float), back, order=1) for k in (1, 2)])
    return np.where(shares.sum(axis=0) > 0.5, shares.argmax(axis=0) + 1, 0).astype(np.uint8)


VARIANTS = {
    "as before": Variant("the augmentation is the usual one", Augmentation()),
    "no further": Variant("the fold's model as it is", None),
    "half": Variant("degradations are half as often", milder(0.5)),
    "labels moved": Variant(
        f"labels that lie {OFF} mm or more off the image (`label_offsets.csv`) are moved upon it",
        Augmentation(),
        cases=with_labels_moved,
    ),
    "pseudo-labels": Variant(
        "the models of all folds given label the regions of the heads that may train, by the mean of their "
        "probabilities; these join every epoch, in which as many crops, each in its turn, are left out",
        Augmentation(),
        _pseudo_labelled,
    ),
}


def settings_of(name: str, epochs: int) -> Settings:
    """What a variant is trained with."""
    return Settings(
        RATE,
        BATCH,
        epochs,
        seed=SEED,
        preprocessing=Preprocessing.named("both"),
        augmentation=VARIANTS[name].augmentation or Augmentation(),
    )


def described(name: str, epochs: int, command: str) -> dict:
    """What makes a result what it is, as plain values."""
    made = {"variant": name, "base": command}
    return {**ablation.plain(settings_of(name, epochs)), **made}


def starting_from(weights: dict, loop: Callable[..., Loop]) -> Callable[..., Loop]:
    """What makes a loop whose network has these weights."""

    def make(model: UNet3D, *rest) -> Loop:
        model.load_state_dict({name: value.float() for name, value in weights.items()})
        # At these widths, faster on a CPU than with the channels last.
        return loop(model.to(memory_format=torch.contiguous_format), *rest)

    return make


def network_of(weights: dict, settings: Settings) -> UNet3D:
    """The network of a fold's model."""
    model = ablation.start(settings)
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    return model.eval()


def run_variant(
    name: str, epochs: int, weights: dict, material, fold: int, path: Path, teachers: list[dict]
) -> dict:
    """Train, unless the variant does without, and score; returns plain values."""
    settings = settings_of(name, epochs)
    train, tests = material.fold(fold)
    tests = [test for test in tests if test["set"] != "labelled"]
    if VARIANTS[name].augmentation is None:
        model = network_of(weights, settings)
        trained = {"train_cases": len(train), "steps": 0, "restarts": 0, "train_seconds": 0.0}
        trained["bfloat16"] = ablation.native_bfloat16(torch.device("cpu"))
    else:
        teacher = Ensemble([(network_of(one, settings), settings.preprocessing) for one in teachers])
        make = starting_from(weights, VARIANTS[name].loop(settings, material.hosts, teacher))
        model, trained = ablation.trained_on(
            settings, VARIANTS[name].cases(train), material.hosts, path.with_suffix(".pt"), make
        )
    return {**trained, **ablation.score(model, settings, tests)}


def fold_of(folder: Path) -> tuple[int, str, dict]:
    """Number of a model's fold, the command that made it, and its weights."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    command = card["training"]["command"]
    words = command.split()
    if words[words.index("--folds") + 1] != "5":
        raise SystemExit(f"{folder} is not one of five folds.")
    weights = torch.load(folder / "segmenter.pt", weights_only=True)
    return int(words[words.index("--fold") + 1]), command, weights


def report_words(epochs: int, names: list[str], commands: list[str]) -> ablation_table.Words:
    """What the report says beside its figures."""
    command = "HIPPOSEG_DATA=... python Testing/benchmarks/last_epochs.py --run RUN --models FOLD_MODEL …"
    if epochs != EPOCHS:
        command += f" --epochs {epochs}"
    if names != list(VARIANTS):
        command += " --variants " + " ".join(f'"{name}"' for name in names)
    return ablation_table.Words(
        name="last_epochs",
        title="How the training should end",
        command=f"{command} --write",
        recipe="All variants start from the fold's model.",
        meaning=(
            "The models given were made by",
            "",
            *(f"- `{made}`" for made in commands),
            "",
            "`ablation.md` says what the degraded crops are. The variants:",
            "",
            *(f"- `{name}`: {VARIANTS[name].meaning}." for name in names),
        ),
        kind="variant",
        cost=("training, minutes a fold", "train_seconds", 60),
        labelled=False,
        seeds=f"seed {SEED} for every fold",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the finished variants and folds")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model folders of folds")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of every variant (default {EPOCHS})")
    parser.add_argument("--folds", type=int, nargs="+", help="folds to train on (default: all given)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--write", action="store_true", help="save the table and the rows")
    parser.add_argument("--only-print", action="store_true", help="train nothing; print what is finished")
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    if not args.only_print:
        ablation.one_thread()
        material = ablation.Material(Path(os.environ["HIPPOSEG_DATA"]))
    results = []
    folds = [fold_of(folder) for folder in args.models]
    teachers, commands = [weights for _, _, weights in folds], [command for _, command, _ in folds]
    folds = [one for one in folds if args.folds is None or one[0] in args.folds]
    for fold, command, weights in folds:
        for name in args.variants:
            path = args.run / f"fold{fold}_{name.replace(', ', '_').replace(' ', '_')}.json"
            wanted = described(name, args.epochs, command)
            if not args.only_print and ablation.finished(path, wanted) is None:
                found = run_variant(name, args.epochs, weights, material, fold, path, teachers)
                ablation.save({"arm": name, "fold": fold, **found, "settings": wanted}, path)
            results.append(ablation.finished(path, wanted))
    results = [result for result in results if result is not None]
    words = report_words(args.epochs, args.variants, commands)
    print(ablation_table.text(results, args.variants, words))
    if args.write:
        ablation_table.write(results, args.variants, words, Path(__file__).parent)


if __name__ == "__main__":
    main()
