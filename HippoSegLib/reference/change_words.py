"""A change between visits in words and in the columns of a table."""

from __future__ import annotations

from ..results.wording import VOLUME, number
from .change import CHANGING, Change, ChangeOverTime

COLUMNS = (
    "subject",
    "scans",
    "years",
    *(
        f"{name}_{what}"
        for name in CHANGING
        for what in (
            "mm3_per_year",
            "mm3_per_year_low",
            "mm3_per_year_high",
            "percent_per_year",
            "percent_per_year_low",
            "percent_per_year_high",
        )
    ),
    "code",
    "remarks",
)


def change_lines(found: ChangeOverTime) -> list[str]:
    """Sentences for people: a line per volume, or why nothing is said, and the notes."""
    lines = [f"{name}: {_words(one)}" for name, one in found.changes.items()]
    if lines:
        lines.insert(0, f"{found.scans} scans over {found.years:.1f} years; % of their mean volume")
    if found.withheld is not None:
        lines.append(f"No change per year: {found.withheld.sentence}")
    return lines + [note.sentence for note in found.notes]


def _words(one: Change) -> str:
    first, low, high = (f"{value + 0.0:+.1f}" for value in one.percent)
    volume = f"{float(number(one.mm3_per_year, VOLUME)):+.0f} mm³ per year"
    return f"{volume}, {first} % (95 % interval {low} to {high} %)"


def change_cells(subject: str, found: ChangeOverTime) -> list[str]:
    """The cells of `COLUMNS`; "" for what is withheld."""
    cells = [subject, str(found.scans), f"{found.years:.2f}" if found.changes else ""]
    for name in CHANGING:
        one = found.changes.get(name)
        if one is None:
            cells += [""] * 6
        else:
            cells += [f"{value:.1f}" for value in (one.mm3_per_year, one.low, one.high)]
            cells += [f"{value:.2f}" for value in one.percent]
    codes = [] if found.withheld is None else [found.withheld]
    remarks = [*codes, *found.notes]
    return [
        *cells,
        " ".join(one.code for one in remarks),
        " ".join(one.sentence for one in remarks),
    ]
