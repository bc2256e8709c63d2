"""How our volumes relate to those of others: hippodeep's, and manual ones by another protocol.

    HIPPOSEG_DATA=... python Testing/benchmarks/volumes.py [--model NAME] [--heads N] [--write]

The whole pipeline, by both protocols, on the heads that only test: those with hippodeep's output as weak
labels, and those with manual labels, for which hippodeep's volumes are known too. A ratio is the geometric
mean over the sides; the interval holds 95 % of what resampled heads give. No ratio says who is right.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from real_heads import MANUAL, SAMPLE_HEADS
from testscans import arguments, data_folder, each, labelled_scans, report, unlabelled_scans

from HippoSegLib.labels import SIDES
from HippoSegLib.models.protocols import PROTOCOLS
from HippoSegLib.models.store import Model
from HippoSegLib.pipeline import segment
from HippoSegLib.training.data_splits import LABELLED_HEADS, UNLABELLED_HEADS, weak_name

RESAMPLINGS = 2000


@dataclass(frozen=True)
class Sides:
    """Volumes in mm³ of one head: name of the measurer -> (left, right)."""

    group: str
    volumes: dict[str, tuple[float, float]]


def ours(image: sitk.Image, model: Model, threads: int) -> dict[str, tuple[float, float]]:
    """By each protocol, with both readers."""
    found = {}
    for protocol in PROTOCOLS:
        result = segment(image, model=model, protocol=protocol, device="cpu", threads=threads)
        left, right = (result.measurements.whole[side] for side in SIDES)
        found[f"HippoSeg, {protocol}"] = (left, right)
    return found


def labelled(path: Path, value: int | None = None) -> float:
    """Volume in mm³ of a label, or of a weak label over half of its maximum."""
    image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    array = sitk.GetArrayViewFromImage(image)
    mask = array > 0.5 * array.max() if value is None else array == value
    return float(np.count_nonzero(mask) * np.prod(image.GetSpacing()))


def weak_stems(data: Path) -> dict[str, Path]:
    """Name of a head, as `testscans` calls it -> stem of its weak labels."""
    folder = data / UNLABELLED_HEADS / "weak_labels"
    stems = {name: folder / name for name in SAMPLE_HEADS}
    for scan in unlabelled_scans(data):
        dataset, _, subject = scan.name.partition(" ")
        if subject.startswith("sub-"):
            stems[scan.name] = folder / f"{weak_name(dataset, subject)}_T1w"
    return stems


def peers(data: Path) -> dict[str, tuple[float, float]]:
    """hippodeep's volumes of the heads with manual labels, by subject."""
    with open(data / LABELLED_HEADS / "peer_hippodeep.csv", encoding="utf-8", newline="") as file:
        return {
            row["subject"]: (float(row["peer_left_mm3"]), float(row["peer_right_mm3"]))
            for row in csv.DictReader(file)
        }


def measured(data: Path, model: Model, threads: int, heads: int | None) -> list[Sides]:
    """Every head that only tests and whose hippocampi somebody else has measured."""
    found, stems, known = [], weak_stems(data), peers(data)
    for scan in each([s for s in unlabelled_scans(data) if s.name in stems], heads):
        left, right = (labelled(Path(f"{stems[scan.name]}_{side}.nii.gz")) for side in SIDES)
        volumes = ours(scan.read(), model, threads) | {"hippodeep": (left, right)}
        found.append(Sides("heads with weak labels", volumes))
    for scan in each(labelled_scans(data), heads):
        assert scan.labels is not None
        left, right = (labelled(scan.labels, MANUAL[side]) for side in SIDES)
        volumes = ours(scan.read(), model, threads)
        volumes |= {"hippodeep": known[scan.name], "manual": (left, right)}
        found.append(Sides("heads with manual labels", volumes))
    return found


def ratio(heads: list[Sides], of: str, to: str) -> tuple[float, float, float, float]:
    """Geometric mean of the ratio over heads and sides, its interval, and the correlation of the volumes."""
    a, b = (np.array([head.volumes[name] for head in heads]) for name in (of, to))
    logs = np.log(a / b).mean(axis=1)
    rng = np.random.default_rng(0)
    means = logs[rng.integers(0, len(logs), (RESAMPLINGS, len(logs)))].mean(axis=1)
    low, high = np.exp(np.percentile(means, (2.5, 97.5)))
    r = float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if a.size > 2 else float("nan")
    return float(np.exp(logs.mean())), float(low), float(high), r


def table(heads: list[Sides]) -> list[str]:
    """Lines of Markdown, a row per pair of measurers."""
    lines = ["| heads | sides | volume of | against | ratio | 95 % | r |", "|---|---|---|---|---|---|---|"]
    for group in dict.fromkeys(head.group for head in heads):
        some = [head for head in heads if head.group == group]
        names = list(some[0].volumes)
        for k, to in enumerate(names):
            for of in names[:k] if k >= len(PROTOCOLS) else ():
                mean, low, high, r = ratio(some, of, to)
                words = [group, 2 * len(some), of, to, f"{mean:.2f}", f"{low:.2f} to {high:.2f}", f"{r:.2f}"]
                lines.append(f"| {' | '.join(map(str, words))} |")
    return lines


def main() -> None:
    args = arguments(__doc__).parse_args()
    report(
        "volumes",
        args,
        "Volumes against those of others",
        lambda model: table(measured(data_folder(), model, args.threads, args.heads)),
    )


if __name__ == "__main__":
    main()
