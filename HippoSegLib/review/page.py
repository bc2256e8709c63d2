"""Building the review page: data, style and script in one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..batch.columns import dictionary
from ..batch.layout import Layout
from ..batch.verdicts import Verdict, read_verdicts
from ..dependencies import require
from ..errors import InputError, OutputError
from ..io.atomic import replacing
from ..io.plain_text import plain_text
from ..labels import SIDES
from ..reference.values import MEASURES
from ..results.volumes import COLUMNS
from ..results.wording import AGREEMENT, TABLE_NAMES, Unit, unit_of
from .cards import Card, cards_of

PAGE = "index.html"
_ASSETS = Path(__file__).parent / "assets"
#: The script, in the order in which its parts are put together.
SCRIPTS = (
    "dom",
    "data",
    "csv",
    "verdicts",
    "filters",
    "virtual_list",
    "judging",
    "gallery",
    "table",
    "viewer",
    "statistics",
    "charts",
    "keys",
    "main",
)
#: In the head of each of our pages, with the name under which the browser keeps its verdicts.
_MARK = re.compile(rb'<meta name="hipposeg-review" content="([0-9a-f]{16})">')
_HEAD = 1000
#: Of a comparison with a reference.
_PERCENTILE, _Z = Unit("", "", 1, 1), Unit("", "", 1, 2)


def write_page(folder: str | Path, layout: Layout | None = None) -> Path:
    """Write `index.html` into an output folder, in place of an earlier one.

    Verdicts of the folder's `review.csv` are in the page; where that file is damaged, the page says so.

    Args:
        folder: An output folder with records.
        layout: Where its files lie; found out where it is not given.

    Returns:
        The page.

    Raises:
        InputError: There is no record in the folder. OutputError: The page cannot be written, or there is an
            `index.html` of something else. DependencyError: Jinja2 is missing.
    """
    folder = Path(folder)
    page = folder / PAGE
    earlier = _earlier_id(page)
    cards = cards_of(folder, layout)
    if not cards:
        raise InputError(
            f"There are no results of HippoSeg in '{folder.name}'.",
            "Give the output folder of a segmentation.",
            "no_results",
        )
    try:
        verdicts, problem = read_verdicts(folder), None
    except InputError as error:
        verdicts, problem = {}, str(error)
    data = page_data(cards, verdicts, folder.resolve().name)
    data |= {"id": earlier or data["id"], "review_problem": problem}
    text = html(data)
    with replacing(page, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return page


def _earlier_id(page: Path) -> str | None:
    """The name of the page that is there already; None where there is none.

    Raises:
        OutputError: There is a file of something else.
    """
    try:
        with open(page, "rb") as file:
            found = _MARK.search(file.read(_HEAD))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(
            f"'{page.name}' cannot be read ({error.strerror or type(error).__name__}).",
            "Close it in other programs.",
        ) from error
    if found is None:
        raise OutputError(
            f"'{page.name}' in the output folder is not a review page of HippoSeg.",
            "Move it to another folder.",
            "not_ours",
        )
    return found[1].decode("ascii")


def page_data(cards: Sequence[Card], verdicts: Mapping[str, Verdict], folder: str = "") -> dict[str, Any]:
    """What the script is given, as plain JSON values.

    Args:
        cards: Of the scans, worst first.
        verdicts: Of `review.csv`, as they stand there.
        folder: Name of the folder, for the title.
    """
    names = sorted(f"{card.scan}\0{card.result}" for card in cards)
    columns = _columns(cards)
    return {
        "id": hashlib.sha256("\n".join(names).encode("utf-8")).hexdigest()[:16],
        "folder": plain_text(folder),
        "columns": columns,
        "scans": [_scan(card, [column["name"] for column in columns]) for card in cards],
        "verdicts": {scan: asdict(verdict) for scan, verdict in verdicts.items()},
        "review_problem": None,
    }


def _columns(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """The measured columns in which anything stands."""
    known = set().union(*(card.values for card in cards))
    words = dictionary()
    columns = []
    units = {TABLE_NAMES.get(name, name): unit_of(name) for name in COLUMNS}
    units |= {f"{side}_agreement": AGREEMENT for side in SIDES}
    for measure in MEASURES:
        units |= {f"{measure}_percentile": _PERCENTILE, f"{measure}_z": _Z}
    for name, unit in units.items():
        if name not in known:
            continue
        description = words.get(name, {}).get("Description", "")
        columns.append(
            {
                "name": name,
                "title": _title(name),
                "unit": unit.symbol,
                "digits": unit.digits,
                "description": description,
            }
        )
    return columns


def _title(name: str) -> str:
    """A column's name in words, without its unit."""
    words = re.sub("_(mm3|percent|ml)$", "", name).replace("_per_mille_of_", " of ").replace("_", " ")
    return words.capitalize()


def _scan(card: Card, columns: Sequence[str]) -> dict[str, Any]:
    return {
        "scan": plain_text(card.scan),
        "status": card.status,
        "severity": card.severity,
        "flags": [asdict(flag) for flag in card.flags],
        "failure": card.failure,
        "result": card.result,
        "picture": card.picture,
        "report": card.report,
        "values": [_rounded(card.values.get(name)) for name in columns],
        "facts": dict(card.facts),
        "comparison": card.comparison,
        "seconds": card.seconds,
    }


def _rounded(value: float | None) -> float | None:
    """Enough digits for sorting and drawing."""
    return None if value is None else float(f"{value:.7g}")


def html(data: Mapping[str, Any]) -> str:
    """The page of `page_data`'s values.

    Raises:
        DependencyError: Jinja2 is missing.
    """
    jinja2 = require("jinja2")
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS), autoescape=True, undefined=jinja2.StrictUndefined
    )
    style = (_ASSETS / "page.css").read_text(encoding="utf-8")
    script = script_text()
    return environment.get_template("index.html").render(
        data=data,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def script_text() -> str:
    """All parts of the script in one scope of their own."""
    parts = [(_ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


def _hash(text: str) -> str:
    """A style's or script's hash, by which the page's policy lets it, and nothing else, run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
