"""Heads in many contrasts, drawn from label maps: T1 of all kinds, and what is no T1.

Scans of other contrasts are not at hand. Brightness per tissue is written by hand after textbook images, in
any unit; `synthetic_heads.py` takes the images. A computed tomogram comes as viewers export it, a window of
its range as 0 to 255. Real T1 heads are given other orders of tissues by bending their grey values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from synthetic_heads import CONTRASTS, TISSUES, Head, LabelMap, draw, plan_head

#: Distortion of an echo-planar image: mm, in the direction of the phase.
DISTORTION_MM = 6.0

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """A kind of image: whether it is a T1; tissue -> brightness, where it is not that of `base`; what is
    fixed of a head's plan; what is done to the array (z, y, x float32) in the end."""

    is_t1: bool
    tissues: Mapping[str, float] = field(default_factory=dict)
    base: str = "T1"
    plan: Mapping = field(default_factory=dict)
    after: Change | None = None


def _table(grey: float, white: float, fluid: float, **others: float) -> dict[str, float]:
    """Brightness of brain tissue from that of cortex, white matter and fluid; `others` as they are."""
    between = 0.5 * (grey + white)
    table = dict.fromkeys(("cortex", "hippocampus", "amygdala", "striatum", "cerebellar cortex"), grey)
    table |= dict.fromkeys(("white matter", "cerebellar white matter", "brain stem"), white)
    table |= {"thalamus": between, "pallidum": between, "fluid": fluid, "plexus": 0.5 * (fluid + grey)}
    return table | {name.replace("_", " "): value for name, value in others.items()}


def distorted(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shifted along one axis by a smooth field, and without signal where that field is steep."""
    nodes = ndimage.zoom(rng.normal(0, 1, (4, 4, 4)), np.array(array.shape) / 4, order=2)
    nodes = nodes[tuple(slice(n) for n in array.shape)]
    nodes = np.pad(nodes, [(0, n - k) for n, k in zip(array.shape, nodes.shape, strict=True)], mode="edge")
    shift = DISTORTION_MM / 3 * nodes / nodes.std()  # voxels of about 3 mm
    grid = np.indices(array.shape, dtype=np.float32)
    grid[1] += shift
    moved = ndimage.map_coordinates(array, grid, order=1, mode="nearest")
    return moved * np.exp(-2 * np.clip(np.abs(np.gradient(shift, axis=1)) - 0.3, 0, None))


def air_noise(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where there is no signal a quotient of two images takes any value."""
    signal = ndimage.gaussian_filter(array, 1.0)
    top = float(np.percentile(array, 99))
    noise = rng.uniform(0, 1.1 * top, array.shape).astype(np.float32)
    return np.where(signal < 0.06 * top, noise, array)


def exported(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut at 255, whole numbers."""
    return np.clip(np.rint(array), 0, 255)


_QUIET = {"noise": 0.02, "bias": 0.0}
_COARSE = {"spacing": np.full(3, 3.0), "noise": 0.03}
KINDS: dict[str, Kind] = {
    "T1": Kind(True),
    "T1, spin echo": Kind(True, _table(112, 130, 50), plan={"noise": 0.04}),
    "T1, noisy": Kind(True, plan={"noise": 0.12}),
    "T1, 2 mm": Kind(True, plan={"spacing": np.full(3, 2.0)}),
    "T1, slices of 5 mm": Kind(True, plan={"spacing": np.array([1.0, 1.0, 5.0]), "slice_axis": 2}),
    "T1, shading of 7 T": Kind(True, plan={"bias": 0.4}),
    "T1, contrast agent": Kind(
        True, {"vein": 260, "artery": 250, "plexus": 230, "mucosa": 240, "muscle": 110}
    ),
    "MP2RAGE, noise in air": Kind(True, {"fluid": 15, "fat": 190}, after=air_noise),
    "T2": Kind(False, base="T2"),
    "FLAIR": Kind(False, base="FLAIR"),
    "PD": Kind(False, _table(150, 122, 140, fat=170, marrow=110, skin=120, muscle=110)),
    "T2*, gradient echo": Kind(False, _table(128, 108, 170, fat=90, marrow=20, vein=30, muscle=80)),
    "EPI": Kind(
        False,
        _table(130, 100, 210, fat=10, marrow=8, skin=25, muscle=40, eye=190),
        plan=_COARSE,
        after=distorted,
    ),
    "diffusion, b 1000": Kind(
        False,
        _table(125, 105, 30, fat=8, marrow=8, skin=15, muscle=25, eye=25),
        plan=_COARSE,
        after=distorted,
    ),
    "T1 map": Kind(False, _table(130, 85, 255, fat=40, marrow=45, muscle=110, skin=95, bone=60, eye=250)),
    "CT, brain window": Kind(
        False,
        _table(118, 92, 20, bone=1500, marrow=600, fat=0, skin=180, muscle=170, vein=140, artery=140),
        plan=_QUIET,
        after=exported,
    ),
    "CT, wide window": Kind(
        False,
        _table(134, 132, 128, bone=245, marrow=190, fat=115, skin=134, muscle=135, mucosa=132, eye=129),
        plan=_QUIET | {"noise": 0.01},
        after=exported,
    ),
    "fetal T2": Kind(
        False,
        _table(95, 150, 235, fat=60, marrow=30, bone=20, skin=70, muscle=60),
        plan={"scale": np.full(3, 0.62)},
    ),
}


def draw_kind(source: LabelMap, kind: str, seed: int, number: int, **fixed) -> Head:
    """Head `number` of a map in one of `KINDS`, wholly in view; `fixed` as in `plan_head`."""
    this = KINDS[kind]
    rng = np.random.default_rng([seed, number, *(ord(c) for c in source.name + kind)])
    values = {"max_degrees": 15.0, "cut": "none"} | dict(this.plan) | fixed
    plan = plan_head(source, rng, this.base, **values)
    column = CONTRASTS.index(this.base)
    table = {name: float(values[column]) for name, (_, values) in TISSUES.items()} | dict(this.tissues)
    table = {name: value * rng.uniform(0.95, 1.05) for name, value in table.items()}
    head = draw(source, plan, rng, table, gain=1.0 if this.after is exported else None)
    image = head.image
    if this.after is not None:
        array = this.after(sitk.GetArrayFromImage(image).astype(np.float32), rng)
        image = sitk.GetImageFromArray(np.rint(array).astype(np.int16))
        image.CopyInformation(head.image)
    return replace(head, image=image, contrast=kind)
