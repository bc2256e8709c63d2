"""What the panel's worker does for fine-tuning; see `exchange` for how images travel."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .exchange import exchange_path, to_image


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
        ``table`` (the check in words), ``unusable`` (number of cases), ``doubts``, ``pictures`` (PNG
        names in the folder) and, after
        fine-tuning, ``model``, ``better``, ``is_default`` and ``words``.

    Raises:
        See :func:`HippoSegLib.finetuning.run.fine_tune`.
    """
    from ..dependencies import require_packages

    progress("Loading libraries", 0.0)
    require_packages(["torch"])
    from ..finetuning.check import table_lines
    from ..finetuning.run import fine_tune, look_at
    from ..finetuning.settings import FineTuneSettings
    from ..finetuning.sheet import sheets

    answer: dict = {"table": "", "unusable": 0, "doubts": [], "pictures": []}

    def checked(cases, doubts) -> None:
        answer["table"], answer["doubts"] = table_lines(cases), list(doubts)
        answer["unusable"] = sum(not case.usable for case in cases)
        for number, sheet in enumerate(sheets(cases), start=1):
            name = f"finetune-{number}.png"
            sheet.save(os.path.join(folder, name), "PNG")
            answer["pictures"].append(name)

    sources = request.get("site") or _sources(request.get("cases", ()), folder)
    if not sources:
        raise InputError("There are no cases.", "Choose a folder, or segment volumes in the scene by hand.")
    options: dict[str, Any] = {name: request.get(name) for name in ("label_map", "side", "base", "threads")}
    options |= {"region": bool(request.get("region")), "device": request.get("device") or "auto"}
    if request.get("check_only"):
        checked(*look_at(sources, progress=progress, cancel=cancel, **options))
        return answer
    outcome = fine_tune(
        sources,
        Path(request["output"]),
        settings=FineTuneSettings.preset("default", **request.get("settings", {})),
        leave_out=bool(request.get("leave_out")),
        checked=checked,
        progress=progress,
        cancel=cancel,
        **options,
    )
    return {
        **answer,
        "model": str(outcome.folder),
        "better": outcome.comparison["better"],
        "is_default": outcome.is_default,
        "words": outcome.comparison["words"],
    }


def _sources(cases, folder: str) -> list:
    """Sources of images in the exchange folder, whose files are removed once read."""
    from ..finetuning.sources import Source

    found = []
    for case in cases:
        images = {}
        for what in ("image", "label"):
            images[what] = to_image(case[what], folder)
            os.remove(exchange_path(folder, case[what]["array"]))
        found.append(
            Source(case["name"], case["subject"], images["image"], images["label"], case.get("side"))
        )
    return found
