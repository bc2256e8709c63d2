"""The training loop: epochs, divergence guard, moving average, validation, saved state."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ..errors import Cancelled, TrainingError
from ..models.network import build
from ..models.unet3d import UNet3D
from .batches import Sampler, ahead
from .distributed import Team
from .evaluation import STRUCTURES, Evaluator, means
from .losses import dice_and_cross_entropy
from .runstate import RunFolder
from .settings import TrainingSettings

_WINDOW = 10  # steps whose mean loss is watched for divergence
# How far above its start that mean may rise. The slack is for a network that has learned already: its first
# batch may be an easy one, and what diverges comes near 1.
_RISE, _SLACK = 1.5, 0.15
_RESTARTS = 3  # how often the learning rate is lowered before giving up
_GRADIENT_NORM = 12.0
_SAVED = ("epoch", "step", "restarts", "slower", "history", "start_losses", "recent", "best", "scores")


class _Diverged(Exception):
    """The loss became infinite, or rose well above its start."""


@dataclass(frozen=True)
class Compute:
    """Where and how a network computes.

    Attributes:
        device: Where.
        mixed_precision: Whether the network computes in bfloat16.
        micro_batch: Samples in memory at a time; changes nothing but rounding and what dropout draws.
    """

    device: torch.device
    mixed_precision: bool = False
    micro_batch: int = 2


class Loop:
    """One run as state that can be saved, and the loop that advances it.

    Args:
        model: Network with its starting weights.
        sampler: What an epoch consists of.
        evaluator: Scores the averaged network; one without cases is not asked.
        settings: What makes the run what it is.
        compute: Where and how.
        loss: Of logits (n, classes, z, y, x) and target (n, z, y, x), averaged over samples.
    """

    def __init__(
        self,
        model: UNet3D,
        sampler: Sampler,
        evaluator: Evaluator,
        settings: TrainingSettings,
        compute: Compute,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = dice_and_cross_entropy,
    ):
        self.model, self.sampler, self.settings = model.to(compute.device), sampler, settings
        self.device, self.mixed = compute.device, compute.mixed_precision
        self.micro_batch, self.evaluator, self.loss = compute.micro_batch, evaluator, loss
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        self.team = Team()
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, settings), lr=settings.learning_rate)
        anchored = settings.transfer is not None and settings.transfer.anchor > 0
        self.start = [p.detach().clone() for p in self.model.parameters()] if anchored else None
        self.epoch, self.step, self.restarts, self.slower = 0, 0, 0, 1.0
        self.history: list[dict] = []
        self.start_losses: list[float] = []
        self.recent: list[float] = []
        self.best: dict = {"whole": -1.0, "epoch": 0, "weights": None}
        self.scores: list[list[dict]] = []  # in transfer learning, the rows of every validation

    def state(self) -> dict:
        """Return a copy of everything the run consists of, as tensors and plain values."""
        networks = {name: getattr(self, name).state_dict() for name in ("model", "ema", "optimizer")}
        return copy.deepcopy({**networks, **{name: getattr(self, name) for name in _SAVED}})

    def restore(self, state: dict) -> None:
        """Go back, or on, to a saved state."""
        # The optimiser would go on writing into the tensors it is given.
        state = copy.deepcopy(state)
        for name in ("model", "ema", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        for name in _SAVED:
            setattr(self, name, state.get(name, getattr(self, name)))

    def run(
        self,
        folder: RunFolder,
        progress: Callable[[str, float], None],
        cancel: Callable[[], bool],
        until: int | None = None,
    ) -> None:
        """Go on to the last epoch, saving after each; see :func:`~.trainer.train_3d_unet` for the errors.

        Args:
            until: End after this epoch, on a schedule made for all; the default is the last one.
        """
        epochs, good, note = self.settings.num_epochs, self.state(), ""
        while self.epoch < (until or epochs) and not self._settled():
            started, rate = time.monotonic(), self._rate()
            try:
                loss = self._epoch(progress, cancel)
            except _Diverged:
                note = self._slow_down(good)
                progress(f"{note}: going on from epoch {self.epoch}", self.epoch / epochs)
                continue
            self.epoch += 1
            row = {"epoch": self.epoch, "learning_rate": rate, "train_loss": loss, **self._validate()}
            self.history.append({**row, "seconds": time.monotonic() - started, "note": note})
            note = ""
            state = self.state()
            if sum(self.recent) / len(self.recent) <= max(self.start_losses):
                good = state
            if self.team.rank == 0:
                folder.save(state)
            score = f", Dice {row['val_whole']:.3f}" if row["val_whole"] != "" else ""
            progress(f"epoch {self.epoch} of {epochs}: loss {loss:.3f}{score}", self.epoch / epochs)

    def _slow_down(self, good: dict) -> str:
        """Restore the last good state with a third of the learning rate; return what happened in words."""
        restarts, slower = self.restarts + 1, self.slower / 3
        if restarts > _RESTARTS:
            rate = self.settings.learning_rate * self.slower
            raise TrainingError(
                f"The loss diverged {restarts} times, the last time with the learning rate {rate:.3g}.",
                "Train with a much smaller learning rate, and look at the cases.",
            )
        self.restore(good)
        self.restarts, self.slower = restarts, slower
        return f"loss diverged, learning rate lowered to {self.settings.learning_rate * slower:.3g}"

    def _rate(self) -> float:
        """Return the learning rate of the coming step: linear warm-up over 3 %, then a cosine to 0."""
        batch = self.settings.batch_size * self.team.size
        total = math.ceil(len(self.sampler) / batch) * self.settings.num_epochs
        warm = max(1, round(0.03 * total))
        if self.step < warm:
            part = (self.step + 1) / warm
        else:
            part = 0.5 * (1 + math.cos(math.pi * (self.step - warm) / max(1, total - warm)))
        return self.settings.learning_rate * self.slower * part

    def _epoch(self, progress: Callable[[str, float], None], cancel: Callable[[], bool]) -> float:
        """Run one epoch and return its mean loss; raises _Diverged."""
        settings, team = self.settings, self.team
        total = len(self.sampler)
        batch = settings.batch_size * team.size
        firsts = range(0, total, batch)
        shares = [team.share(first, min(batch, total - first)) for first in firsts]
        # A process without a sample in the last batch takes part with one that does not count.
        mine = [i for first, share in zip(firsts, shares, strict=True) for i in share or [first]]
        # Dropout draws from torch's generator: seeded per epoch, a resumed run draws the same.
        torch.manual_seed(settings.seed * 100_003 + self.epoch + 1 + 7919 * team.rank)
        samples = ahead(lambda i: self.sampler(self.epoch, mine[i]), len(mine))
        self.model.train()
        self._freeze()
        network = team.wrap(self.model)
        losses = []
        try:
            for first, share in zip(firsts, shares, strict=True):
                count = min(batch, total - first)
                losses.append(self._step(network, samples, len(share), count, cancel))
                self._watch(losses[-1])
                progress(
                    f"epoch {self.epoch + 1}",
                    (self.epoch + (first + count) / total) / settings.num_epochs,
                )
        finally:
            samples.close()
        return sum(losses) / len(losses)

    def _freeze(self) -> None:
        """Let the encoder learn, or not yet: what does not learn needs no gradient."""
        if self.settings.transfer is not None:
            self.model.down.requires_grad_(self.epoch >= self.settings.transfer.decoder_epochs)

    def _settled(self) -> bool:
        """Whether validation has stopped improving for as long as the settings allow."""
        transfer = self.settings.transfer
        if transfer is None or not transfer.patience or not self.best["epoch"]:
            return False
        return self.epoch - self.best["epoch"] >= transfer.patience * self.settings.validate_every

    def _step(self, network, samples: Iterator, own: int, count: int, cancel: Callable[[], bool]) -> float:
        """Accumulate gradients over ``own`` of ``count`` samples, update once, return the loss of all."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate() * group.get("scale", 1.0)
        self.optimizer.zero_grad(set_to_none=True)
        total, done, drawn = 0.0, 0, max(own, 1)
        while done < drawn:
            # Together, all must agree to stop: they ask each other once per step.
            if (self.team.size == 1 or not done) and self.team.total(float(cancel()), self.device):
                raise Cancelled("Training was cancelled; finished epochs are kept in the run folder.")
            now = min(self.micro_batch, drawn - done)
            pairs = [next(samples) for _ in range(now)]
            inputs, target = (
                torch.stack([torch.from_numpy(pair[k]) for pair in pairs]).to(self.device) for k in (0, 1)
            )
            with self.team.accumulating(network, last=done + now == drawn):
                loss = self._loss_of(network, inputs, target) * (now / count if own else 0.0)
                # The gradients of a team are averaged, not added.
                (loss * self.team.size).backward()
            total, done = total + loss.item(), done + now
        total = self.team.total(total, self.device)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        if not math.isfinite(total) or not torch.isfinite(norm):
            raise _Diverged
        self.optimizer.step()
        self._pull_back()
        self.step += 1
        self._average()
        return total

    def _loss_of(self, network, inputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """What is minimised on inputs (n, c, z, y, x) and target (n, z, y, x), averaged over samples."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = network(inputs)
        return self.loss(logits, target)

    @torch.no_grad()
    def _pull_back(self) -> None:
        if self.start is None or self.settings.transfer is None:
            return
        rates = {id(p): group["lr"] for group in self.optimizer.param_groups for p in group["params"]}
        for value, start in zip(self.model.parameters(), self.start, strict=True):
            value.lerp_(start, min(1.0, rates[id(value)] * self.settings.transfer.anchor))

    @torch.no_grad()
    def _average(self) -> None:
        # A young average forgets faster, or the random first weights would linger in it.
        decay = min(self.settings.ema_decay, self.step / (self.step + 10))
        for mean, value in zip(self.ema.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def _watch(self, loss: float) -> None:
        """Raise _Diverged where the mean of the last losses has risen well above the start."""
        if len(self.start_losses) < _WINDOW:
            self.start_losses.append(loss)
        self.recent = [*self.recent, loss][-_WINDOW:]
        # The first step comes before any update, so an explosion right after it does not hide itself.
        start = min(sum(self.start_losses) / len(self.start_losses), self.start_losses[0])
        if len(self.recent) == _WINDOW and sum(self.recent) / _WINDOW > _RISE * start + _SLACK:
            raise _Diverged

    def _validate(self) -> dict:
        due = self.epoch % self.settings.validate_every == 0 or self.epoch == self.settings.num_epochs
        if not due or not self.evaluator.cases:
            return {f"val_{name}": "" for name in STRUCTURES}
        rows = self.evaluator(self.ema, self.device, self.mixed)
        if self.settings.transfer is not None:
            self.scores.append(rows)
        scores = means(rows)
        if scores["whole"] > self.best["whole"]:
            weights = {k: v.detach().cpu().clone() for k, v in self.ema.state_dict().items()}
            self.best = {"whole": scores["whole"], "epoch": self.epoch, "weights": weights}
        return {f"val_{name}": "" if math.isnan(value) else value for name, value in scores.items()}

    def finished(self, keep: str) -> UNet3D:
        """Return the averaged network, on the CPU, of the ``best`` or the ``last`` epoch."""
        weights = self.best["weights"] if keep == "best" else self.ema.state_dict()
        model = build(self.model.shape, weights, self.settings.dropout)
        model.history = self.history
        return model


def parameter_groups(model: UNet3D, settings: TrainingSettings) -> list[dict]:
    """Return the optimiser's groups; ``scale`` is their part of the learning rate."""
    transfer = settings.transfer
    if transfer is None:
        head = {id(p) for p in model.head.parameters()}
        parts = [([p for p in model.parameters() if id(p) not in head], 1.0)]
        parts.append((list(model.head.parameters()), settings.head_rate))
        decay = settings.weight_decay
    else:
        levels = len(model.down)
        parts = [
            (list(block.parameters()), transfer.encoder_rate ** ((levels - level) / levels))
            for level, block in enumerate(model.down)
        ]
        encoder = {id(p) for params, _ in parts for p in params}
        parts.append(([p for p in model.parameters() if id(p) not in encoder], 1.0))
        decay = 0.0 if transfer.anchor else settings.weight_decay
    groups = []
    for params, scale in parts:
        # Norms and biases are not pulled to 0.
        groups.append({"params": [p for p in params if p.ndim > 1], "weight_decay": decay, "scale": scale})
        groups.append({"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0, "scale": scale})
    return groups
