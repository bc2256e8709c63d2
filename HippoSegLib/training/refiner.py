"""Train the closer look of the localiser (`closeup.py`).

    python -m HippoSegLib.training.refiner DATA -o runs/refiner

DATA is a folder with `head_label_maps/` and `heads_unlabelled/`. A run broken off is resumed.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..unet3d import UNet3D
from .closeups import (
    SHAPE,
    SPACING,
    from_labels,
    from_real,
    label_centre,
    read_real_head,
)
from .closeups import real_centre as centre_of_real
from .heads import read_label_head
from .localizer import _replace as replace_file
from .localizer import read_intensities
from .roles import TEST_LABEL_MAPS, TRAIN_LABEL_MAPS, TRAIN_REAL_HEADS, UNLABELLED_HEADS, real_head
from .trainer import native_bfloat16

WIDTHS = (8, 12, 24)
EMA = 0.998


class LookSource:
    """Endless closer looks; number `i` is a function of (seed, i) alone."""

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
        return tuple(torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))


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


def train(data: Path, run_dir: Path, *, steps, batch_size=16, learning_rate=4e-3, seed=0, threads=1) -> None:
    """Train, or go on where a run in `run_dir` broke off; writes `refiner.pt` and `refiner.json`."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    run_dir.mkdir(parents=True, exist_ok=True)
    source, held_out = LookSource(data), LookSource(data, TEST_LABEL_MAPS, ())
    # Faster on a CPU in this layout, half the time in bfloat16 where that is native.
    network = UNet3D(1, 1, WIDTHS, dropout=0.0).to(memory_format=torch.channels_last_3d)
    mixed = native_bfloat16(torch.device("cpu"))
    torch.nn.init.constant_(network.head.bias, -3.0)  # a hundredth of the voxels is hippocampus
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(EMA))
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-3)
    state_path, first, spent = run_dir / "state.pt", 0, 0.0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        for part, name in ((network, "network"), (average, "average"), (optimizer, "optimizer")):
            part.load_state_dict(state[name])
        first, spent = state["step"], state["seconds"]
    log, started = [], time.time() - spent
    for step in range(first, steps):
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 200)
            group["lr"] = learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-6
        image, fraction = source.batch(seed, step * batch_size, batch_size)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            logits = network(image.to(memory_format=torch.channels_last_3d))
        value = loss(logits, fraction)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        average.update_parameters(network)
        log.append(float(value.detach()))
        if (step + 1) % 500 == 0 or step + 1 == steps:
            state = {"network": network.state_dict(), "average": average.state_dict()}
            state |= {"optimizer": optimizer.state_dict(), "step": step + 1, "seconds": time.time() - started}
            replace_file(state_path, lambda p, s=state: torch.save(s, p))
            figures = evaluate(average.module, held_out, 200 if step + 1 < steps else 1000)
            row = {
                "step": step + 1,
                "loss": float(np.mean(log[-500:])),
                "seconds": state["seconds"],
            } | figures
            row = {name: round(value, 4) for name, value in row.items()}
            print(row, flush=True)
            new = not (run_dir / "log.csv").exists()
            with open(run_dir / "log.csv", "a", newline="") as file:
                writer = csv.DictWriter(file, row)
                if new:
                    writer.writeheader()
                writer.writerow(row)
            _export(average.module, run_dir, row, seed, batch_size, steps, learning_rate)


def _export(network, run_dir: Path, figures: dict, seed, batch_size, steps, learning_rate) -> None:
    """Write half-precision weights and the closer look's part of the card."""
    weights = {k: v.half() for k, v in network.state_dict().items()}
    replace_file(run_dir / "refiner.pt", lambda p: torch.save(weights, p))
    card = {
        "task": "localisation, closer look",
        "widths": list(WIDTHS),
        "region_size": list(SHAPE),
        "spacing_mm": SPACING,
        "training": {
            "command": f"python -m HippoSegLib.training.refiner DATA -o RUN --steps {steps} --seed {seed} "
            f"--batch-size {batch_size} --learning-rate {learning_rate}",
            "seconds": round(figures["seconds"]),
            "trained_on": {
                "head_label_maps (Apache-2.0)": list(TRAIN_LABEL_MAPS),
                "heads_unlabelled (PDDL, CC0) with weak labels by hippodeep (MIT)": [
                    "/".join(k) for k in TRAIN_REAL_HEADS
                ],
            },
        },
        "synthetic_looks_from_unseen_label_maps": {"label_maps": list(TEST_LABEL_MAPS), **figures},
    }
    text = json.dumps(card, indent=2)
    replace_file(run_dir / "refiner.json", lambda p: Path(p).write_text(text, encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    train(
        args.data,
        args.output,
        steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        seed=args.seed,
        threads=args.threads,
    )


if __name__ == "__main__":
    main()
