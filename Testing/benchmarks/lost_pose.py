"""Heads whose pose the localiser may lose: the cerebrum alone, and heads far smaller than an adult's.

    HIPPOSEG_DATA=... python Testing/benchmarks/lost_pose.py [--model NAME] [--heads N] [--write]

Skull-stripped real heads lose cerebellum and brain stem (what the label maps say lies there in the mean head,
which the localiser puts into the scan), are claimed to be smaller than they are, or both. What is found is
compared with what is found in the head as it is: Dice of the outlines, voxel by voxel, and the turn between
the poses. A side is wrong where the Dice is under 0.70; is it flagged?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from testscans import TestScan, arguments, data_folder, each, labelled_scans, report, unlabelled_scans
from voxel_size import claimed

from HippoSegLib.errors import HippoSegError
from HippoSegLib.geometry.orientation import canonical_axes
from HippoSegLib.geometry.pose import Affine
from HippoSegLib.io.background import background_at_zero
from HippoSegLib.labels import SIDES, WHOLE
from HippoSegLib.localization.coarse import CoarseGrid, localize, shrink
from HippoSegLib.localization.upright import about_middle, on_upright_grid
from HippoSegLib.models.store import Model
from HippoSegLib.pipeline import SegmentationResult, segment
from HippoSegLib.training.data_splits import LABEL_MAPS, TRAIN_LABEL_MAPS
from HippoSegLib.training.evaluation import dice
from HippoSegLib.training.heads import EXTRACRANIAL_FROM, read_label_head
from HippoSegLib.training.localizer import read_intensities
from HippoSegLib.training.tissue_map import label_image, t1_image

#: FreeSurfer ids of cerebellum, brain stem and fourth ventricle.
BELOW = (7, 8, 46, 47, 16, 15)
SCALES = (0.9, 0.8, 0.7, 0.6)
WRONG = 0.70
#: Label maps that say where the cerebellum lies: enough for a mean.
MAPS = TRAIN_LABEL_MAPS[:6]


@dataclass(frozen=True)
class Side:
    """One side of a changed head: Dice with the outline in the head as it is, degrees between the poses,
    codes of its warnings; `refused` where the pipeline gave up."""

    dice: float
    turn: float
    flags: frozenset[str]
    refused: bool = False


def found_affine(head: sitk.Image, model: Model) -> tuple[Affine, CoarseGrid]:
    """From mm in the mean head to LPS mm, as the localiser has it, and its grid."""
    card, network = model.card.localizer, model.networks().localizer
    assert card is not None and network is not None
    grid = CoarseGrid(card.grid_size, card.grid_spacing_mm, card.coordinate_unit_mm)
    affine = localize(head, network, grid).head_to_world
    assert affine is not None
    return affine, grid


@lru_cache(maxsize=1)
def below_map(data: Path, model: Model) -> np.ndarray:
    """(n, n, n) in the mean head: how much more often cerebellum or brain stem lies there than cerebrum."""
    ids, _ = read_intensities(data / LABEL_MAPS / "labels_classes_priors")
    total: np.ndarray | float = 0.0
    for name in MAPS:
        head = read_label_head(data / LABEL_MAPS / f"training_seg_{name}.nii.gz", ids)
        affine, grid = found_affine(t1_image(head, data), model)
        below = np.isin(ids, BELOW)
        cerebrum = (ids > 0) & (ids < EXTRACRANIAL_FROM) & (ids != 24) & ~below
        for member, sign in ((below, 1.0), (cerebrum, -1.0)):
            image = shrink(label_image(member[head.labels].astype(np.float32), head), grid)
            total = total + sign * on_upright_grid(image, about_middle(affine), grid)
    return np.asarray(total) / len(MAPS)


def cerebrum_alone(head: sitk.Image, below: np.ndarray, model: Model) -> sitk.Image:
    """A skull-stripped head in canonical axes without cerebellum and brain stem."""
    affine, grid = found_affine(head, model)
    upright = sitk.GetImageFromArray(below.astype(np.float32))
    upright.SetSpacing([grid.spacing] * 3)
    upright.SetOrigin([float(grid.axis()[0])] * 3)
    place = about_middle(affine)
    inverse = np.linalg.inv(place.matrix)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(inverse.ravel().tolist())
    transform.SetTranslation((-inverse @ place.offset).tolist())
    there = sitk.Resample(upright, head, transform, sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    array = np.where(sitk.GetArrayViewFromImage(there) > 0, 0, sitk.GetArrayViewFromImage(head))
    changed = sitk.GetImageFromArray(array)
    changed.CopyInformation(head)
    return changed


def variants(head: sitk.Image, below: np.ndarray, model: Model) -> dict[str, sitk.Image]:
    """Row of the table -> the changed head; all on the grid of the same voxels."""
    alone = cerebrum_alone(head, below, model)
    rows = {"cerebrum alone": alone}
    rows |= {f"{scale:g} of its size": claimed(head, [scale] * 3) for scale in SCALES}
    return rows | {f"cerebrum alone, {s:g} of its size": claimed(alone, [s] * 3) for s in SCALES[1:3]}


def compare(image: sitk.Image, whole: SegmentationResult, model: Model, threads: int) -> list[Side]:
    """Both sides of a changed head, against the result on the head as it is."""
    try:
        result = segment(image, model=model, device="cpu", threads=threads)
    except HippoSegError:
        return [Side(0.0, float("nan"), frozenset(), True) for _ in SIDES]
    turn = _degrees(result, whole)
    rows = []
    for side in SIDES:
        masks = [sitk.GetArrayViewFromImage(r.labels) == WHOLE[side] for r in (result, whole)]
        codes = frozenset(f.code for f in result.flags if f.severity == "warning" and f.side in (None, side))
        rows.append(Side(dice(*masks), turn, codes))
    return rows


def _degrees(a: SegmentationResult, b: SegmentationResult) -> float:
    first, second = (
        np.array(r.provenance["localization"]["axes_right_anterior_superior_lps"]) for r in (a, b)
    )
    return float(np.degrees(np.arccos(np.clip((np.trace(first.T @ second) - 1) / 2, -1, 1))))


def table(found: dict[str, list[Side]]) -> list[str]:
    """Lines of Markdown, a row per variant."""
    lines = [
        "| head | sides | refused | pose off by degrees, median / most | Dice with itself, lowest / median | "
        "wrong: flagged | not wrong: flagged | flags of those |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        seen = [s for s in row if not s.refused]
        wrong, right = [s for s in seen if s.dice < WRONG], [s for s in seen if s.dice >= WRONG]
        codes = sorted({code for s in right for code in s.flags})
        figures = "– | –"
        if seen:
            turns, values = [s.turn for s in seen], [s.dice for s in seen]
            figures = (
                f"{np.median(turns):.0f} / {max(turns):.0f} | {min(values):.2f} / {np.median(values):.2f}"
            )
        lines.append(
            f"| {name} | {len(row)} | {len(row) - len(seen)} | {figures} | "
            f"{sum(bool(s.flags) for s in wrong)} of {len(wrong)} | "
            f"{sum(bool(s.flags) for s in right)} of {len(right)} | {' '.join(codes) or '–'} |"
        )
    return lines


def stripped_scans(data: Path) -> list[TestScan]:
    """Skull-stripped heads that only test."""
    return [s for s in unlabelled_scans(data) if "stripped" in s.name] + labelled_scans(data)


def main() -> None:
    args = arguments(__doc__).parse_args()

    def body(model: Model) -> list[str]:
        data = data_folder()
        below = below_map(data, model)
        found: dict[str, list[Side]] = {}
        for scan in each(stripped_scans(data), args.heads):
            head = background_at_zero(canonical_axes(scan.read())[0])
            whole = segment(head, model=model, device="cpu", threads=args.threads)
            for name, image in variants(head, below, model).items():
                found.setdefault(name, []).extend(compare(image, whole, model, args.threads))
        return table(found)

    report("lost_pose", args, "Heads whose pose may be lost", body)


if __name__ == "__main__":
    main()
