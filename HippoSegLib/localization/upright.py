"""A head brought to the mean head's size and pose, on the coarse network's grid."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..geometry.pose import WORLD_RAS, Affine
from .coarse import CoarseGrid, shrink
from .normalisation import normalise

#: Middle of the mean head in the hippocampal frame, mm.
MIDDLE = np.array([0.0, 5.0, 20.0])


def about_middle(head_to_world: Affine) -> Affine:
    """From mm about the middle of the mean head (right, anterior, superior) to LPS mm."""
    return head_to_world.after(Affine(np.eye(3), MIDDLE))


def upright(head: sitk.Image, to_world: Affine, grid: CoarseGrid) -> np.ndarray:
    """What the head shows on the grid that `to_world` lays in it: (n, n, n) float32, scaled to 0..1.5.

    Args:
        head: Scalar 3D head, its background at 0.
        to_world: From mm about the grid's centre (right, anterior, superior) to LPS mm.
        grid: Its x runs to the right, y forward, z up.
    """
    return normalise(on_upright_grid(shrink(head, grid), to_world, grid))


def on_upright_grid(image: sitk.Image, to_world: Affine, grid: CoarseGrid) -> np.ndarray:
    """Grey values (n, n, n) float32 of an image, already thinned, on that grid; 0 outside its field of
    view."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix((to_world.matrix @ WORLD_RAS.T).ravel().tolist())
    transform.SetTranslation(to_world.offset.tolist())
    seen = sitk.Resample(
        image,
        [grid.size] * 3,
        transform,
        sitk.sitkLinear,
        (WORLD_RAS @ np.full(3, grid.axis()[0])).tolist(),
        [grid.spacing] * 3,
        WORLD_RAS.ravel().tolist(),
        0.0,
        sitk.sitkFloat32,
    )
    return sitk.GetArrayFromImage(seen)
