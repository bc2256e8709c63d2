"""Train the refinement network of the localiser (`localization/refinement.py`).

    python -m HippoSegLib.training.refiner DATA -o runs/refiner

DATA is a folder with `head_label_maps/` and `heads_unlabelled/`. A run broken off is resumed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..models.card_parts import RefinerCard
from ..models.fields import plain
from ..models.network import build
from .data_splits import (
    LOCALISER_SOURCES,
    TEST_LABEL_MAPS,
    TRAIN_LABEL_MAPS,
    TRAIN_REAL_HEADS,
    UNLABELLED_HEADS,
    real_head,
)
from .heads import read_label_head
from .localizer import read_intensities
from .refinement_samples import SHAPE, SPACING, from_labels, from_real, label_centre, read_real_head
from .refinement_samples import real_centre as centre_of_real
from .stepwise import Schedule, chosen, in_cpu_layout, parser, train_in_steps
from .trainer import native_bfloat16

WIDTHS = (8, 12, 24)
#: What network it is, and what it sees; the card tells further how it was trained.
PART = RefinerCard(WIDTHS, SHAPE, SPACING)


class LookSource:
    """Endless refinement networks; number `i` is a function of (seed, i) alone."""

    def __init__(self, data: Path, label_maps=TRAIN_LABEL_MAPS, real_heads=TRAIN_REAL_HEADS, real_share=0.3):
        maps = data / "head_label_maps"
        ids, self.intensities = read_intensities(maps / "labels_classes_priors")
        heads = [read_label_head(maps / f"training_seg_{k}.nii.gz", ids) for k in label_maps]
        self.labelled = [(h, s, label_centre(h, s)) for h in heads for s in ("left", "right")]
        real = [read_real_head(*real_head(data / UNLABELLED_HEADS, *key)) for key in real_heads]
        self.real = [(h, s, centre_of_real(h, s)) for h in real for s in ("left", "right")]
        self.real_share = real_share if self.real else 0.0

    def sample(self, seed: int, i: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((seed, i))
        if rng.random() < self.real_share:
            return from_real(*self.real[rng.integers(len(self.real))], rng)
        head, side, centre = self.labelled[rng.integers(len(self.labelled))]
        return from_labels(head, side, centre, self.intensities, rng)

    def batch(self, seed: int, first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = [self.sample(seed, first + k) for k in range(count)]
        images, fractions = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
        return images, fractions


def centroid(p: torch.Tensor) -> torch.Tensor:
    """(n, 3) mm of the centres of mass of (n, 1, z, y, x) weights, about the middle."""
    total = p.sum((1, 2, 3, 4)) + 1e-3
    centres = []
    for axis in range(3):
        place = (torch.arange(SHAPE[axis], dtype=p.dtype) - (SHAPE[axis] - 1) / 2) * SPACING
        others = [1] + [2 + k for k in range(3) if k != axis]
        centres.append((p.sum(others) * place).sum(1) / total)
    return torch.stack(centres, dim=1)


def loss(logits: torch.Tensor, fraction: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, Dice and the distance of the centres; (n, 1, z, y, x) each."""
    logits = logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, fraction, pos_weight=torch.tensor(4.0))
    p = logits.sigmoid()
    overlap, total = (p * fraction).sum((1, 2, 3, 4)), (p + fraction).sum((1, 2, 3, 4))
    dice = 1 - ((2 * overlap + 2) / (total + 2)).mean()
    there = (fraction.sum((1, 2, 3, 4)) * SPACING**3 > 600).float()
    miss = F.smooth_l1_loss(centroid(p), centroid(fraction), reduction="none", beta=2.0).sum(1)
    return entropy + dice + 0.05 * (miss * there).sum() / (there.sum() + 1)


@torch.no_grad()
def evaluate(network: torch.nn.Module, source: LookSource, count: int, seed: int = 10_000) -> dict:
    """Distance in mm of the centre found from the true one, where a whole hippocampus is in view."""
    network.eval()
    errors, dices, unseen, n = [], [], 0, 0
    for first in range(0, count, 20):
        image, fraction = source.batch(seed, first, 20)
        p = network(image).float().sigmoid()
        seen = centroid(p * (p > 0.2)) - centroid(fraction)
        for k in range(len(image)):
            if fraction[k].sum() * SPACING**3 < 1500:
                continue
            n += 1
            if p[k].sum() * SPACING**3 < 600:
                unseen += 1
                continue
            errors.append(float(seen[k].norm()))
            dices.append(float(2 * torch.minimum(p[k], fraction[k]).sum() / (p[k] + fraction[k]).sum()))
    network.train()
    return {
        "looks": n,
        "unseen": unseen,
        "centre_median_mm": float(np.median(errors)) if errors else math.nan,
        "centre_p95_mm": float(np.percentile(errors, 95)) if errors else math.nan,
        "centre_worst_mm": max(errors, default=math.nan),
        "soft_dice": float(np.mean(dices)) if dices else math.nan,
    }


def train(data: Path, run_dir: Path, schedule: Schedule, *, threads: int = 1) -> None:
    """Train, or go on where a run in `run_dir` broke off; writes `refiner.pt` and `refiner.json`."""
    torch.set_num_threads(threads)
    torch.manual_seed(schedule.seed)
    source, held_out = LookSource(data), LookSource(data, TEST_LABEL_MAPS, ())
    # Faster on a CPU in this layout, half the time in bfloat16 where that is native.
    network = in_cpu_layout(build(PART.network))
    mixed = native_bfloat16(torch.device("cpu"))
    assert network.head.bias is not None
    torch.nn.init.constant_(network.head.bias, -3.0)  # a hundredth of the voxels is hippocampus

    def loss_of(network: torch.nn.Module, step: int) -> torch.Tensor:
        image, fraction = source.batch(schedule.seed, step * schedule.batch_size, schedule.batch_size)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            logits = network(image.to(memory_format=torch.channels_last_3d))
        return loss(logits, fraction)

    def figures(network: torch.nn.Module, final: bool) -> dict[str, float]:
        return evaluate(network, held_out, 1000 if final else 200)

    def card(row: dict) -> dict:
        return card_part(row, schedule)

    train_in_steps(network, schedule, run_dir, "refiner", loss_of, figures, card)


def card_part(figures: dict, schedule: Schedule) -> dict:
    """The refinement network's part of the card."""
    command = (
        f"python -m HippoSegLib.training.refiner DATA -o RUN --steps {schedule.steps} --seed {schedule.seed} "
        f"--batch-size {schedule.batch_size} --learning-rate {schedule.learning_rate}"
    )
    told = {
        "task": "localisation, refinement network",
        "training": {
            "command": command,
            "seconds": round(figures["seconds"]),
            "trained_on": LOCALISER_SOURCES,
        },
        "synthetic_looks_from_unseen_label_maps": {"label_maps": list(TEST_LABEL_MAPS), **figures},
    }
    return plain(replace(PART, extra=told))


def main() -> None:
    schedule = Schedule(steps=4000, batch_size=16, learning_rate=4e-3, warm_up=200, look_every=500)
    args = parser(__doc__.splitlines()[0], schedule).parse_args()
    train(args.data, args.output, chosen(schedule, args), threads=args.threads)


if __name__ == "__main__":
    main()
