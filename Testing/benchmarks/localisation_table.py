"""What the localisation benchmark found, and its tables; ``localisation.py`` is the command."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from synthetic_heads import CONTRASTS

from HippoSegLib.training.data_splits import TEST_LABEL_MAPS

#: A side is asked for where so much of its hippocampus is in view; under the second it is not there.
WHOLE_IN_VIEW, NOT_IN_VIEW = 0.95, 0.05
#: The intracranial space counts as cut where less of it is in view.
INTRACRANIAL_WHOLE = 0.995


@dataclass
class Side:
    """One hippocampus of one head; lengths in mm. `found`: "seen", "by pose", "missed" or "refused";
    `first_error`: before the refinement; `pipeline`: "found", "missed", "refused", or "" where not run."""

    in_view: float
    found: str = "missed"
    error: float = float("nan")
    first_error: float = float("nan")
    swapped: bool = False
    pipeline: str = ""
    region_error: float = float("nan")
    region_swapped: bool = False
    label_error: float = float("nan")
    covered: float = float("nan")


@dataclass
class Result:
    """What one head gave. Volumes in mm³, NaN where unknown; `reported`: the product gives the volume;
    `turn_error`: degrees between the pose found and that of the true hippocampi."""

    name: str
    tags: dict[str, str]
    refused: str = ""
    sides: dict[str, Side] = field(default_factory=dict)
    intracranial: float = float("nan")
    intracranial_true: float = float("nan")
    intracranial_in_view: float = float("nan")
    reported: bool = False
    turn_error: float = float("nan")
    centres: dict[str, np.ndarray] = field(default_factory=dict)
    truth: dict[str, np.ndarray] = field(default_factory=dict)


def side_table(results: list[Result], groups, pipeline: bool) -> list[str]:
    """Markdown table of the sides in view; a refused head's sides are missed."""
    title = "region after the whole pipeline" if pipeline else "localiser"
    head = ["heads", "refused", "sides", "missed", "by pose alone", "swapped", "median", "95 %", "worst"]
    if pipeline:
        head[4] = "least in region"
        head += ["labels' centre, median", "95 %"]
    else:
        head += [
            "before the refinement network, median",
            "95 %",
            "worst",
            "turn off by degrees, median",
            "worst",
        ]
    lines = [f"| {title}: centre error, mm | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for label, chosen in groups:
        heads = [r for r in results if chosen(r.tags)]
        if pipeline:
            heads = [r for r in heads if any(row.pipeline for row in r.sides.values())]
        rows = [row for r in heads for row in r.sides.values() if row.in_view >= WHOLE_IN_VIEW]
        if not rows:
            continue
        states = [row.pipeline if pipeline else row.found for row in rows]
        errors = [row.region_error if pipeline else row.error for row in rows]
        swapped = [row.region_swapped if pipeline else row.swapped for row in rows]
        cells = [len(heads), sum(bool(r.refused) for r in heads), len(rows)]
        cells.append(sum(state in ("missed", "refused") for state in states))
        cells.append(f"{_least([r.covered for r in rows]):.2f}" if pipeline else states.count("by pose"))
        cells.append(sum(swapped))
        cells += _spread(errors)
        if pipeline:
            cells += _spread([row.label_error for row in rows])[:2]
        else:
            cells += _spread([row.first_error for row in rows])
            cells += _spread([r.turn_error for r in heads])[::2]
        lines.append(f"| {label} | " + " | ".join(str(c) for c in cells) + " |")
    return lines


def _least(values) -> float:
    values = np.array(values)
    return float(np.nanmin(values)) if np.isfinite(values).any() else float("nan")


def _spread(errors) -> list[str]:
    errors = np.array([e for e in errors if np.isfinite(e)])
    if not len(errors):
        return ["", "", ""]
    return [f"{v:.1f}" for v in (np.median(errors), np.percentile(errors, 95), errors.max())]


def partial_lines(results: list[Result]) -> list[str]:
    """What became of sides that are partly or not at all in view."""
    rows = [row for r in results for row in r.sides.values()]
    part = [row for row in rows if NOT_IN_VIEW <= row.in_view < WHOLE_IN_VIEW]
    gone = [row for row in rows if row.in_view < NOT_IN_VIEW]
    placed = ("seen", "by pose")
    return [
        f"Partly in view: {len(part)} sides, {sum(r.found in placed for r in part)} given a place, "
        f"{sum(r.swapped for r in part)} of them swapped. Not in view: {len(gone)} sides, "
        f"{sum(r.found in placed for r in gone)} given a place all the same."
    ]


def intracranial_table(results: list[Result], groups) -> list[str]:
    """Markdown table: intracranial volume in the field of view against the truth (or hippodeep's mask)."""
    lines = ["| intracranial volume | heads | r | bias | median of the errors | worst |", "|---" * 6 + "|"]
    known = [r for r in results if np.isfinite(r.intracranial) and np.isfinite(r.intracranial_true)]
    for label, chosen in groups:
        pairs = [(r.intracranial, r.intracranial_true) for r in known if chosen(r)]
        if len(pairs) < 3:
            continue
        found, true = np.array(pairs).T
        r, error = np.corrcoef(found, true)[0, 1], found / true - 1
        lines.append(
            f"| {label} | {len(pairs)} | {r:.3f} | {100 * error.mean():+.1f} % "
            f"| {100 * np.median(np.abs(error)):.1f} % | {100 * np.abs(error).max():.1f} % |"
        )
    return lines


def _has(**wanted):
    return lambda tags: all(tags.get(k) == v for k, v in wanted.items())


def _synthetic_groups():
    groups = [("all", lambda tags: True)] + [(c, _has(contrast=c)) for c in CONTRASTS]
    groups += [("whole head", _has(cut="none"))]
    groups += [(f"cut: {kind}", _has(cut=kind)) for kind in ("neck", "top", "side")]
    groups += [("turned, header straight", _has(turned="world")), ("turned grid", _has(turned="header"))]
    groups += [(f"slices {s}", _has(slices=s)) for s in ("0.5-1.5 mm", "1.5-3 mm")]
    return groups + [(f"map {name}", _has(map=name)) for name in TEST_LABEL_MAPS]


def _real_groups():
    words = {"weak": "weak labels (agreement)", "manual": "manual labels"}
    kinds = ("as it is", "altered")
    return [(f"{words[k]}, {kind}", _has(known=k, kind=kind)) for k in words for kind in kinds]


def _intracranial_groups():
    def whole(r):
        return r.intracranial_in_view >= INTRACRANIAL_WHOLE

    groups = [
        ("all", lambda r: True),
        ("given by the product", lambda r: r.reported),
        ("wholly in view", whole),
        ("cut, yet given", lambda r: r.reported and not whole(r)),
    ]
    for contrast in CONTRASTS:
        groups.append(
            (f"given, {contrast}", lambda r, c=contrast: r.reported and r.tags.get("contrast") == c)
        )
    return groups


def report(synthetic: list[Result], reals: list[Result], pipeline: int) -> str:
    """The tables as Markdown."""
    lines = []
    if synthetic:
        known = [r for r in synthetic if not r.refused]
        whole = [r for r in known if r.intracranial_in_view >= INTRACRANIAL_WHOLE]
        silent = sum(not r.reported for r in whole)
        lines += [f"## {len(synthetic)} synthesised heads of people kept out of training", ""]
        lines += side_table(synthetic, _synthetic_groups(), False) + [""] + partial_lines(synthetic) + [""]
        if pipeline:
            lines += side_table(synthetic, _synthetic_groups(), True) + [""]
        lines += intracranial_table(synthetic, _intracranial_groups())
        lines += ["", f"Wholly in view, yet not given: {silent} of {len(whole)}.", ""]
    if reals:
        lines += ["## Real heads", ""] + side_table(reals, _real_groups(), False) + [""]
        lines += partial_lines(reals) + [""]
        if pipeline:
            lines += side_table(reals, _real_groups(), True) + [""]
        kinds = ("as it is", "altered")
        groups = [(f"weak brain masks (agreement), {k}", lambda r, k=k: r.tags["kind"] == k) for k in kinds]
        lines += intracranial_table(reals, groups) + [""]
    return "\n".join(lines)


def write_cases(path: Path, results: list[Result]) -> None:
    """One row per side, for looking at single cases."""
    rows = []
    for r in results:
        keys = (
            "name",
            "refused",
            "intracranial",
            "intracranial_true",
            "intracranial_in_view",
            "reported",
            "turn_error",
        )
        common = {k: getattr(r, k) for k in keys} | r.tags
        rows += [common | {"side": side} | asdict(row) for side, row in r.sides.items()]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
