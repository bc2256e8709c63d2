"""What fine-tuning brings at an imitated site: the base model is one cross-validation fold's, the site its
held-out cases, at another resolution, contrast, noise and bias, and labelled without the tail.

    python Testing/benchmarks/site_imitation.py FOLD_MODEL DATA -o OUT [--write]

FOLD_MODEL is what ``hipposeg train DATA -o FOLD_MODEL --folds 5 --fold 0`` wrote, DATA the folder with
images/ and labels/. A dozen of the held-out cases train, the others only test, imitated and original.
Variants: appearance and protocol together, each alone, labels shuffled between the training cases, and
labels of the whole alone. A killed command, given again, goes on. Results: ``OUT/site_imitation.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import SimpleITK as sitk
from tables import write_keeping_words

from HippoSegLib.finetuning.case_table import table_text
from HippoSegLib.finetuning.comparison import SiteEvaluator, compare_models
from HippoSegLib.finetuning.plan import region_of
from HippoSegLib.finetuning.prepare import prepare
from HippoSegLib.finetuning.run import fine_tune
from HippoSegLib.finetuning.run_options import RunOptions
from HippoSegLib.finetuning.settings import FineTuneSettings
from HippoSegLib.finetuning.site import Site
from HippoSegLib.io.owned_folders import claim
from HippoSegLib.models.store import Model, load_model
from HippoSegLib.training.cases import load_cases, subject_of

RESULTS = "site_imitation.json"
#: The site's voxels (x, y, z) in mm, its contrast, and noise as a part of the image's range.
SPACING, GAMMA, NOISE, BIAS = (1.2, 2.4, 1.2), 0.45, 0.06, 0.35
#: The site's protocol leaves out so much of the hippocampus's length at its posterior end.
TAIL = 0.3
VARIANTS = {
    "both": ("appearance", "protocol"),
    "appearance": ("appearance",),
    "protocol": ("protocol",),
    "shuffled": ("appearance", "protocol", "shuffled"),
    "whole_only": ("appearance", "protocol", "whole_only"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path, help="folder with segmenter.pt and card.json of one fold")
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--train", type=int, default=12, help="training cases (default 12)")
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON of settings to change")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--write", action="store_true", help="save the report beside this file")
    args = parser.parse_args()
    claim(args.output, "folder of imitated sites", lambda folder: (folder / RESULTS).is_file())
    base = load_model(args.model)
    names = base.card.segmenter.training.validation_cases
    train, test = divide(names, args.train)
    results_file = args.output / RESULTS
    results = json.loads(results_file.read_text()) if results_file.exists() else {}
    for variant in args.variants:
        if variant in results:
            continue
        results[variant] = one_variant(variant, base, args, train, test)
        results_file.write_text(json.dumps(results, indent=1))
    text = report(results, base, train, test)
    print(text)
    if args.write:
        write_keeping_words(Path(__file__).with_suffix(".md"), text)


def divide(names: Sequence[str], count: int) -> tuple[list[str], list[str]]:
    """About ``count`` training cases and the rest, by subject, in an order drawn once."""
    subjects = sorted({subject_of(name) for name in names})
    chosen: list[str] = []
    for k in np.random.default_rng(0).permutation(len(subjects)):
        if len(chosen) >= count:
            break
        chosen += [name for name in names if subject_of(name) == subjects[k]]
    return sorted(chosen[:count]), sorted(
        n for n in names if subject_of(n) not in {subject_of(c) for c in chosen}
    )


def one_variant(variant: str, base: Model, args, train: list[str], test: list[str]) -> dict:
    """Make the site, fine-tune, test; returns plain figures."""
    what, folder = VARIANTS[variant], args.output / variant
    for part, names in (("train", train), ("test", test)):
        write_site(args.data, folder / part, names, what, shuffle=part == "train" and "shuffled" in what)
    settings = FineTuneSettings(**args.settings)
    print(f"--- {variant}: {len(train)} training cases, {len(test)} test cases", flush=True)
    warnings: list[str] = []

    def tell(checked) -> None:
        warnings.extend(checked.warnings)
        print(table_text(checked.cases), *checked.warnings, sep="\n", flush=True)

    started = time.monotonic()
    model = folder / "model"
    if model.exists():
        shutil.rmtree(model)  # its figures were not written yet
    tested = Site(folder / "test", label_map="msd", region=True, side="left")
    result = fine_tune(
        replace(
            tested,
            cases=folder / "train",
            label_map="whole=1" if "whole_only" in what else "msd",
            anyway=True,
        ),
        model,
        base=base,
        settings=settings,
        original=[case for case in load_cases(args.data) if case.name in set(test)],
        run=RunOptions(
            threads=args.threads,
            checked=tell,
            progress=lambda words, fraction: print(f"[{100 * fraction:5.1f} %] {words}", flush=True),
        ),
    )
    seconds = time.monotonic() - started
    new = load_model(model)
    cases = prepare(tested, base)
    evaluate = SiteEvaluator([case.crop for case in cases], *region_of(base))
    comparison = compare_models(evaluate(base.module()), evaluate(new.module()))
    return {
        "test": comparison,
        "original": result.original,
        "reported": result.comparison,
        "default": result.is_default,
        "warnings": warnings,
        "epochs": result.epochs,
        "seconds": round(seconds),
        "settings": settings.to_dict(),
        "base_epochs": base.card.segmenter.training.epochs_done,
        "peak_memory_mb": peak_memory(),
    }


def peak_memory() -> int | None:
    """Largest memory of this process so far, MB."""
    try:
        import resource
    except ImportError:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def write_site(data: Path, folder: Path, names: list[str], what: tuple[str, ...], shuffle: bool) -> None:
    """Write the imitated cases as images/ and labels/."""
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("images", "labels"):
        os.makedirs(folder / kind)
    # Each label moves on by so many cases that it meets another subject's scan.
    order = names[2:] + names[:2] if shuffle else names
    for name, other in zip(names, order, strict=True):
        image = sitk.ReadImage(str(data / "images" / f"{name}.nii.gz"), sitk.sitkFloat32)
        label = sitk.ReadImage(str(data / "labels" / f"{other}.nii.gz"), sitk.sitkUInt8)
        array = sitk.GetArrayFromImage(label)
        if "protocol" in what:
            array = without_tail(array)
        if "whole_only" in what and folder.name == "train":
            array = (array > 0).astype(np.uint8)
        if other != name:
            array = moved_onto(
                array, sitk.GetArrayFromImage(sitk.ReadImage(str(data / "labels" / f"{name}.nii.gz")))
            )
        result = sitk.GetImageFromArray(array)
        result.CopyInformation(image)
        if "appearance" in what:
            image = other_scanner(image, np.random.default_rng(int(name[-3:])))
        sitk.WriteImage(image, str(folder / "images" / f"{name}.nii.gz"))
        sitk.WriteImage(result, str(folder / "labels" / f"{name}.nii.gz"))


def without_tail(label: np.ndarray) -> np.ndarray:
    """The label (z, y, x) without the posterior ``TAIL`` of its length along y."""
    rows = np.flatnonzero(label.any(axis=(0, 2)))
    cut = rows[0] + round(TAIL * (rows[-1] + 1 - rows[0]))
    result = label.copy()
    result[:, :cut] = 0
    return result


def moved_onto(label: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Another case's label on this case's grid, its centre where this case's label has its own."""
    points = np.argwhere(label)
    shift = np.round(np.argwhere(target).mean(axis=0) - points.mean(axis=0)).astype(int)
    moved = points + shift
    inside = ((moved >= 0) & (moved < target.shape)).all(axis=1)
    result = np.zeros(target.shape, np.uint8)
    result[tuple(moved[inside].T)] = label[tuple(points[inside].T)]
    return result


def other_scanner(image: sitk.Image, rng: np.random.Generator) -> sitk.Image:
    """The crop as another scanner shows it: thicker voxels, contrast, smooth bias, Rician noise; int16."""
    array = sitk.GetArrayFromImage(image)
    low, high = np.percentile(array, (0.5, 99.5))
    array = np.clip((array - low) / max(high - low, 1e-6), 0, 1.2)
    array = array ** (GAMMA * np.exp(rng.normal(0, 0.08)))
    z, y, x = (np.linspace(-1, 1, n) for n in array.shape)
    a, b, c = rng.normal(0, BIAS, 3)
    array = array * np.exp(a * z[:, None, None] + b * y[None, :, None] + c * x[None, None, :])
    picture = sitk.GetImageFromArray(array.astype(np.float32))
    picture.CopyInformation(image)
    size = np.array(image.GetSize())
    wanted = np.maximum(np.floor(size * np.array(image.GetSpacing()) / SPACING), 8).astype(int)
    # The thick voxel is an average over its extent, not a sample at its middle.
    sigma = np.sqrt(np.maximum(np.array(SPACING) ** 2 - 1, 0)) / 2.355
    smooth = sitk.SmoothingRecursiveGaussian(picture, np.maximum(sigma, 0.05).tolist())
    grid = sitk.Image(wanted.tolist(), sitk.sitkFloat32)
    grid.SetSpacing(SPACING)
    grid.SetDirection(image.GetDirection())
    middle = np.array(image.TransformContinuousIndexToPhysicalPoint(((size - 1) / 2).tolist()))
    offset = np.reshape(image.GetDirection(), (3, 3)) @ ((wanted - 1) / 2 * SPACING)
    grid.SetOrigin((middle - offset).tolist())
    coarse = sitk.GetArrayFromImage(sitk.Resample(smooth, grid, sitk.Transform(), sitk.sitkLinear, 0.0))
    noise = rng.normal(0, NOISE, (2, *coarse.shape))
    noisy = np.hypot(coarse + noise[0], noise[1])
    result = sitk.GetImageFromArray(np.round(1000 * noisy).astype(np.int16))
    result.CopyInformation(grid)
    return result


def summary(results: dict) -> str:
    """The table that the question asks for, in Markdown, Dice of the whole hippocampus."""
    lines = [
        "| variant | imitated test cases, before → after (p) | their anterior; posterior part | "
        "original cases, before → after | what the command reports of its training cases | s |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        test, reported = one["test"], one["reported"]
        verdict = "better" if reported["better"] else "not better"
        if one["warnings"]:
            verdict = "not to be trusted"
        parts = "; ".join(_change(test[part]) for part in ("anterior", "posterior"))
        lines.append(
            f"| {name.replace('_', ' ')} | {_change(test['whole'])}, {test['gain']:+.3f} ({_chance(test)}) | "
            f"{parts} | {_change(one['original']['whole'])} | {verdict}, {_change(reported['whole'])} "
            f"({_chance(reported)}) | {one['seconds']} |"
        )
    return "\n".join(lines)


def _change(figures: dict) -> str:
    return f"{figures['before']:.3f} → {figures['after']:.3f}"


def _chance(comparison: dict) -> str:
    return "p < 0.001" if comparison["chance"] < 0.001 else f"p = {comparison['chance']:.3f}"


def report(results: dict, base: Model, train: list[str], test: list[str]) -> str:
    """Base, site and table, in Markdown."""
    training = base.card.segmenter.training
    memory = max((one["peak_memory_mb"] or 0 for one in results.values()), default=0)
    subjects = len({subject_of(name) for name in train})
    return f"""# Fine-tuning at an imitated site: figures

    python Testing/benchmarks/site_imitation.py FOLD_MODEL msd_hippocampus -o OUT --write

Base: `{training.command}`.
Site: crops that the base held out; {len(train)} of them ({subjects} subjects)
train, {len(test)} of other subjects only test. One seed, default settings, crops, not whole heads.

Appearance: voxels of {" × ".join(f"{v:g}" for v in SPACING)} mm, gamma about {GAMMA:g}, Rician noise of
{100 * NOISE:g} %, bias. Protocol: without the posterior {100 * TAIL:g} % of the length. Both together, each
alone, both with labels shuffled between the training cases, both with labels of the whole alone.

{summary(results)}

Largest memory of the process: {memory} MB.
"""


if __name__ == "__main__":
    main()
