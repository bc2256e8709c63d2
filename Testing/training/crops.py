"""Small made-up crops: a bright, bent body in two parts on a darker, textured ground."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import SimpleITK as sitk

SHAPE = (24, 24, 24)


def crop(seed: int, shape=SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Return image float32 and label uint8 (z, y, x); label 1 lies anterior (high y), 2 posterior."""
    rng = np.random.default_rng(seed)
    z, y, x = (g - (n - 1) / 2 for g, n in zip(np.indices(shape), shape, strict=True))
    radius = rng.uniform(3.0, 4.0)
    body = (z + 0.2 * y) ** 2 + x**2 + (y / 2) ** 2 < radius**2
    label = np.where(body, np.where(y > 0, 1, 2), 0).astype(np.uint8)
    image = 40 + 60 * (label > 0) + rng.normal(0, 6, shape)
    return np.maximum(image, 1).astype(np.float32) * float(rng.uniform(0.5, 20)), label


def crops(count: int, first: int = 0, shape=SHAPE) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return images and labels of ``count`` crops."""
    pairs = [crop(first + i, shape) for i in range(count)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def write_folder(folder, numbers, shape=SHAPE) -> None:
    """Write crops named like the Decathlon's into ``images`` and ``labels``."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        for kind, array in zip(("images", "labels"), crop(number, shape), strict=True):
            image = sitk.GetImageFromArray(array)
            image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))  # x to the right, y anterior
            sitk.WriteImage(image, str(folder / kind / f"hippocampus_{number:03d}.nii.gz"))


#: Settings that `train_3d_unet` takes by themselves.
_PUBLISHED = ("learning_rate", "batch_size", "num_epochs")


def training_arguments(**options) -> dict:
    """Arguments of `train_3d_unet`: fields of its three objects are put into them, the others stay."""
    from HippoSegLib.training.settings import TrainingSettings
    from HippoSegLib.training.trainer import TrainingRun
    from HippoSegLib.training.training_data import TrainingData

    own = {name: options.pop(name) for name in _PUBLISHED if name in options}
    for name, kind in (("data", TrainingData), ("settings", TrainingSettings), ("run", TrainingRun)):
        own[name] = kind(**{f.name: options.pop(f.name) for f in fields(kind) if f.name in options})
    assert not options, options
    return own
