"""Fine-tuning on a made-up site, and what the model that it writes holds."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
from sitefixture import QUICK, load

from HippoSegLib.finetuning import RunOptions, Site, fine_tune
from HippoSegLib.models.weights import read_weights


def tune(site, base_folder, output, **options):
    """Fine-tune on a folder of crops; `options` are fields of `Site` and `RunOptions`, or arguments."""
    given = {
        "settings": QUICK,
        "region": True,
        "label_map": "msd",
        "threads": 1,
        "device": "cpu",
        **options,
    }
    where, run = (
        {f.name: given.pop(f.name) for f in fields(kind) if f.name in given} for kind in (Site, RunOptions)
    )
    return fine_tune(Site(site, **where), output, base=load(base_folder), run=RunOptions(**run), **given)


def weights(folder):
    return read_weights(folder / "segmenter.npz")


def overlap(a, b) -> float:
    """Dice of two masks."""
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def fine_tuning(folder) -> dict:
    """What the card says of the fine-tuning."""
    return json.loads((folder / "card.json").read_text())["segmenter"]["fine_tuning"]


def equal(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True))
