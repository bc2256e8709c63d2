"""The check of a site's cases as a table: CSV, for a terminal, for a narrow window."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from .site_case import SiteCase

COLUMNS = (
    "case",
    "subject",
    "side",
    "role",
    "spacing_mm",
    "volume_mm3",
    "parts",
    "base_dice",
    "status",
    "findings",
)


def table_rows(cases: Sequence[SiteCase]) -> list[dict[str, str]]:
    """The check as rows of `COLUMNS`, in words and rounded."""
    rows = []
    for case in cases:
        rows.append(
            {
                "case": case.name,
                "subject": case.subject,
                "side": case.side or "",
                "role": case.role,
                "spacing_mm": " x ".join(f"{s:.2f}" for s in case.spacing) if case.spacing else "",
                "volume_mm3": "" if np.isnan(case.volume_mm3) else f"{case.volume_mm3:.0f}",
                "parts": "" if case.case is None else "no" if case.whole_only else "yes",
                "base_dice": "" if np.isnan(case.base_dice) else f"{case.base_dice:.3f}",
                "status": case.status,
                "findings": " ".join(f.text for f in case.findings),
            }
        )
    return rows


def table_csv(cases: Sequence[SiteCase]) -> str:
    """The check as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table_rows(cases))
    return text.getvalue()


def table_lines(cases: Sequence[SiteCase]) -> str:
    """The check for a narrow window: a line per case, its findings below."""
    lines = []
    for row, case in zip(table_rows(cases), cases, strict=True):
        words = [row["status"]]
        if row["volume_mm3"]:
            words.append(f"{row['volume_mm3']} mm³")
        if row["base_dice"]:
            words.append(f"Dice {row['base_dice']}")
        lines.append(f"{row['case']}: {', '.join(words)}")
        lines += [f"    {finding.text}" for finding in case.findings]
    return "\n".join(lines)


def table_text(cases: Sequence[SiteCase]) -> str:
    """The check for a terminal: columns, and the findings of a case under its row."""
    shown = COLUMNS[:-1]
    rows = table_rows(cases)
    widths = {c: max(len(c), *(len(row[c]) for row in rows)) if rows else len(c) for c in shown}
    lines = ["  ".join(c.ljust(widths[c]) for c in shown).rstrip()]
    for row, case in zip(rows, cases, strict=True):
        lines.append("  ".join(row[c].ljust(widths[c]) for c in shown).rstrip())
        lines += [f"    {finding.severity}: {finding.text}" for finding in case.findings]
    return "\n".join(lines)
