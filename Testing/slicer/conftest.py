"""Paths for the tests of the Slicer side."""

from __future__ import annotations

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
for folder in (HERE, HERE.parents[1] / "HippoSeg", HERE.parents[1]):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
