"""What the panel's worker does for fine-tuning; see `exchange` for how images travel."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .exchange import exchange_path, to_image

if TYPE_CHECKING:
    from ..finetuning.site_case import CheckedSite


def finetune_task(
    request: Mapping,
    folder: str,
    progress: Callable[[str, float], None],
    cancel: Callable[[], bool],
) -> dict:
    """Check a site's cases and, unless only that is asked for, fine-tune a model on them.

    Args:
        request: ``site`` (a folder) or ``cases`` (each ``name``, ``subject``, ``image`` and ``label`` as
            descriptions), ``region``, ``side``, ``label_map``, ``base``, ``device``, ``threads``,
            ``check_only`` and ``leave_out``; for fine-tuning also ``output``, the new model's folder,
            and ``settings``, changes to the default ones.

    Returns:
        ``table`` (the check in words), ``unusable`` (number of cases), ``warnings``, ``pictures`` (PNG
        names in the folder) and, after fine-tuning, ``model``, ``better``, ``is_default`` and ``words``.

    Raises:
        See :func:`HippoSegLib.finetuning.run.fine_tune`.
    """
    from ..dependencies import require_packages

    progress("Loading libraries", 0.0)
    require_packages(["torch"])
    from ..finetuning.case_sheet import sheets
    from ..finetuning.case_table import table_lines
    from ..finetuning.run import check_site, fine_tune
    from ..finetuning.run_options import RunOptions
    from ..finetuning.settings import FineTuneSettings
    from ..finetuning.site import Site

    answer: dict = {"table": "", "unusable": 0, "warnings": [], "pictures": []}

    def tell(checked: CheckedSite) -> None:
        answer["table"], answer["warnings"] = table_lines(checked.cases), list(checked.warnings)
        answer["unusable"] = sum(not case.usable for case in checked.cases)
        for number, sheet in enumerate(sheets(checked.cases), start=1):
            name = f"finetune-{number}.png"
            sheet.save(os.path.join(folder, name), "PNG")
            answer["pictures"].append(name)

    sources = request.get("site") or _sources(request.get("cases", ()), folder)
    if not sources:
        raise InputError("There are no cases.", "Choose a folder, or segment volumes in the scene by hand.")
    site = Site(
        sources,
        label_map=request.get("label_map"),
        region=bool(request.get("region")),
        side=request.get("side"),
        leave_out=bool(request.get("leave_out")),
    )
    run = RunOptions(
        device=request.get("device") or "auto",
        threads=request.get("threads"),
        progress=progress,
        cancel=cancel,
        checked=tell,
    )
    base = request.get("base")
    if request.get("check_only"):
        check_site(site, base, run)
        return answer
    settings = FineTuneSettings.preset("default", **request.get("settings", {}))
    result = fine_tune(site, Path(request["output"]), base=base, settings=settings, run=run)
    return {
        **answer,
        "model": str(result.folder),
        "better": result.comparison["better"],
        "is_default": result.is_default,
        "words": result.comparison["words"],
    }


def _sources(cases, folder: str) -> list:
    """Sources of images in the exchange folder, whose files are removed once read."""
    from ..finetuning.sources import SiteSource

    found = []
    for case in cases:
        images = {}
        for what in ("image", "label"):
            images[what] = to_image(case[what], folder)
            os.remove(exchange_path(folder, case[what]["array"]))
        found.append(
            SiteSource(case["name"], case["subject"], images["image"], images["label"], case.get("side"))
        )
    return found
