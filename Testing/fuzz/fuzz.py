"""Malformed inputs over all readers and the whole pipeline, in watched processes (`make fuzz`).

usage: python Testing/fuzz/fuzz.py [--cases 2000] [--seed 0] [--case N ...] [--jobs 2] [--no-pipeline]

No input may end the process, raise an error that is not ours, take more than 20 s to read or more than 2 GB.
A case is its number and the seed: `--case N` makes the same input again. Failing ones are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from mutations import make_case, write_case
from watch import ROOT, Limits, Result, run_cases


def main() -> int:
    args = _arguments()
    numbers = args.case if args.case else range(args.start, args.start + args.cases)
    order = {"base": args.base, "seed": args.seed, "pipeline": not args.no_pipeline}
    start, done = time.monotonic(), 0

    def told(result: Result) -> None:
        nonlocal done
        done += 1
        if result.failed:
            print(_words(result), flush=True)
            _keep(result, args)
        elif args.case:
            print(_words(result), flush=True)
        elif done % 200 == 0:
            print(f"{done} cases, {time.monotonic() - start:.0f} s", flush=True)

    results = run_cases(numbers, order, args.jobs, Limits(), told, args.code)
    _print_table(results)
    failures = [result for result in results if result.failed]
    segmented = Counter(result.pipeline for result in results if result.pipeline)
    print(f"Pipeline: {dict(segmented)}. Most memory: {max(r.peak_kb for r in results) // 1024} MB.")
    slow = max(results, key=lambda r: r.seconds.get("read", 0))
    print(f"Longest reading: {slow.seconds.get('read', 0):.1f} s (case {slow.number}).")
    print(f"{len(results)} cases, {len(failures)} failed, {time.monotonic() - start:.0f} s.")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=2000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=0, help="other inputs for other seeds")
    parser.add_argument("--case", type=int, nargs="+", help="these cases alone")
    parser.add_argument("--base", choices=["real", "small"], default="real", help="the head they are made of")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes at a time")
    parser.add_argument("--no-pipeline", action="store_true", help="read only")
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-failures"), help="where failing inputs are kept"
    )
    parser.add_argument("--code", type=Path, default=ROOT, help="the folder with the HippoSegLib to be tried")
    return parser.parse_args()


def _words(result: Result) -> str:
    text = result.text.strip().splitlines()
    made = f"{result.kind}: {', '.join(result.steps)}"
    came = f"{result.outcome} after '{result.step}' {result.code} {text[-1] if text else ''}"
    return f"case {result.number} ({made}): {came}"


def _keep(result: Result, args: argparse.Namespace) -> None:
    """The input beside what became of it, and how to repeat it."""
    folder = args.keep / f"case-{result.number}-seed-{args.seed}-{args.base}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "input").mkdir(parents=True)
    write_case(make_case(result.number, args.base, args.seed), folder / "input")
    repeat = f"python Testing/fuzz/fuzz.py --base {args.base} --seed {args.seed} --case {result.number}"
    (folder / "result.json").write_text(json.dumps(vars(result) | {"repeat": repeat}, indent=1))


def _print_table(results: list[Result]) -> None:
    kinds = sorted({result.kind for result in results})
    columns = ("ok", "refused", "foreign", "died", "hang", "memory")
    print(f"{'kind':16}" + "".join(f"{column:>9}" for column in columns))
    for kind in kinds:
        count = Counter(result.outcome for result in results if result.kind == kind)
        print(f"{kind:16}" + "".join(f"{count[column]:9}" for column in columns))


if __name__ == "__main__":
    sys.exit(main())
