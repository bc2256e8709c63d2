"""A network that knows two protocols: MSD's, and the whole hippocampus as a second teacher labels it.

    python -m HippoSegLib.training.outline DATA -o MODEL --run RUN --init-from segmenter.pt \\
        --preprocessing plain --epochs 8

It goes on from a network with MSD's classes, which gets the class ``beyond_msd``; at the start both agree
on MSD's classes exactly. With --fold, a fold of the subjects of each kind of case is held out; without,
everything that may train does.
"""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from ..errors import TrainingError
from ..labels import OUTLINE_CLASSES
from ..models.network import build
from ..models.unet3d import UNet3D
from ..preprocessing.chain import Preprocessing, channels
from .background_context import BackgroundContext, load_contexts
from .batches import CropSampler, encoded, epoch_order
from .cases import BEYOND_ONLY, Case, fit, load_cases, split_by_subject
from .data_splits import CROPS, TRAIN_LABEL_MAPS, TRAIN_REAL_HEADS, UNLABELLED_HEADS
from .evaluation import Evaluator, dice, predict
from .export import export_run, refuse_existing
from .labelmaps import is_drawn, synthesised_cases
from .loop import Compute, Loop
from .losses import PartialLabels
from .protocols import ANTERIOR, BACKGROUND, FULL, POSTERIOR, STRUCTURES
from .runstate import RunFolder, read_run
from .settings import TrainingSettings
from .teachers import second_teacher, weak_heads
from .trainer import checksum, native_bfloat16

#: Logarithm of how probable the new class is at the start, where the two beside it are equally so.
_RARE = -1.0
#: How much faster the last layer learns than the rest.
_HEAD_RATE = 10.0
#: How far beside the network's outline, in mm (= voxels), a label is left open.
_BESIDE_MM = 1.0
#: Dice from which the network before has found the hippocampus that is labelled.
_FOUND = 0.7


@dataclass(frozen=True)
class Material:
    """Cases to learn from and to be judged by; no subject is in both."""

    train: list[Case]
    held: list[Case]


@dataclass(frozen=True)
class Mixture:
    """What an epoch consists of.

    Attributes:
        repeats: How often it sees a real case whose label is complete; of these there are fewer.
        turns: Epochs over which the crops of MSD take turns: each is seen once in so many.
        renderings: Images synthesised from each hippocampus of the label maps, which take turns: an epoch
            sees one of them.

    Raises:
        TrainingError: A number is impossible.
    """

    repeats: int = 1
    turns: int = 1
    renderings: int = 0

    def __post_init__(self):
        if min(self.repeats, self.turns) < 1 or self.renderings < 0:
            raise TrainingError(
                "Repeats and turns must be 1 or more, renderings 0 or more.", "Correct the mixture."
            )


class MixedSampler(CropSampler):
    """The kinds of cases in given shares, each spread evenly over an epoch, so that batches are alike.

    Args:
        cases, settings, contexts: See `CropSampler`.
        mixture: The shares.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        settings: TrainingSettings,
        contexts: Sequence[BackgroundContext] = (),
        mixture: Mixture | None = None,
    ):
        super().__init__(cases, settings, contexts, encoded)
        self.mixture = mixture or Mixture()
        drawn = [is_drawn(case) for case in cases]
        self._crops = [i for i, case in enumerate(cases) if case.protocol is not FULL]
        self._complete = [i for i, case in enumerate(cases) if case.protocol is FULL and not drawn[i]]
        self._drawn = [i for i in range(len(cases)) if drawn[i]]

    def __len__(self) -> int:
        return len(self._kinds(0))

    def _kinds(self, epoch: int) -> list[tuple[str, int]]:
        """Kind and number of each case that an epoch sees, in no particular order."""
        m, crops = self.mixture, self._crops
        if m.turns > 1 and crops:
            turn = np.random.default_rng((self.settings.seed, 1, epoch // m.turns)).permutation(crops)
            count = -(-len(crops) // m.turns)  # all turns alike: the last one wraps round
            crops = np.resize(turn, count * m.turns)[epoch % m.turns :: m.turns].tolist()
        drawn = self._drawn[epoch % m.renderings :: m.renderings] if self._drawn else []
        kinds = {"crops": crops, "complete": self._complete * m.repeats, "drawn": drawn}
        return [(kind, i) for kind, some in kinds.items() for i in some]

    def order(self, epoch: int) -> list[int]:
        kinds = self._kinds(epoch)
        shuffled = [kinds[k] for k in epoch_order(len(kinds), self.settings.seed, epoch)]
        counts, seen, keys = Counter(kind for kind, _ in kinds), Counter[str](), []
        for kind, _ in shuffled:
            keys.append((seen[kind] + 0.5) / counts[kind])
            seen[kind] += 1
        return [shuffled[k][1] for k in np.argsort(keys, kind="stable")]


def with_beyond(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights of a network with MSD's classes with one more class, between two others.

    The new class begins where background and the posterior part, most of whose border it lies at, are
    about as probable, and is rare elsewhere. Weights that have the class already are returned as they are.
    """
    weights = {name: value.float() for name, value in weights.items()}
    weight, bias = weights["head.weight"], weights["head.bias"]
    if len(bias) == len(OUTLINE_CLASSES):
        return weights
    between = [BACKGROUND, POSTERIOR]
    weights["head.weight"] = torch.cat((weight, weight[between].mean(dim=0, keepdim=True)))
    weights["head.bias"] = torch.cat((bias, bias[between].mean(dim=0, keepdim=True) + _RARE))
    return weights


def blended(weights: dict[str, torch.Tensor], start: dict[str, torch.Tensor], keep: float) -> dict:
    """Return the weights between a network that has learned on and its start (Wortsman et al., CVPR 2022).

    What it learned of one protocol stays, most of what it lost of the other comes back.

    Args:
        weights: After the training.
        start: Of the same shapes (`with_beyond`).
        keep: Share of the start, 0..1.

    Raises:
        TrainingError: The share is impossible.
    """
    if not 0 <= keep < 1:
        raise TrainingError(f"A share of {keep:g} cannot be kept.", "Use 0 or more, and less than 1.")
    return {name: value.lerp(start[name].to(value.dtype), keep) for name, value in weights.items()}


def marked(cases: Sequence[Case], before: UNet3D, settings: TrainingSettings) -> list[Case]:
    """Mark, in complete labels, what the network before lies well inside of: it is beyond MSD's border.

    Without this the new class hardly grows: where it is rare, its gradient is too. Voxels beside the
    outline that the network finds stay open, and so does a case in which it finds something else.

    Args:
        before: A network with MSD's classes.
        settings: Of the training: region and preprocessing.
    """
    result = []
    for case in cases:
        if case.protocol is FULL:
            inputs = channels(fit(case.image, settings.region_shape), settings.preprocessing)
            found = fit(predict(before, inputs)[[ANTERIOR, POSTERIOR]].sum(axis=0) > 0.5, case.label.shape)
            beyond = (case.label > 0) & (ndimage.distance_transform_edt(~found) > _BESIDE_MM)
            if dice(found, case.label > 0) > _FOUND:
                case = replace(case, label=np.where(beyond, BEYOND_ONLY, case.label).astype(np.uint8))
        result.append(case)
    return result


def material(data: Path, folds: int = 5, fold: int | None = None, renderings: int = 0) -> Material:
    """Read what may train below the data folder; with a fold, hold out its subjects.

    The crops' division is that of ``hipposeg train`` with the same numbers. Heads with weak labels and
    label maps are few and always train: others are there only to test.

    Args:
        renderings: Images synthesised from each hippocampus of the label maps.
    """
    crops, taught = load_cases(data / CROPS), second_teacher(data)
    train, held = weak_heads(data, TRAIN_REAL_HEADS), []
    if renderings:
        train += synthesised_cases(data, TRAIN_LABEL_MAPS, renderings)
    for cases in (crops, taught):
        out = [] if fold is None else split_by_subject([c.subject for c in cases], folds, 0)[fold]
        train += [case for i, case in enumerate(cases) if i not in set(out)]
        held += [cases[i] for i in out]
    return Material(train, held)


def learn(
    cases: Material,
    data: Path,
    settings: TrainingSettings,
    start: Path,
    run: RunFolder,
    mixture: Mixture | None = None,
) -> None:
    """Train, or go on where a run in the folder broke off; see `trainer.train_3d_unet` for the errors."""
    mixture = mixture or Mixture()
    contexts = load_contexts(data / UNLABELLED_HEADS)
    torch.manual_seed(settings.seed)
    model = build(replace(settings.network, out_channels=len(OUTLINE_CLASSES)), dropout=settings.dropout)
    try:
        weights = torch.load(start, map_location="cpu", weights_only=True)
        if len(weights["head.bias"]) == len(OUTLINE_CLASSES):  # no class is new
            settings = replace(settings, head_rate=1.0)
        model.load_state_dict(with_beyond(weights))
    except Exception as error:  # torch raises many kinds for a file that is not what it should be
        raise TrainingError(
            "The weights to start from cannot be read, or do not fit this network.",
            "Name weights of a network with the same widths and channels.",
        ) from error
    device = torch.device("cpu")
    sampler = MixedSampler(marked(cases.train, model, settings), settings, contexts, mixture)
    evaluator = Evaluator(cases.held, settings.region_shape, settings.preprocessing)
    compute = Compute(device, native_bfloat16(device))
    loop = Loop(model, sampler, evaluator, settings, compute, PartialLabels(STRUCTURES))
    record = {
        **settings.to_dict(),
        "background_context": [context.name for context in contexts],
        "train_cases": [case.name for case in cases.train],
        "validation_cases": [case.name for case in cases.held],
        "mixture": asdict(mixture),
        "protocols": {p: sum(c.protocol.name == p for c in cases.train) for p in ("msd", "full")},
        "data_crc32": checksum([*cases.train, *cases.held]),
    }
    state = run.load(record, resume=True)
    if state is not None:
        loop.restore(state)
    else:
        run.write_settings(record)
    loop.run(run, _say, lambda: False)


def _say(words: str, fraction: float) -> None:
    if ":" in words:
        print(f"[{100 * fraction:5.1f} %] {words}", flush=True)


def _command(args: argparse.Namespace) -> str:
    """Return the command that repeats this training; folders are named, their places are not told."""
    words = ["python", "-m", "HippoSegLib.training.outline", args.data.name, "-o", args.output.name]
    words += ["--init-from", args.init_from.name]
    for name in (
        "preprocessing",
        "epochs",
        "batch_size",
        "learning_rate",
        "seed",
        "folds",
        "fold",
        "repeats",
        "turns",
        "label_maps",
        "keep",
    ):
        if getattr(args, name) is not None:
            words += ["--" + name.replace("_", "-"), str(getattr(args, name))]
    return shlex.join(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Train from the command line; a killed command, given again, continues from its last epoch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds all training data")
    parser.add_argument("-o", "--output", type=Path, required=True, help="model folder to write")
    parser.add_argument("--run", type=Path, required=True, help="run folder: state and log")
    parser.add_argument("--init-from", type=Path, required=True, help="weights to start from")
    parser.add_argument("--preprocessing", choices=("plain", "method", "both"), default="plain")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=0.0006)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--fold", type=int, help="the fold held out (default: none)")
    parser.add_argument("--repeats", type=int, default=1, help="times that an epoch sees a complete label")
    parser.add_argument("--turns", type=int, default=1, help="epochs over which MSD's crops take turns")
    parser.add_argument(
        "--label-maps", type=int, default=0, help="images of each label map's hippocampus, an epoch sees one"
    )
    parser.add_argument("--keep", type=float, default=0.0, help="share of the weights that stays (default 0)")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    refuse_existing(args.output, False)
    settings = TrainingSettings(
        learning_rate=args.learning_rate,
        batch_size=args.batch_size,
        num_epochs=args.epochs,
        seed=args.seed,
        preprocessing=Preprocessing.named(args.preprocessing),
        validate_every=args.epochs,
        head_rate=_HEAD_RATE,
    )
    mixture = Mixture(args.repeats, args.turns, args.label_maps)
    cases = material(args.data, args.folds, args.fold, mixture.renderings)
    run = RunFolder(args.run)
    run.write_command(_command(args))
    print(f"{len(cases.train)} cases to train on, {len(cases.held)} held out", flush=True)
    learn(cases, args.data, settings, args.init_from, run, mixture)
    settings_of_run, state = read_run(args.run)
    if args.keep:
        start = with_beyond(torch.load(args.init_from, map_location="cpu", weights_only=True))
        state["ema"] = blended(state["ema"], start, args.keep)
    export_run({**settings_of_run, "kept_of_start": args.keep}, state, args.output, command=_command(args))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
