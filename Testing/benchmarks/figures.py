"""Every accuracy figure of a model's card, measured anew and printed; written into the card with --write.

    HIPPOSEG_DATA=... python Testing/benchmarks/figures.py [--model NAME] [--write]

Measured are: the crops that were held out of the segmenter's training (by the card's own list), in
region mode; the ten labelled heads, whole street from the file; and on synthesised heads from label
maps kept out of training, what the localiser's training logged (`training/localizer.py` prints it).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from HippoSegLib.checkpoint import CARD, load_model  # noqa: E402
from HippoSegLib.evaluation.cases import pair_cases  # noqa: E402
from HippoSegLib.evaluation.labelmap import label_map  # noqa: E402
from HippoSegLib.evaluation.run import check_references, evaluate_cases  # noqa: E402
from HippoSegLib.evaluation.summary import summarise, summary_text  # noqa: E402


def _evaluate(title: str, cases, map_name: str, side: str | None, **options) -> dict:
    """Summary of some cases, printed under `title`."""
    meaning = check_references(cases, label_map(map_name, side), side is not None)
    rows = []
    for result in evaluate_cases(cases, meaning, region=side is not None, region_side=side, **options):
        if result.error is not None:
            print(f"{result.case}: {result.error}")
        rows.extend(result.rows)
    summary = summarise(rows)
    print(f"\n{title}: {len(cases)} cases\n{summary_text(summary, rows)}", flush=True)
    return _rounded(summary)


def _rounded(value):
    if isinstance(value, dict):
        return {name: _rounded(v) for name, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write the figures into the model's card")
    args = parser.parse_args()
    data = Path(os.environ["HIPPOSEG_DATA"])
    model = load_model(args.model)
    options = {"model": model, "device": "cpu", "threads": args.threads}
    crops = data / "msd_hippocampus"
    held_out = set(model.card["segmenter"]["training"]["validation_cases"])
    pairs = pair_cases([str(crops / "images")], [str(crops / "labels")], None)[0]
    pairs = [case for case in pairs if case.name in held_out]
    heads = data / "heads_labelled_evaluation_only"
    labelled = pair_cases([str(heads / "*_SS.nii.gz")], [str(heads / "*_glm.nii.gz")], None)[0]
    figures = {
        "command": "python Testing/benchmarks/figures.py",
        "crops_held_out": _evaluate("Crops held out of training", pairs, "msd", "left", **options),
        "labelled_heads": _evaluate("Labelled heads", labelled, "neuromorphometrics", None, **options),
    }
    localizer = model.card["localizer"]["synthetic_heads_from_unseen_label_maps"]
    print(f"\nLocaliser, heads synthesised from unseen label maps: {json.dumps(localizer)}")
    if args.write:
        path = model.folder / CARD
        card = json.loads(path.read_text(encoding="utf-8")) | {"figures": figures}
        temporary = path.with_name(CARD + ".part")
        temporary.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, path)


if __name__ == "__main__":
    main()
