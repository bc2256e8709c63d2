"""Make the map of where tissues lie in the mean head (`results/contrast.py`) from label maps.

    python -m HippoSegLib.training.tissue_map DATA -o Resources/TissueMap/tissue_map.npz

Each label map that may train is drawn as a T1 and brought to the mean head by the localiser of a model, as
scans are; the shares of white matter, grey matter, fluid and bone are averaged there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..geometry.pose import WORLD_RAS
from ..io.atomic import replacing
from ..localization.coarse import CoarseGrid, localize, shrink
from ..localization.upright import about_middle, on_upright_grid
from ..models.store import Model, load_model
from ..results.contrast import TISSUES
from .data_splits import LABEL_MAPS, TRAIN_LABEL_MAPS
from .heads import EXTRACRANIAL_FROM, LabelHead, read_label_head
from .localizer import read_intensities

#: FreeSurfer ids of white matter, fluid (with the plexus in it) and bone; what else lies within the skull
#: is grey matter.
WHITE = (2, 41, 7, 46, 16, 28, 60, 85, 25, 57)
FLUID = (4, 5, 14, 15, 24, 43, 44, 72, 136, 137, 163, 164)
BONE = (515,)


def tissue_shares(head: LabelHead, image: sitk.Image, model: Model) -> np.ndarray:
    """Shares (4, n, n, n) float32, 0..1, of a label map's tissues in the mean head.

    Args:
        image: The head as it looks in T1, on the label map's grid.
        model: One with a localiser.
    """
    card, network = model.card.localizer, model.networks().localizer
    assert card is not None and network is not None
    grid = CoarseGrid(card.grid_size, card.grid_spacing_mm, card.coordinate_unit_mm)
    found = localize(image, network, grid)
    assert found.head_to_world is not None
    inside = (head.ids > 0) & (head.ids < EXTRACRANIAL_FROM)
    white, fluid = np.isin(head.ids, WHITE), np.isin(head.ids, FLUID)
    shares = []
    for member in (white, inside & ~white & ~fluid, fluid, np.isin(head.ids, BONE)):
        one = label_image(member[head.labels].astype(np.float32), head)
        shares.append(on_upright_grid(shrink(one, grid), about_middle(found.head_to_world), grid))
    return np.stack(shares)


def t1_image(head: LabelHead, data: Path) -> sitk.Image:
    """A label map as a mean T1, without noise."""
    _, intensities = read_intensities(data / LABEL_MAPS / "labels_classes_priors")
    mean = np.clip(intensities.means[0], 0, None)[intensities.classes]
    return label_image(mean.astype(np.float32)[head.labels], head)


def label_image(array: np.ndarray, head: LabelHead) -> sitk.Image:
    """An array on the grid of a label map as an image."""
    image = sitk.GetImageFromArray(array)
    spacing = np.linalg.norm(head.index_to_world[:, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection(WORLD_RAS.ravel().tolist())
    image.SetOrigin(head.index_to_world[:, 3].tolist())
    return image


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", help="bundled name or model folder, whose localiser is used")
    parser.add_argument("--overwrite", action="store_true")
    args = parser.parse_args(arguments)
    model = load_model(args.model)
    ids, _ = read_intensities(args.data / LABEL_MAPS / "labels_classes_priors")
    total = []
    for name in TRAIN_LABEL_MAPS:
        head = read_label_head(args.data / LABEL_MAPS / f"training_seg_{name}.nii.gz", ids)
        total.append(tissue_shares(head, t1_image(head, args.data), model))
        print(f"label map {name}", flush=True)
    percent = np.rint(100 * np.mean(total, axis=0)).clip(0, 100).astype(np.uint8)
    assert len(percent) == len(TISSUES) and model.card.localizer is not None
    spacing = np.float64(model.card.localizer.grid_spacing_mm)
    with replacing(args.output, overwrite=args.overwrite) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, percent=percent, spacing_mm=spacing)


if __name__ == "__main__":
    main()
