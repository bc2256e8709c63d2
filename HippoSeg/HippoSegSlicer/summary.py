"""The result in a few lines above the table: confidence, volumes, asymmetry in words, intracranial volume."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from HippoSegLib.labels import SIDES

if TYPE_CHECKING:
    from HippoSegLib.reference import Judgement

#: Dark enough on a light panel, light enough on a dark one.
_GOOD, _DOUBTFUL = "#2e8b57", "#d2691e"


def summaryHtml(row: dict, flags: list[dict], judgement: Judgement | None = None) -> str:
    """Rich text of a result; "" where nothing was measured.

    Args:
        row: Columns of `HippoSegLib.results.volumes.COLUMNS`.
        flags: `code`, `side` and more of each.
        judgement: How it compares with a reference, where there is one.
    """
    from HippoSegLib.report.comparison import percentile_words
    from HippoSegLib.results.wording import millilitres, quality_words, volume_words

    names = {"left": _("Left"), "right": _("Right")}
    uncertain = {flag["side"] for flag in flags if flag["code"] in ("quality", "disagreement")}
    lines = []
    for side in SIDES:
        if row.get(f"{side}_mm3") is None:
            continue
        cells = [f"<b>{escape(names[side])}</b>"]
        quality = row.get(f"{side}_quality")
        if quality is not None:
            color = _DOUBTFUL if side in uncertain else _GOOD
            words = _("confidence {value}").format(value=quality_words(quality))
            cells.append(f'<span style="color:{color}">\u25cf {escape(words)}</span>')
        cells.append(escape(volume_words(row[f"{side}_mm3"])))
        judged = None if judgement is None else judgement.measures.get(side)
        if judged is not None:
            words = _("percentile {value}").format(value=percentile_words(judged))
            cells.append(escape(words))
        lines.append(
            "<tr>" + "".join(f'<td style="padding-right:14px">{cell}</td>' for cell in cells) + "</tr>"
        )
    if not lines:
        return ""
    below = []
    if row.get("asymmetry_index") is not None:
        below.append(asymmetryWords(row["asymmetry_index"]))
    if row.get("intracranial_mm3"):
        words = _("intracranial volume {volume}").format(volume=millilitres(row["intracranial_mm3"]))
        below.append(words)
    text = f"<table>{''.join(lines)}</table>{escape('; '.join(below))}"
    if any(row.get(f"{side}_quality") is not None for side in SIDES):
        meaning = _("Confidence, 0 to 1: the overlap with a manual outline that such results have had.")
        text += f'<br><span style="font-size:small">{escape(meaning)}</span>'
    return text


def readersWords(provenance: Mapping) -> str:
    """Which models read the scan: ``hipposeg and hipposeg_clahe_sce``, ``hipposeg alone``."""
    names = readers(provenance)
    if len(names) == 2:
        return _("{first} and {second}").format(first=names[0], second=names[1])
    return _("{model} alone").format(model=names[0])


def readers(provenance: Mapping) -> list[str]:
    """Names of the models that read the scan: one or two."""
    second = (provenance.get("settings") or {}).get("second_reader")
    return [provenance.get("model", {}).get("name") or "?", *([second["name"]] if second else [])]


def asymmetryWords(asymmetry: float) -> str:
    """Which side is larger, by what part of the mean of both."""
    from HippoSegLib.results.wording import ASYMMETRY, number

    percent = number(abs(asymmetry), ASYMMETRY)
    if float(percent) == 0:
        return _("both sides equally large")
    words = _("right {percent} % larger, (right − left) / mean of both")
    if asymmetry < 0:
        words = _("left {percent} % larger, (right − left) / mean of both")
    return words.format(percent=percent)
