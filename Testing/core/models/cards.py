"""Altered cards: every value of a card, and every group, replaced by what it cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from HippoSegLib.models.store import bundled_folder

#: Of a longer list of values alike, only the first and the last are altered.
SHORT = 6
DROPPED = object()
#: What takes a value's place; a text is put where a number is, and a number where a text is.
PUT = {
    "null": None,
    "true": True,
    "negative": -7,
    "zero": 0,
    "huge": 10**30,
    "larger than a double": 10**400,
    "fraction": 0.123,
    "nan": float("nan"),
    "infinite": float("inf"),
    "empty text": "",
    "text": "somewhere",
    "path": "../../etc/passwd",
    "surrogate": "\udcff\x1b[2J",
    "long text": "x" * 100_000,
    "empty list": [],
    "list": [1, "a", None],
    "empty group": {},
    "group": {"name": {"name": [3]}},
    "dropped": DROPPED,
}
Path = tuple[str | int, ...]


def bundled(name: str) -> dict[str, Any]:
    """The JSON values of a bundled model's card."""
    return json.loads((bundled_folder() / name / "card.json").read_text(encoding="utf-8"))


def shortened(card: dict[str, Any]) -> dict[str, Any]:
    """The card with short lists of names and one row of each table that nothing reads: quick to alter."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: short(one) for name, one in value.items()}
        if isinstance(value, list):
            names = all(isinstance(one, str) for one in value)
            return [short(one) for one in (value[:3] if names else value)]
        return value

    card = short(card)
    tables = ((card["figures"], "labelled_heads"), (card["quality"], "held_out_kinds_and_subjects"))
    for part, name in tables:
        first = next(iter(part[name]))
        part[name] = {first: dict(list(part[name][first].items())[:2])}
    return card


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where values and groups stand in a card."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, one in value.items():
            yield from places(one, (*path, name))
    elif isinstance(value, list):
        chosen = range(len(value)) if len(value) < SHORT else (0, len(value) - 1)
        for n in chosen:
            yield from places(value[n], (*path, n))


def at(card: Any, path: Path) -> Any:
    """What stands at a place of a card; `DROPPED` where it has no such place."""
    for step in path:
        try:
            card = card[step]
        except (KeyError, IndexError, TypeError):
            return DROPPED
    return card


def altered(card: Any, path: Path, new: Any) -> Any:
    """A copy of a card with another value at a place; what is not on the way to it is shared."""
    copy = dict(card) if isinstance(card, dict) else list(card)
    first, rest = path[0], path[1:]
    if rest:
        copy[first] = altered(copy[first], rest, new)
    elif new is DROPPED:
        del copy[first]
    else:
        copy[first] = new
    return copy


def alterations(card: Any, done: Any = DROPPED) -> Iterator[tuple[Path, str, Any]]:
    """(place, what was put there, the altered card), for every place and every value of `PUT`.

    Places where the card that is `done` has the same value are left out.
    """
    for path in places(card):
        if done is not DROPPED and at(done, path) == at(card, path):
            continue
        for name, new in PUT.items():
            yield path, name, altered(card, path, new)
