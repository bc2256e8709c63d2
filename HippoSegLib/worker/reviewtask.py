"""The panel's task "review": the page to review the results in a folder."""

from __future__ import annotations

from ..dependencies import require_packages


def review_task(request: dict, folder: str, progress, cancel) -> dict:
    """Write the page to review the results in the folder ``output``: ``page`` is its path."""
    require_packages(["jinja2"])
    from ..review.page import write_page

    return {"page": str(write_page(request["output"]))}
