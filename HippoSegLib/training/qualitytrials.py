"""Trials for the quality score: results of the pipeline on damaged scans, and how good they are.

Crops whose outline is known are set into surroundings (`contexts.py`), or taken as they are in region mode,
damaged by one kind of `degradations.py` or `lesions.py` (or cut by the field of view, or looked for in the
wrong place or pose), segmented as the pipeline does it, and compared with their outline: the manual one, or
what the damage left of it. An outline that is plausible but lies elsewhere is imitated by pushing it there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..geometry.native_grid import native_labels
from ..geometry.pose import WORLD_RAS
from ..geometry.roi import Roi, coverage, crop, roi_about, whole_image_roi
from ..labels import WHOLE
from ..models.card_parts import SegmenterCard
from ..models.prediction import Prediction, Segmenter, predict_rois
from ..models.store import Model
from ..preprocessing.min_max import min_max
from ..results.plausibility import volume_flags
from ..results.quality_features import block_ranks, side_features
from ..results.volumes import measure
from .augmentation import Augmentation, sample
from .background_context import BackgroundContext
from .cases import Case
from .degradations import CONTRASTS, VALUE_KINDS, motion, recontrast
from .evaluation import dice
from .lesions import LESIONS

#: Size (z, y, x) of the surroundings: a region looked for 25 mm beside its place still lies in the head.
CONTEXT_SHAPE = (104, 112, 96)
KINDS = ("clean", *VALUE_KINDS, *CONTRASTS, "cut", "shifted", "turned", "motion", *LESIONS, "pushed")
#: Kinds that need surroundings.
IN_CONTEXT = ("shifted", "turned", *LESIONS, "pushed")
#: An outline is pushed out of its place by so many mm.
PUSHED_MM = (2.0, 14.0)
#: Every other trial about so often is a bare crop; being in the wrong place needs surroundings.
CONTEXT_SHARE = 0.65
_STILL = Augmentation(
    shift=0,
    rotation=0,
    scale=(1, 1),
    stretch=0,
    elastic_probability=0,
    context_probability=1,
    gamma_probability=0,
    bias_probability=0,
    reslice_probability=0,
    blur_probability=0,
    noise_probability=0,
    window_probability=0,
)


@dataclass(frozen=True)
class Trial:
    """One result: `features` (None where hardly a voxel was found) without the likeness, `ranks` as
    `block_ranks`, `flags` the codes of those that need no fitted model, `dice` with the outline; `agreement`
    of two readers, None where one read."""

    case: str
    subject: str
    kind: str
    strength: float
    in_context: bool
    dice: float
    features: dict[str, float] | None
    ranks: np.ndarray
    flags: tuple[str, ...]
    agreement: float | None = None

    def to_json(self) -> str:
        """One line of text."""
        return json.dumps(asdict(self) | {"ranks": np.round(self.ranks, 4).tolist()})

    @classmethod
    def from_json(cls, line: str) -> Trial:
        """What `to_json` wrote."""
        values = json.loads(line)
        ranks, flags = np.array(values["ranks"], float), tuple(values["flags"])
        return cls(**values | {"ranks": ranks, "flags": flags})


def trials(
    cases: Sequence[Case],
    contexts: Sequence[BackgroundContext],
    model: Model,
    per_kind: int,
    seed: int = 0,
    second: Model | None = None,
    kinds: Sequence[str] = KINDS,
) -> Iterator[Trial]:
    """Run `per_kind` trials of each kind, each on another case as far as they go.

    Args:
        cases: Crops that the segmenters did not learn from.
        contexts: Background context of `CONTEXT_SHAPE`.
        model: The first reader, whose result is judged.
        second: The second reader, where there is one.
        kinds: Of `KINDS`; the trials of one kind are the same whichever others are run.
    """
    for kind in kinds:
        k = KINDS.index(kind)
        order = np.random.default_rng((seed, k)).permutation(len(cases))
        for n in range(per_kind):
            rng = np.random.default_rng((seed, k, n))
            case, strength = cases[order[n % len(cases)]], float(rng.random())
            yield trial(case, contexts, model, kind, strength, rng, second)


def trial(
    case: Case,
    contexts: Sequence[BackgroundContext],
    model: Model,
    kind: str,
    strength: float,
    rng: np.random.Generator,
    second: Model | None = None,
) -> Trial:
    """Damage one case in one way, with `strength` 0..1, and segment it."""
    in_context = bool(contexts) and (rng.random() < CONTEXT_SHARE or kind in IN_CONTEXT)
    if in_context:
        image, label = sample(case, CONTEXT_SHAPE, rng, _STILL, contexts)
    else:
        image, label = min_max(case.image, 0, 99.8), case.label
    image, truth = damaged(image, label > 0, kind, strength, rng)
    head = _image(image)
    grid = _image(truth.astype(np.uint8))
    if kind == "cut":
        head = _cut_through(head, truth, strength, rng)
    part = model.card.segmenter
    if in_context:
        region = _misplaced(grid, part, kind, strength, rng)
    else:
        region = whole_image_roi(head, "left", part.spacing_mm, part.roi_size, part.network.divisor)
    readers = [_reader(one) for one in (model, second) if one is not None]
    fixed = () if in_context else ("left",)
    prediction = predict_rois(head, {"left": region}, readers, "msd", fixed)
    if kind == "pushed":
        prediction = _pushed(prediction, strength, rng)
    return _told(case, kind, strength, in_context, (head, grid), prediction)


def _reader(model: Model) -> Segmenter:
    return Segmenter(model.networks().segmenter, model.card.segmenter.preprocessing)


def _told(
    case: Case,
    kind: str,
    strength: float,
    in_context: bool,
    images: tuple[sitk.Image, sitk.Image],
    prediction: Prediction,
) -> Trial:
    """The trial of a prediction; `images`: the scan, and the outline as uint8."""
    head, grid = images
    region, maps = prediction.rois["left"], prediction.score_maps["left"]
    labels = native_labels(head, prediction.rois, prediction.maps)
    found = (
        sitk.GetArrayFromImage(sitk.Resample(labels, grid, sitk.Transform(), sitk.sitkNearestNeighbor)) > 0
    )
    inside, seen = coverage(head, region), crop(head, region)
    features = side_features(seen, maps, inside)
    codes = [flag.code for flag in volume_flags(measure(labels))]
    if WHOLE["left"] not in np.unique(sitk.GetArrayViewFromImage(labels)):
        codes.append("not_found")
    if features is not None and features["outside_share"] > 0:
        codes.append("cut")
    return Trial(
        case=case.name,
        subject=case.subject,
        kind=kind,
        strength=strength,
        in_context=in_context,
        dice=dice(found, sitk.GetArrayViewFromImage(grid) > 0),
        features=features,
        ranks=block_ranks(seen, inside, region.spacing),
        flags=tuple(codes),
        agreement=prediction.agreement.get("left"),
    )


def _pushed(prediction: Prediction, strength: float, rng: np.random.Generator) -> Prediction:
    """The same outline elsewhere, as if both readers had been misled alike: what they agree on is unknown."""
    low, high = PUSHED_MM
    direction = rng.normal(size=3)
    shift = (low + (high - low) * strength) * direction / np.linalg.norm(direction)
    shift /= prediction.rois["left"].spacing

    def moved(maps: np.ndarray) -> np.ndarray:
        return np.stack([ndimage.shift(p, shift, order=1) for p in maps]).clip(0, 1)

    maps, score_maps = (moved(m["left"]) for m in (prediction.maps, prediction.score_maps))
    return replace(prediction, maps={"left": maps}, score_maps={"left": score_maps}, agreement={})


def damaged(
    image: np.ndarray, truth: np.ndarray, kind: str, strength: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The image (z, y, x, 0..1) and its outline (bool) after what `kind` does to them; nothing for the other
    kinds."""
    known = image > 0
    if kind in LESIONS:
        changed, truth = LESIONS[kind](image, truth, strength, rng)
    elif kind == "motion":
        changed = motion(image, strength, rng)
    elif kind in VALUE_KINDS:
        changed = VALUE_KINDS[kind](image, strength, rng)
    elif kind in CONTRASTS:
        near = image[ndimage.binary_dilation(truth, iterations=4) & known]
        fluid, white = np.percentile(near, (4, 92))
        levels = (float(fluid), float(np.median(image[truth])), float(white))
        changed = recontrast(kind, levels)(image, strength, rng)
    else:
        return image, truth
    return np.where(known, np.clip(changed, 0, None), 0).astype(np.float32), truth


def _image(array: np.ndarray) -> sitk.Image:
    """An array along right, anterior, superior at 1 mm."""
    image = sitk.GetImageFromArray(array)
    image.SetDirection(WORLD_RAS.ravel().tolist())
    return image


def _cut_through(
    head: sitk.Image, truth: np.ndarray, strength: float, rng: np.random.Generator
) -> sitk.Image:
    """The field of view ends in the hippocampus, and loses 2 to 92 % of it."""
    axis = int(rng.integers(3))
    places = np.sort(np.argwhere(truth)[:, axis])
    place, length = int(places[int((0.02 + 0.9 * strength) * len(places))]), truth.shape[axis]
    start, size = [0, 0, 0], list(truth.shape)
    if rng.random() < 0.5:
        start[axis], size[axis] = place, length - place
    else:
        size[axis] = place + 1
    return sitk.RegionOfInterest(head, size[::-1], start[::-1])


def _misplaced(
    grid: sitk.Image, part: SegmenterCard, kind: str, strength: float, rng: np.random.Generator
) -> Roi:
    """Where the localiser might have put the region: 2 mm and 5 degrees off, or far worse."""
    middle = [(n - 1) / 2 for n in grid.GetSize()]
    shift, turn = rng.normal(0, 2, 3), rng.normal(size=3)
    degrees = abs(rng.normal(0, 5))
    if kind == "shifted":
        shift *= (6 + 22 * strength) / np.linalg.norm(shift)
    if kind == "turned":
        degrees = 15 + 75 * strength
    turn *= np.deg2rad(degrees) / np.linalg.norm(turn)
    centre = np.array(grid.TransformContinuousIndexToPhysicalPoint(middle)) + shift
    axes = WORLD_RAS @ Rotation.from_rotvec(turn).as_matrix()
    return roi_about(centre, axes, "left", part.roi_size, part.spacing_mm)
