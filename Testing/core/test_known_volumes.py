"""The shipped models find in real heads what they found before, to five voxels.

The counts were written by `Testing/tools/known_volumes.py`, and stand for what no change of code may change
unnoticed. (The arithmetic of another processor may turn a voxel at the edge.)
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from Testing.tools.known_volumes import CASES, KNOWN, findings, place

TOLERANCE = 5  # voxels


@pytest.mark.parametrize(("model", "head"), CASES, ids=["-".join(case) for case in CASES])
def test_voxels_and_flags_are_as_known(model, head):
    path = place(head, Path(os.environ.get("HIPPOSEG_DATA", "")))
    if not path.exists():
        pytest.skip(f"{head} does not lie in the folder that HIPPOSEG_DATA names")
    known = json.loads(KNOWN.read_text(encoding="utf-8"))[model][head]
    found = findings(path, model)
    assert found["flags"] == known["flags"]
    assert found["voxels"].keys() == known["voxels"].keys()
    differences = {label: found["voxels"][label] - count for label, count in known["voxels"].items()}
    assert all(abs(difference) <= TOLERANCE for difference in differences.values()), differences
