"""The ablation of the method's preprocessing: which of its steps help, on what, with a paired test.

    HIPPOSEG_DATA=... python Testing/benchmarks/ablation.py --run RUN [--write]

Trains a small network for every arm of ``ARMS`` on three folds, each with its own seed, all with one
budget, order of cases and augmentation, and scores it on crops it did not see, on the same degraded,
and on heads of other scanners. RUN keeps one JSON per arm and fold; a killed command, given again,
goes on. ``--write`` puts table and rows (``ablation_table.py``) beside this file, as ``NAME.md`` and
``NAME.csv`` with ``--name NAME``; ``--only-print`` trains nothing. The labelled heads choose nothing:
they are scored, and reported apart.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

# Set before numpy and torch load: the budget is one thread's.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import ablation_table  # noqa: E402
import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
import torch  # noqa: E402

from HippoSegLib.evaluation.metrics import dice, surface_distances  # noqa: E402
from HippoSegLib.geometry.pose import WORLD_RAS  # noqa: E402
from HippoSegLib.geometry.roi import cut, region_about  # noqa: E402
from HippoSegLib.labels import SIDES  # noqa: E402
from HippoSegLib.models.inference import predict  # noqa: E402
from HippoSegLib.models.unet3d import UNet3D  # noqa: E402
from HippoSegLib.preprocessing.chain import Preprocessing, channels, step  # noqa: E402
from HippoSegLib.training import batches  # noqa: E402
from HippoSegLib.training.cases import CLASSES, Case, fit, load_cases, split_by_subject  # noqa: E402
from HippoSegLib.training.hosts import load_hosts  # noqa: E402
from HippoSegLib.training.loop import Loop  # noqa: E402
from HippoSegLib.training.runstate import RunFolder  # noqa: E402
from HippoSegLib.training.settings import REGION_SHAPE, Settings  # noqa: E402
from HippoSegLib.training.trainer import native_bfloat16  # noqa: E402

_PLAIN, _CLAHE = step("min_max"), step("clahe_3d")
_DAMP = step("sce_dwt_3d", wavelet="coif5", levels=2, factor=0.8, threshold=0.1)
_ENHANCE = step("sce_dwt_3d", wavelet="sym4", levels=3, factor=1.5, threshold=0.1)
#: Name -> steps of each channel. The first is what the others are compared with.
ARMS = {
    "none": ((_PLAIN,),),
    "CLAHE": ((_PLAIN, _CLAHE),),
    "SCE": ((_PLAIN, _DAMP),),
    "CLAHE + SCE": ((_PLAIN, _CLAHE, _DAMP),),
    "plain, CLAHE + SCE": ((_PLAIN,), (_PLAIN, _CLAHE, _DAMP)),
    "SCE enhancing": ((_PLAIN, _ENHANCE),),
    "CLAHE + SCE enhancing": ((_PLAIN, _CLAHE, _ENHANCE),),
}
#: Number of a fold of five, and its seed.
FOLDS = (0, 1, 2)
EPOCHS, WIDTHS, BATCH, EMA = 8, (8, 16, 32, 64), 2, 0.99
#: Chosen by the training loss of ``none`` alone: with 2e-3, one seed of three was still far from converged
#: after all steps (its probabilities near one third each), whatever the arm.
RATE = 1e-2
#: Real heads that may only test, and what their labels are called.
TEST_HEADS = tuple(("ds000011", "ds11", n) for n in (8, 9, 10)) + tuple(
    ("ds002748_stripped", "ds2748", n) for n in (6, 7, 8)
)
LABELLED = {"left": 48, "right": 47}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the finished arms and folds")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of every arm (default {EPOCHS})")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="default: all")
    parser.add_argument("--name", default="ablation", help="stem of the files --write saves")
    parser.add_argument("--write", action="store_true", help="save the table and the rows")
    parser.add_argument("--only-print", action="store_true", help="train nothing; print what is finished")
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    if not args.only_print:
        one_thread()
        run_all(Path(os.environ["HIPPOSEG_DATA"]), args.run, args.epochs, args.arms)
    results = [json.loads(path.read_text()) for path in sorted(args.run.glob("*.json"))]
    words = report_words(args.name, results, args.arms)
    print(ablation_table.text(results, args.arms, words))
    if args.write:
        ablation_table.write(results, args.arms, words, Path(__file__).parent)


def report_words(name: str, results: list[dict], arms: list[str]) -> ablation_table.Words:
    """What the report says beside its figures: how it was made, and what its arms are."""
    command = "HIPPOSEG_DATA=... python Testing/benchmarks/ablation.py --run RUN"
    epochs = max((one["settings"]["num_epochs"] for one in results if one["arm"] in arms), default=EPOCHS)
    if epochs != EPOCHS:
        command += f" --epochs {epochs}"
    if list(arms) != list(ARMS):
        command += " --arms " + " ".join(f'"{arm}"' for arm in arms)
    if name != "ablation":
        command += f" --name {name}"
    which = name.removeprefix("ablation").replace("_", " ").strip()
    meaning = ["`none` is min-max alone"] if "none" in arms else []
    if any("SCE" in arm and "enhancing" not in arm for arm in arms):
        meaning.append("`SCE` damps (factor 0.8, coif5, 2 levels)")
    if any("enhancing" in arm for arm in arms):
        meaning.append("`enhancing` is factor 1.5, sym4, 3 levels")
    if any("SCE" in arm for arm in arms):
        meaning.append("SCE's threshold is 0.1")
    if any("," in arm for arm in arms):
        meaning.append("the comma separates channels")
    return ablation_table.Words(
        name=name,
        title="The ablation of the preprocessing" + (f": {which}" if which else ""),
        command=f"{command} --write",
        recipe="""Within a fold all arms see the same samples in the same order and start from the same
            weights (but the first layer of two channels).""",
        meaning=(
            f"""Arms: {"; ".join([*meaning, "min-max comes first everywhere"])}. Degraded before the arm's
            preprocessing: slices of 3 mm along z and along y, Rician noise (8 % of the 99.5th percentile),
            gamma 0.4 with a bias field. The training's augmentation draws degradations of these kinds, as
            the shipped recipe does.""",
        ),
    )


def one_thread() -> None:
    """The budget is one thread's, and other work may share the machine."""
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def run_all(data: Path, run: Path, epochs: int, arms: Sequence[str], folds: Sequence[int] = FOLDS) -> None:
    """Train and score what is not finished, fold by fold, so that every arm has as many."""
    material = Material(data)
    for fold in folds:
        train, tests = material.fold(fold)
        batches.sample = DrawnOnce(DrawnOnce.original)
        for arm in arms:
            settings, path = settings_of(arm, fold, epochs), path_of(run, arm, fold)
            if finished(path, plain(settings)) is None:
                model, trained = trained_on(settings, train, material.hosts, path.with_suffix(".pt"))
                scored = score(model, settings, tests)
                save({"arm": arm, "fold": fold, **trained, **scored}, path)


class Material:
    """The crops, their split into five, the surroundings, and the heads every network is scored on."""

    def __init__(self, data: Path):
        self.data = data
        self.cases, self.hosts = load_cases(data / "msd_hippocampus"), load_hosts(data / "heads_unlabelled")
        self.split = split_by_subject([case.subject for case in self.cases], 5, seed=0)
        self.heads = other_scanner(data / "heads_unlabelled")
        self.heads += labelled(data / "heads_labelled_evaluation_only")

    def fold(self, fold: int) -> tuple[list[Case], list[dict]]:
        """The crops a fold trains on, and all it is scored on."""
        held = set(self.split[fold])
        train = [case for i, case in enumerate(self.cases) if i not in held]
        return train, [test for i in self.split[fold] for test in conditions(self.cases[i])] + self.heads


def settings_of(arm: str, fold: int, epochs: int) -> Settings:
    """What an arm is trained with: all but the preprocessing is every arm's."""
    return Settings(
        RATE, BATCH, epochs, seed=fold, preprocessing=Preprocessing(ARMS[arm]), widths=WIDTHS, ema_decay=EMA
    )


def path_of(run: Path, arm: str, fold: int) -> Path:
    """The result of an arm and fold; the weights lie beside it as ``.pt``."""
    return run / f"fold{fold}_{list(ARMS).index(arm)}.json"


def finished(path: Path, settings: dict) -> dict | None:
    """The result in a file, if it is there and of these settings."""
    result = json.loads(path.read_text()) if path.exists() else None
    return result if result is not None and result["settings"] == settings else None


def save(result: dict, path: Path) -> None:
    """Write a result whole or not at all, and say what came out."""
    temporary = path.with_suffix(f".{os.getpid()}.part")
    temporary.write_text(json.dumps(result))
    os.replace(temporary, path)
    rows = [row for row in result["rows"] if (row["set"], row["condition"]) == ("crops", "clean")]
    clean = np.mean([row["dice"] for row in rows])
    print(
        f"fold {result['fold']}, {result['arm']}: trained {result['train_seconds']:.0f} s, Dice {clean:.4f}",
        flush=True,
    )


class DrawnOnce:
    """Augmented samples, drawn once for all arms of a fold.

    They do not depend on the arm, as preprocessing comes after them; drawing them takes a fifth of the
    time of a step.
    """

    original = staticmethod(batches.sample)

    def __init__(self, draw):
        self.draw, self.drawn = draw, {}

    def __call__(self, case: Case, shape, rng: np.random.Generator, *rest):
        key = (case.name, rng.bit_generator.state["state"]["state"])
        if key not in self.drawn:
            self.drawn[key] = self.draw(case, shape, rng, *rest)
        return self.drawn[key]


def trained_on(
    settings: Settings, train: list[Case], hosts, weights: Path, make: Callable[..., Loop] = Loop
) -> tuple[UNet3D, dict]:
    """Train one network in the loop ``make`` makes, keep its weights; say what it took, in plain values."""
    # Seconds of the processor, as other work may share it.
    mixed, started = native_bfloat16(torch.device("cpu")), time.process_time()
    # The averaged weights of the last step are taken: no validation case chooses.
    model = start(settings).to(memory_format=torch.channels_last_3d)
    loop = make(model, train, [], hosts, settings, torch.device("cpu"), mixed, settings.batch_size)
    loop.run(RunFolder(None), lambda words, fraction: None, lambda: False)
    model = loop.finished("last").to(memory_format=torch.channels_last_3d)
    torch.save(model.state_dict(), weights)
    return model, {
        "settings": plain(settings),
        "train_cases": len(train),
        "steps": loop.step,
        "restarts": loop.restarts,
        "bfloat16": mixed,
        "train_seconds": round(time.process_time() - started, 1),
    }


def score(model: torch.nn.Module, settings: Settings, tests: list[dict]) -> dict:
    """Dice and HD95 (mm) of the whole hippocampus of every test, and what the preprocessing costs."""
    rows, seconds, mixed = [], [], native_bfloat16(torch.device("cpu"))
    for test in tests:
        begun = time.thread_time()
        inputs = channels(fit(test["image"], settings.region_shape), settings.preprocessing)
        seconds.append(time.thread_time() - begun)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            found = predict(model, "cpu", {"left": inputs})["left"].sum(axis=0) > 0.5
        found = fit(found, test["truth"].shape)
        named = {key: test[key] for key in ("set", "condition", "case", "subject")}
        distance = surface_distances(found, test["truth"], (1, 1, 1))[0]
        rows.append({**named, "dice": dice(found, test["truth"]), "hd95": distance})
    return {"preprocessing_ms": round(1000 * float(np.median(seconds)), 1), "rows": rows}


def start(settings: Settings) -> UNet3D:
    """A network with the weights of its seed: the same in all arms, but for the first layer of two channels.

    In so short a training the start decides much; two channels alone would move all further draws.
    """
    torch.manual_seed(settings.seed)
    model = UNet3D(1, CLASSES, settings.widths, settings.dropout)
    if len(settings.preprocessing.channels) == 1:
        return model
    shared = model.state_dict()
    model = UNet3D(len(settings.preprocessing.channels), CLASSES, settings.widths, settings.dropout)
    own = model.state_dict()
    model.load_state_dict({k: v if v.shape == own[k].shape else own[k] for k, v in shared.items()})
    return model


def plain(settings: Settings) -> dict:
    """The settings as they come back from a file."""
    return json.loads(json.dumps(settings.to_dict()))


def conditions(case: Case) -> list[dict]:
    """A crop as it is and degraded, each with its truth."""
    scaled = case.image / np.percentile(case.image, 99.5)
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    images = {
        "clean": case.image,
        "3 mm z": thick_slices(case.image, axis=0),
        "3 mm y": thick_slices(case.image, axis=1),
        "noise": np.hypot(scaled + rng.normal(0, 0.08, scaled.shape), rng.normal(0, 0.08, scaled.shape)),
        "low contrast": low_contrast(scaled, rng),
    }
    named = {"set": "crops", "case": case.name, "subject": case.subject, "truth": case.label > 0}
    return [{**named, "condition": c, "image": image.astype(np.float32)} for c, image in images.items()]


def thick_slices(image: np.ndarray, axis: int, thickness: int = 3) -> np.ndarray:
    """Average groups of ``thickness`` voxels along ``axis`` and interpolate linearly back to all of them."""
    image = np.moveaxis(image.astype(np.float64), axis, -1)
    n = image.shape[-1]
    first = np.arange(0, n, thickness)
    size = np.diff(np.append(first, n))
    slices = np.add.reduceat(image, first, axis=-1) / size
    middle = first + (size - 1) / 2
    weights = np.stack([np.interp(np.arange(n), middle, one) for one in np.eye(len(first))])
    return np.moveaxis(slices @ weights, -1, axis)


def low_contrast(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gamma 0.4, and a field that falls or rises by up to about half from one end of an axis to the other."""
    result = image**0.4
    for axis, slope in enumerate(rng.uniform(-0.35, 0.35, 3)):
        ramp = np.exp(slope * np.linspace(-1, 1, image.shape[axis]))
        result = result * ramp.reshape([-1 if k == axis else 1 for k in range(3)])
    return result


def other_scanner_heads(folder: Path) -> Iterator[tuple[Path, Callable[[str], sitk.Image]]]:
    """The real heads that may only test, each with what gives a side's label by a peer."""
    for dataset, short, number in TEST_HEADS:

        def label_of(side: str, stem: str = f"{short}_sub-{number:02d}") -> sitk.Image:
            path = folder / "weak_labels" / f"{stem}_T1w_{side}.nii.gz"
            weak = sitk.ReadImage(str(path), sitk.sitkFloat32)
            return weak > float(sitk.GetArrayViewFromImage(weak).max()) / 2

        yield folder / dataset / f"sub-{number:02d}_T1w.nii.gz", label_of


def labelled_heads(folder: Path) -> Iterator[tuple[Path, Callable[[str], sitk.Image]]]:
    """The heads with manual labels, each with what gives a side's label."""
    for path in sorted(folder.glob("*_SS.nii.gz")):
        label = sitk.ReadImage(str(path).replace("_SS", "_glm"))
        yield path, lambda side, label=label: label == LABELLED[side]


def other_scanner(folder: Path) -> list[dict]:
    """Both regions of the real heads that may only test, with a peer's labels."""
    tests = []
    for (_, short, number), (path, label_of) in zip(TEST_HEADS, other_scanner_heads(folder), strict=True):
        head = sitk.ReadImage(str(path), sitk.sitkFloat32)
        name = f"{short}_sub-{number:02d}"
        tests += [head_region("other scanner", name, head, label_of(side), side) for side in SIDES]
    return tests


def labelled(folder: Path) -> list[dict]:
    """Both regions of the heads with manual labels: reported, never chosen by."""
    tests = []
    for path, label_of in labelled_heads(folder):
        head = sitk.ReadImage(str(path), sitk.sitkFloat32)
        name = path.name.split("_")[0]
        tests += [head_region("labelled", name, head, label_of(side), side) for side in SIDES]
    return tests


def head_region(name: str, subject: str, head: sitk.Image, label: sitk.Image, side: str) -> dict:
    """The region about a label's centre of mass, as the street cuts it, and the label on its grid."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(sitk.Cast(label, sitk.sitkUInt8))
    region = region_about(statistics.GetCentroid(1), WORLD_RAS, side, REGION_SHAPE)
    truth = cut(sitk.Cast(label, sitk.sitkFloat32), region) > 0.5
    found = {"set": name, "condition": "clean", "case": f"{subject}_{side}", "subject": subject}
    return {**found, "image": cut(head, region), "truth": truth}


if __name__ == "__main__":
    main()
