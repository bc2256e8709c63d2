"""Whole heads at full resolution, drawn from a label map, whose hippocampi are known.

Independent of what the localiser trains on (`HippoSegLib/training/synthesis.py` draws coarse voxels with
random intensities): here a scanner is imitated. Its grid of anisotropic voxels lies turned in the head,
slices are averages of finer ones, tissues have the intensities of a T1, T2 or FLAIR image, coils shade it,
noise is Rician, the field of view may cut the head, and the file may store its axes in any order.

Head mm are LPS about the label map's centre; grid mm the same, turned and scaled, along the scanner's
axes; world mm (LPS) what the stored header says. Arrays are (z, y, x).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.transform import Rotation

SIDES = {"left": 17, "right": 53}
#: Ids from here on (and 0) lie outside the skull's inner surface.
EXTRACRANIAL_FROM = 502
SKIN, SOFT_TISSUE = 511, 507
#: Soft tissue so close beneath the skin is fat; deeper, muscle with streaks of fat.
SUBCUTANEOUS_MM, STREAKS = 4.0, 0.2
CONTRASTS = ("T1", "T2", "FLAIR")
CUTS = ("none", "neck", "top", "side")
#: All ways to store three axes: their order, and which of them run backwards.
STORAGE_ORDERS = tuple(itertools.product(itertools.permutations(range(3)), np.ndindex(2, 2, 2)))

#: Tissue -> its label ids, and its brightness in T1, T2 and FLAIR. Written by hand, after textbook images.
TISSUES: dict[str, tuple[tuple[int, ...], tuple[int, int, int]]] = {
    "air": ((0,), (0, 0, 0)),
    "white matter": ((2, 41, 85, 530), (165, 80, 95)),
    "white matter, diseased": ((25, 57), (120, 150, 185)),
    "cortex": ((3, 42), (115, 120, 135)),
    "hippocampus": ((17, 53), (115, 125, 143)),
    "amygdala": ((18, 54), (113, 124, 141)),
    "striatum": ((11, 12, 26, 50, 51, 58), (125, 105, 125)),
    "thalamus": ((10, 49), (135, 98, 115)),
    "pallidum": ((13, 52), (147, 65, 88)),
    "cerebellar white matter": ((7, 46), (157, 84, 98)),
    "cerebellar cortex": ((8, 47), (112, 115, 130)),
    "brain stem": ((16, 28, 60, 512), (148, 90, 105)),
    "fluid": ((4, 5, 14, 15, 24, 43, 44, 72), (35, 230, 25)),
    "plexus": ((136, 137, 163, 164), (60, 190, 60)),
    "vein": ((30, 62, 514), (60, 45, 40)),
    "artery": ((502,), (130, 20, 25)),
    "eye": ((506,), (25, 235, 30)),
    "muscle": ((507, 508), (85, 50, 65)),
    "mucosa": ((509,), (95, 170, 130)),
    "skin": ((511,), (120, 95, 110)),
    "bone": ((515,), (18, 12, 12)),
    "marrow": ((516,), (140, 100, 105)),
    "fat": ((-1,), (215, 165, 170)),
}
_NAMES = tuple(TISSUES)
_IDS = {label: name for name, (labels, _) in TISSUES.items() for label in labels}


@dataclass(frozen=True)
class LabelMap:
    """A label map in head mm: `codes` uint8 image (axes along L, P, S; per voxel an index into `labels`),
    and the voxels of each hippocampus, of the intracranial space and of the whole head, (n, 3) mm."""

    name: str
    codes: sitk.Image
    labels: tuple[int, ...]
    sides: dict[str, np.ndarray]
    intracranial: np.ndarray
    head: np.ndarray


@dataclass(frozen=True)
class Truth:
    """What is known of one head.

    Attributes:
        centres: side -> (3,) world mm: centre of mass of the whole hippocampus, in view or not.
        in_view: side -> part of it inside the field of view, 0..1.
        points: side -> (n, 3) world mm of its voxels.
        intracranial_mm3: Intracranial volume inside the field of view; None where it is not known.
        intracranial_in_view: Part of all of it, 0..1.
    """

    centres: dict[str, np.ndarray]
    in_view: dict[str, float]
    points: dict[str, np.ndarray]
    intracranial_mm3: float | None
    intracranial_in_view: float


@dataclass(frozen=True)
class Head:
    """A synthesised head: int16 `image` as stored, what is known of it, and how it was made."""

    name: str
    image: sitk.Image
    truth: Truth
    contrast: str
    cut: str
    turned_in: str
    slice_mm: float


def read_label_map(path: Path) -> LabelMap:
    """Read a FreeSurfer-like label map of a whole head.

    Raises:
        ValueError: It holds a label that no tissue here is for.
    """
    return prepare_label_map(sitk.ReadImage(str(path)), path.name.split(".")[0])


def prepare_label_map(image: sitk.Image, name: str) -> LabelMap:
    """A label image (ids in voxels of any number type, any orientation) as a :class:`LabelMap`."""
    image = sitk.DICOMOrient(image, "LPS")
    ids = np.round(sitk.GetArrayFromImage(image)).astype(np.int16)
    ids[_fat(ids, image.GetSpacing()[::-1])] = -1
    labels = np.unique(ids)
    unknown = sorted(set(labels.tolist()) - set(_IDS))
    if unknown:
        raise ValueError(f"{name} holds labels without a tissue: {unknown}")
    codes = sitk.GetImageFromArray(np.searchsorted(labels, ids).astype(np.uint8))
    spacing = np.array(image.GetSpacing())
    codes.SetSpacing(spacing.tolist())
    codes.SetOrigin((-(np.array(image.GetSize()) - 1) / 2 * spacing).tolist())

    def points(mask):
        return (np.argwhere(mask)[:, ::-1] * spacing + codes.GetOrigin()).astype(np.float32)

    intracranial = (ids > 0) & (ids < EXTRACRANIAL_FROM)
    return LabelMap(
        name,
        codes,
        tuple(labels.tolist()),
        {side: points(ids == label) for side, label in SIDES.items()},
        points(intracranial),
        points(ids != 0)[::20],
    )


def _fat(ids: np.ndarray, spacing_zyx) -> np.ndarray:
    """Which soft tissue is fat: what lies just beneath the skin, and streaks further in."""
    soft = ids == SOFT_TISSUE
    if not soft.any():
        return soft
    steps = max(1, round(SUBCUTANEOUS_MM / float(np.mean(spacing_zyx))))
    fat = soft & ndimage.binary_dilation(ids == SKIN, iterations=steps)
    noise = np.random.default_rng(0).standard_normal([n // 6 + 2 for n in ids.shape], dtype=np.float32)
    streaks = sitk.GetArrayFromImage(sitk.Expand(sitk.GetImageFromArray(noise), [6] * 3, sitk.sitkLinear))
    streaks = streaks[tuple(slice(n) for n in ids.shape)]
    return fat | (soft & (streaks > np.quantile(streaks[::5, ::5, ::5], 1 - STREAKS)))


@dataclass(frozen=True)
class Plan:
    """All that chance decides about one head, except its voxels' noise.

    Attributes:
        rotation: (3, 3), head mm to grid mm together with `scale` (3,).
        turned_in: "world": the header is straight, the head lies turned; "header": the header's direction
            cosines undo the turn.
        lower, upper: (3,) grid mm, corners of the field of view.
        spacing: (3,) mm per axis; `slice_axis` the one with the slices.
        order, flips: How the axes are stored.
        offset: (3,) world mm of the head's centre.
        noise: Its standard deviation, as a part of white matter's brightness.
        bias: Standard deviation of the shading's logarithm.
    """

    contrast: str
    rotation: np.ndarray
    scale: np.ndarray
    turned_in: str
    cut: str
    lower: np.ndarray
    upper: np.ndarray
    spacing: np.ndarray
    slice_axis: int
    order: tuple[int, int, int]
    flips: tuple[int, int, int]
    offset: np.ndarray
    noise: float
    bias: float

    def to_grid(self, points: np.ndarray) -> np.ndarray:
        """Head mm (n, 3) as grid mm."""
        return (points * self.scale) @ self.rotation.T

    @property
    def grid_to_world(self) -> np.ndarray:
        """(3, 3) turn from grid mm to world mm, before `offset`."""
        return self.rotation.T if self.turned_in == "header" else np.eye(3)

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Grid mm (n, 3) as world mm."""
        return points @ self.grid_to_world.T + self.offset

    def in_view(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool: which grid mm the field of view holds."""
        return ((points >= self.lower) & (points <= self.upper)).all(axis=1)


def plan_head(
    source: LabelMap, rng: np.random.Generator, contrast: str, max_degrees: float = 30.0, **fixed
) -> Plan:
    """Throw the dice for one head. `fixed` sets single attributes of the plan (order, cut, ...)."""
    rotation = Rotation.from_euler("xyz", rng.uniform(-max_degrees, max_degrees, 3), degrees=True).as_matrix()
    scale = rng.uniform(0.93, 1.07) * rng.uniform(0.97, 1.03, 3)
    spacing = np.full(3, rng.uniform(1.0, 1.2))
    slice_axis = int(rng.integers(3))
    spacing[slice_axis] = rng.uniform(0.5, 3.0)
    cut = str(rng.choice(CUTS, p=[2 / 3, 1 / 9, 1 / 9, 1 / 9]))
    order, flips = STORAGE_ORDERS[rng.integers(len(STORAGE_ORDERS))]
    values = {
        "contrast": contrast,
        "rotation": rotation,
        "scale": scale,
        "turned_in": str(rng.choice(["world", "header"])),
        "cut": cut,
        "spacing": spacing,
        "slice_axis": slice_axis,
        "order": order,
        "flips": flips,
        "offset": rng.uniform(-100, 100, 3),
        "noise": float(rng.uniform(0.01, 0.09)),
        "bias": float(rng.uniform(0.0, 0.2)),
    } | fixed
    plan = Plan(lower=np.zeros(3), upper=np.zeros(3), **values)
    lower, upper = _field_of_view(source, plan, rng)
    # A whole number of voxels fills the field of view.
    upper = lower + np.ceil((upper - lower) / plan.spacing) * plan.spacing
    return Plan(lower=lower, upper=upper, **values)


def _field_of_view(source: LabelMap, plan: Plan, rng) -> tuple[np.ndarray, np.ndarray]:
    """Corners in grid mm; a cut leaves at least one hippocampus whole."""
    head, brain = plan.to_grid(source.head), plan.to_grid(source.intracranial[::50])
    hippocampi = {side: plan.to_grid(points) for side, points in source.sides.items()}
    lower = head.min(axis=0) - rng.uniform(2, 15, 3)
    upper = head.max(axis=0) + rng.uniform(2, 15, 3)
    # How much of the neck is seen differs; the brain is not cut by that.
    lower[2] = max(lower[2], brain[:, 2].min() - rng.uniform(5, 60))
    both = np.concatenate(list(hippocampi.values()))
    depth = rng.uniform(4, 35)
    if plan.cut == "neck":
        lower[2] = both[:, 2].min() - depth
    elif plan.cut == "top":
        upper[2] = both[:, 2].max() + depth
    elif plan.cut == "side":
        # The face on the other side of the head comes as near to the hippocampus that stays.
        kept = str(rng.choice(["left", "right"]))
        if kept == "left":
            lower[0] = hippocampi["left"][:, 0].min() - depth
        else:
            upper[0] = hippocampi["right"][:, 0].max() + depth
    return lower, upper


def brightness(contrast: str, rng: np.random.Generator) -> dict[str, float]:
    """Tissue -> brightness in one image: the table's, each tissue up to 10 % off."""
    column = CONTRASTS.index(contrast)
    values = {name: TISSUES[name][1][column] * rng.uniform(0.9, 1.1) for name in _NAMES}
    if contrast != "T1" and rng.random() < 0.3:
        values["fat"] *= 0.3  # fat suppression
        values["marrow"] *= 0.4
    return values


def draw(
    source: LabelMap,
    plan: Plan,
    rng: np.random.Generator,
    table: dict[str, float] | None = None,
    gain: float | None = None,
) -> Head:
    """Take the image that the plan describes.

    `table`: tissue -> brightness, else that of its contrast; `gain`: of the scanner, else by chance.
    """
    size = _size(plan)
    # Slices are averages of sub-slices of at most 0.8 mm.
    repeat = np.ones(3, int)
    repeat[plan.slice_axis] = int(np.ceil(plan.spacing[plan.slice_axis] / 0.8))
    table = brightness(plan.contrast, rng) if table is None else table
    lookup = np.array([table[_IDS[label]] for label in source.labels], np.float32)
    image = lookup[_sample(source, plan, size * repeat)]
    axis = 2 - plan.slice_axis
    if repeat.max() > 1:
        shape = list(image.shape)
        shape[axis : axis + 1] = [size[plan.slice_axis], repeat.max()]
        image = image.reshape(shape).mean(axis=axis + 1)
    for a in range(3):
        # Voxels average over their extent: about 0.4 mm (standard deviation) of the map's sharp edges.
        if a != axis or repeat.max() == 1:
            image = ndimage.gaussian_filter1d(image, 0.45 / plan.spacing[2 - a], axis=a, truncate=3.0)
    image *= shading(image.shape, plan.bias, rng)
    image = rician(image, plan.noise * table["white matter"], rng)
    image *= rng.uniform(1.0, 15.0) if gain is None else gain
    on_grid = _georeferenced(np.rint(image).astype(np.int16), plan)
    return Head(
        source.name,
        restored(on_grid, plan.order, plan.flips),
        truth_of(source, plan),
        plan.contrast,
        plan.cut,
        plan.turned_in,
        float(plan.spacing[plan.slice_axis]),
    )


def draw_labels(source: LabelMap, plan: Plan) -> sitk.Image:
    """The map's ids, uint16, on the grid of the head that :func:`draw` makes of the plan (fat: 0)."""
    ids = np.maximum(source.labels, 0).astype(np.uint16)
    return restored(_georeferenced(ids[_sample(source, plan, _size(plan))], plan), plan.order, plan.flips)


def _size(plan: Plan) -> np.ndarray:
    return np.round((plan.upper - plan.lower) / plan.spacing).astype(int)


def _sample(source: LabelMap, plan: Plan, size: np.ndarray) -> np.ndarray:
    """The map's codes (z, y, x) on a grid of `size` (x, y, z) voxels over the field of view."""
    spacing = (plan.upper - plan.lower) / size
    to_head = sitk.AffineTransform(3)
    to_head.SetMatrix((np.diag(1 / plan.scale) @ plan.rotation.T).ravel().tolist())
    return sitk.GetArrayFromImage(
        sitk.Resample(
            source.codes,
            size.tolist(),
            to_head,
            sitk.sitkNearestNeighbor,
            (plan.lower + spacing / 2).tolist(),
            spacing.tolist(),
            np.eye(3).ravel().tolist(),
            float(source.labels.index(0)),
        )
    )


def _georeferenced(array: np.ndarray, plan: Plan) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(plan.spacing.tolist())
    image.SetDirection(plan.grid_to_world.ravel().tolist())
    image.SetOrigin(plan.to_world((plan.lower + plan.spacing / 2)[None])[0].tolist())
    return image


def restored(image: sitk.Image, order, flips) -> sitk.Image:
    """The same voxels in the same places, stored otherwise: stored axis k is axis `order[k]`, backwards
    where `flips[k]`."""
    array = sitk.GetArrayViewFromImage(image).transpose([2 - order[2 - k] for k in range(3)])
    array = array[tuple(slice(None, None, -1 if flip else 1) for flip in reversed(flips))]
    stored = sitk.GetImageFromArray(np.ascontiguousarray(array))
    corner = [0, 0, 0]
    for axis, flip in zip(order, flips, strict=True):
        corner[axis] = image.GetSize()[axis] - 1 if flip else 0
    direction = np.reshape(image.GetDirection(), (3, 3))[:, list(order)] * np.where(flips, -1.0, 1.0)
    stored.SetSpacing([image.GetSpacing()[axis] for axis in order])
    stored.SetDirection(direction.ravel().tolist())
    stored.SetOrigin(image.TransformIndexToPhysicalPoint(corner))
    return stored


def shading(shape, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth positive field (z, y, x) float32: the exponential of low cosines along the axes."""
    waves = [
        [np.cos(np.pi * k * np.linspace(0, 1, n, dtype=np.float32) + rng.uniform(0, np.pi)) for k in range(3)]
        for n in shape
    ]
    weights = rng.normal(0, 1, (3, 3, 3)).astype(np.float32)
    weights[0, 0, 0] = 0
    field = np.einsum("abc,az,by,cx->zyx", weights, *map(np.array, waves), optimize=True)
    field *= strength / max(float(field.std()), 1e-6)
    return np.exp(field, out=field)


def rician(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """The magnitude of `image` (float32) with normal noise in both channels."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= sigma
    noise += image
    noise *= noise
    other = rng.standard_normal(image.shape, dtype=np.float32)
    other *= sigma
    other *= other
    noise += other
    return np.sqrt(noise, out=noise)


def truth_of(source: LabelMap, plan: Plan) -> Truth:
    """From the map's voxels and the plan alone: no image is looked at."""
    grid = {side: plan.to_grid(points) for side, points in source.sides.items()}
    inside = plan.in_view(plan.to_grid(source.intracranial))
    voxel = float(np.prod(source.codes.GetSpacing()) * np.prod(plan.scale))
    points = {side: plan.to_world(p) for side, p in grid.items()}
    return Truth(
        {side: p.mean(axis=0) for side, p in points.items()},
        {side: float(plan.in_view(p).mean()) for side, p in grid.items()},
        points,
        float(inside.sum()) * voxel,
        float(inside.mean()),
    )


def synthesise(source: LabelMap, seed: int, number: int, max_degrees: float = 30.0, **fixed) -> Head:
    """Head `number` of a map; contrasts take turns; `fixed` as in :func:`plan_head`."""
    rng = np.random.default_rng([seed, number, *(ord(c) for c in source.name)])
    plan = plan_head(source, rng, CONTRASTS[number % len(CONTRASTS)], max_degrees, **fixed)
    return draw(source, plan, rng)
