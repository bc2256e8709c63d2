"""Join a segmenter, a localiser and its refinement network into a model folder that the pipeline can load.

    python -m HippoSegLib.training.assemble SEGMENTER LOCALIZER REFINER -o Resources/Models/hipposeg

SEGMENTER is a folder written by `hipposeg train` (or `training.export`), LOCALIZER the run folder of
`training.localizer`, REFINER that of `training.refiner`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..errors import ModelError
from ..io.staging import staging_folder
from ..models.card import ModelCard, Role, read_card
from ..models.card_parts import LocalizerCard, RefinerCard
from ..models.saving import save_model
from ..models.training_card import TrainingCard
from ..models.weights import read_weights, write_weights

T = TypeVar("T")

#: What everything loaded at inference may come to.
MAX_PARAMETERS, MAX_BYTES = 2_000_000, 8_000_000
LICENCE = (
    "Weights: CC-BY-SA 4.0, as the Medical Segmentation Decathlon crops they were trained on. The "
    "segmenter's second teacher are public-domain heads (PDDL, CC0) with hippodeep's labels (MIT), and "
    "label maps (Apache-2.0). The localiser was trained on label maps (Apache-2.0) and public-domain "
    "heads (PDDL, CC0)."
)


def assemble(
    segmenter: Path,
    localizer: Path,
    refiner: Path,
    folder: Path,
    title: str,
    earlier: Sequence[Path] = (),
    share: str | None = None,
    second_reader: str | None = None,
) -> Path:
    """Write the model folder; refuses one over the size that HippoSeg allows itself.

    Args:
        segmenter, localizer, refiner: Folders of the trained parts.
        folder: The new model's.
        title: For people.
        earlier: Folders of the segmenters whose weights this one began with, in the order of their
            training; the card tells of them.
        share: Name of a model folder beside the new one, whose files are not copied where they are alike.
        second_reader: Name of the model folder beside the new one that is to read the same scans as well.

    Raises:
        ModelError: Too large. OutputError: The folder exists or cannot be written.
    """
    part = read_card(segmenter).segmenter
    runs: dict[Role, Path] = {"segmenter": segmenter, "localizer": localizer, "refiner": refiner}
    trained = {role: read_weights(folder / f"{role}.pt") for role, folder in runs.items()}
    parameters = sum(array.size for arrays in trained.values() for array in arrays.values())
    size = 2 * parameters  # half precision
    if parameters > MAX_PARAMETERS or size > MAX_BYTES:
        raise ModelError(
            f"The model has {parameters} parameters in {size} bytes; {MAX_PARAMETERS} and {MAX_BYTES} "
            "are allowed.",
            "Make the networks narrower.",
        )
    part = replace(part, training=replace(part.training, earlier=tuple(map(_told, earlier))))
    card = ModelCard(
        name=folder.name,
        title=title,
        licence=LICENCE,
        intended_use="T1-weighted MRI of adult heads, for research; not for clinical use.",
        parameters=parameters,
        segmenter=part,
        localizer=_part(localizer / "localizer.json", LocalizerCard.read),
        refiner=_part(refiner / "refiner.json", RefinerCard.read),
        figures={},
        second_reader=second_reader,
    )
    with staging_folder(folder.parent, "model") as staging:
        weights: dict[Role, Path] = {role: staging / f"{role}.npz" for role in trained}
        for role, path in weights.items():
            write_weights(path, trained[role])
        return save_model(folder, card, weights, share)


def _told(folder: Path) -> TrainingCard:
    """What a card tells of an earlier training."""
    part = read_card(folder).segmenter
    return replace(part.training, metrics=part.metrics, epochs_done=None, earlier=(), extra={})


def _part(path: Path, read: Callable[[object, str], T]) -> T:
    """A network's part of the card, as its training wrote it."""
    try:
        return read(json.loads(path.read_text(encoding="utf-8")), path.stem)
    except (OSError, ValueError) as error:
        words = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be used: {error}"
        raise ModelError(f"The file '{path.name}' of the training {words}.", "Train it again.") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("segmenter", type=Path)
    parser.add_argument("localizer", type=Path)
    parser.add_argument("refiner", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--title", default="Whole head, both hippocampi, T1")
    parser.add_argument(
        "--earlier",
        type=Path,
        nargs="+",
        default=[],
        help="folders of the segmenters that SEGMENTER began with",
    )
    parser.add_argument("--share", help="model folder beside OUTPUT: files it holds alike are not copied")
    parser.add_argument(
        "--second-reader", help="model folder beside OUTPUT that reads the same scans as well"
    )
    args = parser.parse_args()
    parts = (args.segmenter, args.localizer, args.refiner)
    print(assemble(*parts, args.output, args.title, args.earlier, args.share, args.second_reader))


if __name__ == "__main__":
    main()
