"""Which scans are meant: labels of subjects and sessions, and a filter file as fMRIPrep's users write it.

    {"t1w": {"session": "01", "run": [1, 2], "acquisition": null}}

A value, a list of values, ``null`` (the entity must be missing) or ``"*"`` (there must be one).
Of other groups (``bold``, ``fmap``, ...) nothing is taken: one file serves several apps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import FilterError
from .names import ENTITIES, BidsName

GROUP = "t1w"
#: pybids' own words for the same: as fMRIPrep's documentation has them.
_MISSING, _ANY = "<Query.NONE: 1>", "<Query.ANY: 2>"
_WORDS: dict[Any, str] = {None: _MISSING, "Query.NONE": _MISSING, "Query.ANY": _ANY, "*": _ANY}
#: What else a filter may say of a T1w image; another value selects nothing.
_FIXED = {"datatype": "anat", "suffix": "T1w"}
_KEYS = {long: short for short, long in ENTITIES.items()}


@dataclass(frozen=True)
class Filters:
    """Which scans of a data set are meant.

    Attributes:
        subjects: Labels without ``sub-``; all where there are none.
        sessions: Labels without ``ses-``; all where there are none.
        entities: Entity as filter files have it -> the values that are allowed.
    """

    subjects: Sequence[str] = ()
    sessions: Sequence[str] = ()
    entities: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def select(self, name: BidsName) -> bool:
        """Whether a T1w image is meant."""
        entities = name.entities
        if self.subjects and entities["sub"] not in self.subjects:
            return False
        if self.sessions and entities.get("ses") not in self.sessions:
            return False
        facts = {**_FIXED, "extension": name.extension}
        facts |= {ENTITIES.get(key, key): value for key, value in entities.items()}
        return all(
            any(_fits(facts.get(key), value, _prefix(key)) for value in values)
            for key, values in self.entities.items()
        )


def labels(given: Sequence[str], prefix: str) -> tuple[str, ...]:
    """Labels as they may be given: ``01``, ``sub-01``, several in one word with commas, or a file.

    A file has one per line, or, as participants.tsv, in its first column.

    Args:
        given: What stands on the command line.
        prefix: ``sub-`` or ``ses-``.

    Raises:
        FilterError: A file cannot be read.
    """
    found: list[str] = []
    for word in given:
        path = Path(word)
        if path.suffix in (".txt", ".tsv", ".csv") and path.is_file():
            found += _of_file(path)
        else:
            found += [part for part in word.split(",") if part]
    return tuple(dict.fromkeys(label.strip().removeprefix(prefix) for label in found))


def _of_file(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FilterError(f"The list of labels '{path.name}' cannot be read.", "Check the file.") from error
    cells = [line.replace(",", "\t").split("\t")[0].strip() for line in lines]
    heads = ("participant_id", "session_id", "subject", "session")
    return [cell for cell in cells if cell and not cell.startswith("#") and cell not in heads]


def read_filter_file(path: Path) -> dict[str, list[Any]]:
    """The group `t1w` of a filter file: entity -> values.

    Raises:
        FilterError: It is no such file, or names an entity that images have not.
    """
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FilterError(
            f"The filter file '{path.name}' cannot be read.", "Give a JSON file, as for fMRIPrep."
        ) from error
    group = entry.get(GROUP, {}) if isinstance(entry, dict) else None
    if not isinstance(group, dict):
        raise FilterError(
            f"The filter file '{path.name}' is no filter file.",
            'Write for instance {"t1w": {"session": "01", "run": 1}}.',
        )
    for key in group:
        if key not in (*_KEYS, *_FIXED, "extension"):
            raise FilterError(
                f"The filter file '{path.name}' names '{key}', which no T1w image has.",
                f"Use {', '.join((*_KEYS, *_FIXED, 'extension'))}.",
            )
    return {key: value if isinstance(value, list) else [value] for key, value in group.items()}


def _prefix(key: str) -> str:
    return f"{_KEYS[key]}-" if key in _KEYS else ""


def _fits(fact: str | None, wanted: Any, prefix: str) -> bool:
    if wanted is None or isinstance(wanted, str):
        wanted = _WORDS.get(wanted, wanted)
    if wanted == _MISSING:
        return fact is None
    if fact is None:
        return False
    if wanted == _ANY:
        return True
    text = str(wanted).removeprefix(prefix)
    if isinstance(wanted, int) and not isinstance(wanted, bool) and fact.isdigit():
        return int(fact) == wanted  # run 1 is "run-1" and "run-01"
    return fact == text
