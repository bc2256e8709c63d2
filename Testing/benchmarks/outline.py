"""What a second teacher brings: networks on held-out crops of both protocols and on heads that only test.

    HIPPOSEG_DATA=... python Testing/benchmarks/outline.py NAME=MODEL ... --held MODEL [--compare A:B ...]
        [--write NAME]
    HIPPOSEG_DATA=... python Testing/benchmarks/outline.py NAME=MODEL ... [--confirm] [--write NAME]

NAME=MODEL is a segmenter's folder, NAME=MODEL+MODEL the mean of two. Held out are the cases that the card of
--held names (`training.outline --fold`); no other network given may have learned from them. Without it, what
only tests is measured. Crops of MSD are read by MSD's protocol, the others by the full one; a network with
MSD's classes alone has but one reading. Regions lie about the label's centre: localisation is measured
elsewhere. The labels of the second teacher and of the heads are hippodeep's output: nearness to them is
agreement, not accuracy. --confirm measures the manual labels, which choose nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from real_heads import MANUAL, SAMPLE_HEADS  # noqa: E402
from scipy import ndimage  # noqa: E402
from scipy.stats import wilcoxon  # noqa: E402
from tables import write_keeping_words  # noqa: E402

from HippoSegLib.evaluation.metrics import compare  # noqa: E402
from HippoSegLib.models.store import load_model  # noqa: E402
from HippoSegLib.preprocessing.chain import channels  # noqa: E402
from HippoSegLib.training.cases import Case, fit, load_cases  # noqa: E402
from HippoSegLib.training.data_splits import (  # noqa: E402
    CROPS,
    LABELLED_HEADS,
    TEST_LABEL_MAPS,
    TEST_REAL_HEADS,
    UNLABELLED_HEADS,
)
from HippoSegLib.training.evaluation import predict, write_rows  # noqa: E402
from HippoSegLib.training.labelmaps import synthesised_cases  # noqa: E402
from HippoSegLib.training.protocols import MSD  # noqa: E402
from HippoSegLib.training.teachers import labelled_case, second_teacher, weak_heads  # noqa: E402

#: A surface voxel further than this from the other mask is missed, mm.
MISSED_MM = 2.0
METRICS = ("dice", "anterior", "posterior", "hd95_mm", "assd_mm", "missed", "missed_tail", "volume_ratio")


class Reader:
    """A segmenter with its preprocessing, from a model's folder or one of a training."""

    def __init__(self, folder: Path):
        model = load_model(folder)
        self.card, self.network = model.card.segmenter, model.module()
        self.preprocessing, self.shape = self.card.preprocessing, self.card.roi_size

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Class probabilities (4, z, y, x) in the region; the last is 0 where the network lacks it."""
        found = predict(self.network, channels(fit(image, self.shape), self.preprocessing))
        return np.concatenate((found, np.zeros_like(found[:1])))[:4]


def read(readers: Sequence[Reader], case: Case) -> np.ndarray:
    """Labels of a case in its own shape, by its protocol, from the mean of the readers' probabilities."""
    mean = np.mean([reader(case.image) for reader in readers], axis=0)
    return fit(case.protocol.read(mean), case.label.shape)


def score(found: np.ndarray, case: Case) -> dict[str, float]:
    """All of `METRICS`: voxels are 1 mm, shares in percent; NaN for parts where the label has none."""
    mask, truth = found > 0, case.label > 0
    values = compare(mask, truth, (1, 1, 1))
    row = {name: values[name] for name in ("dice", "hd95_mm", "assd_mm")}
    parts = case.protocol is MSD
    for number, name in ((1, "anterior"), (2, "posterior")):
        pair = found == number, case.label == number
        row[name] = compare(*pair, (1, 1, 1))["dice"] if parts else float("nan")
    surface = truth & ~ndimage.binary_erosion(truth)
    far = ndimage.distance_transform_edt(~mask) > MISSED_MM
    y = np.indices(truth.shape)[1]
    front, back = y[truth].max(), y[truth].min()
    tail = surface & (y < back + 0.2 * (front - back + 1))
    row["missed"] = 100 * float((surface & far).sum() / surface.sum())
    row["missed_tail"] = 100 * float((tail & far).sum() / max(tail.sum(), 1))
    row["volume_ratio"] = float(mask.sum() / truth.sum())
    return {name: row[name] for name in METRICS}


def labelled_heads(data: Path) -> list[Case]:
    """Both sides of the heads with manual labels, which only ever confirm."""
    cases = []
    for path in sorted((data / LABELLED_HEADS).glob("*_SS.nii.gz")):
        image = sitk.ReadImage(str(path), sitk.sitkFloat32)
        labels = sitk.ReadImage(str(path).replace("_SS", "_glm"), sitk.sitkInt32)
        name = path.name.split("_")[0]
        cases += [labelled_case(f"{name}_{side}", image, labels == MANUAL[side], side) for side in MANUAL]
    return cases


def sample_heads(data: Path) -> list[Case]:
    """Both sides of the heads of scanners that no training has seen, with hippodeep's labels."""
    cases = []
    for name in SAMPLE_HEADS:
        image = sitk.ReadImage(str(data / "sample_heads" / f"{name}.nii.gz"), sitk.sitkFloat32)
        for side in MANUAL:
            weak = sitk.ReadImage(str(data / UNLABELLED_HEADS / "weak_labels" / f"{name}_{side}.nii.gz"))
            cases.append(labelled_case(f"{name}_{side}", image, weak, side))
    return cases


def groups(data: Path, held: set[str], confirm: bool) -> dict[str, list[Case]]:
    """What is measured: name -> cases.

    Raises:
        ValueError: A held-out case is not there.
    """
    if confirm:
        return {"labelled heads": labelled_heads(data)}
    heads = {
        "test heads": weak_heads(data, TEST_REAL_HEADS),
        "other scanners": sample_heads(data),
        "label maps": synthesised_cases(data, TEST_LABEL_MAPS),
    }
    if not held:
        return heads
    crops = [case for case in load_cases(data / CROPS) if case.name in held]
    taught = [case for case in second_teacher(data) if case.name in held]
    if len(crops) + len(taught) != len(held):
        raise ValueError("The data folder lacks cases that were held out.")
    return {"MSD": crops, "second teacher": taught, **heads}


def measured(named: dict[str, list[Reader]], cases: dict[str, list[Case]]) -> list[dict]:
    """A row per network and case."""
    return [
        {
            **{"network": name, "group": group, "case": case.name, "subject": case.subject},
            **score(read(readers, case), case),
        }
        for name, readers in named.items()
        for group, some in cases.items()
        for case in some
    ]


def table(rows: Sequence[dict]) -> str:
    """A line per network and group: means, and the lowest Dice."""
    lines = [
        "| measured on | network | cases | Dice (lowest) | anterior | posterior | HD95 mm | ASSD mm | "
        "surface missed % | tail missed % | volume ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for group in dict.fromkeys(row["group"] for row in rows):
        for network in dict.fromkeys(row["network"] for row in rows):
            some = [row for row in rows if (row["group"], row["network"]) == (group, network)]
            mean = {name: float(np.mean([row[name] for row in some])) for name in METRICS}
            part = [f"{mean[k]:.4f}" if mean[k] == mean[k] else "" for k in ("anterior", "posterior")]
            lowest = min(row["dice"] for row in some)
            lines.append(
                f"| {group} | {network} | {len(some)} | {mean['dice']:.4f} ({lowest:.3f}) | "
                f"{' | '.join(part)} | {mean['hd95_mm']:.2f} | {mean['assd_mm']:.3f} | "
                f"{mean['missed']:.1f} | {mean['missed_tail']:.1f} | {mean['volume_ratio']:.3f} |"
            )
    return "\n".join(lines)


def _mean_of(rows: Sequence[dict], metric: str, network: str, subject: str) -> float:
    own = [row[metric] for row in rows if (row["network"], row["subject"]) == (network, subject)]
    return float(np.mean(own))


def comparison(rows: Sequence[dict], networks: tuple[str, str]) -> str:
    """Mean differences between two networks, by subject, with Wilcoxon's signed-rank test."""
    lines = [
        f"| {networks[1]} against {networks[0]} | subjects | Dice | p | HD95 mm | p |",
        "|---|---|---|---|---|---|",
    ]
    for group in dict.fromkeys(row["group"] for row in rows):
        some = [row for row in rows if row["group"] == group]
        subjects = sorted({row["subject"] for row in some})
        cells = []
        for metric, digits in (("dice", 4), ("hd95_mm", 2)):
            first, second = (
                np.array([_mean_of(some, metric, network, subject) for subject in subjects])
                for network in networks
            )
            change = second - first
            p = wilcoxon(change).pvalue if change.any() else 1.0
            cells += [f"{change.mean():+.{digits}f}", f"{p:.3f}"]
        lines.append(f"| {group} | {len(subjects)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL[+MODEL]")
    parser.add_argument("--held", type=Path, help="model folder whose card names the held-out cases")
    parser.add_argument("--confirm", action="store_true", help="measure the manual labels instead")
    parser.add_argument(
        "--compare", nargs="+", default=[], metavar="A:B", help="networks whose results are tested in pairs"
    )
    parser.add_argument("--write", metavar="NAME", help="write NAME.csv and NAME.md beside this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    named = {}
    for word in args.models:
        name, _, folders = word.partition("=")
        named[name] = [Reader(Path(folder)) for folder in folders.split("+")]
    held: set[str] = set()
    if args.held is not None:
        held = set(Reader(args.held).card.training.validation_cases)
        for name, readers in named.items():
            learned = {c for r in readers for c in r.card.training.all_train_cases} & held
            if learned:
                print(f"{name} learned from {len(learned)} of the held-out cases", file=sys.stderr)
    rows = measured(named, groups(Path(os.environ["HIPPOSEG_DATA"]), held, args.confirm))
    pairs = [tuple(word.split(":", 1)) for word in args.compare]
    text = "\n\n".join([table(rows), *(comparison(rows, pair) for pair in pairs)])
    print(text)
    if args.write:
        write_rows(rows, HERE / f"{args.write}.csv")
        commands = [f"- {n}: `{r.card.training.command}`" for n, rs in named.items() for r in rs]
        head = [
            "# The outline by two protocols",
            "",
            f"Printed by `python Testing/benchmarks/{Path(__file__).name}`.",
        ]
        write_keeping_words(HERE / f"{args.write}.md", "\n".join([*head, "", *commands, "", text, ""]))


if __name__ == "__main__":
    main()
