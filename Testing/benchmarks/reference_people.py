"""What the report's page says of 200 simulated participants with planted atrophy, asymmetry and failures.

    python Testing/benchmarks/reference_people.py [--write]

A reference is made of 64 simulated controls. 200 further participants are of nine kinds, most of them with
something planted; their volumes and flags are put into records and compared with the reference, and the page
that `hipposeg report` would show is made of each.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "core" / "reference")]

import simulated  # noqa: E402

from HippoSegLib.batch.record import Failure, RecordedSource, ScanRecord  # noqa: E402
from HippoSegLib.flags import Flag, doubted_sides, status_of  # noqa: E402
from HippoSegLib.reference import Identity, Judgement, judge  # noqa: E402
from HippoSegLib.reference.fitting import Control, fit_reference  # noqa: E402
from HippoSegLib.report.content import Beside, Page, page_of  # noqa: E402
from HippoSegLib.results.plausibility import volume_flags  # noqa: E402
from HippoSegLib.results.volumes import Measurements  # noqa: E402

CONTROLS = 64
_UNCERTAIN = "The left outline is uncertain (expected overlap with a manual outline about 0.62): check it."
_DIFFERENT = "The two readers outline the left hippocampus differently (overlap 0.71): check it."
_QUALITY, _DISAGREEMENT = Flag("quality", _UNCERTAIN, "left"), Flag("disagreement", _DIFFERENT, "left")


@dataclass(frozen=True)
class Kind:
    """A kind of participant.

    Attributes:
        name: In words.
        count: How many there are.
        left, right: What a side's volume is multiplied with.
        age: In place of the drawn one.
        head: What the intracranial volume is multiplied with.
        flags: On the outlines.
        failed: Whether there is no result.
        protocol: Of the volumes.
    """

    name: str
    count: int
    left: float = 1.0
    right: float = 1.0
    age: float | None = None
    head: float = 1.0
    flags: tuple[Flag, ...] = ()
    failed: bool = False
    protocol: str = "full"


KINDS = (
    Kind("as the controls", 90),
    Kind("both sides 25 % smaller", 30, 0.75, 0.75),
    Kind("left 25 % smaller, outlines sound", 15, left=0.75),
    Kind("right 25 % smaller, outlines sound", 15, right=0.75),
    Kind("left outline failed: 45 % too small, quality low, readers disagree", 20, left=0.55,
         flags=(_QUALITY, _DISAGREEMENT)),
    Kind("no result", 5, failed=True),
    Kind("older than all controls", 10, age=92.0),
    Kind("head larger than those of all controls", 5, head=1.6),
    Kind("volumes of the msd protocol: 8 % smaller", 10, 0.92, 0.92, protocol="msd"),
)  # fmt: skip


@dataclass
class Said:
    """What is said of one kind."""

    kind: Kind
    pages: list[Page] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    def share(self, is_so: Callable[[Judgement], bool]) -> str:
        """Of those that were compared, how many: ``12 of 30``."""
        compared = [one for one in self.judgements if one.measures]
        return f"{sum(map(is_so, compared))} of {len(compared)}" if compared else "–"


def record_of(kind: Kind, person: Control) -> ScanRecord:
    """The record of a participant."""
    source = RecordedSource("scan.nii.gz", person.name)
    provenance = {
        "model": {"name": simulated.IDENTITY.model, "sha256": "ffd74a52f10a"},
        "versions": {"HippoSeg": simulated.IDENTITY.version},
        "settings": {"protocol": kind.protocol},
    }
    if kind.failed:
        failure = Failure("no_head", "not_found", "No head with a brain was recognised.")
        return ScanRecord(person.name, "failed", source, failure=failure, provenance=provenance)
    whole = {side: person.measurements[f"{side}_mm3"] for side in ("left", "right")}
    doubted = doubted_sides(flag.name for flag in kind.flags)
    quality = {side: 0.62 if side in doubted else 0.9 for side in whole}
    measured = Measurements(whole, {}, person.measurements["intracranial_mm3"], quality)
    flags = (*volume_flags(measured, doubted), *kind.flags)
    return ScanRecord(person.name, status_of(flags), source, measured.as_row(), flags, provenance=provenance)


def planted(kind: Kind, seed: int) -> list[Control]:
    """The participants of a kind."""
    found = []
    for one in simulated.people(kind.count, (77, seed)):
        volumes = one.measurements
        left, right = kind.left * volumes["left_mm3"], kind.right * volumes["right_mm3"]
        measured = simulated.measurements(left, right, kind.head * volumes["intracranial_mm3"])
        age = kind.age or float(np.clip(one.person.age, 25, 70))
        found.append(replace(one, person=replace(one.person, age=age), measurements=measured))
    return found


def survey() -> list[Said]:
    """What is said of all participants, by kind."""
    reference, _ = fit_reference(simulated.people(CONTROLS, 5), simulated.IDENTITY)
    result = []
    for number, kind in enumerate(KINDS):
        said = Said(kind)
        identity = Identity(**{**vars(simulated.IDENTITY), "protocol": kind.protocol})
        for person in planted(kind, number):
            record = record_of(kind, person)
            doubted = doubted_sides(flag.name for flag in record.flags)
            judgement = judge(reference, record.measurements, person.person, identity, doubted=doubted)
            said.judgements.append(judgement)
            said.pages.append(page_of(record, Beside(judgement=judgement, reference=reference)))
            remarks = {one.code for one in (*judgement.withheld.values(), *judgement.notes)}
            said.codes.update({flag.code for flag in record.flags} | (remarks - {"few_controls"}))
            said.codes[f"status {record.status}"] += 1
        result.append(said)
    return result


def low(*names: str) -> Callable[[Judgement], bool]:
    """Whether one of some measures lies under the 5th percentile."""
    return lambda one: any(one.measures[name].percentile < 5 for name in names if name in one.measures)


def uneven(one: Judgement) -> bool:
    """Whether the asymmetry lies outside the 95 % interval."""
    asymmetry = one.measures.get("asymmetry")
    return asymmetry is not None and abs(asymmetry.percentile - 50) > 47.5


def table(found: list[Said]) -> list[str]:
    """Lines of Markdown: counts by kind, then an example of each."""
    lines = [
        "| kind | people | left under the 5th percentile | right | total | asymmetry outside 95 % | codes |",
        "|---|---|---|---|---|---|---|",
    ]
    for said in found:
        shares = [said.share(low(name)) for name in ("left", "right", "total")] + [said.share(uneven)]
        codes = ", ".join(f"{code} {count}" for code, count in sorted(said.codes.items()))
        lines.append(f"| {said.kind.name} | {said.kind.count} | {' | '.join(shares)} | {codes} |")
    lines += ["", "What the page says of the first of each kind:", ""]
    for said in found:
        page = said.pages[0]
        lines += [f"**{said.kind.name}**", "", f"- {page.status}: {page.status_words}"]
        lines += [f"- warning: {text}" for text in page.warnings]
        lines += [f"- note: {text}" for text in page.notes]
        lines += [f"- {row.name}: left {row.left}, right {row.right}, total {row.total}" for row in page.rows
                  if "ercentile" in row.name]  # fmt: skip
        lines += [f"- {text}" for text in page.findings]
        lines.append("")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="also write reference_people.md")
    args = parser.parse_args()
    lines = [
        "# What is said of 200 simulated participants",
        "",
        "    python Testing/benchmarks/reference_people.py",
        "",
        f"The reference has {CONTROLS} simulated controls. Percentiles are of those that are compared; codes",
        "are of flags, of what is withheld, and of notes, each with its number of participants.",
        "",
        *table(survey()),
    ]
    text = "\n".join(lines).rstrip() + "\n"
    print(text)
    if args.write:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
