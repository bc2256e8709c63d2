"""How near the product comes to hippocampi whose place is known.

    HIPPOSEG_DATA=... python Testing/benchmarks/localisation.py [--count 200] [--pipeline 40] [--write]

Measured are heads synthesised at full resolution from label maps kept out of training
(`synthetic_heads.py`), and the real heads that only test, as they are and altered (`real_heads.py`).
`--pipeline N` also runs the whole pipeline on N of the synthesised heads and on all real ones.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
from localisation_table import Result, Side, report, write_cases  # noqa: E402
from real_heads import altered, read_real_heads  # noqa: E402
from synthetic_heads import read_label_map, synthesise  # noqa: E402

from HippoSegLib.errors import HippoSegError  # noqa: E402
from HippoSegLib.geometry.orientation import canonical_axes  # noqa: E402
from HippoSegLib.geometry.pose import WORLD_RAS, HeadPose, pose_from_hippocampi  # noqa: E402
from HippoSegLib.io.background import background_at_zero  # noqa: E402
from HippoSegLib.io.validation import check_image  # noqa: E402
from HippoSegLib.labels import COLORS, SIDES, WHOLE, other_side  # noqa: E402
from HippoSegLib.localization.coarse import expected_centre  # noqa: E402
from HippoSegLib.localization.placement import place  # noqa: E402
from HippoSegLib.models.store import Model, load_model  # noqa: E402
from HippoSegLib.pipeline import segment  # noqa: E402
from HippoSegLib.training.data_splits import LABEL_MAPS, TEST_LABEL_MAPS  # noqa: E402

SEED = 20


def measure_head(name, image, truth, model: Model, tags: dict, pipeline: bool) -> Result:
    """Localisation and, if asked for, the whole pipeline of one head with known hippocampi."""
    result = Result(name, tags, truth=truth.centres)
    result.sides = {side: Side(truth.in_view[side]) for side in SIDES}
    if truth.intracranial_mm3 is not None:
        result.intracranial_true = truth.intracranial_mm3
        result.intracranial_in_view = truth.intracranial_in_view
    try:
        # As the pipeline does up to the ROIs.
        head = background_at_zero(canonical_axes(check_image(image)[0])[0])
        placement = place(head, model.networks(), {})
        found, result.centres = placement.localization, placement.centres
    except HippoSegError as error:
        result.refused = str(error)
        for side in result.sides.values():
            side.found = "refused"
            side.pipeline = "refused" if pipeline else ""
        return result
    result.intracranial, result.reported = found.intracranial_mm3, not found.intracranial_cut
    for side, centre in result.centres.items():
        row = result.sides[side]
        row.found = "seen" if side in found.centres or side in placement.refined else "by pose"
        row.error, row.swapped = _error(centre, truth, side)
        first = found.centres.get(side)
        row.first_error, _ = _error(
            expected_centre(found.pose, side) if first is None else first, truth, side
        )
    result.turn_error = _degrees_between(found.pose, _true_frame(truth))
    if pipeline:
        _measure_pipeline(result, image, truth, model)
    return result


def _measure_pipeline(result: Result, image, truth, model) -> None:
    try:
        done = segment(image, model=model, device="cpu", threads=1)
    except HippoSegError as error:
        result.refused = str(error)
        for row in result.sides.values():
            row.pipeline = "refused"
        return
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(done.labels)
    for side, row in result.sides.items():
        row.pipeline = "found" if side in done.measurements.whole else "missed"
        if row.pipeline == "missed":
            continue
        region = done.roi_images[side]
        half = [(n - 1) / 2 for n in region.GetSize()]
        centre = np.array(region.TransformContinuousIndexToPhysicalPoint(half))
        row.region_error, row.region_swapped = _error(centre, truth, side)
        row.label_error = _error(np.array(shape.GetCentroid(WHOLE[side])), truth, side)[0]
        axes = np.reshape(region.GetDirection(), (3, 3))
        offset = np.abs((truth.points[side] - centre) @ axes)
        reach = np.array(region.GetSize()) * region.GetSpacing() / 2
        row.covered = float((offset <= reach).all(axis=1).mean())


def _true_frame(truth) -> HeadPose:
    """From the true hippocampi; anterior need only be known within 90 degrees."""
    return pose_from_hippocampi(truth.points["left"], truth.points["right"], anterior=WORLD_RAS[:, 1])


def _degrees_between(a: HeadPose, b: HeadPose) -> float:
    cosine = (np.trace(a.axes.T @ b.axes) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _error(centre, truth, side) -> tuple[float, bool]:
    """Distance to the truth, and whether the other side's is nearer."""
    error = float(np.linalg.norm(centre - truth.centres[side]))
    return error, bool(np.linalg.norm(centre - truth.centres[other_side(side)]) < error)


def synthesised(data: Path, model: Model, count: int, pipeline: int, pictures) -> list[Result]:
    """Measure `count` synthesised heads, the same number of each map."""
    results = []
    each = count // len(TEST_LABEL_MAPS)
    for name in TEST_LABEL_MAPS:
        source = read_label_map(data / LABEL_MAPS / f"training_seg_{name}.nii.gz")
        for number in range(each):
            head = synthesise(source, SEED, number)
            tags = {
                "contrast": head.contrast,
                "cut": head.cut,
                "turned": head.turned_in,
                "slices": "0.5-1.5 mm" if head.slice_mm < 1.5 else "1.5-3 mm",
                "map": name,
            }
            # The first ones of each map: contrasts take turns among them.
            wanted = number < math.ceil(pipeline / len(TEST_LABEL_MAPS))
            result = measure_head(f"{name}-{number}", head.image, head.truth, model, tags, wanted)
            results.append(result)
            _progress(result)
            if pictures is not None and number < 6:
                pictures(result, head.image)
    return results


def real(data: Path, model: Model, copies: int, pipeline: bool, pictures) -> list[Result]:
    """Measure the real heads, and `copies` altered ones of each with known hippocampi."""
    results = []
    for head in read_real_heads(data):
        if head.truth is None:
            _without_truth(head, model)
            continue
        for number in range(copies + 1):
            this = altered(head, number) if number else head
            tags = {"known": this.known_by, "kind": "altered" if number else "as it is"}
            result = measure_head(this.name, this.image, this.truth, model, tags, pipeline)
            results.append(result)
            _progress(result)
            if pictures is not None and number < 2:
                pictures(result, this.image)
    return results


def _without_truth(head, model) -> None:
    placement = place(background_at_zero(canonical_axes(check_image(head.image)[0])[0]), model.networks(), {})
    centres, flags = placement.centres, placement.flags
    apart = np.linalg.norm(centres["left"] - centres["right"]) if len(centres) == 2 else float("nan")
    remarks = "; ".join(flag.message for flag in flags)
    print(
        f"{head.name}: no labels; sides found: {sorted(centres)}, {apart:.1f} mm apart {remarks}", flush=True
    )


def _progress(result: Result) -> None:
    errors = " ".join(f"{row.found} {row.error:.1f} ({row.in_view:.2f})" for row in result.sides.values())
    tags = " ".join(result.tags.values())
    print(f"{result.name:28} {tags:38} {errors} {result.refused}", file=sys.stderr, flush=True)


def picture_writer(folder: Path):
    """A function that draws a head in the three planes through its left hippocampus, truth and found."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)

    def draw(result: Result, image: sitk.Image) -> None:
        head = canonical_axes(image)[0]
        array, spacing = sitk.GetArrayViewFromImage(head), head.GetSpacing()
        side = max(SIDES, key=lambda s: result.sides[s].in_view)
        middle = _index(head, result.truth[side])
        figure, planes = plt.subplots(1, 3, figsize=(12, 4.6))
        for plane, axis in zip(planes, (2, 1, 0), strict=True):
            across, up = (a for a in range(3) if a != axis)
            where = int(np.clip(round(middle[axis]), 0, head.GetSize()[axis] - 1))
            plane.imshow(
                array.take(where, axis=2 - axis),
                cmap="gray",
                origin="lower",
                vmin=0,
                vmax=np.percentile(array, 99.7),
                aspect=spacing[up] / spacing[across],
            )
            plane.autoscale(False)
            for points, mark in ((result.truth, "o"), (result.centres, "x")):
                for s, point in points.items():
                    index = _index(head, point)
                    plane.plot(index[across], index[up], mark, color=COLORS[s], ms=7, fillstyle="none")
            plane.set_axis_off()
        errors = ", ".join(f"{s} {row.found} {row.error:.1f} mm" for s, row in result.sides.items())
        tags = " ".join(result.tags.values())
        figure.suptitle(f"{result.name}: {tags}; {errors} (o truth, x found)", fontsize=9)
        figure.tight_layout()
        figure.savefig(folder / f"{result.name.replace('/', '_').replace(' ', '_')}.png", dpi=60)
        plt.close(figure)

    return draw


def _index(image: sitk.Image, point) -> tuple[float, float, float]:
    return image.TransformPhysicalPointToContinuousIndex([float(v) for v in point])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="name or folder; the shipped one if not given")
    parser.add_argument("--count", type=int, default=200, help="synthesised heads (default 200; 0: none)")
    parser.add_argument("--copies", type=int, default=2, help="altered copies of each real head (default 2)")
    parser.add_argument("--no-real", action="store_true", help="leave the real heads out")
    parser.add_argument(
        "--pipeline", type=int, default=0, metavar="N", help="whole pipeline on N of them as well"
    )
    parser.add_argument("--cases", type=Path, help="CSV file with a row per side")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw some of the heads")
    parser.add_argument("--write", action="store_true", help="save localisation.md beside this file")
    args = parser.parse_args()
    if not os.environ.get("HIPPOSEG_DATA"):
        parser.error("the environment variable HIPPOSEG_DATA does not name the data folder")
    data = Path(os.environ["HIPPOSEG_DATA"])
    import torch

    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    model = load_model(args.model)
    pictures = picture_writer(args.pictures) if args.pictures else None
    synthetic = synthesised(data, model, args.count, args.pipeline, pictures)
    reals = [] if args.no_real else real(data, model, args.copies, args.pipeline > 0, pictures)
    text = report(synthetic, reals, args.pipeline)
    print(text)
    if args.cases:
        write_cases(args.cases, synthetic + reals)
    if args.write:
        (HERE / "localisation.md").write_text(_heading(model, args) + text, encoding="utf-8")


def _heading(model: Model, args) -> str:
    return (
        "# Localisation: figures\n\n"
        f"Model {model.name}, SHA-256 {model.sha256[:12]}…; printed by\n\n"
        f"    python Testing/benchmarks/localisation.py --count {args.count} --copies {args.copies} "
        f"--pipeline {args.pipeline}{' --no-real' if args.no_real else ''} --write\n\n"
        "Sides count where 95 % of the hippocampus or more is in view; those of a refused head are missed.\n"
        "The centre is that of mass of all of the hippocampus. Swapped: nearer to the other side's truth.\n"
        "By pose alone: neither look saw the side, its usual place is taken, and a warning given.\n"
        "Least in region: the smallest part of a hippocampus that lies inside its region.\n"
        "Turn off: between the pose found and the frame of the true hippocampi, their long axes included.\n\n"
    )


if __name__ == "__main__":
    main()
