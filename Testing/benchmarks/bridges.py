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
import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage
from synthetic_heads import CUTS, SIDES, draw, draw_labels, plan_head, read_label_map
from torch import nn
from torch.nn import functional

from HippoSegLib.frame import WORLD_RAS
from HippoSegLib.inference import predict
from HippoSegLib.preprocessing import Preprocessing, channels
from HippoSegLib.regions import cut, region_about
from HippoSegLib.training import batches
from HippoSegLib.training.augmentation import Augmentation
from HippoSegLib.training.cases import CLASSES, WHOLE_ONLY, Case, fit
from HippoSegLib.training.hosts import HOST_SHAPE, Host
from HippoSegLib.training.loop import Loop
from HippoSegLib.training.losses import dice_and_cross_entropy
from HippoSegLib.training.roles import LABEL_MAPS, TRAIN_LABEL_MAPS
from HippoSegLib.training.settings import Settings
from HippoSegLib.training.trainer import native_bfloat16
from HippoSegLib.unet3d import UNet3D

BASE = "plain, CLAHE + SCE"
#: Weights of the losses at full, half and quarter resolution, before they are divided by their sum.
DEPTHS = (1.0, 0.5, 0.25)
#: Of the boundary term: its weight in the first epoch, and what every further one adds.
BOUNDARY = 0.01
#: Part of the loss that asks for the teacher's probabilities.
TAUGHT = 0.5
#: Voxels by which the copies of the test-time augmentation are shifted.
SHIFT = 2
#: Share of the samples in which the plain channel is hidden.
HIDDEN = 0.3
#: Of the synthesised heads.
SEED = 5


class DeeplySupervised(Loop):
    """Two coarser levels of the decoder are asked for the labels too, by heads that are then dropped."""

    def __init__(self, model: UNet3D, *rest):
        model.side_heads = nn.ModuleList(
            nn.Conv3d(width, CLASSES, 1) for width in model.widths[1 : len(DEPTHS)]
        )
        super().__init__(model, *rest)
        self.features: dict[int, torch.Tensor] = {}
        for level in range(1, len(DEPTHS)):
            self.model.up[level].register_forward_hook(partial(self._keep, level))

    def _keep(self, level: int, block, inputs, output: torch.Tensor) -> None:
        self.features[level] = output

    def _loss(self, network, inputs, target):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = [network(inputs)]
            logits += [
                head(self.features[level]) for level, head in enumerate(self.model.side_heads, start=1)
            ]
        losses = [dice_and_cross_entropy(one, coarser(target, level)) for level, one in enumerate(logits)]
        return sum(w * loss for w, loss in zip(DEPTHS, losses, strict=True)) / sum(DEPTHS)

    def finished(self, keep: str) -> UNet3D:
        model = UNet3D(self.model.in_channels, CLASSES, self.model.widths, self.settings.dropout)
        weights = self.ema.state_dict().items()
        model.load_state_dict({k: v for k, v in weights if not k.startswith("side_heads")})
        return model.eval()


def coarser(target: torch.Tensor, level: int) -> torch.Tensor:
    """Labels (n, z, y, x) at half the resolution per level: the commonest of a block, the lowest of a tie."""
    if not level:
        return target
    share = functional.one_hot(target, CLASSES).movedim(-1, 1).float()
    return functional.avg_pool3d(share, 2**level).argmax(dim=1)


class BoundaryAware(Loop):
    """The usual loss and a boundary loss (Kervadec et al., MIDL 2019) that weighs more with every epoch."""

    def _loss(self, network, inputs, target):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = network(inputs)
        # As in the paper's schedule: the regions must be found before their outline can be moved.
        weight = BOUNDARY * (self.epoch + 1)
        return dice_and_cross_entropy(logits, target) + weight * boundary_loss(logits, target)


def boundary_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean over the voxels of the hippocampus's probability times its signed distance.

    Args:
        logits: (n, 3, z, y, x).
        target: (n, z, y, x) int64, anterior and posterior alike hippocampus.
    """
    distance = torch.from_numpy(np.stack([signed_distance(one > 0) for one in target.cpu().numpy()]))
    return (logits.float().softmax(dim=1)[:, 1:].sum(dim=1) * distance.to(logits.device)).mean()


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance to the outline of ``mask`` bool (z, y, x) in voxels of 1 mm: float32, negative inside.

    As in the paper's code, the outermost voxels inside have 0. Without an outline it is 0 everywhere.
    """
    if mask.all() or not mask.any():
        return np.zeros(mask.shape, np.float32)
    outside, inside = ndimage.distance_transform_edt(~mask), ndimage.distance_transform_edt(mask)
    return np.where(mask, 1 - inside, outside).astype(np.float32)


class PlainHidden(Loop):
    """In some samples the plain channel shows what the preprocessed one does, so that both teach."""

    def _loss(self, network, inputs, target):
        return super()._loss(network, hidden(inputs, torch.rand(len(inputs)) < HIDDEN), target)


def hidden(inputs: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Samples (n, 2, z, y, x) with the second channel in place of the first one ``where`` (n,) is true."""
    return torch.where(where.to(inputs.device).view(-1, 1, 1, 1, 1), inputs[:, 1:2], inputs)


class Mirrored(Loop):
    """Half of the samples are mirrored, left for right."""

    def _loss(self, network, inputs, target):
        where = torch.rand(len(inputs)) < 0.5
        return super()._loss(network, mirrored(inputs, where), mirrored(target, where))


def mirrored(volumes: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Samples (n, …, z, y, x) with x turned round ``where`` (n,) is true."""
    where = where.to(volumes.device).view(-1, *[1] * (volumes.ndim - 1))
    return torch.where(where, volumes.flip(-1), volumes)


class WithOthers(Loop):
    """In every epoch as many crops as there are ``extra`` cases make room for these, in their turn."""

    def __init__(self, model: UNet3D, train: Sequence[Case], *rest, extra: Sequence[Case]):
        super().__init__(model, train, *rest)
        self.crops, self.extra = list(train), list(extra)

    def _epoch(self, progress, cancel):
        self.train = in_turn(self.crops, self.extra, self.settings.seed, self.epoch)
        return super()._epoch(progress, cancel)


def in_turn(crops: Sequence[Case], extra: Sequence[Case], seed: int, epoch: int) -> list[Case]:
    """As many cases as crops: all the extra ones, and the crops whose turn to be left out it is not."""
    order = np.random.default_rng(seed).permutation(len(crops))
    out = {int(order[(epoch * len(extra) + k) % len(crops)]) for k in range(len(extra))}
    return [crop for i, crop in enumerate(crops) if i not in out] + list(extra)


def pseudo_cases(model: nn.Module, settings: Settings, hosts: Sequence[Host]) -> list[Case]:
    """Regions of unlabelled heads with the labels a network gives them, where it finds a hippocampus.

    The network sees the middle of a region, as large as its own; the case is the whole region, so that
    all surroundings of its samples are the head's.
    """
    cases, mixed = [], native_bfloat16(torch.device("cpu"))
    for host in hosts:
        inputs = channels(fit(host.image, settings.region_shape), settings.preprocessing)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            label = likeliest_piece(predict(model, "cpu", {"left": inputs})["left"])
        if label.any():
            image = host.image - host.image.min()
            cases.append(Case(f"pseudo_{host.name}", host.name, image, fit(label, image.shape)))
    return cases


def likeliest_piece(probability: np.ndarray) -> np.ndarray:
    """Labels uint8 (z, y, x) of probabilities (2, z, y, x): the likeliest class, its largest piece alone."""
    label = np.concatenate((1 - probability.sum(axis=0, keepdims=True), probability)).argmax(axis=0)
    pieces, count = ndimage.label(label > 0)
    if count > 1:
        label = np.where(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1, label, 0)
    return label.astype(np.uint8)


def synthesised_cases(data: Path) -> list[Case]:
    """Both hippocampi of a head in T1 drawn from each label map that may train, parts unknown."""
    cases = []
    for name in TRAIN_LABEL_MAPS:
        source = read_label_map(data / LABEL_MAPS / f"training_seg_{name}.nii.gz")
        rng = np.random.default_rng([SEED, int(name)])
        plan = plan_head(source, rng, "T1", spacing=np.ones(3), cut=CUTS[0])
        image = sitk.Cast(draw(source, plan, rng).image, sitk.sitkFloat32)
        labels = draw_labels(source, plan)
        for side, value in SIDES.items():
            cases.append(whole_case(f"map{name}_{side}", image, labels == value, side))
    return cases


def whole_case(name: str, image: sitk.Image, label: sitk.Image, side: str) -> Case:
    """A region of a head as large as the surroundings are, of which only the whole is known."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(label)
    region = region_about(shape.GetCentroid(1), WORLD_RAS, side, HOST_SHAPE)
    truth = cut(sitk.Cast(label, sitk.sitkFloat32), region) > 0.5
    array = cut(image, region)
    return Case(name, name, array - array.min(), np.where(truth, WHOLE_ONLY, 0).astype(np.uint8))


class Ensemble(nn.Module):
    """Mean of the class probabilities of several networks, each with its own channels of one input.

    Args:
        networks: Each with its preprocessing. ``preprocessing`` computes all their channels, the first
            network's first.

    Shapes: (n, all channels, z, y, x) -> logarithm of the mean probability (n, 3, z, y, x).
    """

    def __init__(self, networks: Sequence[tuple[UNet3D, Preprocessing]]):
        super().__init__()
        union: list = []
        for _, preprocessing in networks:
            union += [steps for steps in preprocessing.channels if steps not in union]
        self.preprocessing = Preprocessing(tuple(union))
        self.picks = [[union.index(steps) for steps in own.channels] for _, own in networks]
        self.networks = nn.ModuleList(network for network, _ in networks).eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [
            network(x[:, pick]).float().softmax(dim=1)
            for network, pick in zip(self.networks, self.picks, strict=True)
        ]
        return logarithm(torch.stack(found).mean(dim=0))


def logarithm(probability: torch.Tensor) -> torch.Tensor:
    """Logits whose softmax is ``probability``."""
    return probability.clamp_min(1e-12).log()


class Distilled(Loop):
    """A teacher's probabilities of the same sample are asked for beside the labels.

    The samples carry all channels of the teacher, of which the student sees its own, the first ones.
    """

    def __init__(self, model: UNet3D, train, held, hosts, settings: Settings, *rest, teacher: Ensemble):
        settings = replace(settings, preprocessing=teacher.preprocessing)
        super().__init__(model, train, held, hosts, settings, *rest)
        self.teacher = teacher

    def _loss(self, network, inputs, target):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            with torch.no_grad():
                wanted = self.teacher(inputs).softmax(dim=1)
            logits = network(inputs[:, : self.model.in_channels])
        taught = functional.cross_entropy(logits.float(), wanted)
        return (1 - TAUGHT) * dice_and_cross_entropy(logits, target) + TAUGHT * taught


class Shifted(nn.Module):
    """Mean of a network's class probabilities over an input and its copies shifted along each axis.

    Channels are shifted after the preprocessing, with 0 for what comes in from outside; probabilities are
    moved back, and a voxel's mean is over those copies in which it was seen.

    Shapes: (n, c, z, y, x) -> logarithm of the mean probability (n, 3, z, y, x).
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total, seen = self.network(x).float().softmax(dim=1), torch.ones_like(x[:, :1], dtype=torch.float32)
        for axis in (2, 3, 4):
            for by in (-SHIFT, SHIFT):
                found = self.network(moved(x, axis, by)).float().softmax(dim=1)
                total = total + moved(found, axis, -by)
                seen = seen + moved(torch.ones_like(seen), axis, -by)
        return logarithm(total / seen)


def moved(x: torch.Tensor, axis: int, by: int) -> torch.Tensor:
    """``x`` shifted by ``by`` voxels along ``axis``, 0 coming in."""
    result = x.roll(by, dims=axis)
    result.narrow(axis, 0 if by > 0 else x.shape[axis] + by, abs(by)).zero_()
    return result


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


_DEGRADATIONS = ("gamma", "bias", "reslice", "blur", "noise", "window")


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
        f"the samples are moved and bent, not worsened: no {', '.join(_DEGRADATIONS)}",
        augmentation=Augmentation(**{f"{name}_probability": 0 for name in _DEGRADATIONS}),
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
