"""How often percentiles and intervals of a reference are right, on simulated people.

    python Testing/benchmarks/reference_calibration.py [--write]

For each number of controls many references are made, each from new controls of a known linear model with
normal residuals (`Testing/core/reference/simulated.py`), and new people of the same kind are compared: how
many lie under the 5th percentile, how many in the 95 % prediction interval, and how often a percentile's own
95 % interval holds the true percentile.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "core" / "reference")]

import simulated  # noqa: E402

from HippoSegLib.reference.fitting import fit_reference  # noqa: E402
from HippoSegLib.reference.statistics import percentile, percentile_interval, t_quantile  # noqa: E402

COUNTS = (20, 30, 64, 200, 500)
COLUMN = "left_mm3"


@dataclass(frozen=True)
class Rates:
    """Of 100 new people, for one number of controls."""

    controls: int
    terms: int
    people: int
    below_5th: float
    inside: float
    covered: float
    width: float


def rates(controls: int, references: int, people: int, intervals: int, seed: int = 0) -> Rates:
    """Compare people with references.

    Args:
        controls: Of each reference.
        references: How many are made.
        people: Compared with each.
        intervals: How many of them have the interval of their percentile looked at.
        seed: Of all that is drawn.
    """
    below, inside, covered, widths, terms = [], [], [], [], 0
    for number in range(references):
        reference, _ = fit_reference(simulated.people(controls, (seed, controls, number)), simulated.IDENTITY)
        terms = len(reference.terms)
        fit, inverse = reference.fits["left"], np.array(reference.inverse_moment)
        new = simulated.people(people, (seed, controls, number, 1))
        rows = np.array([reference.row(one.person, one.measurements["intracranial_mm3"]) for one in new])
        leverage = np.einsum("ij,jk,ik->i", rows, inverse, rows)
        values = np.array([one.measurements[COLUMN] for one in new])
        deviation = (values - rows @ np.array(fit.coefficients)) / fit.sd
        t = deviation / np.sqrt(1 + leverage)
        below += list(percentile(t, reference.degrees) < 5)
        inside += list(np.abs(t) < t_quantile(reference.degrees))
        for one, d, h in list(zip(new, deviation, leverage, strict=True))[:intervals]:
            low, high = percentile_interval(d, h, reference.degrees)
            covered.append(low <= simulated.true_percentile(one) <= high)
            widths.append(high - low)
    hundred = [100 * float(np.mean(found)) for found in (below, inside, covered)]
    return Rates(controls, terms, len(below), *hundred, float(np.median(widths)))


def table(found: list[Rates]) -> list[str]:
    """Lines of Markdown."""
    lines = [
        "| controls | terms | new people | under the 5th percentile, % | in the 95 % prediction interval, % "
        "| true percentile in its 95 % interval, % | median width of that, percentile points |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {one.controls} | {one.terms} | {one.people} | {one.below_5th:.2f} | {one.inside:.2f} "
        f"| {one.covered:.1f} | {one.width:.0f} |"
        for one in found
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="also write reference_calibration.md")
    args = parser.parse_args()
    found = [rates(count, 400, 100, 10) for count in COUNTS]
    lines = [
        "# A reference on simulated people",
        "",
        "    python Testing/benchmarks/reference_calibration.py",
        "",
        "Controls and new people follow one linear model with normal residuals (a side's standard deviation",
        f"is {simulated.SD:.0f} mm³); with fewer than 40 controls the model has fewer terms than that.",
        "400 references for each number of controls, 100 new people for each. Normality is assumed by the",
        "method and true here; on real controls `hipposeg reference build` prints a test of it.",
        "",
        *table(found),
    ]
    print("\n".join(lines))
    if args.write:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
