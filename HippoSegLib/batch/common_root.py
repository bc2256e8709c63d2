"""Paths of scans relative to the folder that all of them lie in: the same wherever the data lie."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping


def relative_to_common_root(paths: Mapping[str, str]) -> dict[str, str]:
    """The paths without what all of them begin with; a single one is its file's name.

    It depends on the paths alone, not on their order nor on what exists. Where there is no common folder
    (relative and absolute paths, two drives), they stay as they are.

    Args:
        paths: scan -> its path as it was given, with ``/``.
    """
    whole = {scan: posixpath.normpath(path) for scan, path in paths.items()}
    try:
        root = posixpath.commonpath([posixpath.dirname(path) for path in whole.values()])
    except ValueError:
        return whole
    return {scan: path[len(root) :].lstrip("/") for scan, path in whole.items()}
