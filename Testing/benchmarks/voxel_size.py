"""A voxel size that the header states wrongly: is it doubted, and is a right one ever.

    HIPPOSEG_DATA=... python Testing/benchmarks/voxel_size.py [--model NAME] [--heads N] [--write]

Every real head at hand is segmented as it is, with a voxel size that is wrong along all axes or along one,
and cropped. Nothing is resampled: a wrong claim changes the header alone. Heads whose weak labels train count
too, for no voxel size was ever learned. The last lines fit the constants of `results/voxel_size.py` and
`localization/head_size.py` anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from unittest import mock

import numpy as np
import SimpleITK as sitk
from testscans import TestScan, arguments, data_folder, each, labelled_scans, report, unlabelled_scans

from HippoSegLib import pipeline
from HippoSegLib.errors import HippoSegError
from HippoSegLib.geometry.orientation import canonical_axes
from HippoSegLib.geometry.pose import stretch
from HippoSegLib.localization.head_size import HeadSize, shape_of
from HippoSegLib.results.voxel_size import size_deviation, voxel_size_flags
from HippoSegLib.training import data_splits

ALL_AXES = (0.8, 0.85, 0.9, 1.1, 1.15, 1.25)
ONE_AXIS = (0.7, 0.8, 1.2, 1.3)
DIRECTIONS = ("left-right", "front-back", "bottom-top")
#: Part of the head's extent that is cut away, along which axis and at which end.
CROPS = {"top, 10 %": (2, 1, 0.1), "top, 25 %": (2, 1, 0.25), "below, 25 %": (2, 0, 0.25)}
CROPS |= {"face, 20 %": (1, 1, 0.2), "one side, 20 %": (0, 0, 0.2)}


@dataclass(frozen=True)
class Judgement:
    """What the pipeline made of one head: its size, hippocampal length in mm and largest deviation of its
    shape, as far as they were known, and what was said of its voxel size: "warning", "info" or nothing;
    `refused` where it gave up."""

    size: HeadSize | None = None
    length: float | None = None
    deviation: float = 0.0
    said: str = ""
    refused: bool = False


def claimed(image: sitk.Image, factors) -> sitk.Image:
    """The image with another voxel size in its header."""
    result = sitk.Image(image)
    result.SetSpacing([s * f for s, f in zip(image.GetSpacing(), factors, strict=True)])
    return result


def cropped(image: sitk.Image, axis: int, end: int, part: float) -> sitk.Image:
    """The image without a part of the head at one end of a canonical axis."""
    array = sitk.GetArrayViewFromImage(image)
    bright = np.argwhere(array > array.min() + 0.2 * (np.percentile(array, 99) - array.min()))[:, 2 - axis]
    low, high = np.percentile(bright, (1, 99))
    start, size = [0, 0, 0], list(image.GetSize())
    if end:
        size[axis] = int(high - part * (high - low))
    else:
        start[axis] = int(low + part * (high - low))
        size[axis] -= start[axis]
    return sitk.RegionOfInterest(image, size, start)


def judge(image: sitk.Image, model, threads: int) -> Judgement:
    """The whole pipeline's judgement of a head."""
    seen: dict = {}

    def kept(size, lengths, head):
        seen.update(size=size, length=float(np.mean(list(lengths.values()))) if lengths else None)
        direction = np.reshape(head.GetDirection(), (3, 3))
        seen["deviation"] = float(np.abs(size.axis_deviations(direction)).max())
        return voxel_size_flags(size, lengths, head)

    try:
        with mock.patch.object(pipeline, "voxel_size_flags", kept):
            result = pipeline.segment(image, model=model, device="cpu", threads=threads, second_reader=False)
    except HippoSegError:
        return Judgement(refused=True)
    said = [flag.severity for flag in result.flags if flag.code == "voxel_size"]
    return Judgement(**seen, said="".join(said))


def variants() -> dict[str, tuple]:
    """Row of the table -> how the image is changed."""
    rows: dict[str, tuple] = {"as it is": (claimed, (1.0, 1.0, 1.0))}
    rows |= {f"all axes × {f:g}": (claimed, (f, f, f)) for f in ALL_AXES}
    for axis, name in enumerate(DIRECTIONS):
        for f in ONE_AXIS:
            rows[f"{name} × {f:g}"] = (claimed, tuple(f if a == axis else 1.0 for a in range(3)))
    return rows | {f"cut: {name}": (cropped, *how) for name, how in CROPS.items()}


def changed(image: sitk.Image, change, *how) -> sitk.Image:
    return change(image, how[0]) if change is claimed else change(image, *how)


def all_scans(data) -> list[TestScan]:
    """Every real head at hand, also those whose weak labels train."""
    folder = data / data_splits.UNLABELLED_HEADS
    training = [
        TestScan(f"{dataset} {subject}", data_splits.real_head(folder, dataset, subject)[0])
        for dataset, subject in data_splits.TRAIN_REAL_HEADS
    ]
    return unlabelled_scans(data) + training + labelled_scans(data)


def table(found: dict[str, list[Judgement]]) -> list[str]:
    """Lines of Markdown, a row per variant."""
    lines = [
        "| voxel size, or field of view | heads | refused | size not judged | voxel size doubted | "
        "or noted | intracranial mL | size, deviation | shape, deviation |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        sized = [j for j in row if j.size is not None and not j.size.cut]
        volumes = [j.size.intracranial_mm3 / 1000 for j in sized]
        sizes = [size_deviation(j.size.intracranial_mm3, j.length) for j in sized]
        shapes = [j.deviation for j in sized]
        lines.append(
            f"| {name} | {len(row)} | {sum(j.refused for j in row)} | "
            f"{sum((j.size is None or j.size.cut) and not j.refused for j in row)} | "
            f"{sum(j.said == 'warning' for j in row)} | {sum(j.said == 'info' for j in row)} | "
            f"{_spread(volumes, 0)} | {_spread(sizes, 1)} | {_spread(shapes, 1)} |"
        )
    return lines


def _spread(values: list[float], digits: int) -> str:
    if not values:
        return "–"
    return " … ".join(f"{v:.{digits}f}" for v in (min(values), float(np.median(values)), max(values)))


def fit(right: list[Judgement]) -> list[str]:
    """The constants that heads with a right voxel size give."""
    known = [j for j in right if j.size is not None and not j.size.cut and j.length is not None]
    if len(known) < 3:
        return []
    volume = np.log([j.size.intracranial_mm3 for j in known])
    length = np.log([j.length for j in known])
    slope, middle = np.polyfit(volume - volume.mean(), length, 1)
    rest = length - middle - slope * (volume - volume.mean())
    shapes = np.array([shape_of(stretch(j.size.head_to_world.matrix)[1]) for j in known])
    mean, spread = (np.round(v, 3).tolist() for v in (shapes.mean(axis=0), shapes.std(axis=0)))
    return [
        "",
        f"Constants from the {len(known)} heads as they are: intracranial volume "
        f"{np.exp(volume.mean()):.4g} mm³,",
        f"spread {volume.std():.3f}; length {np.exp(middle):.1f} mm, spread {rest.std():.3f}, "
        f"growth {slope:.3f};",
        f"shape: mean {mean}, spread {spread}.",
    ]


def main() -> None:
    args = arguments(__doc__).parse_args()
    rows = variants()

    def body(model) -> list[str]:
        found: dict[str, list[Judgement]] = {name: [] for name in rows}
        for scan in each(all_scans(data_folder()), args.heads):
            image = canonical_axes(scan.read())[0]
            for name, how in rows.items():
                found[name].append(judge(changed(image, *how), model, args.threads))
        notes = [
            "",
            "Lowest … median … highest. Deviations are in standard deviations of heads whose voxel size is",
            "right.",
            "Doubted: a warning, the result is to be reviewed. Noted: a remark, the status stays.",
            "Size is not judged where the brain reaches the edge of the image; an extreme shape is.",
        ]
        return table(found) + fit(found["as it is"]) + notes

    report("voxel_size", args, "Voxel sizes that are stated wrongly", body)


if __name__ == "__main__":
    main()
