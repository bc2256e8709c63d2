"""Training of the segmenter: ``train_3d_unet``, the interface of the method."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..errors import TrainingError
from ..models import devices
from ..models.network import build
from ..models.unet3d import UNet3D
from .batches import CropSampler
from .cases import Case
from .evaluation import Evaluator
from .loop import Compute, Loop
from .losses import dice_and_cross_entropy
from .runstate import RunFolder
from .settings import TrainingSettings
from .training_data import TrainingData


@dataclass(frozen=True)
class TrainingRun:
    """Where and how a training runs, and what it starts from.

    Attributes:
        device: ``auto`` (a GPU when there is one), ``cpu``, ``cuda`` ….
        mixed_precision: bfloat16 in the network, float32 weights; ``auto`` where it is native.
        micro_batch: Samples in memory at a time.
        keep: ``best`` returns the weights of the best validated epoch (whole-hippocampus Dice),
            ``last`` those of the last, which no validation case has chosen.
        init_from: Network, or file of its state, to start from instead of random weights.
        run_dir: Folder for state and log; a killed run continues from its last epoch.
        resume: Off, a folder that holds a run is refused.
        progress: Called with (words, fraction 0..1).
        cancel: Polled between micro-batches; where it returns true, training stops.
        loss: Of logits (n, classes, z, y, x) and labels (n, z, y, x), averaged over samples.

    Raises:
        TrainingError: A value is impossible.
    """

    device: str = "auto"
    mixed_precision: str | bool = "auto"
    micro_batch: int = 2
    keep: str = "best"
    init_from: UNet3D | str | Path | None = None
    run_dir: str | Path | None = None
    resume: bool = True
    progress: Callable[[str, float], None] | None = None
    cancel: Callable[[], bool] | None = None
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = dice_and_cross_entropy

    def __post_init__(self):
        if self.keep not in ("best", "last") or self.micro_batch < 1:
            raise TrainingError(
                f"Weights to keep {self.keep!r} or micro-batch {self.micro_batch} are impossible.",
                "Use 'best' or 'last', and a micro-batch of 1 or more.",
            )

    @property
    def compute(self) -> Compute:
        """Device and precision; raises DeviceError where there is no such device."""
        device = torch.device(devices.resolve(self.device)[0])
        mixed = native_bfloat16(device) if self.mixed_precision == "auto" else bool(self.mixed_precision)
        return Compute(device, mixed, self.micro_batch)


def train_3d_unet(
    images: Sequence,
    labels: Sequence,
    learning_rate: float = 0.001,
    batch_size: int = 16,
    num_epochs: int = 50,
    *,
    data: TrainingData | None = None,
    settings: TrainingSettings | None = None,
    run: TrainingRun | None = None,
) -> UNet3D:
    """Train a 3D U-Net on crops of one hippocampus each, with the geometry of a left one.

    Interface and defaults are those of the method (IEEE Access 2025, doi 10.1109/access.2025.3577266).

    Args:
        images, labels: Pairs of ``SimpleITK.Image`` or (z, y, x) arrays, 1 mm, x to the right, y
            anterior, z superior; labels 1 anterior, 2 posterior.
        learning_rate: Highest; after a warm-up over 3 % of the steps it falls to 0 along a cosine.
        batch_size: Samples per step, reached by accumulating micro-batches.
        num_epochs: Each sees every training case once.
        data: What else is known of the cases: subjects, validation cases, names, background context.
        settings: All other settings; its learning rate, batch size and epochs give way to the arguments.
        run: Device, run folder, progress, starting weights, loss.

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
    data, run = data or TrainingData(), run or TrainingRun()
    settings = replace(
        settings or TrainingSettings(),
        learning_rate=learning_rate,
        batch_size=batch_size,
        num_epochs=num_epochs,
    )
    train, held = data.cases(images, labels, settings.seed)
    compute = run.compute
    torch.manual_seed(settings.seed)
    model = build(settings.network, dropout=settings.dropout)
    if run.init_from is not None:
        _start_from(model, run.init_from)
    loop = Loop(
        model,
        CropSampler(train, settings, data.contexts),
        Evaluator(held, settings.region_shape, settings.preprocessing),
        settings,
        compute,
        run.loss,
    )
    folder = RunFolder(run.run_dir)
    record = {
        **settings.to_dict(),
        "background_context": [context.name for context in data.contexts],
        "train_cases": [case.name for case in train],
        "validation_cases": [case.name for case in held],
        "data_crc32": checksum([*train, *held]),
    }
    state = loop.team.of_first(folder.load(record, run.resume) if loop.team.rank == 0 else None)
    if state is not None:
        loop.restore(state)
    elif loop.team.rank == 0:
        folder.write_settings(record)
    loop.run(folder, run.progress or (lambda words, fraction: None), run.cancel or (lambda: False))
    return loop.finished(run.keep)


def native_bfloat16(device: torch.device) -> bool:
    """Say whether the device computes in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # Private in torch: where a version lacks it, plain float32 is the safe answer.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and bool(supported())


def checksum(cases: Sequence[Case]) -> int:
    """Return a sum over the cases' voxels, so that a run is not resumed on other data."""
    total = 0
    for case in cases:
        total = zlib.crc32(case.label.data, zlib.crc32(case.image.data, total))
    return total


def _start_from(model: UNet3D, source: UNet3D | str | Path) -> None:
    """Load starting weights; raises TrainingError where they cannot be read or do not fit the network."""
    try:
        if isinstance(source, UNet3D):
            weights = source.state_dict()
        else:
            weights = torch.load(source, map_location="cpu", weights_only=True)
        model.load_state_dict({k: v.float() for k, v in weights.items()})
    except OSError as error:
        raise TrainingError(
            "The weights to start from cannot be read.", "Name an existing, readable file."
        ) from error
    except Exception as error:  # torch raises many kinds for a file that is not what it should be
        raise TrainingError(
            "The weights to start from do not fit this network.",
            "Use the widths and channels they were trained with.",
        ) from error
