"""Writes `Testing/core/known_volumes.json`: what the shipped models find in the real heads at hand.

Run it, with HIPPOSEG_DATA set, only when a model or a stage is meant to change, and read the differences
it prints: `python Testing/tools/known_volumes.py`. `Testing/core/test_real_heads.py` holds everything
else to them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from HippoSegLib.io.images import read_scan  # noqa: E402
from HippoSegLib.options import SegmentOptions  # noqa: E402
from HippoSegLib.pipeline import SegmentationResult, segment  # noqa: E402

KNOWN = ROOT / "Testing" / "core" / "known_volumes.json"
HEADS = (
    "Resources/SampleData/hipposeg_sample_T1.nii.gz",
    *(f"heads_unlabelled/ds000011/sub-{n:02}_T1w.nii.gz" for n in range(1, 11)),
    *(f"heads_unlabelled/ds002748_stripped/sub-{n:02}_T1w.nii.gz" for n in range(1, 9)),
    "sample_heads/myconnectome_T1.nii.gz",
    "sample_heads/lowres_1.75mm_T1.nii.gz",
    "dicom_head/series",
)
OTHER_MODEL, OTHER_HEADS = "hipposeg_clahe_sce", HEADS[::5]
CASES = (*(("hipposeg", head) for head in HEADS), *((OTHER_MODEL, head) for head in OTHER_HEADS))


def place(head: str, data: Path) -> Path:
    """Where a head lies: within the project if it ships, else in the folder with real scans."""
    return ROOT / head if (ROOT / head).exists() else data / head


def segmented(path: Path, model: str) -> SegmentationResult:
    """A head with its parts by a model, for the rest as it is segmented by default."""
    return segment(read_scan(path), SegmentOptions(model=model, threads=1, parts=True))


def findings(result: SegmentationResult) -> dict[str, object]:
    """Voxels per label and the codes of the flags, in the order in which they are shown."""
    values, counts = np.unique(sitk.GetArrayViewFromImage(result.labels), return_counts=True)
    voxels = {str(value): int(count) for value, count in zip(values, counts, strict=True) if value}
    return {"voxels": voxels, "flags": [flag.code for flag in result.flags]}


def main() -> None:
    data = Path(os.environ["HIPPOSEG_DATA"])
    before = json.loads(KNOWN.read_text(encoding="utf-8")) if KNOWN.exists() else {}
    found: dict[str, dict[str, object]] = {}
    for model, head in CASES:
        found.setdefault(model, {})[head] = now = findings(segmented(place(head, data), model))
        if before.get(model, {}).get(head) != now:
            print(model, head, "was", before.get(model, {}).get(head), "is", now)
    KNOWN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
