"""Does the preprocessing gain at full size and length? Networks of ``hipposeg train``, scored alike.

    HIPPOSEG_DATA=... python Testing/benchmarks/full_length.py FOLD_MODEL … [--write]

The models are of one of five folds each, and scored as the ablation's are: of every fold one with
``--preprocessing plain`` and one with ``both``, the rest of their settings alike. The labelled heads are left
alone, as this may choose what ships. ``--write`` puts table and rows beside this file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections import defaultdict
from pathlib import Path

import ablation  # first: it sets the threads before numpy and torch load
import ablation_table
import torch
from last_epochs import fold_of, network_of
from tables import option_of

from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training.settings import Settings

#: Preprocessing of ``hipposeg train`` -> what the ablation calls it; the first is compared with.
ARMS = {"plain": "none", "both": "plain, CLAHE + SCE"}


def scored(folder: Path, material: ablation.Material) -> dict:
    """A model's result, in the form of the ablation's."""
    fold, command, weights = fold_of(folder)
    name = option_of(command, "--preprocessing")
    training = json.loads((folder / "card.json").read_text(encoding="utf-8"))["training"]
    names = ("learning_rate", "batch_size", "num_epochs", "seed", "dropout", "ema_decay")
    settings = Settings(**{key: training[key] for key in names}, preprocessing=Preprocessing.named(name))
    train, tests = material.fold(fold)
    tests = [test for test in tests if test["set"] != "labelled"]
    return {
        "arm": ARMS[name],
        "fold": fold,
        "command": command,
        "settings": ablation.plain(settings),
        "train_cases": len(train),
        "steps": math.ceil(len(train) / settings.batch_size) * training["epochs_done"],
        "restarts": 0,
        "bfloat16": ablation.native_bfloat16(torch.device("cpu")),
        "train_seconds": training["seconds"],
        **ablation.score(network_of(weights, settings), settings, tests),
    }


def check(results: list[dict]) -> None:
    """Raises ValueError where two of a fold differ in more than their preprocessing."""
    alike = defaultdict(set)
    for one in results:
        rest = {key: value for key, value in one["settings"].items() if key != "preprocessing"}
        alike[one["fold"]].add(json.dumps(rest, sort_keys=True))
    if any(len(settings) > 1 for settings in alike.values()):
        raise ValueError("The models of a fold differ in more than their preprocessing.")


def report_words(commands: list[str]) -> ablation_table.Words:
    """What the report says beside its figures."""
    return ablation_table.Words(
        name="full_length",
        title="The preprocessing at full size and length",
        command="HIPPOSEG_DATA=... python Testing/benchmarks/full_length.py FOLD_MODEL … --write",
        recipe="Within a fold all but the preprocessing is alike.",
        meaning=(
            "`none` is min-max alone. `ablation.md` says what the degraded crops are. The models' commands:",
            "",
            *(f"- `{command}`" for command in commands),
        ),
        labelled=False,
        seeds="seed 0 for every fold",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+", help="model folders of folds")
    parser.add_argument("--write", action="store_true", help="save the table and the rows")
    args = parser.parse_args()
    ablation.one_thread()
    material = ablation.Material(Path(os.environ["HIPPOSEG_DATA"]))
    results = [scored(folder, material) for folder in args.models]
    check(results)
    arms, words = list(ARMS.values()), report_words([one["command"] for one in results])
    print(ablation_table.text(results, arms, words))
    if args.write:
        ablation_table.write(results, arms, words, Path(__file__).parent)


if __name__ == "__main__":
    main()
