"""Train the localisation network on synthesised and weakly labelled coarse heads.

    python -m HippoSegLib.training.localizer DATA -o runs/localizer --steps 7000

DATA is a folder with `head_label_maps/` and, if wanted, `heads_unlabelled/`. The network sees a
whole head at 6.5 mm and answers, per voxel: outside / intracranial / left / right hippocampus, and
where the voxel lies in the hippocampal frame (registration by regression, Gopinath et al. 2024).
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import NotFoundError
from ..localization.coarse import GRID, MIN_INTRACRANIAL_MM3, interpret
from ..models.card_parts import LocalizerCard
from ..models.fields import plain
from ..models.network import build
from ..models.unet3d import UNet3D
from . import synthesis
from .data_splits import (
    LABEL_MAPS,
    LOCALISER_SOURCES,
    TEST_LABEL_MAPS,
    TRAIN_LABEL_MAPS,
    TRAIN_REAL_HEADS,
    UNLABELLED_HEADS,
    real_head,
)
from .heads import read_label_head, read_weak_head
from .stepwise import Schedule, chosen, in_cpu_layout, parser, train_in_steps
from .trainer import native_bfloat16

WIDTHS = (8, 24, 48, 56)
#: What network it is, and what it sees; the card tells further how it was trained.
PART = LocalizerCard(WIDTHS, GRID.size, GRID.spacing, GRID.unit_mm)
#: Both hippocampi fill some twenty of the grid's 64 000 voxels: without weight they are learned last.
HIPPOCAMPUS_WEIGHT = 50.0
#: The head's turn grows to its full range over this share of the steps.
EASY_SHARE, EASY_DEGREES, MAX_DEGREES = 0.2, 10.0, 33.0


def read_intensities(folder: Path) -> tuple[np.ndarray, synthesis.Intensities]:
    """Sorted label ids and their T1 intensity priors from `labels_classes_priors/`."""
    ids = np.load(folder / "generation_labels.npy")
    order = np.argsort(ids)
    classes = np.load(folder / "generation_classes_contrast_specific.npy")[order].astype(int)
    priors = [np.load(folder / f"prior_{name}_t1.npy") for name in ("means", "stds")]
    return ids[order], synthesis.Intensities(classes, *priors)


def read_real_head(data: Path, dataset: str, subject: str):
    """A `WeakHead` of `heads_unlabelled`."""
    return read_weak_head(*real_head(data / UNLABELLED_HEADS, dataset, subject))


class HeadSource:
    """Endless coarse heads; number `i` is a function of (seed, i) alone."""

    def __init__(self, data: Path, label_maps=TRAIN_LABEL_MAPS, real_heads=TRAIN_REAL_HEADS, real_share=0.35):
        maps = data / LABEL_MAPS
        self.ids, self.intensities = read_intensities(maps / "labels_classes_priors")
        self.label_heads = [read_label_head(maps / f"training_seg_{k}.nii.gz", self.ids) for k in label_maps]
        self.real_heads = [read_real_head(data, *key) for key in real_heads]
        self.real_share = real_share if self.real_heads else 0.0

    def sample(self, seed: int, i: int, **options) -> synthesis.CoarseSample:
        rng = np.random.default_rng((seed, i))
        if rng.random() < self.real_share:
            return synthesis.sample_from_weak(
                self.real_heads[rng.integers(len(self.real_heads))], rng, **options
            )
        head = self.label_heads[rng.integers(len(self.label_heads))]
        return synthesis.synthesise_from_labels(head, self.intensities, rng, **options)


def loss(output: torch.Tensor, fractions: torch.Tensor, coordinates: torch.Tensor) -> torch.Tensor:
    """Soft cross-entropy and Dice on the classes, smooth L1 on the coordinates inside the skull and on the
    logarithm of the intracranial volume.

    Args:
        output: (b, 7, z, y, x). fractions: (b, 4, z, y, x). coordinates: (b, 3, z, y, x) mm.
    """
    logits, predicted = output[:, :4].float(), output[:, 4:].float()
    weight = torch.tensor([1.0, 1.0, HIPPOCAMPUS_WEIGHT, HIPPOCAMPUS_WEIGHT]).to(logits).view(1, 4, 1, 1, 1)
    cross_entropy = -(weight * fractions * logits.log_softmax(1)).sum(1).mean()
    p = logits.softmax(1)[:, 1:]
    overlap, total = (p * fractions[:, 1:]).sum((2, 3, 4)), (p + fractions[:, 1:]).sum((2, 3, 4))
    # A sample without the structure (cut away) asks for an empty answer; the constant keeps it finite.
    dice = 1 - ((2 * overlap + 5) / (total + 5)).mean()
    inside = (fractions[:, 1:].sum(1, keepdim=True) > 0.5).float()
    error = F.smooth_l1_loss(predicted, coordinates / GRID.unit_mm, reduction="none", beta=0.1)
    regression = (error * inside).sum() / (3 * inside.sum() + 1)
    volume, truth = p.sum((1, 2, 3, 4)), fractions[:, 1:].sum((1, 2, 3, 4))
    # In heads that show a good part of it; what the field of view cuts is not asked for.
    seen = (truth * GRID.spacing**3 > MIN_INTRACRANIAL_MM3).float()
    misjudged = F.smooth_l1_loss((volume + 1).log(), (truth + 1).log(), reduction="none", beta=0.05)
    size = (misjudged * seen).sum() / (seen.sum() + 1)
    return cross_entropy + dice + 2 * regression + size


def _to_batch(samples):
    image, fractions, coordinates = (
        torch.from_numpy(np.stack([getattr(s, name) for s in samples]))
        for name in ("image", "fractions", "coordinates")
    )
    return image[:, None], fractions, coordinates


def evaluate(
    network: torch.nn.Module, source: HeadSource, count: int, seed: int = 10_000
) -> dict[str, float]:
    """Errors on `count` heads: hippocampal centre (mm), frame origin (mm), sides swapped, sides missed,
    intracranial volume correlation. Centres count where the whole hippocampus is in view."""
    network.eval()
    centre, swapped, missed, unread, volumes, n = [], 0, 0, 0, [], 0
    for i in range(count):
        sample = source.sample(seed, i)
        with torch.no_grad():
            output = network(torch.from_numpy(sample.image)[None, None])[0].numpy()
        try:
            found = interpret(output, np.zeros(3))
        except NotFoundError:
            unread += 1
            continue
        volumes.append((found.intracranial_mm3, sample.fractions[1:].sum() * GRID.spacing**3))
        axis = GRID.axis()
        truth = {}
        for c, side in ((2, "left"), (3, "right")):
            f = sample.fractions[c]
            if f.sum() * GRID.spacing**3 > 1500:
                ras = (
                    np.array([(f.sum((0, 1)) @ axis), (f.sum((0, 2)) @ axis), (f.sum((1, 2)) @ axis)])
                    / f.sum()
                )
                truth[side] = ras * [-1, -1, 1]
        for side, point in truth.items():
            n += 1
            if side not in found.centres:
                missed += 1
                continue
            error = float(np.linalg.norm(found.centres[side] - point))
            centre.append(error)
            other = truth.get("right" if side == "left" else "left")
            swapped += int(other is not None and np.linalg.norm(found.centres[side] - other) < error)
    network.train()
    return {
        "sides": n,
        "centre_median_mm": float(np.median(centre)) if centre else math.nan,
        "centre_p95_mm": float(np.percentile(centre, 95)) if centre else math.nan,
        "centre_worst_mm": float(max(centre, default=math.nan)),
        "missed": missed,
        "unread_heads": unread,
        "swapped": swapped,
        # Early in a training, no head or one may be read.
        "icv_correlation": float(np.corrcoef(np.transpose(volumes))[0, 1]) if len(volumes) > 1 else math.nan,
    }


def _new_network(init: Path | None) -> UNet3D:
    """The network of an earlier run, or one that starts from the classes' shares of a head image:
    rare ones are not unlearned first."""
    network = build(PART.network)
    if init is not None:
        weights = torch.load(init, weights_only=True)
        network.load_state_dict({name: value.float() for name, value in weights.items()})
        return network
    bias = network.head.bias
    assert bias is not None
    with torch.no_grad():
        network.head.weight *= 0.1
        bias[:4] = torch.tensor([0.8, 0.2, 2e-3, 2e-3]).log()
    return network


def train(
    data: Path, run_dir: Path, schedule: Schedule, *, threads: int = 1, init: Path | None = None
) -> None:
    """Train, from scratch or on from the weights `init`; a run broken off in `run_dir` is resumed.

    Writes `localizer.pt`, a log and its part of the card.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(schedule.seed)
    source = HeadSource(data)
    held_out = HeadSource(data, TEST_LABEL_MAPS, ())
    # Faster on a CPU in this layout, half the time in bfloat16 where that is native.
    network = in_cpu_layout(_new_network(init))
    mixed = native_bfloat16(torch.device("cpu"))
    easy = EASY_SHARE * schedule.steps if init is None else 1

    def loss_of(network: torch.nn.Module, step: int) -> torch.Tensor:
        turn = EASY_DEGREES + (MAX_DEGREES - EASY_DEGREES) * min(1.0, step / easy)
        first, count = step * schedule.batch_size, schedule.batch_size
        batch = _to_batch([source.sample(schedule.seed, first + k, max_degrees=turn) for k in range(count)])
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            output = network(batch[0].to(memory_format=torch.channels_last_3d))
        return loss(output, *batch[1:])

    def figures(network: torch.nn.Module, final: bool) -> dict[str, float]:
        return evaluate(network, held_out, 200 if final else 16)

    def card(row: dict) -> dict:
        return card_part(row, schedule, init)

    train_in_steps(network, schedule, run_dir, "localizer", loss_of, figures, card)


def card_part(figures: dict, schedule: Schedule, init: Path | None) -> dict:
    """The localiser's part of the card; what trained the weights `init` stands beside them."""
    earlier = []
    if init is not None and (init.parent / "localizer.json").exists():
        earlier = json.loads((init.parent / "localizer.json").read_text(encoding="utf-8")).get("stages", [])
    stage = {name: getattr(schedule, name) for name in ("steps", "batch_size", "seed", "learning_rate")}
    told = {
        "task": "localisation",
        "trained_on": LOCALISER_SOURCES,
        "stages": [*earlier, {**stage, "seconds": figures["seconds"]}],
        "synthetic_heads_from_unseen_label_maps": {"label_maps": list(TEST_LABEL_MAPS), **figures},
    }
    return plain(replace(PART, extra=told))


def main() -> None:
    schedule = Schedule(steps=7000, batch_size=4, learning_rate=2e-3)
    arguments = parser(__doc__.splitlines()[0], schedule)
    arguments.add_argument("--init", type=Path, help="weights (localizer.pt) of an earlier run to go on from")
    args = arguments.parse_args()
    train(args.data, args.output, chosen(schedule, args), threads=args.threads, init=args.init)


if __name__ == "__main__":
    main()
