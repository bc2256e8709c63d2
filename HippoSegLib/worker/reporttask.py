"""The panel's task "report": the page about a result in the scene."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..dependencies import require_packages
from ..flags import Flag, status_of
from .exchange import exchange_path

NAME = "page.html"


def report_task(request: dict, folder: str, progress, cancel, draw: Callable[..., dict]) -> dict:
    """Write the page: ``page`` is its name in the folder.

    Args:
        request: What the task "picture" takes, and ``row`` (columns of the volumes table), ``details``
            (flags with `code`, `message`, `side` and `severity`), ``provenance``, ``judgement`` (of the
            comparison with a reference, as `Judgement.to_dict` makes it, or None) and ``reference`` (its
            file, "" for none).
        draw: The task "picture".
    """
    require_packages(["jinja2"])
    from ..report.content import Beside, Picture, page_of
    from ..report.model_words import card_of
    from ..report.page import html

    drawn = exchange_path(folder, draw(request, folder, progress, cancel)["picture"])
    picture = Path(drawn).read_bytes()
    os.remove(drawn)
    record = _record(request)
    judgement, reference = _comparison(request)
    model = _mapping(record.provenance.get("model"))
    card = card_of(record.model, str(model.get("sha256", ""))) if record.model else None
    page = page_of(record, Beside(Picture(picture), card, judgement=judgement, reference=reference))
    Path(exchange_path(folder, NAME)).write_text(html(page), encoding="utf-8", newline="\n")
    return {"page": NAME}


def _record(request: Mapping[str, Any]):
    from ..batch.record import RecordedSource, ScanRecord

    flags = tuple(
        Flag(one["code"], one["message"], one.get("side"), one.get("severity", "warning"))
        for one in request.get("details", ())
    )
    return ScanRecord(
        scan=request.get("title", ""),
        status=status_of(flags),
        source=RecordedSource("", ""),
        measurements=request.get("row", {}),
        flags=flags,
        provenance={**request.get("provenance", {}), "finished": request.get("date", "")},
    )


def _comparison(request: Mapping[str, Any]):
    from ..reference import judgement_of, read_reference

    judgement = judgement_of(request.get("judgement"))
    path = request.get("reference")
    return judgement, read_reference(path) if path and judgement is not None else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
