"""A worker of the cluster that `cohort_cost.py` simulates: it answers as if it had segmented the scans."""

from __future__ import annotations

import json
import pickle
from functools import lru_cache
from typing import Any


def packed(chunk: Any) -> bytes:
    """A chunk as the engine packs it, and what the answer is made of: a worker needs nothing else."""
    scans = [(name, str(source.path)) for source, name in chunk.tasks]
    return pickle.dumps((pickle.dumps(chunk), str(chunk.run.parent / "record.json"), scans))


def answer(data: bytes) -> list[dict[str, Any]]:
    """The outcomes of the scans, each with a whole record."""
    _, path, scans = pickle.loads(data)
    record = _record(path)
    return [
        {
            "record": record | {"scan": name, "source": record["source"] | {"path": place}},
            "error": None,
            "files": [f"{name}_hippocampus.nii.gz", f"{name}_hippocampus.json", f"{name}_hippocampus.png"],
            "earlier_stays": False,
            "skipped": False,
        }
        for name, place in scans
    ]


@lru_cache(maxsize=1)
def _record(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        return json.load(file)
