"""What bridges from tight crops to whole heads, and what else gains: variants of one base training.

    HIPPOSEG_DATA=... python Testing/benchmarks/bridges.py --run RUN --ablation RUN2 [--write]

The base is the ablation's arm of two channels; its results and weights are taken from the ablation's run
folder RUN2 (without one, it is trained in RUN). Every variant of ``VARIANTS`` has the base's folds, seeds,
steps and start, and differs in one thing. RUN keeps one JSON per variant and fold; a killed command, given
again, goes on, and several with other ``--folds`` or ``--variants`` may share RUN. ``--write`` puts table
and rows beside this file; ``--only-print`` trains nothing. The labelled heads choose nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import ablation  # first: it sets the threads before numpy and torch load
import ablation_table
import torch
from bridge_variants import (
    BOUNDARY,
    DEGRADATIONS,
    DEPTHS,
    HIDDEN,
    SEED,
    SHIFT,
    TAUGHT,
    BoundaryAware,
    DeeplySupervised,
    Distilled,
    Ensemble,
    Mirrored,
    PlainHidden,
    Shifted,
    WithOthers,
    pseudo_cases,
    synthesised_cases,
)
from torch import nn

from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training import batches
from HippoSegLib.training.augmentation import Augmentation
from HippoSegLib.training.loop import Loop
from HippoSegLib.training.settings import Settings
from HippoSegLib.training.trainer import native_bfloat16

BASE = "plain, CLAHE + SCE"


class Fold:
    """What the variants of a fold are made from.

    Attributes:
        base: Settings of the base.
        data: Folder of all data.
        train, tests: Crops trained on, and all that is scored.
        hosts: Surroundings.
        networks: Arm -> path of the ablation's weights in this fold, of the finished arms.
    """

    def __init__(self, material: ablation.Material, fold: int, epochs: int, ablated: Path):
        self.base, self.hosts = ablation.settings_of(BASE, fold, epochs), material.hosts
        self.data = material.data
        self.train, self.tests = material.fold(fold)
        self.networks = {}
        for arm in ablation.ARMS:
            path = ablation.path_of(ablated, arm, fold)
            if ablation.finished(path, ablation.plain(ablation.settings_of(arm, fold, epochs))):
                self.networks[arm] = path.with_suffix(".pt")

    def network(self, arm: str = BASE) -> tuple[UNet3D, Preprocessing]:
        """A network of the ablation and its preprocessing."""
        settings = replace(self.base, preprocessing=Preprocessing(ablation.ARMS[arm]))
        model = ablation.start(settings)
        model.load_state_dict(torch.load(self.networks[arm], weights_only=True))
        return model.to(memory_format=torch.channels_last_3d).eval(), settings.preprocessing

    def ensemble(self) -> Ensemble:
        """All arms, the base first."""
        return Ensemble([self.network(arm) for arm in (BASE, *(arm for arm in ablation.ARMS if arm != BASE))])


@dataclass(frozen=True)
class Variant:
    """One thing that differs from the base.

    Attributes:
        meaning: What, for the report.
        loop: Fold -> what makes the training loop; None trains nothing.
        network: Of a variant without training: fold -> what is scored, and the preprocessing before it.
        augmentation: Of the samples.
        values: Constants of it, a change of which makes a finished result another.
        needs: Arms of the ablation whose networks it uses.
        shares: Whether its samples are drawn as the base's, so that variants can share them.
    """

    meaning: str
    loop: Callable[[Fold], Callable[..., Loop]] | None = lambda fold: Loop
    network: Callable[[Fold], tuple[nn.Module, Preprocessing]] | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    values: tuple[float, ...] = ()
    needs: tuple[str, ...] = ()
    shares: bool = True


def _pseudo_labelled(fold: Fold) -> Callable[..., Loop]:
    return partial(WithOthers, extra=pseudo_cases(fold.network()[0], fold.base, fold.hosts))


def _synthesised(fold: Fold) -> Callable[..., Loop]:
    return partial(WithOthers, extra=synthesised_cases(fold.data))


def _ensemble(fold: Fold) -> tuple[nn.Module, Preprocessing]:
    teacher = fold.ensemble()
    return teacher, teacher.preprocessing


def _shifted(fold: Fold) -> tuple[nn.Module, Preprocessing]:
    model, preprocessing = fold.network()
    return Shifted(model), preprocessing


VARIANTS = {
    "no surroundings": Variant(
        "the crops lie on black, none in the surroundings of a head",
        augmentation=Augmentation(host_probability=0),
        shares=False,
    ),
    "no degradations": Variant(
        f"the samples are moved and bent, not worsened: no {', '.join(DEGRADATIONS)}",
        augmentation=Augmentation(**{f"{name}_probability": 0 for name in DEGRADATIONS}),
        shares=False,
    ),
    "deep supervision": Variant(
        f"1×1×1 heads on the two next coarser levels of the decoder, losses weighted {DEPTHS} over their "
        "sum, the target of a block its commonest class; dropped after the training",
        lambda fold: DeeplySupervised,
        values=DEPTHS,
    ),
    "boundary loss": Variant(
        "added is the mean of probability times signed distance (voxels of 1 mm) of the whole hippocampus "
        f"(Kervadec et al., MIDL 2019), weighted {BOUNDARY:g} in the first epoch and {BOUNDARY:g} more in "
        "every further one",
        lambda fold: BoundaryAware,
        values=(BOUNDARY,),
    ),
    "plain channel hidden": Variant(
        f"in {HIDDEN:.0%} of the samples the plain channel is replaced by the preprocessed one",
        lambda fold: PlainHidden,
        values=(HIDDEN,),
    ),
    "pseudo-labels": Variant(
        "the base network of the fold labels the regions of the heads that may train (likeliest class, "
        "largest piece); these join every epoch, in which as many crops, each in its turn, are left out, so "
        "that the steps are the same",
        _pseudo_labelled,
        needs=(BASE,),
        shares=False,
    ),
    "synthesised heads": Variant(
        "both hippocampi of a T1 drawn from each label map that may train (the idea is SynthSeg's), of which "
        "the whole alone is known, join every epoch like the pseudo-labels",
        _synthesised,
        values=(SEED,),
        shares=False,
    ),
    "mirrored copies": Variant(
        "half of the samples are mirrored, left for right",
        lambda fold: Mirrored,
    ),
    "distilled ensemble": Variant(
        f"{TAUGHT:.0%} of the loss is the cross-entropy to the probabilities that `ensemble` gives the same "
        "sample, the rest the usual loss",
        lambda fold: partial(Distilled, teacher=fold.ensemble()),
        values=(TAUGHT,),
        needs=tuple(ablation.ARMS),
    ),
    "ensemble": Variant(
        f"no training: mean probability of the fold's networks of all {len(ablation.ARMS)} arms of the "
        "ablation, each with its preprocessing",
        None,
        _ensemble,
        needs=tuple(ablation.ARMS),
    ),
    "test-time augmentation": Variant(
        f"no training: mean probability of the base network over the region and six copies shifted by "
        f"{SHIFT} voxels to either side along each axis, moved back",
        None,
        _shifted,
        values=(SHIFT,),
        needs=(BASE,),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the finished variants and folds")
    parser.add_argument("--ablation", type=Path, help="run folder of the ablation (default: RUN)")
    parser.add_argument(
        "--epochs", type=int, default=ablation.EPOCHS, help=f"of every variant (default {ablation.EPOCHS})"
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--folds", nargs="+", type=int, choices=ablation.FOLDS, default=ablation.FOLDS)
    parser.add_argument("--write", action="store_true", help="save the table and the rows")
    parser.add_argument("--only-print", action="store_true", help="train nothing; print what is finished")
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    ablated = args.ablation or args.run
    if not args.only_print:
        ablation.one_thread()
        data = Path(os.environ["HIPPOSEG_DATA"])
        if args.ablation is None:
            ablation.run_all(data, args.run, args.epochs, [BASE], args.folds)
        run_all(data, args.run, ablated, args.epochs, args.variants, args.folds)
    results = finished_results(args.run, ablated, args.epochs, args.variants)
    arms = [BASE, *args.variants]
    words = report_words(args.epochs, args.variants)
    print(ablation_table.text(results, arms, words))
    if args.write:
        ablation_table.write(results, arms, words, Path(__file__).parent)


def run_all(data: Path, run: Path, ablated: Path, epochs: int, variants, folds) -> None:
    """Train and score what is not finished, fold by fold."""
    material = ablation.Material(data)
    for number in folds:
        fold = Fold(material, number, epochs, ablated)
        once = ablation.DrawnOnce(ablation.DrawnOnce.original)
        for name in variants:
            variant, path = VARIANTS[name], path_of(run, name, number)
            if ablation.finished(path, described(fold.base, name)):
                continue
            if missing := [arm for arm in variant.needs if arm not in fold.networks]:
                print(f"fold {number}, {name}: left out, as the ablation has no {', '.join(missing)} yet")
                continue
            # Samples that no other variant draws would only fill the memory.
            batches.sample = once if variant.shares else once.original
            ablation.save({"arm": name, "fold": number, **one(name, fold, path.with_suffix(".pt"))}, path)


def one(name: str, fold: Fold, weights: Path) -> dict:
    """Train, unless the variant does without, and score; returns plain values."""
    variant = VARIANTS[name]
    settings = replace(fold.base, augmentation=variant.augmentation)
    if variant.loop is None:
        model, preprocessing = variant.network(fold)
        settings = replace(settings, preprocessing=preprocessing)
        mixed = native_bfloat16(torch.device("cpu"))
        trained = {"train_cases": len(fold.train), "steps": 0, "restarts": 0, "bfloat16": mixed}
        trained["train_seconds"] = 0.0
    else:
        make = variant.loop(fold)
        model, trained = ablation.trained_on(settings, fold.train, fold.hosts, weights, make)
    scored = ablation.score(model, settings, fold.tests)
    return {**trained, **scored, "settings": described(fold.base, name)}


def described(base: Settings, name: str) -> dict:
    """What makes a result what it is, as plain values: the settings, and how the variant differs."""
    variant = VARIANTS[name]
    settings = ablation.plain(replace(base, augmentation=variant.augmentation))
    return {**settings, "variant": [name, *variant.values]}


def path_of(run: Path, name: str, fold: int) -> Path:
    """The result of a variant and fold."""
    return run / f"fold{fold}_{name.replace(' ', '_')}.json"


def finished_results(run: Path, ablated: Path, epochs: int, variants: Sequence[str]) -> list[dict]:
    """The base's results, then the variants', of this budget alone."""
    found = []
    for fold in ablation.FOLDS:
        base = ablation.settings_of(BASE, fold, epochs)
        found.append(ablation.finished(ablation.path_of(ablated, BASE, fold), ablation.plain(base)))
        found += [ablation.finished(path_of(run, v, fold), described(base, v)) for v in variants]
    return [result for result in found if result is not None]


def report_words(epochs: int, variants: Sequence[str]) -> ablation_table.Words:
    """What the report says beside its figures."""
    command = "HIPPOSEG_DATA=... python Testing/benchmarks/bridges.py --run RUN --ablation RUN2"
    if epochs != ablation.EPOCHS:
        command += f" --epochs {epochs}"
    if list(variants) != list(VARIANTS):
        command += " --variants " + " ".join(f'"{name}"' for name in variants)
    return ablation_table.Words(
        name="bridges",
        title="What bridges from crops to heads, and what else gains",
        command=f"{command} --write",
        recipe="""Within a fold all variants start from the same weights, and see the same samples in the
            same order where the variant is not one of the samples.""",
        meaning=(
            f"""`{BASE}` is the base: that arm of the ablation (`ablation.md`), which says what the degraded
            crops are. Each variant differs from it in one thing:""",
            "",
            *(f"- `{name}`: {VARIANTS[name].meaning}." for name in variants),
        ),
        kind="variant",
        cost=("training, minutes a fold", "train_seconds", 60),
    )


if __name__ == "__main__":
    main()
