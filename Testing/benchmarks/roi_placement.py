"""What the place and the axes of a ROI cost: the same readers in regions placed by several ways.

    HIPPOSEG_DATA=... python Testing/benchmarks/roi_placement.py [--model NAME] [--train-heads] [--write]
    HIPPOSEG_DATA=... python Testing/benchmarks/roi_placement.py --confirm

Every way goes to the end of the pipeline: the outline is brought to the scan's own grid and compared with
the label there. In a comparison in regions about the label (outline.py) the label is resampled, which smooths
it and raises the overlap; here nothing happens to it. Labels of the heads that only test are hippodeep's
output: nearness to them is agreement, not accuracy. --confirm measures the manual labels, which choose
nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from real_heads import MANUAL, SAMPLE_HEADS  # noqa: E402
from scipy import ndimage  # noqa: E402
from tables import write_keeping_words  # noqa: E402

from HippoSegLib.evaluation.metrics import compare  # noqa: E402
from HippoSegLib.geometry.native_grid import to_image_grid  # noqa: E402
from HippoSegLib.geometry.orientation import canonical_axes  # noqa: E402
from HippoSegLib.geometry.roi import Roi, roi_about  # noqa: E402
from HippoSegLib.io.background import background_at_zero  # noqa: E402
from HippoSegLib.io.images import read_scan  # noqa: E402
from HippoSegLib.localization.placement import place  # noqa: E402
from HippoSegLib.models.engines import choose  # noqa: E402
from HippoSegLib.models.prediction import Segmenter, predict_rois  # noqa: E402
from HippoSegLib.models.store import Model, load_model  # noqa: E402
from HippoSegLib.training.data_splits import (  # noqa: E402
    LABELLED_HEADS,
    TEST_REAL_HEADS,
    TRAIN_REAL_HEADS,
    UNLABELLED_HEADS,
    real_head,
)

#: The ways of placing a ROI, and what each means.
WAYS = {
    "pipeline": "centre and axes as the localiser finds them",
    "own centre": "once more about the outline found, along the same axes",
    "label's centre": "about the label, along the localiser's axes",
    "label's centre, scan's axes": "about the label, along the scan's axes",
}
OFFSETS = ("lateral", "anterior", "superior")
METRICS = ("dice", "hd95_mm", "assd_mm", "ratio")


def heads(data: Path, train: bool, confirm: bool) -> Iterator[tuple[str, Path, dict[str, sitk.Image]]]:
    """Name, file and side -> mask uint8 on the image's grid."""
    if confirm:
        for path in sorted((data / LABELLED_HEADS).glob("*_SS.nii.gz")):
            labels = sitk.ReadImage(str(path).replace("_SS", "_glm"), sitk.sitkInt32)
            yield path.name.split("_")[0], path, {side: labels == value for side, value in MANUAL.items()}
        return
    weak = data / UNLABELLED_HEADS / "weak_labels"
    keys = TRAIN_REAL_HEADS if train else TEST_REAL_HEADS
    scans = [("/".join(key), *real_head(data / UNLABELLED_HEADS, *key)) for key in keys]
    if not train:
        scans += [(name, data / "sample_heads" / f"{name}.nii.gz", weak / name) for name in SAMPLE_HEADS]
    for name, path, stem in scans:
        masks = {}
        for side in MANUAL:
            values = sitk.ReadImage(f"{stem}_{side}.nii.gz", sitk.sitkFloat32)
            masks[side] = values > 0.5 * float(sitk.GetArrayViewFromImage(values).max())
        yield name, path, masks


def centre_of(mask: sitk.Image) -> np.ndarray:
    """Centre of mass of a mask, (3,) LPS mm."""
    z, y, x = np.argwhere(sitk.GetArrayViewFromImage(mask)).mean(axis=0)
    return np.array(mask.TransformContinuousIndexToPhysicalPoint((float(x), float(y), float(z))))


def score(head: sitk.Image, roi: Roi, maps: np.ndarray, mask: sitk.Image) -> dict[str, float]:
    """`METRICS` of an outline on the scan's own grid; ``maps`` (2, z, y, x) probabilities of the parts."""
    truth = sitk.GetArrayViewFromImage(mask) > 0
    found = np.zeros(truth.shape, bool)
    brought = to_image_grid(maps, roi, head)
    if brought is not None:
        found[brought[0]] = brought[1].sum(axis=0) > 0.5
    values = compare(found, truth, mask.GetSpacing()[::-1])
    return {**{k: values[k] for k in METRICS[:3]}, "ratio": float(found.sum() / truth.sum())}


def own_centre(roi: Roi, maps: np.ndarray) -> np.ndarray:
    """Centre of mass of an outline, (3,) LPS mm."""
    return roi.point(ndimage.center_of_mass(maps.sum(axis=0) > 0.5)[::-1])


def measured(name: str, path: Path, masks: Mapping[str, sitk.Image], model: Model, engine) -> list[dict]:
    """A row per way and side of one head."""
    networks, part = model.networks(engine), model.card.segmenter
    readers = [Segmenter(networks.segmenter, part.preprocessing)]
    second = model.second()
    if second is not None:
        readers.append(Segmenter(second.networks(engine).segmenter, second.card.segmenter.preprocessing))
    head = background_at_zero(canonical_axes(read_scan(path).image)[0], False)
    found = place(head, networks, {})
    axes, scan_axes = found.localization.pose.axes, np.array(head.GetDirection()).reshape(3, 3)
    turn = float(np.degrees(np.arccos(np.clip((np.trace(axes.T @ scan_axes) - 1) / 2, -1, 1))))
    rows = []
    for side, mask in masks.items():
        mask = sitk.Resample(mask, head, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        true, centre = centre_of(mask), found.centres[side]

        def read(middle: np.ndarray, along: np.ndarray, side=side) -> tuple[Roi, np.ndarray]:
            roi = roi_about(middle, along, side, part.roi_size, part.spacing_mm)
            return roi, predict_rois(head, {side: roi}, readers, fixed=(side,)).maps[side]

        first = read(centre, axes)
        readings = (first, read(own_centre(*first), axes), read(true, axes), read(true, scan_axes))
        miss = axes.T @ (centre - true) * (-1 if side == "left" else 1, 1, 1)
        offset = dict(zip(OFFSETS, miss.tolist(), strict=True))
        for way, (roi, maps) in zip(WAYS, readings, strict=True):
            rows.append({"head": name, "side": side, "way": way, **score(head, roi, maps, mask)})
            rows[-1] |= {"turn": turn, **offset}
    return rows


def table(rows: list[dict]) -> str:
    """A line per way, then how far the localiser's centre lies from the label's."""
    lines = [
        "| region | sides | Dice (lowest) | HD95 mm | ASSD mm | volume ratio |",
        "|---|---|---|---|---|---|",
    ]
    for way in WAYS:
        some = [row for row in rows if row["way"] == way]
        mean = {name: float(np.mean([row[name] for row in some])) for name in METRICS}
        lines.append(
            f"| {WAYS[way]} | {len(some)} | {mean['dice']:.4f} ({min(r['dice'] for r in some):.3f}) | "
            f"{mean['hd95_mm']:.2f} | {mean['assd_mm']:.3f} | {mean['ratio']:.3f} |"
        )
    some = [row for row in rows if row["way"] == "pipeline"]
    offsets = np.array([[row[k] for k in OFFSETS] for row in some])
    length, turn = np.linalg.norm(offsets, axis=1), np.median([row["turn"] for row in some])
    words = [f"{o.mean():+.1f} (SD {o.std():.1f}) {k}" for k, o in zip(OFFSETS, offsets.T, strict=True)]
    lines += [
        "",
        f"The localiser's centre against the label's, mm: {', '.join(words)};",
        f"distance {np.median(length):.1f} in the median, {length.max():.1f} at most. Its axes are turned "
        f"against the scan's by {turn:.0f} degrees in the median.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="hipposeg")
    parser.add_argument("--train-heads", action="store_true", help="heads that may train, for finding causes")
    parser.add_argument("--confirm", action="store_true", help="measure the manual labels instead")
    parser.add_argument("--write", action="store_true", help="write roi_placement.md beside this file")
    args = parser.parse_args()
    model, engine, rows = load_model(args.model), choose("auto", "cpu", 1), []
    for name, path, masks in heads(Path(os.environ["HIPPOSEG_DATA"]), args.train_heads, args.confirm):
        rows += measured(name, path, masks, model, engine)
    for row in rows:
        print(*(f"{v:.3f}" if isinstance(v, float) else v for v in row.values()), sep="\t", file=sys.stderr)
    text = table(rows)
    print(text)
    if args.write:
        head = [
            "# Where the region lies",
            "",
            f"Printed by `python Testing/benchmarks/{Path(__file__).name}`.",
        ]
        write_keeping_words(HERE / "roi_placement.md", "\n".join([*head, "", text, ""]))


if __name__ == "__main__":
    main()
