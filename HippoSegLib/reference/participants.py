"""Age, sex and group of participants, from a table with BIDS's columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .tables import NamedTable, bare, number_in, plain_name, printable, read_named_table
from .values import Person, Sex

_SEXES: dict[str, Sex] = {
    **dict.fromkeys(("f", "female", "woman", "w"), "female"),
    **dict.fromkeys(("m", "male", "man"), "male"),
}
#: Columns that say what scanned somebody, as `plain_name` gives them -> as the reference names them.
_SCANNER = {
    "manufacturer": "manufacturer",
    "manufacturersmodelname": "scanner",
    "scannermodel": "scanner",
    "scanner": "scanner",
    "magneticfieldstrength": "field_strength",
    "fieldstrength": "field_strength",
    "site": "site",
    "institution": "site",
    "institutionname": "site",
}
_NAMES = ("participant_id", "subject", "subject_id", "scan")
_OLDEST = 130


@dataclass(frozen=True)
class Participant:
    """A line of the table.

    Attributes:
        person: Age and sex, as far as they are there.
        scanner: Field -> value.
        is_control: Whether the line was chosen.
    """

    person: Person
    scanner: Mapping[str, str]
    is_control: bool


@dataclass(frozen=True)
class Participants:
    """The table.

    Attributes:
        of_session: (participant, session) without BIDS's prefixes -> its line; the session is "" where the
            line names none.
        selection: How controls were chosen, in words.
    """

    of_session: Mapping[tuple[str, str], Participant]
    selection: str = ""

    def of(self, subject: str, session: str = "", scan: str = "") -> Participant | None:
        """The line of a scan: of its subject and session, of its subject, or of its name."""
        keys = ((bare(subject), bare(session, "ses-")), (bare(subject), ""), (bare(scan), ""))
        return next((self.of_session[key] for key in keys if key[0] and key in self.of_session), None)


def read_participants(path: str | Path, controls: tuple[str, ...] = ()) -> Participants:
    """Read the table.

    Args:
        path: With a column `participant_id` (or `subject`, or `scan`, the scan's name), and `age`, `sex`, and
            what `controls` name; `session_id` where ages are of a visit.
        controls: Conditions such as ``group=HC`` or ``group=HC,CN``, all of which a control meets.

    Raises:
        InputError: It cannot be read, lacks a column, or a condition fits no line.
    """
    table = read_named_table(path, "table of participants")
    missing = [words[0] for words in (_NAMES, ("age",), ("sex", "gender")) if table.column(*words) is None]
    if missing:
        raise InputError(
            f"The table of participants has no column {' and no column '.join(map(repr, missing))}.",
            "Name the columns as BIDS does: participant_id, age (years), sex (F or M).",
            "participants_columns",
        )
    conditions = [_condition(words, table) for words in controls]
    found: dict[tuple[str, str], Participant] = {}
    for line in table.lines:
        name = bare(table.cell(line, *_NAMES))
        session = bare(table.cell(line, "session_id", "session"), "ses-")
        if name:
            chosen = all(line[at].strip().lower() in values for at, values in conditions)
            person = Person(age_of(table.cell(line, "age")), sex_of(table.cell(line, "sex", "gender")))
            found.setdefault((name, session), Participant(person, scanner_of(table, line), chosen))
    if not found:
        raise InputError("The table names no participant.", "Fill in participant_id.", "no_participant")
    if not any(one.is_control for one in found.values()):
        raise InputError(
            f"No participant meets '{printable(' and '.join(controls))}'.",
            "Write the condition as column=value, with a value that stands in the column.",
            "no_control",
        )
    return Participants(found, printable(" and ".join(controls)))


def age_of(text: str) -> float | None:
    """Years in a cell: ``67``, ``67.5``, or DICOM's ``067Y``; None for ``89+``, which is no age."""
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*[Yy]?", text.strip())
    age = None if match is None else number_in(match[1].replace(",", "."))
    return age if age is not None and age <= _OLDEST else None


def sex_of(text: str) -> Sex | None:
    """The sex in a cell; None where it is neither, or a code that could mean either."""
    return _SEXES.get(text.strip().lower())


def _condition(words: str, table: NamedTable) -> tuple[int, tuple[str, ...]]:
    """Number of the column, and the values in lower case that a control may have there."""
    name, equals, values = words.partition("=")
    at = table.column(name) if equals else None
    if at is None:
        raise InputError(
            f"'{printable(words)}' chooses no controls: "
            + ("there is no such column." if equals else "it is no column=value."),
            f"The columns are: {', '.join(map(printable, table.header))}.",
            "controls_column",
        )
    return at, tuple(value.strip().lower() for value in values.split(","))


def scanner_of(table: NamedTable, line: tuple[str, ...]) -> dict[str, str]:
    """What scanned somebody: field -> value, of the columns that are there."""
    found: dict[str, str] = {}
    for name in table.header:
        field = _SCANNER.get(plain_name(name))
        if field and (value := table.cell(line, name)):
            found.setdefault(field, value)
    return found
