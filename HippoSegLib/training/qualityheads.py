"""Whole heads for the quality score: how far the localiser may be off, and what its flags catch.

Real heads have no truth here, but hippodeep's output as weak labels: agreement with it stands in for
Dice, and says no more than whether the outline is in the right place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import NotFoundError
from ..io.images import read_image
from ..labels import SIDES, WHOLE
from ..models.prediction import RECENTRE_MM
from ..models.store import Model
from ..pipeline import segment
from ..results.quality import QualityModel
from .data_splits import UNLABELLED_HEADS, real_head
from .degradations import noise, recontrast
from .evaluation import dice

CHANGES = ("as it is", "noise", "t2 like", "cut through")
#: An outline that agrees so well with the weak label is in the right place; below LOST it is not.
IN_PLACE, LOST = 0.65, 0.3
#: Room left above the largest value seen where all was well: the localiser learned from these very heads.
ROOM = 1.5
#: An outline this near to the localiser's place is never out of place: regions follow their outline so far.
LEAST_DISTANCE_MM = 2 * RECENTRE_MM


@dataclass(frozen=True)
class HeadTrial:
    """One side of one head: `agreement` with the weak label (Dice), lengths in mm (None: not known), `flags`
    codes of the side's and the head's warnings; `refused` where the pipeline gave up with an error;
    `score` the expected overlap."""

    head: str
    change: str
    side: str
    agreement: float
    misfit: float | None
    distance: float | None
    flags: tuple[str, ...]
    refused: bool = False
    score: float | None = None


def head_trials(
    data: Path, model: Model, keys: Sequence[tuple[str, str]], quality: QualityModel | None = None
) -> list[HeadTrial]:
    """Both sides of heads under `CHANGES`, segmented by the whole pipeline.

    Args:
        keys: (dataset, subject) of heads in the data folder.
        quality: Put into the model first; without it only the flags that need no score are raised.
    """
    part = None if quality is None else quality.to_card()
    model = replace(model, card=replace(model.card, quality=part))
    found = []
    for number, key in enumerate(keys):
        path, weak = real_head(data / UNLABELLED_HEADS, *key)
        if not path.exists():
            continue
        image = sitk.Cast(read_image(path), sitk.sitkFloat32)
        masks = {side: _weak_mask(weak.with_name(f"{weak.name}_{side}.nii.gz")) for side in SIDES}
        for k, change in enumerate(CHANGES):
            rng = np.random.default_rng((number, k))
            found += run_head("/".join(key), change, changed(image, change, masks, rng), masks, model)
    return found


def _weak_mask(path: Path) -> sitk.Image:
    mask = sitk.ReadImage(str(path), sitk.sitkFloat32)
    # Probabilities come as 0-255 or 0-1: half the maximum is the threshold.
    return sitk.Cast(mask > 0.5 * float(sitk.GetArrayViewFromImage(mask).max()), sitk.sitkUInt8)


def changed(image: sitk.Image, change: str, masks, rng: np.random.Generator) -> sitk.Image:
    """The head after one of `CHANGES`; what is cut loses a random part through one hippocampus."""
    if change == "as it is":
        return image
    if change == "cut through":
        side = SIDES[int(rng.integers(2))]
        axis, array = int(rng.integers(3)), sitk.GetArrayFromImage(masks[side])
        place = int(np.percentile(np.argwhere(array > 0)[:, 2 - axis], rng.uniform(30, 70)))
        size, start = list(image.GetSize()), [0, 0, 0]
        # The larger part stays, so that it is a head still.
        if place > size[axis] / 2:
            size[axis] = place
        else:
            start[axis], size[axis] = place, size[axis] - place
        return sitk.RegionOfInterest(image, size, start)
    array = sitk.GetArrayFromImage(image)
    scaled = np.clip(array / np.percentile(array[array > 0], 99.5), 0, 1)
    inside = scaled[scaled > 0.05]
    if change == "noise":
        scaled = noise(scaled, float(rng.uniform(0.1, 0.6)), rng)
    else:
        fluid, grey, white = (float(v) for v in np.percentile(inside, (10, 50, 85)))
        change_to = recontrast("t2_like", (fluid, grey, white))
        scaled = np.where(scaled > 0.03, change_to(scaled, 1.0, rng), 0)
    result = sitk.GetImageFromArray(np.clip(scaled * 1000, 0, None).astype(np.float32))
    result.CopyInformation(image)
    return result


def run_head(head: str, change: str, image: sitk.Image, masks, model: Model) -> list[HeadTrial]:
    """Both sides of one image by the whole pipeline; `masks`: side -> what they are compared with."""
    try:
        result = segment(image, model=model, device="cpu", threads=1)
    except NotFoundError:
        return [HeadTrial(head, change, side, 0.0, None, None, ("not_found",), True) for side in SIDES]
    place = result.provenance["localization"]
    rows = []
    for side in SIDES:
        on_grid = sitk.Resample(result.labels, masks[side], sitk.Transform(), sitk.sitkNearestNeighbor)
        agreement = dice(
            sitk.GetArrayFromImage(on_grid) == WHOLE[side], sitk.GetArrayFromImage(masks[side]) > 0
        )
        codes = {f.code for f in result.flags if f.severity == "warning" and f.side in (None, side)}
        distance = place.get("outline_distance_mm", {}).get(side)
        misfit, score = place["misfit_mm"], result.measurements.quality.get(side)
        flags = tuple(sorted(codes))
        rows.append(HeadTrial(head, change, side, agreement, misfit, distance, flags, score=score))
    return rows


def head_limits(trials: Sequence[HeadTrial]) -> dict[str, float]:
    """`max_misfit_mm` and `max_distance_mm` of a `QualityModel`: some room above what is seen where all is
    well; nothing where no outline is in its place."""
    limits = {}
    for name, field in (("max_misfit_mm", "misfit"), ("max_distance_mm", "distance")):
        values = [getattr(t, field) for t in trials if t.agreement > IN_PLACE]
        values = [v for v in values if v is not None]
        if values:
            limits[name] = round(ROOM * max(values), 1)
    if "max_distance_mm" in limits:
        limits["max_distance_mm"] = max(limits["max_distance_mm"], LEAST_DISTANCE_MM)
    return limits


def heads_report(trials: Sequence[HeadTrial]) -> str:
    """What the flags say of heads whose weak labels are known, as a table."""
    lines = [
        "Real heads kept for tests, whole pipeline; agreement with hippodeep's output, not with truth:",
        "",
        "| change | sides | refused | agreement, lowest / median | under 0.30: flagged | others: flagged |",
        "|---|---|---|---|---|---|",
    ]
    for change in CHANGES:
        own = [t for t in trials if t.change == change]
        seen = [t.agreement for t in own if not t.refused]
        lost = [bool(t.flags) for t in own if t.agreement < LOST]
        others = [bool(t.flags) for t in own if t.agreement >= LOST]
        spread = f"{min(seen):.2f} / {np.median(seen):.2f}" if seen else "none"
        lines.append(
            f"| {change} | {len(own)} | {sum(t.refused for t in own)} | {spread} | "
            f"{sum(lost)} of {len(lost)} | {sum(others)} of {len(others)} |"
        )
    return "\n".join(lines) + "\n"
