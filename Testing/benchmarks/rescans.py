"""The same head scanned again, imitated: the standard deviation with which a volume is measured.

    HIPPOSEG_DATA=... python Testing/benchmarks/rescans.py [--model NAME] [--write] [--card]

Every head that only tests and has no labels is drawn four times as if it had been scanned four times: turned
a few degrees about its middle (resampled once, so differently re-sliced), with another bias field and other
noise (`repeatability.py`), all at once. The standard deviation of the logarithm of a volume within a head is
what the model's card holds, and what intervals of changes between visits are made of. There are no real
rescans among the data at hand; between those a head also lies differently in the coil and moves: expect more.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from repeatability import biased, noisy, turned, volumes
from testscans import arguments, data_folder, each, report, unlabelled_scans

from HippoSegLib.models.card import CARD, ModelCard, card_text
from HippoSegLib.models.repeatability_card import RepeatabilityCard

SCANS = 4
HOW = "imitated rescans: each head turned and so re-sliced, with bias field and noise, four times"


def rescanned(image: sitk.Image, rng: np.random.Generator) -> sitk.Image:
    """The head as if scanned again: turned, which shifts every voxel off the middle too, biased, noisy."""
    return noisy(biased(turned(image, rng), rng), rng)


def measure(scans, model, threads: int) -> dict[str, np.ndarray]:
    """ "left", "right" -> (heads, SCANS) mm³; NaN where a side was not found."""
    rows = []
    for number, scan in enumerate(scans):
        image = scan.read()
        found = [
            volumes(rescanned(image, np.random.default_rng((number, again))), model, threads)
            for again in range(SCANS)
        ]
        rows.append([[one.get(side, np.nan) for one in found] for side in ("left", "right")])
    array = np.array(rows, dtype=float)
    return {"left": array[:, 0], "right": array[:, 1]}


def within(values: np.ndarray) -> tuple[float, int]:
    """Standard deviation within rows, % (of the logarithm), and its degrees of freedom; rows with NaN do not
    count."""
    logarithms = np.log(values[~np.isnan(values).any(axis=1)])
    degrees = logarithms.shape[0] * (logarithms.shape[1] - 1)
    square = float(((logarithms - logarithms.mean(axis=1, keepdims=True)) ** 2).sum())
    return 100 * float(np.sqrt(square / degrees)), degrees


def card_of(found: dict[str, np.ndarray], readers: int) -> RepeatabilityCard:
    """The part of the model's card."""
    side, side_degrees = within(np.concatenate([found["left"], found["right"]]))
    total, total_degrees = within(found["left"] + found["right"])
    heads = len(found["left"])
    return RepeatabilityCard(
        round(side, 3), side_degrees, round(total, 3), total_degrees, heads, "full", readers, HOW
    )


def table(found: dict[str, np.ndarray], readers: int) -> list[str]:
    """Lines of Markdown."""
    card = card_of(found, readers)
    lines = [
        f"Heads: {card.heads}, each drawn {SCANS} times: {HOW}. Standard deviation of the logarithm within a "
        "head, and the change between two visits that would be no more than that (95 %, two scans):",
        "",
        "| volume | standard deviation, % | degrees of freedom | least change told apart, % | lost |",
        "|---|---|---|---|---|",
    ]
    rows = [("left", found["left"]), ("right", found["right"]), ("total", found["left"] + found["right"])]
    for name, values in rows:
        sd, degrees = within(values)
        least, lost = 1.96 * np.sqrt(2) * sd, int(np.isnan(values).sum())
        lines.append(f"| {name} | {sd:.2f} | {degrees} | {least:.1f} | {lost} |")
    return [*lines, "", f"In the card: {json.dumps({k: v for k, v in asdict(card).items() if k != 'extra'})}"]


def write_card(folder: Path, part: RepeatabilityCard) -> None:
    """Put the figures into a model's card."""
    values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    values["repeatability"] = {name: one for name, one in asdict(part).items() if name != "extra"}
    (folder / CARD).write_text(card_text(ModelCard.read(values)), encoding="utf-8")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--card", action="store_true", help="also put the figures into the model's card")
    args = parser.parse_args()
    scans = unlabelled_scans(data_folder())

    def body(model) -> list[str]:
        found = measure(each(scans, args.heads), model, args.threads)
        readers = 1 if model.second() is None else 2
        if args.card:
            write_card(model.folder, card_of(found, readers))
        return table(found, readers)

    report("rescans", args, "The same head scanned again, imitated", body)


if __name__ == "__main__":
    main()
