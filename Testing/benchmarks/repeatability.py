"""The same head again, slightly changed: by how much the volumes differ.

    HIPPOSEG_DATA=... python Testing/benchmarks/repeatability.py [--model NAME] [--write]

Every head that only tests, labels unused, is segmented as it is and once changed in each of these ways:
turned a few degrees about its middle, shifted by half a voxel along each axis, with noise, with a bias
field, and stored with other axes. Turning and shifting resample the head once, by cubic B-spline
interpolation, which itself blurs a little: part of what they change is that. Seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
from testscans import arguments, data_folder, each, labelled_scans, report, unlabelled_scans

from HippoSegLib.labels import SIDES
from HippoSegLib.pipeline import segment

#: Angle of the turn, degrees; noise as a part of the tissue's bright end; the bias field's largest factor.
DEGREES, NOISE, BIAS = (3.0, 8.0), 0.03, 1.2
#: The median change that is aimed at, %; a re-stored head may differ by rounding alone.
GOAL, ROUNDING = 2.0, 0.1
#: Orders of storage, one per head in turn; none is that of the data (LAS, LPS, RAS, RPI …).
STORAGES = ("PIR", "SLA", "ASR", "IPL")


def _resample(image: sitk.Image, transform: sitk.Transform) -> sitk.Image:
    """The image under a transform, on its own grid, cubic B-spline, within its own range of values."""
    limits = sitk.MinimumMaximumImageFilter()
    limits.Execute(image)
    low, high = limits.GetMinimum(), limits.GetMaximum()
    return sitk.Clamp(
        sitk.Resample(image, image, transform, sitk.sitkBSpline, low), image.GetPixelID(), low, high
    )


def _middle(image: sitk.Image) -> tuple[float, ...]:
    return image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])


def turned(image: sitk.Image, rng: np.random.Generator) -> sitk.Image:
    """The head turned about the image's middle, by 3 to 8 degrees about an axis drawn at random."""
    axis = rng.normal(size=3)
    angle = np.deg2rad(rng.uniform(*DEGREES))
    return _resample(
        image, sitk.VersorRigid3DTransform(axis.tolist(), float(angle), [0.0] * 3, _middle(image))
    )


def shifted(image: sitk.Image, rng: np.random.Generator) -> sitk.Image:
    """The head shifted by half a voxel along each stored axis, to a side drawn at random."""
    step = np.array(image.GetSpacing()) / 2 * rng.choice([-1, 1], 3)
    return _resample(
        image, sitk.TranslationTransform(3, (np.reshape(image.GetDirection(), (3, 3)) @ step).tolist())
    )


def noisy(image: sitk.Image, rng: np.random.Generator) -> sitk.Image:
    """The head with Rician noise of 3 % of the tissue's 99th percentile."""
    array = sitk.GetArrayFromImage(image)
    sigma = NOISE * np.percentile(array[array > array.mean()], 99)
    first, second = rng.normal(0, sigma, (2, *array.shape)).astype(np.float32)
    low = array.min()  # Rician noise is about zero: the image's own background is that zero
    return _like(np.hypot(array - low + first, second) + low, image)


def biased(image: sitk.Image, rng: np.random.Generator) -> sitk.Image:
    """The head times a smooth field between 1/1.2 and 1.2: the exponential of a random quadratic."""
    array = sitk.GetArrayFromImage(image)
    z, y, x = np.meshgrid(
        *(np.linspace(-1, 1, n, dtype=np.float32) for n in array.shape), indexing="ij", sparse=True
    )
    terms = (z, y, x, z * z, y * y, x * x, z * y, z * x, y * x)
    field = sum(float(a) * term for a, term in zip(rng.normal(size=len(terms)), terms, strict=True))
    field = field - (field.max() + field.min()) / 2
    field *= np.log(BIAS) / field.max()
    low = array.min()
    return _like((array - low) * np.exp(field) + low, image)


def restored(image: sitk.Image, rng: np.random.Generator) -> sitk.Image:
    """The same voxels at the same places, stored with other axes."""
    return sitk.DICOMOrient(image, str(rng.choice(STORAGES)))


CHANGES: dict[str, Callable[[sitk.Image, np.random.Generator], sitk.Image]] = {
    "turned 3–8°": turned,
    "shifted by half voxels": shifted,
    "noise 3 %": noisy,
    "bias field ± 20 %": biased,
    "stored with other axes": restored,
}


def _like(array: np.ndarray, image: sitk.Image) -> sitk.Image:
    result = sitk.GetImageFromArray(array.astype(np.float32))
    result.CopyInformation(image)
    return result


def volumes(image: sitk.Image, model, threads: int) -> dict[str, float]:
    """side -> mm³ of the whole pipeline's result."""
    return segment(image, model=model, device="cpu", threads=threads).measurements.whole


def measure(scans, model, threads: int) -> dict[str, list[tuple[str, str, float]]]:
    """Kind of change -> (head, side, change of the volume in %); NaN for a side that was lost or gained."""
    rows: dict[str, list[tuple[str, str, float]]] = {kind: [] for kind in CHANGES}
    for number, scan in enumerate(scans):
        image = scan.read()
        before = volumes(image, model, threads)
        for place, (kind, change) in enumerate(CHANGES.items()):
            after = volumes(change(image, np.random.default_rng((number, place))), model, threads)
            for side in SIDES:
                if side in before or side in after:
                    both = side in before and side in after
                    value = 100 * (after[side] / before[side] - 1) if both else float("nan")
                    rows[kind].append((scan.name, side, value))
    return rows


def table(rows: dict[str, list[tuple[str, str, float]]]) -> list[str]:
    """Lines of Markdown, a row per kind of change."""
    heads = {head for found in rows.values() for head, _, _ in found}
    lines = [
        f"Heads: {len(heads)}. Change of a side's volume against the unchanged scan, without its sign, in %:",
        "",
        "| the head is | sides | lost | median | 95 % | worst | whose | mean, signed | goal |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, found in rows.items():
        values = np.array([value for *_, value in found])
        lost = int(np.isnan(values).sum())
        sound = values[~np.isnan(values)]
        size = np.abs(sound)
        head, side, _ = max((row for row in found if not np.isnan(row[2])), key=lambda row: abs(row[2]))
        if kind == "stored with other axes":
            met = "met" if size.max() <= ROUNDING and not lost else "missed"
            goal = f"worst ≤ {ROUNDING:g}: {met}"
        else:
            goal = f"median ≤ {GOAL:g}: {'met' if np.median(size) <= GOAL else 'missed'}"
        lines.append(
            f"| {kind} | {len(values)} | {lost} | {np.median(size):.2f} | {np.percentile(size, 95):.2f} "
            f"| {size.max():.2f} | {head}, {side} | {sound.mean():+.2f} | {goal} |"
        )
    return lines


def main() -> None:
    args = arguments(__doc__).parse_args()
    data = data_folder()
    scans = unlabelled_scans(data) + labelled_scans(data)
    notes = [
        "",
        "Turned and shifted heads are resampled once, by cubic B-spline interpolation on their own grid,",
        "which blurs a little itself. Noise is Rician, its sigma 3 % of the tissue's 99th percentile; the",
        "bias field is smooth, between 1/1.2 and 1.2. One draw per head and kind, seeds fixed. A side that",
        "was found only before or only after is lost: counted, and left out of the percentages.",
    ]
    report(
        "repeatability",
        args,
        "The same head again",
        lambda model: table(measure(each(scans, args.heads), model, args.threads)) + notes,
    )


if __name__ == "__main__":
    main()
