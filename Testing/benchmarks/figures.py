"""Every figure of a model's card, printed; measured anew, as far as what it needs is at hand.

    HIPPOSEG_DATA=... python Testing/benchmarks/figures.py [--model NAME] [--folds DIR ...] [--write]

The ten labelled heads, whole pipeline from the file, are measured here, the other tables by the other
benchmarks, one after the other (about half an hour on one core). What hours of training go before is not
shipped: the networks of folds 0, 1, … are given by `--folds` (cross-validation); tables of what is not given
are printed as they were saved, and so is that of the quality score, which tells its command. With
--write the tables are saved where the model's lie (`tables.py`), and its `CARD.md` is put together: the two
tables of accuracy in full, the others by name; `--compose` does only that.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

from tables import folder_of, option_of  # noqa: E402

from HippoSegLib.evaluation.cases import pair_cases  # noqa: E402
from HippoSegLib.evaluation.labelmap import label_map  # noqa: E402
from HippoSegLib.evaluation.run import check_references, evaluate_cases  # noqa: E402
from HippoSegLib.evaluation.summary import summarise, summary_text  # noqa: E402
from HippoSegLib.models.card import ModelCard, read_card  # noqa: E402
from HippoSegLib.models.saving import replace_card  # noqa: E402
from HippoSegLib.models.store import DEFAULT, load_model  # noqa: E402
from HippoSegLib.models.training_card import TrainingCard  # noqa: E402
from HippoSegLib.options import SegmentOptions  # noqa: E402
from HippoSegLib.training.data_splits import LABELLED_HEADS  # noqa: E402

#: The tables of a model in order: files that the benchmarks write with --write.
OWN = (
    "labelled_heads",
    "cross_validation",
    "low_resolution",
    "repeatability",
    "rescans",
    "quality",
    "quality_heads",
)
#: Those of all models together, in the default one's card.
COMMON = ("outline", "readers", "localisation", "site_imitation", "finetune_speed", "CONCLUSIONS")
COMMON += ("voxel_size", "roi_placement", "site_heads", "lost_pose", "contrast", "intracranial")
COMMON += ("volumes", "readers_fold0")
TABLES = OWN + COMMON
#: The command that makes both models.
RECIPE = "python -m HippoSegLib.training.recipe DATA -o MODELS --jobs 2"
#: Those that are about no model, and stand in no card.
ELSEWHERE = (
    "reference_calibration",
    "reference_people",
    "cohort",
    "cohort_speed",
    "review_page",
    "side_by_side",
)
ELSEWHERE += ("hippodeep_heads",)
#: Those that stand in the card in full.
IN_FULL = ("labelled_heads", "cross_validation")
PROSE = "CARD.md"


def labelled_heads(model, threads: int) -> tuple[dict, str]:
    """Summary of the ten labelled heads, and its table as text."""
    folder = Path(os.environ["HIPPOSEG_DATA"]) / LABELLED_HEADS
    cases = pair_cases([str(folder / "*_SS.nii.gz")], [str(folder / "*_glm.nii.gz")], None)[0]
    meaning = check_references(cases, label_map("neuromorphometrics", None), False)
    options = SegmentOptions(model=model, device="cpu", threads=threads)
    rows = []
    for result in evaluate_cases(cases, meaning, options=options):
        if result.error is not None:
            print(f"{result.case}: {result.error}")
        rows.extend(result.rows)
    summary = summarise(rows)
    return _rounded(summary), summary_text(summary, rows)


def _rounded(value):
    if isinstance(value, dict):
        return {name: _rounded(v) for name, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def others(args, folder: Path) -> dict[str, list[str]]:
    """Table -> the command that measures it anew for the model in `folder`, where it can be."""
    model = ["--model", str(args.model)] if args.model else []
    write = ["--write"] if args.write else []
    folds = [str(folder) for folder in args.folds or ()]
    commands = {
        "cross_validation": [script("cross_validation"), *folds, *model, "--saved", *write],
        "localisation": [script("localisation"), *model, *write, "--pipeline", "60"],
    }
    for name in ("low_resolution", "repeatability", "quality_heads"):
        commands[name] = [script(name), *model, *write]
    commands["rescans"] = [script("rescans"), *model, *write, *(["--card"] if args.write else [])]
    return commands


def script(name: str) -> str:
    """Path of a benchmark beside this one."""
    return str(HERE / f"{name}.py")


def compose(folder: Path) -> str:
    """The model's card in prose: what `card.json` says in short, accuracy, and where other tables are."""
    card = read_card(folder)
    lines = [
        f"# Model card: {card.name}",
        "",
        f"{card.title}. {card.intended_use}",
        "",
        f"{card.parameters} parameters in {sum(f.bytes or 0 for f in card.files.values()) / 1e6:.1f} MB, "
        "localiser included.",
        "",
        f"{card.licence}",
        "",
        f"Put together by `{_printed_by(card.name)} --compose` from the tables that the commands below "
        "each heading printed.",
        "",
        "## Training",
        "",
        f"`{RECIPE}` repeats it, step by step, and trains it once more without a fold, for the quality "
        "score. What ships took, on two CPU cores:",
        "",
        "| step | seconds, other work on the machine and pauses included |",
        "|---|---|",
        *(f"| {name} | {seconds} |" for name, seconds in _times(card)),
        "",
        card.segmenter.training.extra.get("remark", ""),
    ]
    saved = [folder_of(card.name) / f"{name}.md" for name in OWN] + [HERE / f"{n}.md" for n in COMMON]
    saved = [path for path in saved if path.exists()]
    for path in saved:
        if path.stem in IN_FULL:
            text = path.read_text(encoding="utf-8").strip()
            lines += ["", re.sub(r"^#", "##", text, flags=re.MULTILINE)]
    lines += ["", "## Other measurements", ""]
    for path in saved:
        if path.stem not in IN_FULL:
            title = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            lines.append(f"- {title}: `{path.relative_to(ROOT).as_posix()}`")
    return "\n".join(lines).rstrip() + "\n"


def _printed_by(name: str) -> str:
    return "python Testing/benchmarks/figures.py" + ("" if name == DEFAULT else f" --model {name}")


def _times(card: ModelCard) -> list[tuple[str, int]]:
    """Step and seconds, as the card tells them."""
    training = card.segmenter.training
    times = [(f"segmenter, {_step(one)}", one.seconds) for one in (*training.earlier, training)]
    times += [
        (f"localiser, {stage['steps']} steps", round(stage["seconds"]))
        for stage in card.localizer.extra.get("stages", [])
    ]
    if card.refiner is not None:
        times.append(("refinement network of the localiser", card.refiner.extra["training"]["seconds"]))
    return times


def _step(training: TrainingCard) -> str:
    """What a training of the segmenter was."""
    if "training.outline" in training.command:
        return "complete labels weighed" if "--keep" in training.command else "second teacher"
    folds = int(option_of(training.command, "--folds"))
    return "on four fifths of the crops" if folds == 5 else "on all but one subject's crops"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folds", nargs="*", type=Path, help="model folders of folds 0, 1, … in order")
    parser.add_argument("--heads-only", action="store_true", help="only the labelled heads")
    parser.add_argument("--compose", action="store_true", help="only put CARD.md together")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    model = load_model(args.model)
    if not args.compose:
        summary, text = labelled_heads(model, args.threads)
        print(f"Labelled heads\n{text}", flush=True)
        if args.write:
            title = "# Ten heads with independent manual labels"
            words = f"`{_printed_by(model.name)}`; they chose nothing."
            page = f"{title}\n\n{words}\n\n```\n{text}\n```\n"
            (folder_of(model.name) / "labelled_heads.md").write_text(page, encoding="utf-8")
            figures = {"command": _printed_by(model.name), "labelled_heads": summary}
            replace_card(model.folder, replace(read_card(model.folder), figures=figures))
        wanted = () if args.heads_only else (TABLES if model.name == DEFAULT else OWN)[1:]
        commands = others(args, model.folder) if wanted else {}
        for name in wanted:
            if name in commands:
                print(f"\npython {shlex.join(commands[name])}", flush=True)
                subprocess.run([sys.executable, *commands[name]], check=True)
            else:
                saved = folder_of(model.name) / f"{name}.md"
                print(f"\n{name}, as saved:\n\n{saved.read_text('utf-8')}", flush=True)
    if args.write or args.compose:
        _replace(model.folder / PROSE, compose(model.folder))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
