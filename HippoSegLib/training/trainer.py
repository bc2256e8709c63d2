"""Training of the segmenter: ``train_3d_unet``, the interface of the method, and its loop."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..errors import Cancelled, DeviceError, OutputError, TrainingError
from ..preprocessing import Preprocessing
from ..unet3d import WIDTHS, UNet3D
from .augmentation import Augmentation
from .batches import ahead, epoch_order, make_sample
from .cases import CLASSES, Case, hold_out, make_case
from .evaluation import Evaluator, means
from .hosts import Host
from .losses import dice_and_cross_entropy
from .runstate import RunFolder

#: The network's region (z, y, x) in voxels of 1 mm.
REGION_SHAPE = (48, 56, 40)

_WINDOW = 20  # steps whose mean loss is watched for divergence
_RISE = 1.5  # how far above its start that mean may rise
_RESTARTS = 3  # how often the learning rate is lowered before giving up


class _Diverged(Exception):
    """The loss became infinite, or rose well above its start."""


def train_3d_unet(
    images: Sequence,
    labels: Sequence,
    learning_rate: float = 0.001,
    batch_size: int = 16,
    num_epochs: int = 50,
    *,
    validation: tuple[Sequence, Sequence] | Sequence[Case] | None = None,
    subject_ids: Sequence[str] | None = None,
    validation_fraction: float = 0.2,
    names: Sequence[str] | None = None,
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
    augmentation: Augmentation | None = None,
    hosts: Sequence[Host] = (),
    region_shape: tuple[int, int, int] = REGION_SHAPE,
    widths: Sequence[int] = WIDTHS,
    dropout: float = 0.1,
    weight_decay: float = 0.01,
    ema_decay: float = 0.998,
    device: str = "auto",
    mixed_precision: str | bool = "auto",
    micro_batch: int = 2,
    validate_every: int = 1,
    keep: str = "best",
    init_from: UNet3D | str | Path | None = None,
    run_dir: str | Path | None = None,
    resume: bool = True,
    progress: Callable[[str, float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> UNet3D:
    """Train a 3D U-Net on crops of one hippocampus each, with the geometry of a left one.

    Interface and defaults are those of the method (IEEE Access 2025, doi 10.1109/access.2025.3577266).

    Args:
        images, labels: Pairs of ``SimpleITK.Image`` or (z, y, x) arrays, 1 mm, x to the right, y
            anterior, z superior; labels 1 anterior, 2 posterior.
        learning_rate: Highest; after a warm-up over 3 % of the steps it falls to 0 along a cosine.
        batch_size: Samples per step, reached by accumulating micro-batches.
        num_epochs: Each sees every training case once.
        validation: Other subjects' (images, labels) or cases, used as they are, never trained on.
        subject_ids: One per case. Without ``validation``, ``validation_fraction`` of the subjects
            is held out; both sides of a subject stay together. With ``validation`` as cases, they
            serve to make sure that no subject is on both sides.
        names: Case ids for log and card.
        seed: Of the split, the weights, the order, the augmentation and the dropout.
        preprocessing: Default: two channels, min-max and the method's CLAHE + SCE-3DWT.
        augmentation: Default strengths, see :class:`Augmentation`.
        hosts: Surroundings the crops are set into.
        region_shape: (z, y, x) voxels; multiples of 2 ** (levels - 1).
        widths, dropout: Of the network.
        weight_decay: AdamW's, not on norms and biases.
        ema_decay: Of the moving average of the weights, which is what is validated and returned.
        device: ``auto`` (a GPU when there is one), ``cpu``, ``cuda`` ….
        mixed_precision: bfloat16 in the network, float32 weights; ``auto`` where it is native.
        micro_batch: Samples in memory at a time.
        validate_every: Epochs between validations; the last is always validated.
        keep: ``best`` returns the weights of the best validated epoch (whole-hippocampus Dice),
            ``last`` those of the last, which no validation case has chosen.
        init_from: Network, or file of its state, to start from instead of random weights.
        run_dir: Folder for state and log; a killed run continues from its last epoch.
        resume: Off, a folder that holds a run is refused.
        progress: Called with (words, fraction 0..1).
        cancel: Polled between micro-batches; where it returns true, training stops.

    Returns:
        The network in evaluation mode on the CPU, with ``history``: a dict per epoch (epoch,
        learning_rate, train_loss, val_whole, val_anterior, val_posterior, seconds, note).

    Raises:
        TrainingError: No validation cases and no means to split them off, cases that cannot be
            used, a subject on both sides, a run folder of another training, or a loss that
            diverges however low the learning rate.
        DeviceError: The device does not exist.
        OutputError: The run folder cannot be written.
        Cancelled: ``cancel`` returned true; the run folder keeps the finished epochs.
    """
    if batch_size < 1 or num_epochs < 1 or micro_batch < 1 or not learning_rate > 0 or validate_every < 1:
        raise TrainingError(
            "Batch size, number of epochs and learning rate must be above 0.",
            "Correct the training settings.",
        )
    if keep not in ("best", "last"):
        raise TrainingError(f"Weights to keep: {keep!r} is not known.", "Use 'best' or 'last'.")
    train, held = _sort_out(images, labels, validation, subject_ids, validation_fraction, names, seed)
    trainer = _Trainer(
        train,
        held,
        settings={
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "num_epochs": num_epochs,
            "seed": seed,
            "preprocessing": (preprocessing or Preprocessing()).to_dict(),
            "augmentation": (augmentation or Augmentation()).to_dict(),
            "hosts": [host.name for host in hosts],
            "region_shape": list(region_shape),
            "widths": list(widths),
            "dropout": dropout,
            "weight_decay": weight_decay,
            "ema_decay": ema_decay,
            "validate_every": validate_every,
            "train_cases": [case.name for case in train],
            "validation_cases": [case.name for case in held],
        },
        preprocessing=preprocessing or Preprocessing(),
        augmentation=augmentation or Augmentation(),
        hosts=hosts,
        device=pick_device(device),
        mixed_precision=mixed_precision,
        micro_batch=micro_batch,
        init_from=init_from,
        folder=RunFolder(run_dir),
        resume=resume,
    )
    trainer.run(progress or (lambda words, fraction: None), cancel or (lambda: False))
    return trainer.finished_model(keep)


def pick_device(name: str) -> torch.device:
    """Return the device to train on; raises DeviceError where it does not exist."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"The device {name!r} cannot be used.", "Use 'auto' or 'cpu'.") from error
    return device


def native_bfloat16(device: torch.device) -> bool:
    """Say whether the device computes in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # Private in torch: where a version lacks it, plain float32 is the safe answer.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and bool(supported())


def _sort_out(
    images, labels, validation, subject_ids, fraction, names, seed
) -> tuple[list[Case], list[Case]]:
    """Return training and validation cases, or say why there are none."""
    if len(images) != len(labels) or not len(images):
        raise TrainingError(
            f"{len(images)} images and {len(labels)} labels.", "Give one label for each image."
        )
    if subject_ids is not None and len(subject_ids) != len(images):
        raise TrainingError(
            f"{len(subject_ids)} subject ids for {len(images)} images.", "Give one subject id for each image."
        )
    if validation is None and subject_ids is None:
        raise TrainingError(
            "Training needs validation cases of other subjects, and there are none.",
            "Give validation cases, or the subject of each case so that some can be held out.",
        )
    names = list(names) if names is not None else [f"case_{i:03d}" for i in range(len(images))]
    subjects = list(map(str, subject_ids)) if subject_ids is not None else names
    cases = [make_case(*one) for one in zip(names, subjects, images, labels, strict=True)]
    if validation is None:
        train, held = hold_out(subjects, fraction, seed)
        return [cases[i] for i in train], [cases[i] for i in held]
    if len(validation) and isinstance(validation[0], Case):
        held = list(validation)
    else:
        pairs = list(zip(*validation, strict=True))
        held = [
            make_case(f"validation_{i:03d}", f"validation_{i:03d}", *pair) for i, pair in enumerate(pairs)
        ]
    if not held:
        raise TrainingError(
            "The list of validation cases is empty.", "Give validation cases of other subjects."
        )
    both = {case.subject for case in cases} & {case.subject for case in held}
    if both:
        raise TrainingError(
            f"{len(both)} subject(s) are both in training and in validation.",
            "Keep all cases of a subject on one side.",
        )
    return cases, held


class _Trainer:
    """One run: everything that :func:`train_3d_unet` documents, as state that can be saved."""

    def __init__(
        self, train, held, settings, preprocessing, augmentation, hosts, device, mixed_precision, micro_batch,
        init_from, folder, resume,
    ):  # fmt: skip
        self.train_cases, self.settings, self.folder, self.device = train, settings, folder, device
        self.mixed = native_bfloat16(device) if mixed_precision == "auto" else bool(mixed_precision)
        self.micro_batch = micro_batch
        shape = tuple(settings["region_shape"])
        self.make = dict(
            seed=settings["seed"],
            shape=shape,
            preprocessing=preprocessing,
            augmentation=augmentation,
            hosts=hosts,
        )
        torch.manual_seed(settings["seed"])
        self.model = UNet3D(len(preprocessing.channels), CLASSES, settings["widths"], settings["dropout"])
        if any(n % self.model.divisor for n in shape):
            raise TrainingError(
                f"The region {shape} does not divide by {self.model.divisor}.",
                "Use multiples of it in each direction.",
            )
        if init_from is not None:
            _start_from(self.model, init_from)
        state = folder.load(settings, resume)
        self.evaluator = Evaluator(held, shape, preprocessing)
        self.model.to(device)
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": settings["weight_decay"]},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=settings["learning_rate"],
        )
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        self.epoch, self.step, self.restarts, self.slower = 0, 0, 0, 1.0
        self.history: list[dict] = []
        self.start_losses: list[float] = []
        self.best: dict = {"whole": -1.0, "epoch": 0, "weights": None}
        if state is not None:
            self._restore(state)
        else:
            folder.write_settings(settings)

    # --- state

    def _state(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "restarts": self.restarts,
            "slower": self.slower,
            "history": self.history,
            "start_losses": self.start_losses,
            "best": self.best,
        }

    def _restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("epoch", "step", "restarts", "slower", "history", "start_losses", "best"):
            setattr(self, name, copy.deepcopy(state[name]))

    # --- the loop

    def run(self, progress: Callable[[str, float], None], cancel: Callable[[], bool]) -> None:
        epochs = self.settings["num_epochs"]
        good = copy.deepcopy(self._state())
        note = ""
        while self.epoch < epochs:
            started = time.monotonic()
            try:
                loss = self._train_epoch(progress, cancel)
            except _Diverged:
                restarts, slower = self.restarts + 1, self.slower / 3
                self._restore(good)
                self.restarts, self.slower = restarts, slower
                if restarts > _RESTARTS:
                    raise TrainingError(
                        f"The loss diverged {restarts} times, the last with the learning rate"
                        f" {self.settings['learning_rate'] * slower * 3:.3g}.",
                        "Train with a much smaller learning rate, and look at the cases.",
                    ) from None
                rate = self.settings["learning_rate"] * slower
                note = f"loss diverged: restored, learning rate lowered to {rate:.3g}"
                progress(note, self.epoch / epochs)
                continue
            self.epoch += 1
            row = {"epoch": self.epoch, "learning_rate": self._rate(), "train_loss": loss, **self._validate()}
            self.history.append({**row, "seconds": time.monotonic() - started, "note": note})
            note = ""
            good = copy.deepcopy(self._state())
            self.folder.save(good)
            score = f", Dice {row['val_whole']:.3f}" if row["val_whole"] != "" else ""
            progress(f"epoch {self.epoch} of {epochs}: loss {loss:.3f}{score}", self.epoch / epochs)

    def _rate(self) -> float:
        """Return the learning rate of the coming step: linear warm-up, cosine to 0."""
        batches = math.ceil(len(self.train_cases) / self.settings["batch_size"])
        total = batches * self.settings["num_epochs"]
        warm = max(1, round(0.03 * total))
        if self.step < warm:
            part = (self.step + 1) / warm
        else:
            part = 0.5 * (1 + math.cos(math.pi * (self.step - warm) / max(1, total - warm)))
        return self.settings["learning_rate"] * self.slower * part

    def _train_epoch(self, progress: Callable[[str, float], None], cancel: Callable[[], bool]) -> float:
        """Run one epoch and return its mean loss; raises _Diverged."""
        order = epoch_order(len(self.train_cases), self.settings["seed"], self.epoch)
        # Dropout draws from torch's generator: seeded per epoch, a resumed run draws the same.
        torch.manual_seed(self.settings["seed"] * 100_003 + self.epoch + 1)
        samples = ahead(
            lambda i: make_sample(self.train_cases[order[i]], i, epoch=self.epoch, **self.make), len(order)
        )
        size, losses = self.settings["batch_size"], []
        self.model.train()
        try:
            for first in range(0, len(order), size):
                count = min(size, len(order) - first)
                losses.append(self._train_step(samples, count, cancel))
                self._watch(losses)
                fraction = (self.epoch + (first + count) / len(order)) / self.settings["num_epochs"]
                progress(f"epoch {self.epoch + 1}", fraction)
        finally:
            samples.close()
        return sum(losses) / len(losses)

    def _train_step(self, samples, count: int, cancel: Callable[[], bool]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        total, done = 0.0, 0
        while done < count:
            if cancel():
                raise Cancelled("Training was cancelled; finished epochs are kept in the run folder.")
            now = min(self.micro_batch, count - done)
            pairs = [next(samples) for _ in range(now)]
            inputs = torch.stack([torch.from_numpy(a) for a, _ in pairs]).to(self.device)
            target = torch.stack([torch.from_numpy(b) for _, b in pairs]).to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                logits = self.model(inputs)
            loss = dice_and_cross_entropy(logits, target) * (now / count)
            loss.backward()
            total, done = total + loss.item(), done + now
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 12.0)
        if not math.isfinite(total) or not torch.isfinite(norm):
            self.optimizer.zero_grad(set_to_none=True)
            raise _Diverged
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        # A young average forgets faster, or the random first weights would linger in it.
        decay = min(self.settings["ema_decay"], self.step / (self.step + 10))
        with torch.no_grad():
            for mean, value in zip(self.ema.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        return total

    def _watch(self, losses: list[float]) -> None:
        if len(self.start_losses) < _WINDOW:
            self.start_losses.append(losses[-1])
        start = sum(self.start_losses) / len(self.start_losses)
        # The first step comes before any update, so it bounds what an immediate explosion may hide.
        start = min(start, self.start_losses[0])
        recent = losses[-_WINDOW:]
        if len(recent) == _WINDOW and sum(recent) / _WINDOW > _RISE * start:
            raise _Diverged

    def _validate(self) -> dict:
        due = self.epoch % self.settings["validate_every"] == 0 or self.epoch == self.settings["num_epochs"]
        if not due:
            return {"val_whole": "", "val_anterior": "", "val_posterior": ""}
        scores = means(self.evaluator(self.ema, self.device, self.mixed))
        if scores["whole"] > self.best["whole"]:
            weights = {k: v.detach().cpu().clone() for k, v in self.ema.state_dict().items()}
            self.best = {"whole": scores["whole"], "epoch": self.epoch, "weights": weights}
        return {f"val_{name}": value for name, value in scores.items()}

    def finished_model(self, keep: str) -> UNet3D:
        model = copy.deepcopy(self.ema).cpu().eval().requires_grad_(True)
        if keep == "best" and self.best["weights"] is not None:
            model.load_state_dict(self.best["weights"])
        model.history = self.history
        return model


def _start_from(model: UNet3D, source: UNet3D | str | Path) -> None:
    """Load starting weights; raises TrainingError where they do not fit the network."""
    try:
        if isinstance(source, UNet3D):
            weights = source.state_dict()
        else:
            weights = torch.load(source, map_location="cpu", weights_only=True)
        model.load_state_dict({k: v.float() for k, v in weights.items()})
    except FileNotFoundError as error:
        raise TrainingError("The weights to start from are not there.", "Name an existing file.") from error
    except OSError as error:
        raise OutputError("The weights to start from cannot be read.", "Name a readable file.") from error
    except Exception as error:
        raise TrainingError(
            "The weights to start from do not fit this network.",
            "Use the widths and channels they were trained with.",
        ) from error
