"""What fine-tuning brings at a real site: five of the labelled heads train, the other five only test.

    HIPPOSEG_DATA=... python Testing/benchmarks/site_heads.py [--ways 1 2] [--cases 3 5 10] [--settings JSON]
        [--threads N] [--write]

Way 1 learns from the first five heads in the order of their names and is judged by the others, way 2 the
reverse; `--cases` takes so many sides of the five only (a curve of how few are worth it; of three heads at
least, as the command cross-validates). The command is
`hipposeg finetune`'s own, its settings the defaults unless --settings changes them. The labels are for
measuring: the weights are deleted at the end, and nothing is chosen by the figures. The unseen heads go
through the whole pipeline (the model's reader alone, as a fine-tuned one reads) and are compared on their own
grid.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import SimpleITK as sitk
from real_heads import MANUAL
from tables import write_keeping_words
from testscans import data_folder

from HippoSegLib.evaluation.metrics import compare
from HippoSegLib.finetuning import check
from HippoSegLib.finetuning.run import fine_tune
from HippoSegLib.finetuning.run_options import RunOptions
from HippoSegLib.finetuning.settings import FineTuneSettings
from HippoSegLib.finetuning.site import Site
from HippoSegLib.finetuning.sources import SiteSource
from HippoSegLib.io.images import read_scan
from HippoSegLib.labels import WHOLE
from HippoSegLib.models.store import Model, load_model
from HippoSegLib.pipeline import segment
from HippoSegLib.training.data_splits import LABELLED_HEADS

#: The command wants six subjects, as fewer cannot show a gain: here the unseen heads show it.
FEWEST = 3
METRICS = ("dice", "hd95_mm", "assd_mm", "ratio")


def halves(names: Sequence[str]) -> dict[int, tuple[list[str], list[str]]]:
    """Way -> (names of the site's heads, names of the unseen ones)."""
    names = sorted(names)
    first, second = names[: len(names) // 2], names[len(names) // 2 :]
    return {1: (first, second), 2: (second, first)}


def chosen_sides(names: Sequence[str], sides: int | None) -> dict[str, tuple[str, ...]]:
    """Head -> the sides that train: all, or so many of as few heads as may be, but of three at least."""
    heads = names if sides is None else names[: max(FEWEST, (sides + 1) // 2)]
    pairs = [(name, side) for side in MANUAL for name in heads][:sides]
    return {name: tuple(s for n, s in pairs if n == name) for name in dict(pairs)}


def site_of(folder: Path, names: Sequence[str], sides: int | None, place: Path) -> Site:
    """The site, its labels written into `place` with the chosen sides alone."""
    sources = []
    for name, kept in chosen_sides(names, sides).items():
        labels = sitk.ReadImage(str(folder / f"{name}_glm.nii.gz"), sitk.sitkInt32)
        one = sum(sitk.Cast(labels == MANUAL[side], sitk.sitkUInt8) * WHOLE[side] for side in kept)
        path = place / f"{name}.nii.gz"
        sitk.WriteImage(one, str(path))
        sources.append(SiteSource(name, name, folder / f"{name}_SS.nii.gz", path))
    return Site(sources, label_map=",".join(f"{side}={value}" for side, value in WHOLE.items()))


def scores(folder: Path, names: Sequence[str], model: Model, threads: int | None) -> list[dict[str, float]]:
    """`METRICS` of each side of the heads."""
    rows = []
    for name in names:
        found = segment(
            read_scan(folder / f"{name}_SS.nii.gz"), model=model, second_reader=False, threads=threads
        )
        labels = sitk.ReadImage(str(folder / f"{name}_glm.nii.gz"), sitk.sitkInt32)
        truth, mine = sitk.GetArrayViewFromImage(labels), sitk.GetArrayViewFromImage(found.labels)
        for side, value in MANUAL.items():
            pair = mine == WHOLE[side], truth == value
            values = compare(*pair, labels.GetSpacing()[::-1])
            rows.append({k: values[k] for k in METRICS[:3]} | {"ratio": pair[0].sum() / pair[1].sum()})
    return rows


def one_way(folder: Path, way: int, sides: int | None, args) -> dict:
    """Fine-tune on five heads, judge by the other five; the weights go with the temporary folder."""
    names = [path.name.removesuffix("_SS.nii.gz") for path in folder.glob("*_SS.nii.gz")]
    train, unseen = halves(names)[way]
    base = load_model(args.model)
    before = scores(folder, unseen, base, args.threads)
    with tempfile.TemporaryDirectory() as place:
        started = time.monotonic()
        result = fine_tune(
            site_of(folder, train, sides, Path(place)),
            Path(place) / "model",
            base=base,
            settings=FineTuneSettings(**args.settings),
            make_default=False,
            run=RunOptions(
                threads=args.threads,
                progress=lambda words, fraction: print(f"[{100 * fraction:5.1f} %] {words}", file=sys.stderr),
            ),
        )
        seconds = time.monotonic() - started
        after = scores(folder, unseen, load_model(Path(place) / "model"), args.threads)
    return {
        "way": way,
        "sides": sum(map(len, chosen_sides(train, sides).values())),
        "before": before,
        "after": after,
        "reported": result.comparison["whole"],
        "epochs": result.epochs,
        "seconds": seconds,
    }


def table(results: Sequence[dict]) -> str:
    """A line per number of sides and way."""
    lines = [
        "| sides that train | way | unseen sides | Dice (lowest), before → after | HD95 mm | ASSD mm | "
        "volume ratio | the report's own cross-validation | epochs | s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        pair = [{k: np.array([row[k] for row in one[w]]) for k in METRICS} for w in ("before", "after")]
        dice = " → ".join(f"{p['dice'].mean():.3f} ({p['dice'].min():.3f})" for p in pair)
        rest = [" → ".join(f"{p[k].mean():.2f}" for p in pair) for k in METRICS[1:]]
        lines.append(
            f"| {one['sides']} | {one['way']} | {len(one['after'])} | {dice} | {' | '.join(rest)} | "
            f"{one['reported']['before']:.3f} → {one['reported']['after']:.3f} | {one['epochs']} | "
            f"{one['seconds']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="hipposeg")
    parser.add_argument("--ways", nargs="+", type=int, choices=(1, 2), default=[1, 2])
    parser.add_argument("--cases", nargs="+", type=int, default=[10], help="sides that train, at most")
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON of settings to change")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write site_heads.md beside this file")
    args = parser.parse_args()
    folder = data_folder() / LABELLED_HEADS
    with mock.patch.object(check, "LEAST_SUBJECTS", FEWEST):
        results = [one_way(folder, way, sides, args) for sides in args.cases for way in args.ways]
    text = table(results)
    print(text)
    if args.write:
        settings = f" --settings '{json.dumps(args.settings)}'" if args.settings else ""
        words = (
            f"python Testing/benchmarks/site_heads.py --ways {' '.join(map(str, args.ways))} "
            f"--cases {' '.join(map(str, args.cases))} --threads {args.threads}{settings}"
        )
        head = ["# Fine-tuning at a real site", "", f"Printed by `{words}`.", ""]
        write_keeping_words(Path(__file__).with_suffix(".md"), "\n".join([*head, text, ""]))


if __name__ == "__main__":
    main()
