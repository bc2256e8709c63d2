"""A small base model and a made-up site: bright bodies, which the site outlines one voxel wider."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from crops import crop
from scipy import ndimage

from HippoSegLib.finetuning.settings import FineTuneSettings
from HippoSegLib.models.card import ModelCard
from HippoSegLib.models.card_parts import SegmenterCard
from HippoSegLib.models.saving import save_model
from HippoSegLib.models.store import load_model
from HippoSegLib.models.training_card import TrainingCard
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training import train_3d_unet
from HippoSegLib.training.augmentation import Augmentation
from HippoSegLib.training.settings import TrainingSettings
from HippoSegLib.training.trainer import TrainingRun
from HippoSegLib.training.training_data import TrainingData

SHAPE = (32, 32, 32)
GENTLE = Augmentation(shift=2, rotation=5, scale=(0.95, 1.05), elastic_probability=0, reslice_probability=0)
#: Seconds, not minutes; enough to learn the wider outline.
QUICK = FineTuneSettings(
    learning_rate=0.01,
    num_epochs=6,
    decoder_epochs=1,
    folds=2,
    augmentation=0.2,
    encoder_rate=1.0,
    anchor=0.0,
)


def body(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and label (z, y, x) of a body with a hippocampus's volume."""
    _, label = crop(seed, SHAPE)
    rng = np.random.default_rng(seed)
    zoom = rng.uniform(1.3, 1.7, 3)  # about 3.4 times the volume, and everyone has another form
    centre = (np.array(SHAPE) - 1) / 2
    label = ndimage.affine_transform(label, 1 / zoom, centre - centre / zoom, order=0)
    image = 40 + 60 * (label > 0) + rng.normal(0, 6, SHAPE)
    return np.maximum(image, 1).astype(np.float32) * float(rng.uniform(0.5, 20)), label


def wider(label: np.ndarray) -> np.ndarray:
    """The site's protocol: one voxel more all around."""
    return ndimage.grey_dilation(label, size=(3, 3, 3))


@cache
def _base_weights() -> dict[str, torch.Tensor]:
    """Weights of a tiny segmenter trained on six bodies; a few seconds of work, once per process."""
    torch.set_num_threads(1)
    pairs = [body(i) for i in range(6)]
    model = train_3d_unet(
        [a for a, _ in pairs],
        [b for _, b in pairs],
        0.03,
        2,
        12,
        data=TrainingData(subject_ids=[str(i) for i in range(6)]),
        settings=TrainingSettings(
            preprocessing=Preprocessing.named("plain"), augmentation=GENTLE, region_shape=SHAPE, widths=(4, 8)
        ),
        run=TrainingRun(device="cpu", mixed_precision=False),
    )
    return model.state_dict()


def make_base(folder: Path) -> Path:
    """Save the tiny segmenter as a model for crops."""
    weights = folder.parent / "weights.pt"
    torch.save(_base_weights(), weights)
    part = SegmenterCard(
        (4, 8), SHAPE, 1.0, Preprocessing.named("plain"), training=TrainingCard(train_cases=("base_000",))
    )
    return save_model(folder, ModelCard(part, "tiny", licence="test"), {"segmenter": weights})


def write_case(folder: Path, name: str, image: np.ndarray, label: np.ndarray) -> None:
    """Write one pair, x to the right, y anterior, z superior."""
    for kind, array in (("images", image), ("labels", label)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        one = sitk.GetImageFromArray(array)
        one.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
        sitk.WriteImage(one, str(folder / kind / f"{name}.nii.gz"))


def write_site(
    folder: Path, count: int = 8, first: int = 200, change=wider, subjects: int | None = None
) -> Path:
    """Write a site of ``count`` crops, named ``sub-NN_left``; ``change`` is applied to the labels."""
    for i in range(count):
        image, label = body(first + i)
        subject = i if subjects is None else i % subjects
        write_case(folder, f"sub-{subject:02d}_ses-{i}_left", image, change(label))
    return folder


def load(folder: Path):
    """The model in a folder."""
    return load_model(folder)
