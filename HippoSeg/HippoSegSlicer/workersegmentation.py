"""What comes back from the worker, as arrays and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from HippoSegLib.worker.exchange import take_array


@dataclass
class Image:
    """An array (z, y, x) with its geometry (LPS mm)."""

    array: np.ndarray
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]


@dataclass
class WorkerSegmentation:
    """Result of one segmentation.

    Attributes:
        labels: (z, y, x) uint16, the box around what is labelled; empty where nothing is.
        index: (i, j, k) of the box's first voxel in the volume.
        row: Columns of the volumes table (`HippoSegLib.results.volumes.COLUMNS`); None where unknown.
        flags: Remarks: `code`, `message`, `side`, `severity`.
        provenance: Model, versions, settings, seconds per stage.
    """

    labels: np.ndarray
    index: tuple[int, int, int]
    row: dict[str, float | None]
    flags: list[dict]
    provenance: dict

    @property
    def values(self) -> list[int]:
        """The label values that are there, ascending."""
        return [int(value) for value in np.unique(self.labels) if value]


def readSegmentation(result: Mapping, folder: str) -> WorkerSegmentation:
    """Read the result of the task ``segment`` from the exchange folder."""
    return WorkerSegmentation(
        labels=take_array(folder, result["labels"]["array"]),
        index=tuple(result["labels"]["index"]),
        row=dict(result["row"]),
        flags=list(result["flags"]),
        provenance=dict(result["provenance"]),
    )


def readChannels(result: Mapping, folder: str) -> dict[tuple[str, int], Image]:
    """Read the result of the task ``preview``: (side, channel number) -> what the network sees."""
    return {
        (side, number): Image(
            take_array(folder, one["array"]), one["spacing"], one["origin"], one["direction"]
        )
        for side, channels in result["channels"].items()
        for number, one in enumerate(channels)
    }
