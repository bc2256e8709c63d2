"""hippodeep on the ten heads with manual labels, by the same measures as HippoSeg.

    HIPPOSEG_DATA=... python Testing/benchmarks/hippodeep_heads.py HIPPODEEP [--write]

HIPPODEEP is a checkout of github.com/bthyreau/hippodeep_pytorch, run by this Python (torch, nibabel, scipy)
on copies of the heads; its masks are cut at half of their maximum.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import SimpleITK as sitk
from tables import write_keeping_words

from HippoSegLib.evaluation.cases import pair_cases
from HippoSegLib.evaluation.labelmap import label_map
from HippoSegLib.evaluation.run import check_references, evaluate_cases
from HippoSegLib.evaluation.summary import summarise, summary_text
from HippoSegLib.labels import WHOLE
from HippoSegLib.training.data_splits import LABELLED_HEADS

RESULT = Path(__file__).with_suffix(".md")
_HALF = 127


def labels_of(program: Path, heads: list[Path], folder: Path) -> None:
    """Run it on copies in `folder`, and write ``<head>_res.nii.gz`` beside them: 17 left, 53 right."""
    copies = [Path(shutil.copy(head, folder)) for head in heads]
    command = [sys.executable, str(program / "hippodeep.py"), *map(str, copies)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    for copy in copies:
        stem = copy.name.removesuffix(".nii.gz")
        masks = {
            side: sitk.ReadImage(str(folder / f"{stem}_mask_{side[0].upper()}.nii.gz")) > _HALF
            for side in WHOLE
        }
        values = [sitk.Cast(mask, sitk.sitkUInt16) * WHOLE[side] for side, mask in masks.items()]
        sitk.WriteImage(values[0] + values[1], str(folder / f"{stem.removesuffix('_SS')}_res.nii.gz"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hippodeep", type=Path)
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULT.name}")
    args = parser.parse_args()
    data = Path(os.environ["HIPPOSEG_DATA"]) / LABELLED_HEADS
    with tempfile.TemporaryDirectory() as scratch:
        labels_of(args.hippodeep.resolve(), sorted(data.glob("*_SS.nii.gz")), Path(scratch))
        cases = pair_cases(None, [str(data / "*_glm.nii.gz")], [str(Path(scratch) / "*_res.nii.gz")])[0]
        meaning = check_references(cases, label_map("neuromorphometrics", None), False)
        rows = [row for result in evaluate_cases(cases, meaning) for row in result.rows]
    text = summary_text(summarise(rows), rows)
    print(text)
    if args.write:
        title = "# hippodeep on the ten heads with manual labels"
        call = "`python Testing/benchmarks/hippodeep_heads.py hippodeep_pytorch`"
        write_keeping_words(RESULT, f"{title}\n\n{call}\n\n```\n{text.rstrip()}\n```\n")


if __name__ == "__main__":
    main()
