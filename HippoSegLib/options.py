"""What a user may choose for a segmentation, as one typed value that travels through the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError
from .labels import SIDES
from .models.protocols import PROTOCOLS

if TYPE_CHECKING:
    from .models.engines import Engine
    from .models.store import Model
    from .preprocessing.chain import Preprocessing

Point = tuple[float, float, float]


@dataclass(frozen=True)
class SegmentOptions:
    """Options of a segmentation; the defaults suit a whole T1 head.

    Attributes:
        model: Bundled name, model folder, loaded `Model`, or None for the default one.
        engine: "auto", "numpy" or "torch"; or an `Engine` that was chosen before, which settles device and
            threads too.
        device: "auto", "cpu", "cuda:N" or "mps". Nothing falls back silently.
        threads: CPU threads; None takes the idle CPUs.
        region_side: "left" or "right": the image is a crop of that hippocampus alone.
        points: side -> LPS mm of a point inside the hippocampus, where the search is to be helped.
        boxes: side -> (lower, upper) corners, LPS mm, of a box around the hippocampus; its middle is taken.
        preprocessing: Changes to what the model's card wants: `Preprocessing`, its card form, or
            {step: False or {parameter: value}}. A difference becomes a flag.
        second_reader: Let the model's second reader read too, where it has one: the outline is the mean of
            both, and where they disagree a flag says so. Off, the model's own reader is alone.
        protocol: "full", the whole hippocampus, or "msd", without what lies beyond the border that the
            Medical Segmentation Decathlon's protocol draws. Their volumes are not to be mixed.
        parts: Label anterior and posterior apart.
        probabilities: Also return probability maps on the scan's grid.
        uncertainty: Also return the entropy of each voxel, in bits, on the scan's grid.

    Raises:
        InputError: The side is not known.
    """

    model: str | Path | Model | None = None
    engine: str | Engine = "auto"
    device: str = "auto"
    threads: int | None = None
    region_side: str | None = None
    points: Mapping[str, Point] | None = None
    boxes: Mapping[str, tuple[Point, Point]] | None = None
    preprocessing: Preprocessing | Mapping | None = None
    second_reader: bool = True
    protocol: str = PROTOCOLS[0]
    parts: bool = False
    probabilities: bool = False
    uncertainty: bool = False

    def __post_init__(self):
        if self.region_side is not None and self.region_side not in SIDES:
            raise InputError(f"Side '{self.region_side}' is not known.", "Use left or right.")
        if self.protocol not in PROTOCOLS:
            words = " or ".join(PROTOCOLS)
            raise InputError(f"Protocol '{self.protocol}' is not known.", f"Use {words}.")

    @property
    def region(self) -> bool:
        """Whether the image is the crop of one hippocampus, not a head."""
        return self.region_side is not None
