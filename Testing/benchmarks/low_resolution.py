"""Heads with thick slices: how much of the Dice is lost.

    HIPPOSEG_DATA=... python Testing/benchmarks/low_resolution.py [--model NAME] [--write]

The heads with independent manual labels (1 mm) are re-sliced to 1.5, 2 and 3 mm along each of their
axes in turn: a thick slice is the average over its extent, and the header says so. The whole pipeline
segments them; each side's probability is interpolated linearly onto the labels' own grid, where the more
probable side wins above 0.5, and is compared with the labels. Measured only: nothing is chosen by it.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from testscans import arguments, data_folder, each, labelled_scans, report

from HippoSegLib.evaluation.grids import masks_of_probabilities
from HippoSegLib.evaluation.labelmap import label_map, read_labels
from HippoSegLib.evaluation.metrics import dice
from HippoSegLib.labels import SIDES
from HippoSegLib.pipeline import segment

#: Thickness in mm -> how much Dice may be lost.
GOALS = {1.5: 0.02, 2.0: 0.04, 3.0: 0.08}
#: Anatomical axis, by the letters of its ends.
AXES = {"sagittal": "LR", "coronal": "AP", "axial": "IS"}


def resliced(image: sitk.Image, axis: int, thickness: float) -> sitk.Image:
    """An image with thicker slices along one of its stored axes (0 = x).

    Args:
        image: 3D image, its voxels thinner than `thickness` along `axis`.
        thickness: mm; slices are side by side. What is left over at the end is dropped.

    Returns:
        float32. Each slice is the average of what it covers, a voxel counted by the part that is covered.
    """
    spacing, array_axis = image.GetSpacing()[axis], 2 - axis
    array = np.moveaxis(sitk.GetArrayFromImage(image).astype(np.float64), array_axis, 0)
    integral = np.concatenate([np.zeros((1, *array.shape[1:])), np.cumsum(array, axis=0)])
    count = int(np.floor(len(array) * spacing / thickness + 1e-6))
    edges = np.minimum(np.arange(count + 1) * thickness / spacing, len(array))
    whole = np.minimum(edges.astype(int), len(array) - 1)
    part = (edges - whole)[:, None, None]
    at_edges = (1 - part) * integral[whole] + part * integral[whole + 1]
    slices = np.diff(at_edges, axis=0) * spacing / thickness
    result = sitk.GetImageFromArray(np.ascontiguousarray(np.moveaxis(slices, 0, array_axis), np.float32))
    sizes = list(image.GetSpacing())
    sizes[axis] = thickness
    first = [0.0] * 3
    first[axis] = (thickness / spacing - 1) / 2
    result.SetSpacing(sizes)
    result.SetDirection(image.GetDirection())
    result.SetOrigin(image.TransformContinuousIndexToPhysicalPoint(first))
    return result


def plane_of(image: sitk.Image, axis: int) -> str:
    """The plane of the slices that are stacked along a stored axis."""
    letter = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())[axis]
    return next(name for name, ends in AXES.items() if letter in ends)


def dice_per_side(image: sitk.Image, labels: sitk.Image, meaning, model, threads: int) -> dict[str, float]:
    """Dice of the whole pipeline's result on the labels' grid; 0 where a side was not found."""
    result = segment(image, model=model, device="cpu", threads=threads, probabilities=True)
    found = masks_of_probabilities(result.labels, result.probabilities, labels)
    array = sitk.GetArrayViewFromImage(labels)
    return {side: dice(found[side], meaning.mask(array, side)) if side in found else 0.0 for side in SIDES}


def measure(scans, model, threads: int) -> dict[tuple[float, str], list[float]]:
    """(thickness, plane) -> Dice of each side of each head, in one order; (0, "") is the head as it is."""
    meaning = label_map("neuromorphometrics")
    rows: dict[tuple[float, str], list[float]] = {}
    for scan in scans:
        image, labels = scan.read(), read_labels(scan.labels)
        variants = [((0.0, ""), image)]
        variants += [((t, plane_of(image, a)), resliced(image, a, t)) for t in GOALS for a in range(3)]
        for key, changed in variants:
            found = dice_per_side(changed, labels, meaning, model, threads)
            rows.setdefault(key, []).extend(found[side] for side in SIDES)
    return rows


def table(rows: dict[tuple[float, str], list[float]]) -> list[str]:
    """Lines of Markdown: per thickness and plane, and per thickness over all planes."""
    before = np.array(rows[0.0, ""])
    lines = [
        f"Heads with manual labels: {len(before) // 2}, two sides each. As they are: mean Dice "
        f"{before.mean():.3f}, lowest {before.min():.3f}.",
        "",
        "| slices | plane | mean Dice | its fall | largest fall of a side | lowest Dice | goal of its fall |",
        "|---|---|---|---|---|---|---|",
    ]
    for thickness, goal in GOALS.items():
        planes = {plane: np.array(rows[thickness, plane]) for plane in AXES if (thickness, plane) in rows}
        for plane, after in planes.items():
            lines.append(_line(thickness, plane, before, after, goal))
        after, again = np.concatenate(list(planes.values())), np.tile(before, len(planes))
        lines.append(_line(thickness, "all", again, after, goal))
    return lines


def _line(thickness: float, plane: str, before: np.ndarray, after: np.ndarray, goal: float) -> str:
    fall = before - after
    met = "met" if fall.mean() <= goal else "missed"
    return (
        f"| {thickness:g} mm | {plane} | {after.mean():.3f} | {fall.mean():+.3f} | {fall.max():+.3f} "
        f"| {after.min():.3f} | ≤ {goal:.2f}: {met} |"
    )


def main() -> None:
    args = arguments(__doc__).parse_args()
    scans = labelled_scans(data_folder())
    notes = [
        "",
        "A slice is the average over its thickness. Compared on the labels' 1 mm grid (probabilities",
        "interpolated linearly). A side that was not found counts as Dice 0.",
    ]
    report(
        "low_resolution",
        args,
        "Thick slices",
        lambda model: table(measure(each(scans, args.heads), model, args.threads)) + notes,
    )


if __name__ == "__main__":
    main()
