"""``hipposeg evaluate``: how well the segmentation agrees with your own labels."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import SOME_FAILED, InputError
from .options import ProgressLine, add_input_options, add_model_options, segment_options
from .remedies import in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Segment scans and compare with reference labels, on the labels' own grid. Scans and labels are "
        "given as one quoted pattern each (paired by what the star stands for), as folders (paired by file "
        "names) or as lists in the same order."
    )
    parser.add_argument("--scans", nargs="+", metavar="S", help="T1 scans, for instance 'folder/*_T1.nii.gz'")
    parser.add_argument(
        "--labels", nargs="+", required=True, metavar="L", help="reference labels of these scans"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="folder for tables and pictures"
    )
    parser.add_argument(
        "--label-map",
        default="freesurfer",
        metavar="MAP",
        help="what the reference's values mean: freesurfer (17 left, 53 right; default), neuromorphometrics "
        "(48 left, 47 right), msd (crops: 1 anterior, 2 posterior), hipposeg, or values by name: "
        "left=48,right=47[,left-anterior=1+2…]",
    )
    parser.add_argument(
        "--results",
        nargs="+",
        metavar="R",
        help="compare these label images (a folder that 'hipposeg segment' wrote, a pattern or a list) "
        "instead of segmenting",
    )
    parser.add_argument(
        "--results-label-map",
        default="hipposeg",
        metavar="MAP",
        help="what the results' values mean (default: hipposeg)",
    )
    parser.add_argument("--no-pictures", action="store_true", help="leave the plots out")
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the final table only")
    add_input_options(parser)
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    options = segment_options(args)
    if args.scans is None and args.results is None:
        raise InputError("There is nothing to evaluate.", "Give --scans, or --results.")
    from ..evaluation import output, plots
    from ..evaluation.cases import pair_cases
    from ..evaluation.labelmap import label_map
    from ..evaluation.run import check_references, evaluate_cases
    from ..evaluation.summary import summarise, summary_text
    from ..models.store import load_model

    pictures = not args.no_pictures
    if pictures:
        plots.require_matplotlib()
    meaning = label_map(args.label_map, args.side)
    results_meaning = label_map(args.results_label_map, args.side)
    cases, unused = pair_cases(args.scans, args.labels, args.results)
    output.check_output(args.output, args.overwrite)
    model, known = None, []
    if args.results is None:
        model = load_model(args.model)
        known = output.trained_on([case.name for case in cases], model.card.segmenter.training)
    meaning = check_references(cases, meaning, args.region)
    progress, results = ProgressLine(sys.stderr), []
    try:
        for result in evaluate_cases(
            cases,
            meaning,
            results_meaning=results_meaning,
            region=args.region,
            series=args.series,
            progress=progress if progress.live and not args.quiet else None,
            options=options,
        ):
            progress.clear()
            results.append(result)
            if result.error is not None:
                print(f"hipposeg: {result.case}: {in_words(result.error)}", file=sys.stderr)
            elif not args.quiet:
                print(f"{len(results)}/{len(cases)} {result.case}: {_in_words(result.rows)}", flush=True)
    finally:
        progress.clear()
    errors = [result.error for result in results if result.error is not None]
    if len(errors) == len(results):
        print("hipposeg: No case could be evaluated; nothing was written.", file=sys.stderr)
        return errors[0].exit_code
    settings = {
        "existing_results": args.results is not None,
        "labels_without_scan": unused,
        "trained_on": known,
    }
    if args.results is not None:
        values = {name: list(v) for name, v in results_meaning.values.items()}
        settings["results_label_map"] = {"name": results_meaning.name, "values": values}
    files = output.write_evaluation(
        args.output, results, meaning, settings, model, pictures=pictures, overwrite=args.overwrite
    )
    rows = [row for result in results for row in result.rows]
    print(f"\n{summary_text(summarise(rows), rows)}\n")
    if known:
        print(
            f"WARNING: {len(known)} of {len(cases)} cases bear names of cases that the model was trained on: "
            "their figures flatter it."
        )
    if unused:
        print(f"{unused} of the labels belong to none of the cases and were left out.")
    for path in files:
        print(path)
    return SOME_FAILED if errors else 0


def _in_words(rows) -> str:
    """One line of a case: the sides (or, where these are not compared, the parts) and their Dice."""
    whole = [row for row in rows if "-" not in row.structure] or rows
    words = []
    for row in whole:
        if row.state == "ok":
            distance = row.values["hd95_mm"]
            words.append(f"{row.structure} Dice {row.values['dice']:.3f}, HD95 {distance:.2f} mm")
        else:
            words.append(row.note)
    return "; ".join(words)
