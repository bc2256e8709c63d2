"""Reading a model's card field by field: every value is checked, and what is wrong is named by its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any, TypeVar

T = TypeVar("T")

#: Stands for a field that must be there.
REQUIRED: Any = object()
#: Metadata of a dataclass's field that is left out of the file where it is empty.
OPTIONAL = {"optional": True}

#: Fields that nothing reads.
Extra = Mapping[str, Any]


def kept_as_is() -> Any:
    """A dataclass's field for what is kept as it is."""
    return field(default_factory=dict)


def left_out_if_empty() -> Any:
    """A dataclass's field for named values that the file need not have."""
    return field(default_factory=dict, metadata=OPTIONAL)


class FieldError(ValueError):
    """A field that is missing or impossible.

    Args:
        place: Where it stands, as in ``segmenter.widths``; empty for the card as a whole.
        problem: What is wrong, as the rest of a sentence that begins with the place.
    """

    def __init__(self, place: str, problem: str):
        self.place, self.problem = place, problem
        super().__init__(f"{_shown(place, 100) or 'it'} {_shown(problem, 250)}")


def _shown(words: str, most: int) -> str:
    """Words from a file: they may be long, and hold what no terminal should get."""
    short = words if len(words) <= most else f"{words[:most]} …"
    return "".join(letter if letter.isprintable() else "?" for letter in short)


class Fields:
    """The fields of one JSON object; each is asked for once, and `rest` gives those that were not.

    Args:
        values: What the JSON file holds there.
        place: Where that is, for messages.

    Raises:
        FieldError: It is no JSON object. Every method raises it for a value that cannot be used.
    """

    def __init__(self, values: object, place: str = ""):
        if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
            raise FieldError(place, "is not a group of named fields")
        self._values, self._place = values, place
        self._asked: set[str] = set()

    def place(self, name: object) -> str:
        """The place of a field, for messages."""
        return f"{self._place}.{name}" if self._place else str(name)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> list[str]:
        """Names of all fields, for objects whose names are data."""
        return list(self._values)

    def value(self, name: str, check: Callable[[object, str], T], default: T = REQUIRED) -> T:
        """A field's value after `check(value, place)`; `default` where the field is not there."""
        self._asked.add(name)
        if name not in self._values:
            if default is REQUIRED:
                raise FieldError(self.place(name), "is missing")
            return default
        return check(self._values[name], self.place(name))

    def text(self, name: str, default: str = REQUIRED) -> str:
        """A text that can be shown."""
        return self.value(name, text, default)

    def number(self, name: str, low: float, high: float, default: float = REQUIRED) -> float:
        """A finite number from `low` to `high`."""
        return self.value(name, number(low, high), default)

    def whole(self, name: str, low: int, high: int, default: int = REQUIRED) -> int:
        """A whole number from `low` to `high`."""
        return self.value(name, whole(low, high), default)

    def optional(self, name: str, check: Callable[[object, str], T]) -> T | None:
        """A field that may be missing or null."""
        if self._values.get(name) is None:
            self._asked.add(name)
            return None
        return self.value(name, check)

    def group(self, name: str) -> Fields:
        """Fields within this field."""
        return self.value(name, Fields)

    def free(self, name: str) -> dict[str, Any]:
        """An object whose content is for display alone; empty where it is missing."""
        nothing: dict[str, Any] = {}
        return dict(self.value(name, _object, nothing))

    def rest(self) -> dict[str, Any]:
        """The fields that nobody asked for; they are kept, for display and for rewriting."""
        return {name: value for name, value in self._values.items() if name not in self._asked}


def text(value: object, place: str) -> str:
    """A text of printable lines."""
    if not isinstance(value, str) or not all(line.isprintable() for line in value.splitlines()):
        raise FieldError(place, "is not a readable text")
    return value


def number(low: float, high: float) -> Callable[[object, str], float]:
    """A check for a finite number from `low` to `high`; whole numbers stay whole."""

    def check(value: object, place: str) -> float:
        # True is a whole number in Python, and no comparison holds for NaN.
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise FieldError(place, f"is not a number from {low:g} to {high:g}")
        return value

    return check


def whole(low: int, high: int) -> Callable[[object, str], int]:
    """A check for a whole number from `low` to `high`."""

    def check(value: object, place: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise FieldError(place, f"is not a whole number from {low} to {high}")
        return value

    return check


def sequence(
    check: Callable[[object, str], T], least: int = 0, most: int = 10**6
) -> Callable[[object, str], tuple[T, ...]]:
    """A check for a list of `least` to `most` values, each of which passes `check`."""

    def check_all(value: object, place: str) -> tuple[T, ...]:
        if not isinstance(value, list | tuple) or not least <= len(value) <= most:
            length = "" if most == 10**6 else f" of {least}" if least == most else f" of {least} to {most}"
            raise FieldError(place, f"is not a list{length and length + ' values'}")
        return tuple(check(one, f"{place}[{n}]") for n, one in enumerate(value))

    return check_all


def folder_name(value: object, place: str) -> str:
    """The name of a folder beside the model's own; never a path."""
    if (
        not isinstance(value, str)
        or value in ("", ".", "..")
        or not value.isprintable()
        or any(letter in value for letter in '/\\:*?"<>|')
    ):
        raise FieldError(place, "is not the name of a folder beside the model's own")
    return value


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FieldError(place, "is not a group of named fields")
    return value


def plain(value: Any) -> Any:
    """A part of a card as plain JSON values, as it stands in the file.

    A field without a value (None) is left out, and so is an empty one that need not be there; what was kept
    as `extra` stands beside the known fields.
    """
    if is_dataclass(value) and not isinstance(value, type):
        known = {
            one.metadata.get("key", one.name): getattr(value, one.name)
            for one in fields(value)
            if one.name != "extra" and not _is_left_out(getattr(value, one.name), one.metadata)
        }
        return plain(known) | plain(getattr(value, "extra", {}))
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def _is_left_out(value: Any, metadata: Mapping[str, Any]) -> bool:
    return value is None or (bool(metadata.get("optional")) and not value)
