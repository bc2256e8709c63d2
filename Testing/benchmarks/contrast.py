"""Is what is no T1 named, and no T1 blamed: the tissues' contrast in heads of many kinds.

    HIPPOSEG_DATA=... python Testing/benchmarks/contrast.py [--model NAME] [--heads N] [--write]

Every real head at hand as it is, and with its grey values bent so that fluid, grey and white matter are in
another order; heads drawn in many contrasts (`contrast_heads.py`) from the label maps kept out of training,
of which the tissue map knows nothing. The thresholds stand in `results/contrast.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from contrast_heads import KINDS, draw_kind
from synthetic_heads import read_label_map
from testscans import arguments, data_folder, each, report
from voxel_size import all_scans

from HippoSegLib.errors import HippoSegError
from HippoSegLib.geometry.orientation import canonical_axes
from HippoSegLib.io.background import background_at_zero
from HippoSegLib.localization.coarse import shrink
from HippoSegLib.localization.placement import place
from HippoSegLib.localization.upright import about_middle, on_upright_grid
from HippoSegLib.models.store import Model
from HippoSegLib.results.contrast import (
    LEAST_SHARE,
    LEAST_WHITE,
    MOST_BONE,
    MOST_FLUID,
    TissueContrast,
    tissue_contrast,
    tissue_map,
)
from HippoSegLib.training.data_splits import LABEL_MAPS, TEST_LABEL_MAPS

SEED = 41
#: Brightness of fluid, grey and white matter, and of what is brighter in T1, of bent grey values.
BENT = {
    "T2": (1.0, 0.55, 0.35, 0.5),
    "FLAIR": (0.12, 0.85, 0.6, 0.7),
    "PD": (0.9, 0.95, 0.75, 0.8),
    "T1 map": (1.0, 0.6, 0.4, 0.3),
    "CT, brain window": (0.15, 0.85, 0.65, 0.6),
}


@dataclass(frozen=True)
class Judged:
    """The contrast measured in one head; `refused` where the pipeline finds no hippocampus."""

    contrast: TissueContrast | None = None
    refused: bool = False

    @property
    def named(self) -> bool:
        return self.contrast is not None and not self.contrast.like_t1


def judge(image: sitk.Image, model: Model) -> Judged:
    """As the pipeline does it."""
    head = background_at_zero(canonical_axes(image)[0])
    try:
        found = place(head, model.networks(), {}).localization
    except HippoSegError:
        return Judged(refused=True)
    assert found.head_to_world is not None
    return Judged(tissue_contrast(head, found.head_to_world))


def levels(head: sitk.Image, model: Model) -> tuple[float, ...]:
    """Grey values of a T1, in canonical axes: nothing, fluid, grey and white matter where the tissue map is
    sure, and what is brighter."""
    found = place(head, model.networks(), {}).localization
    assert found.head_to_world is not None
    where = tissue_map()
    seen = on_upright_grid(shrink(head, where.grid), about_middle(found.head_to_world), where.grid)
    white, grey, fluid, _ = where.shares
    white_level, grey_level = (float(np.median(seen[share > 0.9])) for share in (white, grey))
    # No voxel of the map is all fluid: the darker ones among those that may be.
    fluid_level = float(np.percentile(seen[(fluid > 0.6) & (seen > 0)], 20))
    return tuple(
        np.maximum.accumulate([0.3 * fluid_level, fluid_level, grey_level, white_level, 1.4 * white_level])
    )


def bent(head: sitk.Image, before: tuple[float, ...], values: tuple[float, ...]) -> sitk.Image:
    """A T1 whose `levels` became nothing and `values`."""
    array = np.interp(sitk.GetArrayViewFromImage(head), before, (0.0, *values))
    changed = sitk.GetImageFromArray((1000 * array).astype(np.float32))
    changed.CopyInformation(head)
    return changed


def cases(model: Model, heads: int | None) -> Iterator[tuple[str, bool, Judged]]:
    """Kind, whether it is a T1, and the judgement of each head."""
    data = data_folder()
    for scan in each(all_scans(data), heads):
        head = background_at_zero(canonical_axes(scan.read())[0])
        yield "real heads", True, judge(head, model)
        before = levels(head, model)
        for kind, values in BENT.items():
            yield f"real heads, bent: {kind}", False, judge(bent(head, before, values), model)
    for name in TEST_LABEL_MAPS[:heads]:
        source = read_label_map(data / LABEL_MAPS / f"training_seg_{name}.nii.gz")
        for kind, this in KINDS.items():
            yield f"drawn: {kind}", this.is_t1, judge(draw_kind(source, kind, SEED, 0).image, model)


def table(found: dict[tuple[str, bool], list[Judged]]) -> list[str]:
    """Lines of Markdown, a row per kind."""
    lines = [
        "| images | T1 | heads | refused | named as no T1 | white against grey | fluid against grey | bone |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (kind, is_t1), row in found.items():
        known = [j.contrast for j in row if j.contrast is not None]
        spread = [_spread([getattr(c, name) for c in known]) for name in ("white", "fluid", "bone")]
        lines.append(
            f"| {kind} | {'yes' if is_t1 else 'no'} | {len(row)} | {sum(j.refused for j in row)} | "
            f"{sum(j.named for j in row)} | {' | '.join(spread)} |"
        )
    t1 = [j for (_, is_t1), row in found.items() for j in row if is_t1]
    others = [j for (_, is_t1), row in found.items() for j in row if not is_t1]
    return [
        *lines,
        "",
        f"Of {len(t1)} T1 images {sum(j.named for j in t1)} are named as no T1; of {len(others)} others "
        f"{sum(j.named for j in others)} are, and {sum(j.refused for j in others)} refused.",
        f"A T1 is what has at least {LEAST_WHITE}, at most {MOST_FLUID}, at most {MOST_BONE}, and white",
        f"matter at least {LEAST_SHARE} of what fluid is the other way. Lowest … median … highest.",
    ]


def _spread(values: list[float]) -> str:
    if not values:
        return "–"
    return " … ".join(f"{v:.2f}" for v in (min(values), float(np.median(values)), max(values)))


def main() -> None:
    args = arguments(__doc__).parse_args()

    def body(model: Model) -> list[str]:
        found: dict[tuple[str, bool], list[Judged]] = {}
        for kind, is_t1, judged in cases(model, args.heads):
            found.setdefault((kind, is_t1), []).append(judged)
        return table(found)

    report("contrast", args, "Other contrasts than T1", body)


if __name__ == "__main__":
    main()
