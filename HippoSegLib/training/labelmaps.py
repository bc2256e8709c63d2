"""Cases synthesised from whole-head label maps, whose hippocampi are traced by hand and complete.

The image is drawn from the labels with T1 intensities (Billot et al., Medical Image Analysis 2023), at
1 mm about one hippocampus; each time it is used, the augmentation of `augmentation.py` comes on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import InputError
from .background_context import CONTEXT_SHAPE
from .cases import WHOLE_ONLY, Case
from .data_splits import LABEL_MAPS
from .heads import EXTRACRANIAL_FROM, LEFT, RIGHT, LabelHead, read_label_head
from .localizer import read_intensities
from .protocols import FULL
from .synthesis import Intensities

#: FreeSurfer id of the fluid around the brain: what a skull-stripped head may or may not keep.
_OUTER_FLUID = 24
#: Names of cases drawn from label maps begin with this.
_PREFIX = "labelmap_"


def synthesised_cases(data: Path, names: Sequence[str], renderings: int = 2, seed: int = 0) -> list[Case]:
    """Draw both hippocampi of label maps, each several times, as cases of the protocol ``FULL``.

    Args:
        data: Folder that holds ``head_label_maps``.
        names: Of the label maps (`data_splits.TRAIN_LABEL_MAPS`).
        renderings: Images of each hippocampus, of different contrast.
        seed: Same seed, same images, whatever else is drawn.

    Raises:
        InputError: A label map or the intensity priors cannot be read.
    """
    folder, cases = data / LABEL_MAPS, []
    try:
        ids, intensities = read_intensities(folder / "labels_classes_priors")
        for name in names:
            head = read_label_head(folder / f"training_seg_{name}.nii.gz", ids)
            for side in ("left", "right"):
                for k in range(renderings):
                    rng = np.random.default_rng((seed, int(name), LEFT if side == "left" else RIGHT, k))
                    called = f"{_PREFIX}{name}_{side}_{k}"
                    cases.append(_draw(called, f"{_PREFIX}{name}", head, side, intensities, rng))
    except (OSError, RuntimeError) as error:
        raise InputError(f"A label map in {folder} cannot be read.", "Name the training data.") from error
    return cases


def is_drawn(case: Case) -> bool:
    """Whether a case was drawn from a label map."""
    return case.name.startswith(_PREFIX)


def _draw(
    name: str,
    subject: str,
    head: LabelHead,
    side: str,
    intensities: Intensities,
    rng: np.random.Generator,
) -> Case:
    """One case of `CONTEXT_SHAPE` at 1 mm about the hippocampus of a side; a right one is mirrored."""
    wanted = int(np.searchsorted(head.ids, LEFT if side == "left" else RIGHT))
    labels = _about(head.labels, wanted)
    if side == "right":
        labels = labels[:, :, ::-1]
    mean, std = (values.astype(np.float32) for values in intensities.draw(rng, "t1"))
    keep = np.ones(len(head.ids), np.float32)
    if rng.random() < 0.5:  # skull-stripped
        keep[head.ids >= EXTRACRANIAL_FROM] = 0
        keep[head.ids == _OUTER_FLUID] = rng.integers(2)
    # Tissue is uneven at several scales: half of the spread is as fine as a voxel, half is smoother.
    fine = rng.standard_normal(labels.shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(rng.standard_normal(labels.shape, dtype=np.float32), 1.5)
    texture = np.sqrt(0.5) * (fine + smooth / max(float(smooth.std()), 1e-6))
    image = np.clip(mean[labels] + 0.7 * std[labels] * texture, 0, None) * keep[labels]
    image = ndimage.gaussian_filter(image, rng.uniform(0.4, 0.7))  # a voxel sees more than one tissue
    label = np.where(labels == wanted, WHOLE_ONLY, 0).astype(np.uint8)
    image = np.ascontiguousarray(image - image.min(), np.float32)
    return Case(name, subject, image, np.ascontiguousarray(label), FULL)


def _about(labels: np.ndarray, wanted: int) -> np.ndarray:
    """Cut `CONTEXT_SHAPE` out of label indices (z, y, x), about the voxels of one value; 0 outside."""
    middle = np.rint(np.argwhere(labels == wanted).mean(axis=0)).astype(int)
    half = np.array(CONTEXT_SHAPE) // 2
    padded = np.pad(labels, [(n, n) for n in half])
    return padded[tuple(slice(c, c + n) for c, n in zip(middle, CONTEXT_SHAPE, strict=True))]
