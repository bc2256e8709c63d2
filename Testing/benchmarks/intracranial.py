"""The intracranial volume: how near the truth, and is it that of the same head stripped, defaced, cropped.

    HIPPOSEG_DATA=... python Testing/benchmarks/intracranial.py [--model NAME] [--heads N] [--write]

Truth is known of heads drawn from the label maps kept out of training (`synthetic_heads.py`), wholly in
view. Real heads that only test are compared with hippodeep's intracranial masks (agreement, not accuracy);
those with a skull are also stripped by that mask, defaced, and the stripped ones cropped as tightly as can
be. Drawn heads are stripped with the fluid around the brain and without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from synthetic_heads import EXTRACRANIAL_FROM, draw, draw_labels, plan_head, read_label_map
from testscans import arguments, data_folder, report

from HippoSegLib.errors import HippoSegError
from HippoSegLib.geometry.orientation import canonical_axes
from HippoSegLib.io.background import background_at_zero
from HippoSegLib.io.images import read_image
from HippoSegLib.localization.coarse import CoarseGrid, localize
from HippoSegLib.localization.intracranial import intracranial_volume
from HippoSegLib.models.store import Model
from HippoSegLib.training.data_splits import (
    LABEL_MAPS,
    TEST_LABEL_MAPS,
    TEST_REAL_HEADS,
    UNLABELLED_HEADS,
    real_head,
)

SEED = 51
OUTER_FLUID = 24
CONTRASTS = ("T1", "T1", "T2", "FLAIR")


@dataclass(frozen=True)
class Measured:
    """One image: `kind`, volume in mm³ (None: not given), what it is compared with, the coarse network's."""

    kind: str
    head: str
    volume: float | None
    truth: float
    coarse: float

    @property
    def error(self) -> float:
        """In percent, of a volume that is given."""
        assert self.volume is not None
        return 100 * (self.volume / self.truth - 1)


def measure(kind: str, head: str, image: sitk.Image, truth: float, model: Model) -> Measured:
    """As the pipeline does it."""
    card, network = model.card.localizer, model.networks().localizer
    assert card is not None and network is not None
    scan = background_at_zero(canonical_axes(image)[0])
    grid = CoarseGrid(card.grid_size, card.grid_spacing_mm, card.coordinate_unit_mm)
    try:
        found = localize(scan, network, grid)
    except HippoSegError:
        return Measured(kind, head, None, truth, float("nan"))
    volume = intracranial_volume(scan, found, network, grid)
    return Measured(kind, head, volume, truth, found.intracranial_mm3)


def masked(image: sitk.Image, mask: np.ndarray) -> sitk.Image:
    """The image (stored as the bool mask) without what lies outside the mask."""
    changed = sitk.GetImageFromArray(np.where(mask, sitk.GetArrayViewFromImage(image), 0))
    changed.CopyInformation(image)
    return changed


def cropped(image: sitk.Image) -> sitk.Image:
    """The smallest box that holds all that is not 0."""
    index = np.argwhere(sitk.GetArrayViewFromImage(image) > 0)[:, ::-1]
    low, high = index.min(axis=0), index.max(axis=0) + 1
    return sitk.RegionOfInterest(image, (high - low).tolist(), low.tolist())


def defaced(image: sitk.Image, brain: np.ndarray) -> sitk.Image:
    """The image without what lies outside the brain, before its middle and in its lower half; `image` along
    right, anterior, superior."""
    z, y, _ = np.argwhere(brain).mean(axis=0)
    zs, ys, _ = np.indices(brain.shape, sparse=True)
    face = (ys > y + 20 / image.GetSpacing()[1]) & (zs < z)
    near = ndimage.binary_dilation(brain, iterations=3)
    return masked(image, ~face | near)


def drawn(data: Path, each: int, model: Model) -> Iterator[Measured]:
    for name in TEST_LABEL_MAPS:
        source = read_label_map(data / LABEL_MAPS / f"training_seg_{name}.nii.gz")
        for number in range(each):
            rng = np.random.default_rng([SEED, number, int(name)])
            contrast = CONTRASTS[number % len(CONTRASTS)]
            plan = plan_head(source, rng, contrast, cut="none")
            head = draw(source, plan, rng)
            truth = head.truth.intracranial_mm3
            assert truth is not None
            called = f"{name}-{number}"
            yield measure(f"drawn, {contrast}", called, head.image, truth, model)
            if number >= max(1, each // 3):
                continue
            ids = sitk.GetArrayFromImage(draw_labels(source, plan))
            brain = (ids > 0) & (ids < EXTRACRANIAL_FROM)
            for kind, mask in (("fluid kept", brain), ("fluid gone", brain & (ids != OUTER_FLUID))):
                stripped = masked(head.image, ndimage.binary_closing(mask, iterations=2))
                yield measure(f"drawn, stripped, {kind}", called, stripped, truth, model)
            yield measure("drawn, stripped, fluid gone, cropped", called, cropped(stripped), truth, model)


def real(data: Path, limit: int | None, model: Model) -> Iterator[Measured]:
    folder = data / UNLABELLED_HEADS
    places = [("/".join(key), *real_head(folder, *key)) for key in TEST_REAL_HEADS]
    weak = folder / "weak_labels"
    samples = ("myconnectome_T1", "lowres_1.75mm_T1")
    places += [(name, data / "sample_heads" / f"{name}.nii.gz", weak / name) for name in samples]
    for name, path, stem in places[:limit]:
        image = canonical_axes(sitk.Cast(read_image(path), sitk.sitkFloat32))[0]
        image = background_at_zero(image)
        mask = canonical_axes(sitk.ReadImage(f"{stem}_brain.nii.gz", sitk.sitkFloat32))[0]
        array = sitk.GetArrayFromImage(mask)
        brain = array > 0.5 * array.max()
        truth = float(brain.sum() * np.prod(mask.GetSpacing()))
        whole = measure("real, as it is (agreement)", name, image, truth, model)
        yield whole
        stripped = masked(image, brain)
        kinds = {
            "stripped": stripped,
            "stripped, cropped": cropped(stripped),
            "defaced": defaced(image, brain),
        }
        if "stripped" in name or whole.volume is None:
            kinds = {"cropped": cropped(image)}
        for kind, changed in kinds.items():
            if whole.volume is not None:
                yield measure(f"real, {kind} (against itself)", name, changed, whole.volume, model)


def table(measured: list[Measured]) -> list[str]:
    """Lines of Markdown, a row per kind."""
    rows: dict[str, list[Measured]] = {}
    for one in measured:
        rows.setdefault(one.kind, []).append(one)
    plain = [m for m in measured if m.kind.removeprefix("drawn, ") in CONTRASTS]
    if plain:
        rows["all drawn heads as they are"] = plain
    lines = [
        "| images | number | volume given | error %, median | 90 % within | mean | coarse network: median |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, row in rows.items():
        errors = np.array([m.error for m in row if m.volume is not None])
        coarse = np.array([100 * (m.coarse / m.truth - 1) for m in row if np.isfinite(m.coarse)])
        figures = "– | – | –"
        if len(errors):
            size = np.abs(errors)
            figures = f"{np.median(size):.1f} | {np.percentile(size, 90):.1f} | {errors.mean():+.1f}"
        other = f"{np.median(np.abs(coarse)):.1f}" if len(coarse) else "–"
        lines.append(f"| {kind} | {len(row)} | {len(errors)} | {figures} | {other} |")
    return lines


def main() -> None:
    args = arguments(__doc__).parse_args()

    def body(model: Model) -> list[str]:
        data = data_folder()
        return table([*drawn(data, args.heads or 12, model), *real(data, args.heads, model)])

    report("intracranial", args, "The intracranial volume", body)


if __name__ == "__main__":
    main()
