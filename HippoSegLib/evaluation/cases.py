"""Pairing scans, reference labels and existing results.

Each of the three is given as one quoted pattern with a star, as a folder, or as a list of files (which is
what the shell makes of an unquoted pattern). Patterns are paired by what the star stands for, folders by
file names, lists by their order. Doubt is refused: a wrong pair gives a wrong figure in silence.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..batch.naming import output_names
from ..errors import InputError
from ..io.images import SUFFIXES, image_stem

#: What `hipposeg segment` adds to a scan's name for its label image.
RESULT_ENDING = "_hippocampus"
_NAMED = 3


@dataclass(frozen=True)
class EvaluationCase:
    """One scan (or an existing result in its place) and the labels it is judged by."""

    name: str
    label: Path
    scan: Path | None = None
    result: Path | None = None


@dataclass
class _Given:
    """What an option was given: `kind` is "pattern", "folder" or "list"; `keys` tell a pair's halves."""

    what: str
    kind: str
    paths: list[Path]
    keys: list[str] = field(default_factory=list)


def pair_cases(
    scans: Sequence[str] | None, labels: Sequence[str], results: Sequence[str] | None = None
) -> tuple[list[EvaluationCase], int]:
    """Pair the files that the options name.

    Args:
        scans: Scans; may be None where `results` are given.
        labels: Reference labels.
        results: Existing label images to be judged, in place of segmenting the scans.

    Returns:
        The cases, in the order of the scans, named after them; and how many labels belong to none.

    Raises:
        InputError: A file is missing, a scan has no label or result, or the pairs are in doubt.
    """
    truth = _given(labels, "label")
    found = None if results is None else _given(results, "result")
    if scans is None:
        if found is None:
            raise InputError(
                "There is nothing to evaluate.", "Give scans, or results.", "nothing_to_evaluate"
            )
        first = _only_results(found)
        names = output_names([p.parent / _without_ending(image_stem(p)) for p in first.paths])
        results_of: list[Path] | None = first.paths
    else:
        first = _given(scans, "scan")
        names = output_names(first.paths)
        results_of = None if found is None else _partners(first, found, names)
    labels_of = _partners(first, truth, names)
    if len(set(labels_of)) < len(labels_of):
        raise InputError("A label was given twice.", "Name each label once.")
    cases = [
        EvaluationCase(
            name,
            labels_of[i],
            None if scans is None else first.paths[i],
            None if results_of is None else results_of[i],
        )
        for i, name in enumerate(names)
    ]
    return cases, len(truth.paths) - len(cases)


def _given(arguments: Sequence[str], what: str) -> _Given:
    """Find the files that one option names."""
    arguments = [str(a) for a in arguments]
    if len(arguments) == 1:
        path = Path(arguments[0])
        if "*" in arguments[0] and not path.exists():
            return _from_pattern(arguments[0], what)
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if _is_image(p))
            if files:
                keys = [_without_ending(image_stem(p)) if what == "result" else image_stem(p) for p in files]
                return _Given(what, "folder", files, keys)
            if what != "scan":  # a folder of slices is a scan
                raise InputError(
                    f"The folder '{path.name}' holds no {what} images.", "Give another, or a pattern."
                )
    paths = [Path(a) for a in arguments]
    for path in paths:
        if not path.exists():
            many = "*" in path.name
            raise InputError(
                f"'{path.name}' does not exist.",
                f"Give one quoted pattern for all {what}s." if many else "Check the path.",
            )
    return _Given(what, "list", paths, [image_stem(p) for p in paths])


def _is_image(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")


def _from_pattern(pattern: str, what: str) -> _Given:
    """Files that match; the key is what the stars stand for."""
    pieces = [piece for piece in re.split(r"(\*+)", os.path.normpath(pattern)) if piece]
    stars = [set(piece) == {"*"} for piece in pieces]
    # Only the star is special: brackets and question marks occur in file names.
    search = "".join("*" if star else glob.escape(p) for p, star in zip(pieces, stars, strict=True))
    parts = [r"([^/\\]*)" if star else re.escape(p) for p, star in zip(pieces, stars, strict=True)]
    expression = re.compile("".join(parts))
    paths, keys = [], []
    for name in sorted(glob.glob(search)):
        match = expression.fullmatch(os.path.normpath(name))
        if match and (_is_image(Path(name)) or (what == "scan" and Path(name).is_dir())):
            paths.append(Path(name))
            *before, last = match.groups()
            # A star at the end of a pattern matches the suffix too, which is not part of the name.
            keys.append("|".join([*before, image_stem(last) if stars[-1] else last]))
    if not paths:
        raise InputError(
            f"No {what} matches the pattern '{Path(pattern).name}'.", "Check the folder and the pattern."
        )
    return _Given(what, "pattern", paths, keys)


def _without_ending(stem: str) -> str:
    return stem[: -len(RESULT_ENDING)] if stem.endswith(RESULT_ENDING) and stem != RESULT_ENDING else stem


def _only_results(found: _Given) -> _Given:
    """Of a folder that `hipposeg segment` wrote, the label images without the probability maps."""
    keep = [i for i, p in enumerate(found.paths) if image_stem(p).endswith(RESULT_ENDING)]
    if found.kind == "folder" and keep:
        return _Given(found.what, "folder", [found.paths[i] for i in keep], [found.keys[i] for i in keep])
    return found


def _partners(first: _Given, other: _Given, names: Sequence[str]) -> list[Path]:
    """For each path of `first` the one of `other` that belongs to it."""
    if first.kind == other.kind == "list":
        _check_order(first, other)
        return other.paths
    if {first.kind, other.kind} == {"list", "pattern"}:
        raise InputError(
            f"The {first.what}s and the {other.what}s are given in different ways.",
            "Quote both patterns, or give both as lists in the same order.",
        )
    if len(set(other.keys)) < len(other.keys):
        twice = next(k for k in other.keys if other.keys.count(k) > 1)
        raise InputError(f"There are two {other.what}s called '{twice}'.", "Keep one of them.")
    # In a folder a file may be called after the scan's file, or after what the pattern's star stands for.
    candidates = [first.keys]
    if other.kind == "folder":
        candidates += [[image_stem(p) for p in first.paths], list(names)]
    known = dict(zip(other.keys, other.paths, strict=True))
    keys = max(candidates, key=lambda keys: sum(key in known for key in keys))
    lacking = [name for name, key in zip(names, keys, strict=True) if key not in known]
    if lacking:
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        raise InputError(
            f"No {other.what} belongs to {', '.join(lacking[:_NAMED])}{more}.",
            f"Give a {other.what} for every {first.what}; patterns are paired by what the star stands for, "
            "folders by file names.",
        )
    return [known[key] for key in keys]


def _check_order(first: _Given, other: _Given) -> None:
    """Refuse two lists that do not run in parallel, as far as the names tell."""
    if len(first.paths) != len(other.paths):
        raise InputError(
            f"{len(first.paths)} {first.what}s and {len(other.paths)} {other.what}s were given.",
            f"Give one {other.what} per {first.what}, in the same order.",
        )
    a, b = _distinct_tokens(first.keys), _distinct_tokens(other.keys)
    if not {tuple(t) for t in a} & {tuple(t) for t in b}:
        return  # names that have nothing in common: the order is all there is
    for i, (mine, its) in enumerate(zip(a, b, strict=True)):
        if mine != its and (mine in b or its in a or not set(mine) & set(its)):
            raise InputError(
                f"The {first.what} '{first.paths[i].name}' stands beside the {other.what} "
                f"'{other.paths[i].name}', which does not seem to belong to it.",
                "Give both lists in the same order and without gaps, or two quoted patterns.",
            )


def _distinct_tokens(stems: Sequence[str]) -> list[list[str]]:
    """Words and numbers of each name, without those at both ends that all names share."""
    tokens = [re.findall(r"\d+|[^\W\d_]+", stem) for stem in stems]
    if len(tokens) < 2:
        return tokens
    for end in (0, -1):
        while all(len(t) > 1 for t in tokens) and len({t[end] for t in tokens}) == 1:
            for t in tokens:
                del t[end]
    return tokens
