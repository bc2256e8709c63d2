"""Training of the segmenter: ``train_3d_unet``, the interface of the method."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..errors import TrainingError
from ..models import devices
from ..models.network import build
from ..models.unet3d import WIDTHS, UNet3D
from ..preprocessing.chain import Preprocessing
from .augmentation import Augmentation
from .background_context import BackgroundContext
from .batches import CropSampler
from .cases import Case, hold_out, make_case
from .evaluation import Evaluator
from .loop import Compute, Loop
from .losses import dice_and_cross_entropy
from .runstate import RunFolder
from .settings import REGION_SHAPE, Settings


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
    contexts: Sequence[BackgroundContext] = (),
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
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = dice_and_cross_entropy,
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
        contexts: Background context the crops are set into.
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
        loss: Of logits (n, classes, z, y, x) and labels (n, z, y, x), averaged over samples.

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
    settings = Settings(
        learning_rate,
        batch_size,
        num_epochs,
        seed,
        preprocessing or Preprocessing(),
        augmentation or Augmentation(),
        region_shape,
        tuple(widths),
        dropout,
        weight_decay,
        ema_decay,
        validate_every,
    )
    if keep not in ("best", "last") or micro_batch < 1:
        raise TrainingError(
            f"Weights to keep {keep!r} or micro-batch {micro_batch} are impossible.",
            "Use 'best' or 'last', and a micro-batch of 1 or more.",
        )
    train, held = _sort_out(images, labels, validation, subject_ids, validation_fraction, names, seed)
    name, _ = devices.resolve(device)
    where = torch.device(name)
    mixed = native_bfloat16(where) if mixed_precision == "auto" else bool(mixed_precision)

    torch.manual_seed(seed)
    model = build(settings.network, dropout=dropout)
    if init_from is not None:
        _start_from(model, init_from)
    loop = Loop(
        model,
        CropSampler(train, settings, contexts),
        Evaluator(held, settings.region_shape, settings.preprocessing),
        settings,
        Compute(where, mixed, micro_batch),
        loss,
    )
    folder = RunFolder(run_dir)
    record = {
        **settings.to_dict(),
        "background_context": [context.name for context in contexts],
        "train_cases": [case.name for case in train],
        "validation_cases": [case.name for case in held],
        "data_crc32": checksum([*train, *held]),
    }
    state = loop.team.of_first(folder.load(record, resume) if loop.team.rank == 0 else None)
    if state is not None:
        loop.restore(state)
    elif loop.team.rank == 0:
        folder.write_settings(record)
    loop.run(folder, progress or (lambda words, fraction: None), cancel or (lambda: False))
    return loop.finished(keep)


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
    if len(names) != len(images):
        raise TrainingError(f"{len(names)} names for {len(images)} images.", "Give one name for each image.")
    subjects = list(map(str, subject_ids)) if subject_ids is not None else names
    cases = [make_case(*one) for one in zip(names, subjects, images, labels, strict=True)]
    if validation is None:
        learned, kept = hold_out(subjects, fraction, seed)
        return [cases[i] for i in learned], [cases[i] for i in kept]
    if len(validation) and isinstance(validation[0], Case):
        held = list(validation)
    else:
        if len(validation) != 2 or len(validation[0]) != len(validation[1]) or not len(validation[0]):
            raise TrainingError(
                "The validation cases are not a list of images and a list of as many labels.",
                "Give validation cases of other subjects as (images, labels).",
            )
        pairs = zip(*validation, strict=True)
        held = [
            make_case(f"validation_{i:03d}", f"validation_{i:03d}", *pair) for i, pair in enumerate(pairs)
        ]
    both = {case.subject for case in cases} & {case.subject for case in held}
    if both:
        raise TrainingError(
            f"{len(both)} subject(s) are both in training and in validation.",
            "Keep all cases of a subject on one side.",
        )
    return cases, held


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
