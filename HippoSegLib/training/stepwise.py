"""Training counted in steps, on samples that never end: what both networks of the localiser share."""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..io.atomic import replacing
from ..io.owned_folders import claim
from ..models.unet3d import UNet3D

EMA = 0.998
_GRADIENT_NORM = 5.0


@dataclass(frozen=True)
class Schedule:
    """What the command line sets.

    Attributes:
        steps, batch_size, seed: Of the training.
        learning_rate: At its highest: it rises over `warm_up` steps and falls along a cosine.
        warm_up: Steps.
        look_every: Steps after which state, weights and figures are written.
    """

    steps: int
    batch_size: int
    learning_rate: float
    seed: int = 0
    warm_up: int = 100
    look_every: int = 250

    def rate(self, step: int) -> float:
        """Learning rate of a step, from 0."""
        warm = min(1.0, (step + 1) / self.warm_up)
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.steps)) + 1e-6


def in_cpu_layout(network: UNet3D) -> UNet3D:
    """The network with its weights in the layout that is faster on a CPU; it is changed itself."""
    # torch's annotations of `Module.to` leave this argument out.
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def train_in_steps(
    network: torch.nn.Module,
    schedule: Schedule,
    folder: Path,
    name: str,
    loss_of: Callable[[torch.nn.Module, int], torch.Tensor],
    evaluate: Callable[[torch.nn.Module, bool], dict],
    card: Callable[[dict], dict],
) -> None:
    """Train, or go on where a run in `folder` broke off.

    Writes ``state.pt``, ``log.csv``, the averaged weights in half precision as ``<name>.pt`` and their
    part of the model's card as ``<name>.json``.

    Args:
        network: With its starting weights; a float32 network on the CPU.
        loss_of: The loss of a step's batch, from the network and the number of the step.
        evaluate: Figures of the averaged network; True where it is the final one.
        card: Part of the card from the last row of the log.

    Raises:
        OutputError: The folder holds something else than a run, or cannot be written.
    """
    written = ("state.pt", "log.csv", f"{name}.pt", f"{name}.json")
    claim(folder, f"{name} training run", lambda it: all((it / name).is_file() for name in written))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(EMA))
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=1e-3)
    parts: dict[str, Any] = {"network": network, "average": average, "optimizer": optimizer}
    first, spent = _restore(folder / "state.pt", parts)
    losses, started = [], time.time() - spent
    for step in range(first, schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        value = loss_of(network, step)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_NORM)
        optimizer.step()
        average.update_parameters(network)
        losses.append(float(value.detach()))
        done = step + 1
        if done % schedule.look_every and done < schedule.steps:
            continue
        seconds = time.time() - started
        figures = evaluate(average.module, done == schedule.steps)
        row = {"step": done, "loss": float(np.mean(losses[-schedule.look_every :])), "seconds": seconds}
        row = {key: round(value, 4) for key, value in (row | figures).items()}
        print(row, flush=True)
        _log(folder / "log.csv", row)
        _export(average.module, folder, name, card(row))
        # Last: a run that is killed before does this part again, and ends the same.
        state = {key: part.state_dict() for key, part in parts.items()} | {"step": done, "seconds": seconds}
        with replacing(folder / "state.pt", overwrite=True) as temporary:
            torch.save(state, temporary)


def _restore(path: Path, parts: dict) -> tuple[int, float]:
    """Bring network, average and optimiser to a saved state; the step it was at and the seconds spent."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    for key, part in parts.items():
        part.load_state_dict(state[key])
    return state["step"], state["seconds"]


def _log(path: Path, row: dict) -> None:
    """Append a row, in place of those a killed run wrote for this step and later ones."""
    rows = []
    if path.exists():
        with path.open(newline="") as file:
            rows = [old for old in csv.DictReader(file) if int(old["step"]) < row["step"]]
    with replacing(path, overwrite=True) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerows([*rows, row])


def _export(network: torch.nn.Module, folder: Path, name: str, card: dict) -> None:
    with replacing(folder / f"{name}.pt", overwrite=True) as temporary:
        torch.save({key: value.half() for key, value in network.state_dict().items()}, temporary)
    with replacing(folder / f"{name}.json", overwrite=True) as temporary:
        temporary.write_text(json.dumps(card, indent=2), encoding="utf-8")


def parser(description: str, schedule: Schedule) -> argparse.ArgumentParser:
    """The command line of such a training; the schedule gives the defaults."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("data", type=Path)
    made.add_argument("-o", "--output", type=Path, required=True)
    for name in ("steps", "batch_size", "learning_rate", "seed"):
        value = getattr(schedule, name)
        made.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    made.add_argument("--threads", type=int, default=1)
    return made


def chosen(schedule: Schedule, args: argparse.Namespace) -> Schedule:
    """The schedule with what the command line says."""
    return Schedule(**(asdict(schedule) | {k: v for k, v in vars(args).items() if k in asdict(schedule)}))
