"""Which of the two models ships as default: their cross-validations, and the heads of other scanners.

    HIPPOSEG_DATA=... python Testing/benchmarks/two_models.py [--write]

The plain image alone, and the method's CLAHE + SCE-3DWT as a second channel beside it. The crops' figures
are those that ``cross_validation.py`` saved of either: folds of one division, trained by one recipe. Heads
that may only test go the whole street with either model as it ships; their labels are a peer's, so that is
agreement, not accuracy. The labelled heads are left alone, as this chooses. ``--write`` puts the table
beside this file, and keeps what is written by hand below it.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import ablation  # first: it sets the threads before numpy and torch load
import numpy as np
import SimpleITK as sitk
from ablation_table import holm, paired
from cross_validation import Fold, saved
from tables import HERE, folder_of, write_keeping_words

from HippoSegLib.evaluation.metrics import dice
from HippoSegLib.io.images import read_image
from HippoSegLib.labels import SIDES, WHOLE
from HippoSegLib.pipeline import segment
from HippoSegLib.training.cases import subject_of
from HippoSegLib.training.roles import UNLABELLED_HEADS

PLAIN, BOTH = "hipposeg", "hipposeg_clahe_sce"
#: Structure and metric that are compared, what they are called, and digits.
COMPARED = (
    ("left", "dice", "Dice whole", 4),
    ("left-anterior", "dice", "Dice anterior", 4),
    ("left-posterior", "dice", "Dice posterior", 4),
    ("left", "hd95_mm", "HD95 whole, mm", 3),
)


def by_subject(folds: Sequence[Fold], structure: str, metric: str) -> dict[str, float]:
    """Subject -> mean over its sides."""
    values = defaultdict(list)
    for fold in folds:
        for row in fold.rows:
            if row.structure == structure and not np.isnan(row.values[metric]):
                values[subject_of(row.case)].append(row.values[metric])
    return {subject: float(np.mean(found)) for subject, found in values.items()}


def check(plain: Sequence[Fold], both: Sequence[Fold]) -> None:
    """Raises ValueError where the folds of the two are not the same cases in as many epochs."""
    for one, other in zip(plain, both, strict=True):
        if one.made_by["cases"] != other.made_by["cases"] or one.epochs != other.epochs:
            raise ValueError(f"Fold {one.number} differs in more than the preprocessing.")


def crops_table(plain: Sequence[Fold], both: Sequence[Fold]) -> list[str]:
    """Means of either, the paired difference, and how many folds agree in its sign."""
    compared = []
    for structure, metric, _, _ in COMPARED:
        values = [by_subject(folds, structure, metric) for folds in (plain, both)]
        signs = []
        for pair in zip(plain, both, strict=True):
            one, other = (by_subject([fold], structure, metric) for fold in pair)
            signs.append(np.sign(np.mean([other[s] - one[s] for s in one])))
        compared.append((values, paired(*values), signs))
    corrected = holm([result["chance"] for _, result, _ in compared])
    lines = [
        f"| | `{PLAIN}` | `{BOTH}` | difference | 95 % interval | p | folds |",
        "|---|---|---|---|---|---|---|",
    ]
    for (_, _, name, digits), (values, result, signs), chance in zip(
        COMPARED, compared, corrected, strict=True
    ):
        means = " | ".join(f"{np.mean(list(one.values())):.{digits}f}" for one in values)
        agree = sum(sign == np.sign(result["difference"]) for sign in signs)
        lines.append(
            f"| {name} | {means} | {result['difference']:+.{digits}f} | {result['low']:+.{digits}f} to "
            f"{result['high']:+.{digits}f} | {chance:.3f} | {agree} of {len(signs)} |"
        )
    return lines


def agreement(data: Path, model: str) -> dict[str, float]:
    """Head and side -> Dice of the whole street's result with the peer's label."""
    found = {}
    for path, label_of in ablation.other_scanner_heads(data / UNLABELLED_HEADS):
        labels = sitk.GetArrayFromImage(segment(read_image(path), model, "cpu", threads=1).labels)
        for side in SIDES:
            peer = sitk.GetArrayFromImage(label_of(side)) > 0
            found[f"{path.parent.name} {path.name} {side}"] = dice(labels == WHOLE[side], peer)
    return found


def heads_table(plain: dict[str, float], both: dict[str, float]) -> list[str]:
    """Either's agreement, and in how many of the sides the plain one agrees better."""
    better = sum(plain[name] > both[name] for name in plain)
    lines = ["| model | Dice | lowest side |", "|---|---|---|"]
    for name, values in ((PLAIN, plain), (BOTH, both)):
        found = list(values.values())
        lines.append(f"| `{name}` | {np.mean(found):.4f} | {min(found):.4f} |")
    return [*lines, "", f"`{PLAIN}` agrees better in {better} of {len(plain)} sides."]


def report(plain: Sequence[Fold], both: Sequence[Fold], heads: Sequence[dict[str, float]]) -> str:
    """All of it in Markdown."""
    epochs = ", ".join(str(fold.epochs) for fold in plain)
    cases = sum(len(fold.made_by["cases"]) for fold in plain)
    return "\n".join(
        [
            "# The two models compared",
            "",
            "    HIPPOSEG_DATA=... python Testing/benchmarks/two_models.py --write",
            "",
            f"`{PLAIN}` sees the plain image, `{BOTH}` the method's CLAHE + SCE-3DWT beside it.",
            "",
            "## Crops, each by the network of a fold that never saw its subject",
            "",
            f"{cases} crops; the folds' networks had {epochs} epochs, equal for both. Subjects count once",
            "(both sides averaged); difference: two channels less plain; p: Wilcoxon signed-rank, two-sided,",
            f"Holm-corrected for {len(COMPARED)} comparisons; folds: how many have the difference's sign.",
            "",
            *crops_table(plain, both),
            "",
            "## Heads of other scanners, whole street, as the models ship",
            "",
            f"{len(heads[0]) // 2} heads that may only test, against a peer's labels (hippodeep): agreement.",
            "",
            *heads_table(*heads),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    plain, both = (saved(folder_of(model)) for model in (PLAIN, BOTH))
    check(plain, both)
    data = Path(os.environ["HIPPOSEG_DATA"])
    text = report(plain, both, [agreement(data, model) for model in (PLAIN, BOTH)])
    print(text)
    if args.write:
        write_keeping_words(HERE / "two_models.md", text)


if __name__ == "__main__":
    main()
