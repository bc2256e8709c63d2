"""What score and flags are worth on heads that neither was fitted on; nothing is chosen by them.

    HIPPOSEG_DATA=... python Testing/benchmarks/quality_heads.py [--model NAME] [--write]

The ten labelled heads as they are, noisy, in a T2-like contrast and cut through a hippocampus, each side
against its manual label; and heads synthesised in T1, T2 and FLAIR from label maps kept out of training.
The trials that the score was fitted on, and how it does where it was not, are printed by
`python -m HippoSegLib.training.quality`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402
from synthetic_heads import CONTRASTS, read_label_map, synthesise  # noqa: E402
from tables import folder_of  # noqa: E402

from HippoSegLib.errors import NotFoundError  # noqa: E402
from HippoSegLib.io.images import read_image  # noqa: E402
from HippoSegLib.models.store import Model, load_model  # noqa: E402
from HippoSegLib.pipeline import segment  # noqa: E402
from HippoSegLib.training.data_splits import LABEL_MAPS, LABELLED_HEADS, TEST_LABEL_MAPS  # noqa: E402
from HippoSegLib.training.qualityfit import GOOD, POOR  # noqa: E402
from HippoSegLib.training.qualityheads import CHANGES, HeadTrial, changed, run_head  # noqa: E402

MANUAL = {"left": 48, "right": 47}
SEED = 31


def labelled_heads(data: Path, model: Model) -> list[HeadTrial]:
    """Every side of the labelled heads under every change."""
    found = []
    for number, path in enumerate(sorted((data / LABELLED_HEADS).glob("*_SS.nii.gz"))):
        image = sitk.Cast(read_image(path), sitk.sitkFloat32)
        labels = sitk.ReadImage(str(path).replace("_SS", "_glm"))
        masks = {side: sitk.Cast(labels == value, sitk.sitkUInt8) for side, value in MANUAL.items()}
        for k, change in enumerate(CHANGES):
            worse = changed(image, change, masks, np.random.default_rng((SEED, number, k)))
            found += run_head(path.name.split("_")[0], change, worse, masks, model)
    return found


def _share(flags: list[bool]) -> str:
    return f"{sum(flags)} of {len(flags)}"


def labelled_table(trials: list[HeadTrial]) -> list[str]:
    lines = [
        "| change | sides | Dice, lowest / median / highest | rank correlation with the score | "
        "under 0.70: flagged | over 0.80: flagged | by the score alone |",
        "|---|---|---|---|---|---|---|",
    ]
    for change in (*CHANGES, "all"):
        own = [t for t in trials if change in ("all", t.change)]
        scored = [t for t in own if t.score is not None]
        values = np.array([t.agreement for t in own])
        rank = spearmanr([t.score for t in scored], [t.agreement for t in scored]).statistic
        poor = [t for t in own if t.agreement < POOR]
        good = [t for t in own if t.agreement > GOOD]
        spread = " / ".join(f"{v:.2f}" for v in (values.min(), np.median(values), values.max()))
        alone = " and ".join(_share(["quality" in t.flags for t in group]) for group in (poor, good))
        lines.append(
            f"| {change} | {len(own)} | {spread} | {rank:.2f} | {_share([bool(t.flags) for t in poor])} | "
            f"{_share([bool(t.flags) for t in good])} | {alone} |"
        )
    return lines


def synthetic_table(data: Path, model: Model, each: int) -> list[str]:
    raised: dict[str, list[set[str]]] = {name: [] for name in CONTRASTS}
    for name in TEST_LABEL_MAPS:
        source = read_label_map(data / LABEL_MAPS / f"training_seg_{name}.nii.gz")
        for number in range(each):
            head = synthesise(source, SEED, number)
            try:
                flags = segment(head.image, model=model, device="cpu", threads=1).flags
                raised[head.contrast].append({f.code for f in flags if f.severity == "warning"})
            except NotFoundError:
                raised[head.contrast].append({"refused"})
    lines = ["| contrast | heads | said to be no T1 | flagged at all |", "|---|---|---|---|"]
    for contrast, codes in raised.items():
        named, any_ = ([bool(c & {"contrast"}) for c in codes], [bool(c) for c in codes])
        lines.append(f"| {contrast} | {len(codes)} | {_share(named)} | {_share(any_)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--each", type=int, default=3, help="synthesised heads of each label map")
    parser.add_argument("--write", action="store_true", help="write quality_heads.md")
    args = parser.parse_args()
    data, model = Path(os.environ["HIPPOSEG_DATA"]), load_model(args.model)
    title = "# Score and flags on whole heads that chose nothing"
    lines = [title, "", "Labelled heads, whole pipeline, each side against its manual label:", ""]
    lines += labelled_table(labelled_heads(data, model))
    lines += ["", "Heads synthesised from label maps kept out of training:", ""]
    lines += synthetic_table(data, model, args.each)
    text = "\n".join(lines) + "\n"
    print(text)
    if args.write:
        (folder_of(model.name) / "quality_heads.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
